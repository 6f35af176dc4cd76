// Package insight is what administrators look at: it reads, and changes nothing.
//
//	Explain         why anybody has what, and the very call at STS: policy.Explain, printed
//	People          who has signed in
//	Access          groups -> grants -> roles
//	Health          identity providers, certificates and keys, with what wants attention
//	Configuration   the file as it runs, without its secrets
//
// Each call asks whether the caller is admitted. Explain is about somebody else, so
// it is a record itself, and comes first: without it nothing is said.
package insight

import (
	"context"
	"crypto/x509"
	"net/netip"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// Record is where reads are written down, and sign-ins found; audit.Log is one.
type Record interface {
	Append(ctx context.Context, event audit.Event) error
	Search(ctx context.Context, q audit.Query) (audit.Found, error)
}

// Running is what the daemon runs now.
type Running struct {
	Config *config.Config
	Policy *policy.Policy
	Loaded time.Time
	// Warnings are those of the file and of everything made from it.
	Warnings  config.Faults
	Providers []Source
	// TLS is the certificate that is served, nil where a proxy does that.
	TLS *x509.Certificate
	// NotTaken is a newer file that was refused since, nil for none.
	NotTaken *NotTaken
}

// NotTaken is a file that did not come into force, and why.
type NotTaken struct {
	At  time.Time
	Why string
}

// Source is one identity provider; Examined is nil where nothing is read from it
// that could be stale.
type Source struct {
	broker.ProviderInfo
	idp.Examined
}

// Config is what an Insight is made of. All fields are required.
type Config struct {
	// Admits says whether administration is the caller's to see.
	Admits   func(ctx context.Context, caller broker.Caller) bool
	Running  func() Running
	Sessions *session.Sessions
	// Keys lists our own signing keys.
	Keys   func(ctx context.Context) ([]keys.State, error)
	Record Record
	Now    func() time.Time
}

// Insight answers administrators. It is safe for concurrent use.
type Insight struct {
	cfg      Config
	examined examined
}

// New makes an Insight.
func New(c Config) *Insight { return &Insight{cfg: c} }

func (i *Insight) admit(ctx context.Context, caller broker.Caller) error {
	if i.cfg.Admits(ctx, caller) {
		return nil
	}
	return broker.Fail(broker.AccessDenied, "not_admin", "Administration is not yours to see. The section admins of the configuration says whose it is.")
}

func (i *Insight) record(ctx context.Context, origin broker.Origin, caller broker.Caller, name, detail string) error {
	event := audit.Event{
		RequestID: origin.RequestID, Event: name, Outcome: audit.Granted, Provider: caller.Identity.Provider, Subject: caller.Identity.Subject,
		Username: caller.Identity.Username, Session: caller.Session, Via: string(caller.Via), Detail: detail,
	}
	if origin.Address.IsValid() {
		event.Address = origin.Address.String()
	}
	if err := i.cfg.Record.Append(context.WithoutCancel(ctx), event); err != nil {
		return broker.Fail(broker.Unavailable, "audit", "The audit record cannot be written, so nothing was read. Try again in a moment.").Because(err)
	}
	return nil
}

func addressOf(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	return netip.ParseAddr(text)
}
