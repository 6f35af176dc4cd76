// Package discover reads accounts from AWS Organizations, and roles by a tag from
// IAM in each of them, and writes them as a file of accounts (accounts_file).
//
//	ListRoots -> for each unit: ListAccountsForParent, ListOrganizationalUnitsForParent -> ListTagsForResource of each account
//	          -> in each account, as its role for reading: ListRoles -> ListRoleTags of each role
//
// It only reads.
package discover

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/rolecall/rolecall/config"
)

const (
	defaultTimeout = 15 * time.Minute
	// atOnce is how many accounts are asked at a time; Organizations throttles early.
	atOnce   = 4
	attempts = 8
	// deepest is how deep units may be in units; AWS takes five.
	deepest = 10
)

// Config says what to read, and how.
type Config struct {
	// Credentials are the operator's: of the management account or of a delegated
	// administrator.
	Credentials aws.CredentialsProvider
	Region      string
	// Endpoint is the base URL of a stand-in; "" is AWS's own.
	Endpoint string
	// Via is the name (with its path) of the role that lists roles in each account. An
	// account whose hub_role is its own is read by that; "" leaves out the others.
	Via string
	// Tag is KEY or KEY=VALUE: which roles are meant.
	Tag string
	// Hubs give accounts their hub_role by the path that they are under; the longest
	// path counts, "" is all.
	Hubs map[string]string
	// Known are the accounts of the configuration: their names stay.
	Known []config.Account
	// Timeout bounds the whole. Default 15m.
	Timeout time.Duration
}

// Account is one account that was found.
type Account struct {
	ID, Name, Path, HubRole string
	Tags                    map[string]string
	// Roles are those with the tag, as PATH/NAME; Listed says that they were asked for.
	Roles  []string
	Listed bool

	awsName string
}

// Found is what there is.
type Found struct {
	Accounts []Account // by their ids
	// Notes say what is not in here, and why.
	Notes []string
}

type finder struct {
	Config
	client *organizations.Client
	http   aws.HTTPClient

	mu    sync.Mutex
	found Found
}

// Run reads everything. What cannot be read of one account is a note; what cannot be
// read of the organization is an error.
func Run(ctx context.Context, c Config) (Found, error) {
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	f := &finder{Config: c, http: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = nil })}
	f.client = organizations.New(organizations.Options{
		Region: c.Region, Credentials: c.Credentials, HTTPClient: f.http, BaseEndpoint: f.endpoint(), Retryer: patient(),
	})
	if err := f.tree(ctx); err != nil {
		return Found{}, err
	}
	f.name()
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i := range f.found.Accounts {
		group.Go(func() error { return f.details(ctx, &f.found.Accounts[i]) })
	}
	if err := group.Wait(); err != nil {
		return Found{}, err
	}
	slices.Sort(f.found.Notes)
	return f.found, nil
}

// patient outlasts the throttling of a service that many scripts share.
func patient() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = attempts })
}

func (f *finder) endpoint() *string {
	if f.Endpoint == "" {
		return nil
	}
	return &f.Endpoint
}

func (f *finder) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.found.Notes = append(f.found.Notes, fmt.Sprintf(format, args...))
}

// said is what AWS said, without the SDK's wrapping of it.
func said(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	return err
}

// tree walks the units from the root.
func (f *finder) tree(ctx context.Context) error {
	roots := organizations.NewListRootsPaginator(f.client, &organizations.ListRootsInput{})
	for roots.HasMorePages() {
		page, err := roots.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("organizations:ListRoots: %w", said(err))
		}
		for _, root := range page.Roots {
			if err := f.unit(ctx, aws.ToString(root.Id), "", 0); err != nil {
				return err
			}
		}
	}
	slices.SortFunc(f.found.Accounts, func(a, b Account) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

// unit reads what is right below a unit, and then the units below it.
func (f *finder) unit(ctx context.Context, id, path string, depth int) error {
	if depth > deepest {
		return fmt.Errorf("the unit %s is more than %d deep", path, deepest)
	}
	members := organizations.NewListAccountsForParentPaginator(f.client, &organizations.ListAccountsForParentInput{ParentId: &id})
	for members.HasMorePages() {
		page, err := members.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("organizations:ListAccountsForParent of %s: %w", orRoot(path), said(err))
		}
		for _, member := range page.Accounts {
			f.member(member, path)
		}
	}
	units := organizations.NewListOrganizationalUnitsForParentPaginator(f.client, &organizations.ListOrganizationalUnitsForParentInput{ParentId: &id})
	for units.HasMorePages() {
		page, err := units.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("organizations:ListOrganizationalUnitsForParent of %s: %w", orRoot(path), said(err))
		}
		for _, below := range page.OrganizationalUnits {
			if err := f.unit(ctx, aws.ToString(below.Id), path+"/"+pathPart(aws.ToString(below.Name)), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func orRoot(path string) string {
	if path == "" {
		return "the root"
	}
	return path
}

// member takes an account that is in use.
func (f *finder) member(m types.Account, path string) {
	id, name := aws.ToString(m.Id), aws.ToString(m.Name)
	state := string(m.State)
	if state == "" {
		state = string(m.Status) // until AWS retires it
	}
	if state != string(types.AccountStateActive) {
		f.note("account %s (%s) is left out: it is %s", id, name, strings.ToLower(state))
		return
	}
	f.found.Accounts = append(f.found.Accounts, Account{ID: id, Path: path, awsName: name})
}

// details reads the tags of an account, and its roles.
func (f *finder) details(ctx context.Context, a *Account) error {
	a.Tags = map[string]string{}
	tags := organizations.NewListTagsForResourcePaginator(f.client, &organizations.ListTagsForResourceInput{ResourceId: &a.ID})
	for tags.HasMorePages() {
		page, err := tags.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("organizations:ListTagsForResource of %s: %w", a.ID, said(err))
		}
		for _, tag := range page.Tags {
			a.Tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
	}
	a.HubRole = f.hub(a.Path)
	if err := f.roles(ctx, a); err != nil {
		f.note("account %s (%s): its roles could not be listed, so those known before stay: %v", a.ID, a.Name, err)
		a.Roles, a.Listed = f.knownRoles(a.ID)
	}
	return nil
}

// hub is the hub_role of the longest path that an account is under.
func (f *finder) hub(path string) string {
	best, role := -1, ""
	for under, arn := range f.Hubs {
		under = strings.TrimSuffix(under, "/")
		if len(under) > best && (path == under || strings.HasPrefix(path, under+"/")) {
			best, role = len(under), arn
		}
	}
	return role
}

func (f *finder) known(id string) *config.Account {
	for i := range f.Known {
		if f.Known[i].ID.Value == id {
			return &f.Known[i]
		}
	}
	return nil
}

func (f *finder) knownRoles(id string) (roles []string, listed bool) {
	a := f.known(id)
	if a == nil {
		return nil, false
	}
	for _, r := range a.Roles {
		roles = append(roles, r.Value)
	}
	return roles, a.Roles != nil
}
