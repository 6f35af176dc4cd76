package assemble

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/broker/vend/revoke"
	"github.com/rolecall/rolecall/config"
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
}

// Revoke takes something back in the store, beside running daemons.
func Revoke(ctx context.Context, options Options, order operate.Order, operator string) (r Revoked, err error) {
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
	operating := operate.New(operate.Config{Store: store, Audit: record, Providers: providers, Operator: operator, Now: options.Now})
	if r.Done, err = operating.Revoke(ctx, order); err != nil {
		return r, err
	}
	r.deny(order, append(owner, r.People...), targets)
	return r, nil
}

// ownerOf is whose session is about to end.
func ownerOf(ctx context.Context, store *sqlite.Store, order operate.Order) ([]operate.Person, error) {
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

// deny says what AWS must refuse, from what the grants give.
func (r *Revoked) deny(order operate.Order, people []operate.Person, targets []policy.Target) {
	r.Deny.Before = r.At
	for _, p := range people {
		name := iam.FitName(p.String(), p.Provider, p.Subject, 64, false)
		if !slices.Contains(r.Deny.SourceIdentities, name) {
			r.Deny.SourceIdentities = append(r.Deny.SourceIdentities, name)
		}
	}
	var longest time.Duration
	for _, t := range targets {
		if order.Kind == revocation.Grant && t.Grant != order.Target {
			continue
		}
		longest = max(longest, t.MaxDuration)
		switch {
		case t.Mode == "federation-token":
			r.note("grant %s: credentials of the mode federation-token are denied on the broker's IAM user, by aws:TokenIssueTime alone", t.Grant)
			continue
		case t.Role == (iam.RoleARN{}):
			r.note("grant %s: its roles are known only with the person; put the policy on those that the record names", t.Grant)
			continue
		case t.OwnSource && order.Kind != revocation.Grant:
			r.note("grant %s has a source_identity of its own: the policy does not reach its sessions; revoke the grant to cut off everybody's", t.Grant)
		}
		r.Deny.Roles = append(r.Deny.Roles, t.Role)
	}
	r.Last = r.At.Add(longest)
	if order.Kind != revocation.Grant && len(people) == 0 {
		r.note("nobody of that name is known here, so there is nobody's source identity to deny; name PROVIDER=SUBJECT with --user")
		r.Deny.Roles = nil
	}
}

func (r *Revoked) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(r.Notes, text) {
		r.Notes = append(r.Notes, text)
	}
}
