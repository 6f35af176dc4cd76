package revoke

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

const (
	// rounds is how often a role's policy is written at most, where others write it too.
	rounds = 5
	// settle is how long to wait before a second look at everything that was written.
	defaultSettle  = 3 * time.Second
	accountsAtOnce = 8
	defaultTimeout = 5 * time.Minute
)

// WriterConfig is what a Writer is made of.
type WriterConfig struct {
	// Credentials are the operator's, which may assume Role and need nothing else.
	Credentials aws.CredentialsProvider
	// Role is aws.revocation_role: the ARN of a role, or the name (with its path) of
	// one that each account has.
	Role string
	// ExternalIDs are demanded by accounts, by their id.
	ExternalIDs map[string]secret.String
	// Operator is who acts; the session is named for them.
	Operator string
	Region   string
	// Endpoint is the base URL of a stand-in; "" is AWS's own.
	Endpoint string
	// Settle is the pause before what was written is looked at again. Default 3s;
	// negative is none.
	Settle time.Duration
	// Timeout bounds the whole. Default 5m.
	Timeout time.Duration
	Now     func() time.Time
}

// Writer writes the policy rolecall-revoke on roles, and nothing else, as the
// revocation role and as nobody else.
type Writer struct{ config WriterConfig }

// NewWriter makes a Writer. It does no I/O.
func NewWriter(config WriterConfig) (*Writer, error) {
	if config.Credentials == nil || config.Role == "" || config.Region == "" || config.Now == nil {
		return nil, errors.New("revocation in AWS needs credentials, a role, a region and a clock")
	}
	if config.Settle == 0 {
		config.Settle = defaultSettle
	}
	if config.Timeout <= 0 {
		config.Timeout = defaultTimeout
	}
	return &Writer{config}, nil
}

// Change is what was done to one role.
type Change struct {
	Role iam.RoleARN
	// By is the role that did it.
	By iam.RoleARN
	// Before and After are the policy's text, "" is none.
	Before, After string
	// Kept is how many earlier entries are still in force, Dropped how many were over.
	Kept, Dropped int
	// Foreign is how many statements of others the policy holds, which stay.
	Foreign int
	// Undo is the command that puts Before back.
	Undo string
	// Err says why the role is not as it should be.
	Err error
}

// Write changes the policy of each role. What it could not do is in the Changes,
// which are in the order of the roles' ARNs.
func (w *Writer) Write(ctx context.Context, deny Deny) []Change {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	roles := deny.roles()
	changes := make([]Change, len(roles))
	byAccount := map[string][]*Change{}
	for i, r := range roles {
		changes[i].Role = r
		byAccount[r.Account] = append(byAccount[r.Account], &changes[i])
	}
	var mu sync.Mutex
	clients := map[string]*awsiam.Client{}
	w.each(byAccount, func(account string, list []*Change) {
		client, by, err := w.client(ctx, list[0].Role)
		mu.Lock()
		clients[account] = client
		mu.Unlock()
		for _, c := range list {
			c.By = by
			if c.Err = err; err == nil {
				w.write(ctx, client, c, deny.entries())
			}
		}
	})
	// Whoever read before we wrote and wrote after it has overwritten ours: after a
	// moment everything is looked at once more.
	if w.pause(ctx, w.config.Settle) != nil {
		return changes
	}
	w.each(byAccount, func(account string, list []*Change) {
		for _, c := range list {
			if c.Err == nil {
				w.confirm(ctx, clients[account], c, deny.entries())
			}
		}
	})
	return changes
}

// each works through some accounts at a time.
func (w *Writer) each(byAccount map[string][]*Change, do func(account string, list []*Change)) {
	var group errgroup.Group
	group.SetLimit(accountsAtOnce)
	for account, list := range byAccount {
		group.Go(func() error {
			do(account, list)
			return nil
		})
	}
	_ = group.Wait() // errors are in the changes
}

func (w *Writer) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// roleFor is the revocation role of an account.
func (w *Writer) roleFor(target iam.RoleARN) (iam.RoleARN, error) {
	if !strings.HasPrefix(w.config.Role, "arn:") {
		return iam.ParseRoleARN("arn:" + target.Partition + ":iam::" + target.Account + ":role/" + strings.TrimPrefix(w.config.Role, "/"))
	}
	role, err := iam.ParseRoleARN(w.config.Role)
	if err == nil && role.Account != target.Account {
		err = fmt.Errorf("aws.revocation_role %s is a role of another account, and can change no policy in %s; give its name alone, and have such a role in each account", role, target.Account)
	}
	return role, err
}

// client acts in the account of a role, as the revocation role there.
func (w *Writer) client(ctx context.Context, target iam.RoleARN) (*awsiam.Client, iam.RoleARN, error) {
	by, err := w.roleFor(target)
	if err != nil {
		return nil, by, err
	}
	own := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.Proxy = nil })
	var endpoint *string
	if w.config.Endpoint != "" {
		endpoint = &w.config.Endpoint
	}
	tokens := sts.New(sts.Options{Region: w.config.Region, Credentials: w.config.Credentials, HTTPClient: own, BaseEndpoint: endpoint})
	session := aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(tokens, by.String(), func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = iam.FitName("revoke-"+w.config.Operator, "operator", w.config.Operator, 64, false)
		o.Duration = iam.MinDuration
		if id := w.config.ExternalIDs[target.Account]; !id.IsZero() {
			o.ExternalID = aws.String(id.Reveal())
		}
	}))
	if _, err := session.Retrieve(ctx); err != nil {
		return nil, by, fmt.Errorf("assume %s: %w", by, said(err))
	}
	return awsiam.New(awsiam.Options{Region: w.config.Region, Credentials: session, HTTPClient: own, BaseEndpoint: endpoint}), by, nil
}

// said is what AWS said, without the SDK's wrapping of it.
func said(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	return err
}

// write brings the entries into a role's policy: read, merge, write, and read again
// until they are there.
func (w *Writer) write(ctx context.Context, client *awsiam.Client, c *Change, entries []entry) {
	first := true
	for round := range rounds {
		if c.Err = w.pause(ctx, time.Duration(round)*time.Second/4); c.Err != nil {
			return
		}
		text, had, err := get(ctx, client, c.Role)
		if err != nil {
			c.Err = err
			return
		}
		if first {
			c.Before, c.Undo, first = text, restore(c.Role, text), false
		}
		merged := had.merge(entries, w.config.Now())
		c.count(had, merged, entries)
		if had.has(entries) && c.Dropped == 0 {
			c.After = text
			return
		}
		if c.Err = put(ctx, client, c.Role, merged); c.Err != nil {
			return
		}
		if text, had, err = get(ctx, client, c.Role); err != nil {
			c.Err = err
			return
		}
		if c.After = text; had.has(merged.entries) {
			return
		}
	}
	c.Err = fmt.Errorf("somebody else keeps writing the policy: after %d times the entry is still not in it", rounds)
}

// confirm looks once more, and writes again what somebody else has overwritten.
func (w *Writer) confirm(ctx context.Context, client *awsiam.Client, c *Change, entries []entry) {
	text, had, err := get(ctx, client, c.Role)
	switch {
	case err != nil:
		c.Err = err
	case had.has(entries):
		c.After = text
	default:
		before, undo := c.Before, c.Undo
		w.write(ctx, client, c, entries)
		c.Before, c.Undo = before, undo
	}
}

// count says what a change did to earlier entries.
func (c *Change) count(had, merged policy, entries []entry) {
	c.Foreign, c.Kept, c.Dropped = len(merged.foreign), 0, 0
	now := map[entry]bool{}
	for _, e := range merged.entries {
		now[e] = true
	}
	for _, e := range had.entries {
		switch {
		case now[e]:
			c.Kept++
		case !(policy{entries: entries}).has([]entry{e}): // else the new one covers it
			c.Dropped++
		}
	}
}

// get reads a role's policy, "" where it has none.
func get(ctx context.Context, client *awsiam.Client, role iam.RoleARN) (string, policy, error) {
	out, err := client.GetRolePolicy(ctx, &awsiam.GetRolePolicyInput{RoleName: &role.Name, PolicyName: aws.String(PolicyName)})
	if missing, ok := errors.AsType[*types.NoSuchEntityException](err); ok {
		if strings.Contains(missing.ErrorMessage(), "role with name") {
			return "", policy{}, fmt.Errorf("there is no such role in account %s: %w", role.Account, said(err))
		}
		return "", policy{}, nil
	}
	if err != nil {
		return "", policy{}, fmt.Errorf("read %s: %w", PolicyName, said(err))
	}
	text, err := url.PathUnescape(aws.ToString(out.PolicyDocument))
	if err != nil {
		return "", policy{}, fmt.Errorf("read %s: IAM's answer is not percent-encoded: %w", PolicyName, err)
	}
	p, err := parse(text)
	if err != nil {
		return "", policy{}, fmt.Errorf("the role has a policy %s that is not of our making, and it is left alone: %w", PolicyName, err)
	}
	return text, p, nil
}

func put(ctx context.Context, client *awsiam.Client, role iam.RoleARN, p policy) error {
	text := p.document("")
	tooLarge := func(why string) error {
		return fmt.Errorf("%s with %d entries is too large (%s); IAM takes %d characters of all inline policies of a role: revoke the grant, which is one entry for everybody", PolicyName, len(p.entries), why, maxInline)
	}
	if len(text) > maxInline {
		return tooLarge(fmt.Sprintf("%d characters", len(text)))
	}
	_, err := client.PutRolePolicy(ctx, &awsiam.PutRolePolicyInput{RoleName: &role.Name, PolicyName: aws.String(PolicyName), PolicyDocument: &text})
	if limit, ok := errors.AsType[*types.LimitExceededException](err); ok {
		return tooLarge(limit.ErrorMessage())
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", PolicyName, said(err))
	}
	return nil
}
