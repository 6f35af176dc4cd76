// Package account is what people do with their own: see and end their sessions,
// see what was done in their name, and mark accounts to find them again. It acts
// on the caller's own provider and subject only; nobody else's can be named.
//
//	Sessions, End, EndAll    browser sessions and token families, one list
//	Activity                 the caller's own records of the last days
//	Marks, Mark, Favour, Use labels, colours, favourites, recent roles
//
// Activity is read from the end of the audit file, not from a table of its own: a
// second copy would cost each order a second write and could disagree with the
// record. The price is that a node knows only what it recorded itself, and that
// the search is bounded; the page says so.
package account

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/broker/session"
)

// Bounds of one answer.
const (
	maxSessions = 200
	maxActivity = 50
	maxBytes    = 8 << 20
	activityAge = 7 * 24 * time.Hour
)

// Record is where things are written down and found again; audit.Log is one.
type Record interface {
	Append(ctx context.Context, event audit.Event) error
	Search(ctx context.Context, q audit.Query) (audit.Found, error)
}

// Config is what a Service is made of. All fields are required.
type Config struct {
	Sessions *session.Sessions
	Marks    *marks.Book
	Record   Record
	// Forget drops cached credentials of a session that has ended.
	Forget func(session string)
	Now    func() time.Time
}

// Service serves people their own. It is safe for concurrent use.
type Service struct{ cfg Config }

// New makes a Service.
func New(config Config) *Service { return &Service{config} }

// Session is a browser session or a family of tokens.
type Session struct {
	ID      string
	Kind    string // browser, or the way by which the tokens were made: cli, device, exchange
	Client  string // the program, "" for a browser
	Current bool   // the one that asks
	// Address is where it was used last, or signed in where that is not known any more;
	// Agent is the browser of the sign-in. "" is not known.
	Address, Agent        string
	Since, LastSeen, Ends time.Time
}

// Activity is one thing that was done in the caller's name.
type Activity struct {
	Time      time.Time
	Event     string // signin, credentials, console, ...
	Outcome   string // granted, refused, failed
	Reason    string
	Role      string // an ARN, or what was asked for
	Address   string
	Via       string
	Duration  time.Duration
	RequestID string
}

// Marks is what a person has marked, as broker/marks has it.
type (
	Marks  = marks.Kept
	Mark   = marks.Mark
	Recent = marks.Recent
)

// Sessions lists what is live, the current session first.
func (s *Service) Sessions(ctx context.Context, caller broker.Caller) ([]Session, error) {
	sessions, families, err := s.cfg.Sessions.Live(ctx, caller.Identity.Provider, caller.Identity.Subject, maxSessions)
	if err != nil {
		return nil, err
	}
	seen, err := s.lastUse(ctx, caller)
	if err != nil {
		return nil, err
	}
	var current, all []Session
	for _, found := range sessions {
		one := Session{ID: found.ID, Kind: string(broker.ViaBrowser), Since: found.Since, LastSeen: found.LastSeen, Ends: found.Expires, Address: cmp.Or(seen[found.ID].Address, found.Address), Agent: found.Agent}
		if found.ID == caller.Session {
			one.Current = true
			current = append(current, one)
			continue
		}
		all = append(all, one)
	}
	for _, f := range families {
		last := seen[f.ID]
		all = append(all, Session{ID: f.ID, Kind: f.Via, Client: f.Client, Since: f.Since, LastSeen: last.Time, Ends: f.Until, Address: last.Address, Current: f.ID == caller.Session})
	}
	return append(current, all...), nil
}

// lastUse finds the newest record of each session.
func (s *Service) lastUse(ctx context.Context, caller broker.Caller) (map[string]audit.Record, error) {
	last := map[string]audit.Record{}
	_, err := s.own(ctx, caller, func(r audit.Record) bool {
		if _, known := last[r.Session]; !known && r.Session != "" {
			last[r.Session] = r
		}
		return false
	})
	return last, err
}

// own searches the caller's records of the last days.
func (s *Service) own(ctx context.Context, caller broker.Caller, match func(audit.Record) bool) (audit.Found, error) {
	who := caller.Identity
	name, err := json.Marshal(who.Subject)
	if err != nil {
		return audit.Found{}, fmt.Errorf("own records: %w", err)
	}
	found, err := s.cfg.Record.Search(ctx, audit.Query{
		Contains: append([]byte(`"subject":`), bytes.TrimSpace(name)...), Since: s.cfg.Now().Add(-activityAge), Limit: maxActivity, Bytes: maxBytes,
		Match: func(r audit.Record) bool {
			return r.Provider == who.Provider && r.Subject == who.Subject && match(r)
		},
	})
	if err != nil {
		return audit.Found{}, fmt.Errorf("own records: %w", err)
	}
	return found, nil
}

// Activity gives what was done in the caller's name in the last seven days,
// newest first, and whether there is more than is shown. Intents and the checks
// of each request are left out.
func (s *Service) Activity(ctx context.Context, caller broker.Caller) ([]Activity, bool, error) {
	found, err := s.own(ctx, caller, func(r audit.Record) bool {
		return r.Outcome != "" && (r.Event.Event != "authenticate" || r.Outcome != audit.Granted)
	})
	if err != nil {
		return nil, false, err
	}
	all := make([]Activity, len(found.Records))
	for i, r := range found.Records {
		all[i] = Activity{
			Time: r.Time, Event: r.Event.Event, Outcome: string(r.Outcome), Reason: r.Reason, Role: r.Role, Address: r.Address, Via: r.Via,
			Duration: time.Duration(r.Duration) * time.Second, RequestID: r.RequestID,
		}
	}
	return all, found.More, nil
}

// End ends one of the caller's own sessions. One that is not theirs, or has ended
// already, is not found; both answer alike.
func (s *Service) End(ctx context.Context, origin broker.Origin, caller broker.Caller, id string) error {
	sessions, families, err := s.cfg.Sessions.Live(ctx, caller.Identity.Provider, caller.Identity.Subject, maxSessions)
	if err != nil {
		return err
	}
	end := func() error {
		return broker.Fail(broker.InvalidRequest, "no_such_session", "There is no such session of yours. It may have ended already.")
	}
	for _, found := range sessions {
		if found.ID == id {
			end = func() error { return s.cfg.Sessions.End(ctx, id) }
		}
	}
	for _, f := range families {
		if f.ID == id {
			end = func() error { return s.cfg.Sessions.EndFamily(ctx, id) }
		}
	}
	if err := end(); err != nil {
		return err
	}
	s.cfg.Forget(id)
	for _, f := range families {
		if f.Session == id {
			s.cfg.Forget(f.ID)
		}
	}
	return s.record(ctx, origin, caller, "session.end", id)
}

// EndAll ends every session and every token of the caller, this one included.
func (s *Service) EndAll(ctx context.Context, origin broker.Origin, caller broker.Caller) error {
	who := caller.Identity
	sessions, families, err := s.cfg.Sessions.Live(ctx, who.Provider, who.Subject, maxSessions)
	if err != nil {
		return err
	}
	if err := s.cfg.Sessions.EndAll(ctx, who.Provider, who.Subject); err != nil {
		return fmt.Errorf("end all sessions: %w", err)
	}
	for _, found := range sessions {
		s.cfg.Forget(found.ID)
	}
	for _, f := range families {
		s.cfg.Forget(f.ID)
	}
	return s.record(ctx, origin, caller, "session.end_all", caller.Session)
}

func (s *Service) record(ctx context.Context, origin broker.Origin, caller broker.Caller, name, id string) error {
	event := audit.Event{
		RequestID: origin.RequestID, Event: name, Outcome: audit.Granted, Provider: caller.Identity.Provider, Subject: caller.Identity.Subject,
		Username: caller.Identity.Username, Session: id, Via: string(caller.Via),
	}
	if origin.Address.IsValid() {
		event.Address = origin.Address.String()
	}
	if err := s.cfg.Record.Append(context.WithoutCancel(ctx), event); err != nil {
		return broker.Fail(broker.Unavailable, "audit", "It was done, but the audit record cannot be written. Tell your administrators.").Because(err)
	}
	return nil
}

// Marks gives the caller's marks.
func (s *Service) Marks(ctx context.Context, caller broker.Caller) (Marks, error) {
	return s.cfg.Marks.Of(ctx, caller.Identity.Provider, caller.Identity.Subject)
}

// Mark keeps how the caller sees an account.
func (s *Service) Mark(ctx context.Context, caller broker.Caller, mark Mark) error {
	return unmarked(s.cfg.Marks.Put(ctx, caller.Identity.Provider, caller.Identity.Subject, mark))
}

// Favour sets or clears the star of an account.
func (s *Service) Favour(ctx context.Context, caller broker.Caller, account string, favourite bool) error {
	return unmarked(s.cfg.Marks.Favour(ctx, caller.Identity.Provider, caller.Identity.Subject, account, favourite))
}

// Use remembers that the caller used a role, by its ARN.
func (s *Service) Use(ctx context.Context, caller broker.Caller, role string) error {
	return s.cfg.Marks.Use(ctx, caller.Identity.Provider, caller.Identity.Subject, role)
}

// unmarked turns what cannot be kept into what a person may read.
func unmarked(err error) error {
	if !errors.Is(err, marks.ErrInvalid) {
		return err
	}
	_, why, _ := strings.Cut(err.Error(), ": ")
	return broker.Fail(broker.InvalidRequest, "malformed_mark", "This cannot be kept: "+why+".").Because(err)
}
