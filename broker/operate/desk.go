package operate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config"
)

// Bounds of one answer of the Desk.
const (
	maxLive   = 2000
	maxReason = 200
)

// Record is where the Desk writes down and searches; audit.Log is one.
type Record interface {
	Append(ctx context.Context, event audit.Event) error
	Search(ctx context.Context, q audit.Query) (audit.Found, error)
	Walk(ctx context.Context, q audit.Query, each func(r audit.Record, line []byte) error) (audit.Found, error)
	Position(ctx context.Context, at int64) (audit.Position, error)
}

// DeskConfig is what a Desk is made of. All fields are required.
type DeskConfig struct {
	Admins   config.Admins
	Sessions *session.Sessions
	Record   Record
	// Revoke keeps a revocation under the next number, by which every node knows of it
	// within two seconds, and this one at once.
	Revoke func(ctx context.Context, r revocation.Revocation) (number int64, err error)
	// Forget drops cached credentials of a session that has ended.
	Forget func(session string)
	// ResolveRole reads ACCOUNT/ROLE with the names of accounts, for searches.
	ResolveRole func(text string) (iam.RoleARN, error)
	Now         func() time.Time
}

// Desk is administration in the browser, for whom `admins` names: it asks at each
// call. Nothing here changes the configuration.
type Desk struct{ cfg DeskConfig }

// NewDesk makes a Desk.
func NewDesk(c DeskConfig) *Desk { return &Desk{c} }

// Live is one live session of somebody.
type Live struct {
	ID, Kind                    string
	Provider, Subject, Username string
	// Client is the program of a token family, "" for a browser. Address and Agent are
	// where the sign-in was made; a family has those of its browser session, while
	// that lives.
	Client, Address, Agent string
	Since, LastSeen, Ends  time.Time
}

// Admits reports whether administration is the caller's to see. Somebody who came
// by a token is not admitted: administration is for browsers.
func (d *Desk) Admits(_ context.Context, caller broker.Caller) bool {
	who, a := caller.Identity, d.cfg.Admins
	named := func(list []config.Text, name string) bool {
		return slices.ContainsFunc(list, func(t config.Text) bool { return t.Value == name })
	}
	return caller.Via == broker.ViaBrowser && named(a.Providers, who.Provider) &&
		(named(a.Users, who.Username) || slices.ContainsFunc(who.Groups, func(g string) bool { return named(a.Groups, g) }))
}

func (d *Desk) admit(ctx context.Context, caller broker.Caller) error {
	if d.Admits(ctx, caller) {
		return nil
	}
	return broker.Fail(broker.AccessDenied, "not_admin", "Administration is not yours to see. The section admins of the configuration says whose it is.")
}

// Live lists everybody's live sessions, and token families after them; more says
// that there are more than are looked at.
func (d *Desk) Live(ctx context.Context, caller broker.Caller) (all []Live, more bool, err error) {
	if err := d.admit(ctx, caller); err != nil {
		return nil, false, err
	}
	sessions, families, err := d.cfg.Sessions.Live(ctx, "", "", maxLive)
	if err != nil {
		return nil, false, err
	}
	from := map[string]session.Session{}
	for _, s := range sessions {
		from[s.ID] = s
		all = append(all, Live{
			ID: s.ID, Kind: string(broker.ViaBrowser), Provider: s.Identity.Provider, Subject: s.Identity.Subject, Username: s.Identity.Username,
			Address: s.Address, Agent: s.Agent, Since: s.Since, LastSeen: s.LastSeen, Ends: s.Expires,
		})
	}
	for _, f := range families {
		browser := from[f.Session]
		all = append(all, Live{
			ID: f.ID, Kind: f.Via, Provider: f.Identity.Provider, Subject: f.Identity.Subject, Username: f.Identity.Username,
			Client: f.Client, Address: browser.Address, Agent: browser.Agent, Since: f.Since, Ends: f.Until,
		})
	}
	return all, len(sessions) >= maxLive || len(families) >= maxLive, nil
}

// End ends a session, or with everything all sessions of its person, as `rolecalld
// revoke` does: by a number, so that what other nodes have cached and what programs
// bring of before is dead too. The record comes first, with the reason: without it
// nothing ends.
func (d *Desk) End(ctx context.Context, origin broker.Origin, caller broker.Caller, id string, everything bool, reason string) error {
	all, _, err := d.Live(ctx, caller)
	if err != nil {
		return err
	}
	reason = strings.TrimSpace(reason)
	i := slices.IndexFunc(all, func(l Live) bool { return l.ID == id })
	switch {
	case i < 0:
		return broker.Fail(broker.InvalidRequest, "no_such_session", "There is no such session. It may have ended already.")
	case reason == "" || len(reason) > maxReason:
		return broker.Fail(broker.InvalidRequest, "no_reason", fmt.Sprintf("Give a reason of at most %d characters: it goes into the record.", maxReason))
	}
	target := all[i]
	event := d.event(origin, caller, "admin.revoke")
	event.Detail = fmt.Sprintf("session %s of %s=%s (%s): %s", id, target.Provider, target.Subject, target.Username, reason)
	if everything {
		event.Event, event.Detail = "admin.revoke_all", fmt.Sprintf("all sessions of %s=%s (%s): %s", target.Provider, target.Subject, target.Username, reason)
	}
	if err := d.record(ctx, event); err != nil {
		return err
	}
	taken := revocation.Revocation{Kind: revocation.Session, Target: id, At: d.cfg.Now().Truncate(time.Microsecond)}
	if everything {
		taken.Kind, taken.Target = revocation.User, target.Provider+"="+target.Subject
	}
	if _, err := d.cfg.Revoke(context.WithoutCancel(ctx), taken); err != nil {
		return broker.Fail(broker.Unavailable, "store", "The broker cannot reach its memory right now, so nothing was ended. Try again in a moment.").Because(err)
	}
	for _, l := range all {
		if l.ID == id || everything && l.Provider == target.Provider && l.Subject == target.Subject {
			d.cfg.Forget(l.ID)
		}
	}
	switch {
	case everything:
		return d.cfg.Sessions.EndAll(ctx, target.Provider, target.Subject)
	case target.Kind == string(broker.ViaBrowser):
		return d.cfg.Sessions.End(ctx, id)
	}
	return d.cfg.Sessions.EndFamily(ctx, id)
}

func (d *Desk) event(origin broker.Origin, caller broker.Caller, name string) audit.Event {
	event := audit.Event{
		RequestID: origin.RequestID, Event: name, Outcome: audit.Granted, Provider: caller.Identity.Provider, Subject: caller.Identity.Subject,
		Username: caller.Identity.Username, Session: caller.Session, Via: string(caller.Via),
	}
	if origin.Address.IsValid() {
		event.Address = origin.Address.String()
	}
	return event
}

func (d *Desk) record(ctx context.Context, event audit.Event) error {
	if err := d.cfg.Record.Append(context.WithoutCancel(ctx), event); err != nil {
		return broker.Fail(broker.Unavailable, "audit", "The audit record cannot be written, so nothing was done. Try again in a moment.").Because(err)
	}
	return nil
}
