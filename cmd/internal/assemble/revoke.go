package assemble

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/broker/vend/revoke"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/device"
)

// operatorFile is the record of operators, a chain of its own beside the daemon's.
const operatorFile = "audit-operator.jsonl"

// Revoked is what a revocation did here, and what is left to do in AWS.
type Revoked struct {
	operate.Done
	// Deny cuts off credentials that are out already.
	Deny revoke.Deny
	// Last is when the last of them end by themselves.
	Last time.Time
	// Notes say what the deny does not reach.
	Notes []string
	// Record is the file that has it.
	Record string
	// Changes are what the revocation role did in AWS.
	Changes []revoke.Change
}

// RevokeOptions say what to take back, and where.
type RevokeOptions struct {
	Order operate.Order
	// Operator is who orders it, for the record and for CloudTrail.
	Operator string
	// AWS also writes the deny, where aws.revocation_role is set.
	AWS bool
	// Credentials are the operator's; nil is the SDK's default chain.
	Credentials aws.CredentialsProvider
	// Settle is the pause before what was written in AWS is looked at again; zero is the usual one.
	Settle time.Duration
}

// Revoke takes something back in the store, beside running daemons, and in AWS.
func Revoke(ctx context.Context, options Options, what RevokeOptions) (r Revoked, err error) {
	order := what.Order
	compiled, err := Policy(options.Config)
	if err != nil {
		return r, err
	}
	targets := compiled.Targets()
	if order.Kind == revocation.Grant && !slices.ContainsFunc(options.Config.Grants, func(g config.Grant) bool { return g.Name.Value == order.Target && !g.Deny }) {
		return r, fmt.Errorf("%w: no grant of the configuration is called %q", operate.ErrBadOrder, order.Target)
	}
	path := storePath(options.Config)
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return r, fmt.Errorf("store %s: %w", options.Config.Store.Value, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	r.Record = filepath.Join(filepath.Dir(auditFile(options.Config)), operatorFile)
	record, err := audit.Open(audit.Config{File: r.Record, Now: options.Now, Log: options.Log})
	if err != nil {
		return r, fmt.Errorf("record of operators %s: %w", r.Record, err)
	}
	defer func() { err = errors.Join(err, record.Close()) }()
	owner, err := ownerOf(ctx, store, order)
	if err != nil {
		return r, err
	}
	var providers []string
	for _, p := range options.Config.Providers {
		providers = append(providers, p.Name.Value)
	}
	operating := operate.New(operate.Config{Store: store, Devices: store, Audit: record, Providers: providers, Operator: what.Operator, Now: options.Now})
	if r.Done, err = operating.Revoke(ctx, order); err != nil {
		return r, err
	}
	if err := r.deny(options, order, append(owner, r.People...), targets); err != nil {
		return r, err
	}
	if what.AWS && options.Config.AWS.RevocationRole.Value != "" && len(r.Deny.Roles) > 0 {
		return r, r.write(ctx, options, what, record)
	}
	return r, nil
}

// write puts the deny on the roles, as the revocation role. The record has the
// intent before, and the outcome of each role after.
func (r *Revoked) write(ctx context.Context, options Options, what RevokeOptions, record *audit.Log) error {
	c := options.Config
	credentials := what.Credentials
	if credentials == nil {
		chain, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(c.AWS.Region))
		if err != nil {
			return fmt.Errorf("the operator's AWS credentials: %w", err)
		}
		credentials = chain.Credentials
	}
	ids := map[string]secret.String{}
	for _, a := range c.Accounts {
		ids[a.ID.Value] = a.ExternalID
	}
	writer, err := revoke.NewWriter(revoke.WriterConfig{
		Credentials: credentials, Role: c.AWS.RevocationRole.Value, ExternalIDs: ids, Operator: what.Operator,
		Region: c.AWS.Region, Endpoint: c.AWS.Endpoint.Value, Settle: what.Settle, Now: options.Now,
	})
	if err != nil {
		return err
	}
	event := audit.Event{
		RequestID: "operator", Event: "revoke-aws", Via: "operator",
		Detail: fmt.Sprintf("by %s, revocation %d, %d roles, of %s", what.Operator, r.Number, len(r.Deny.Roles), cmp.Or(strings.Join(r.Deny.SourceIdentities, ", "), "everybody")),
	}
	if err := record.Append(ctx, event); err != nil {
		return fmt.Errorf("the record of operators cannot be written, so nothing was changed in AWS: %w", err)
	}
	r.Changes = writer.Write(ctx, r.Deny)
	for _, change := range r.Changes {
		event.Role, event.Outcome, event.Reason = change.Role.String(), audit.Granted, ""
		if change.Err != nil {
			event.Outcome, event.Reason = audit.Failed, change.Err.Error()
		}
		if err := record.Append(context.WithoutCancel(ctx), event); err != nil {
			return fmt.Errorf("the record of operators cannot be written: %w", err)
		}
	}
	return nil
}

// ownerOf is whose session is about to end; of a device itself, and who is logged in
// on it: what they got there cannot be told from what they have elsewhere.
func ownerOf(ctx context.Context, store *sqlite.Store, order operate.Order) ([]operate.Person, error) {
	if order.Kind == revocation.Device {
		owners := []operate.Person{{Provider: device.Provider, Subject: order.Target}}
		d, err := store.DeviceByID(ctx, order.Target)
		if err == nil && !d.Guest() {
			owners = append(owners, operate.Person{Provider: d.Provider, Subject: d.Subject})
		}
		if errors.Is(err, device.ErrNotFound) {
			err = nil // the order is refused for that
		}
		return owners, err
	}
	if order.Kind != revocation.Session {
		return nil, nil
	}
	row, err := store.SessionByID(ctx, order.Target)
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the session: %w", err)
	}
	return []operate.Person{{Provider: row.Provider, Subject: row.Subject}}, nil
}

// deny says what AWS must refuse, from what the grants give and the record has.
func (r *Revoked) deny(options Options, order operate.Order, people []operate.Person, targets []policy.Target) error {
	r.Deny.Before = r.At
	for _, p := range people {
		name := iam.FitName(p.String(), p.Provider, p.Subject, 64, false)
		if !slices.Contains(r.Deny.SourceIdentities, name) {
			r.Deny.SourceIdentities = append(r.Deny.SourceIdentities, name)
		}
	}
	var longest time.Duration
	federated := map[string]bool{}
	for _, t := range targets {
		federated[t.Grant] = t.Mode == "federation-token"
		if order.Kind == revocation.Grant && t.Grant != order.Target {
			continue
		}
		longest = max(longest, t.MaxDuration)
		switch {
		case t.Mode == "federation-token":
			r.note("grant %s: credentials of the mode federation-token are denied on the broker's IAM user, by aws:TokenIssueTime alone", t.Grant)
			continue
		case t.Role == (iam.RoleARN{}):
			r.note("grant %s: its roles are known only with the person; those that the record of this node names are meant, and other nodes have records of their own", t.Grant)
			continue
		case t.OwnSource && order.Kind != revocation.Grant:
			r.note("grant %s has source identities that are not provider=subject; those that the record of this node names are meant, and other nodes have records of their own", t.Grant)
		}
		r.Deny.Roles = append(r.Deny.Roles, t.Role)
	}
	r.Last = r.At.Add(longest)
	if err := r.addOnRecord(options, order, people, federated); err != nil {
		return err
	}
	if order.Kind != revocation.Grant && len(r.Deny.SourceIdentities) == 0 {
		r.note("nobody of that name is known here, so there is nobody's source identity to deny; name PROVIDER=SUBJECT with --user")
		r.Deny.Roles = nil
	}
	return nil
}

func (r *Revoked) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}
