package account_test

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/idp"
)

var (
	start  = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	origin = broker.Origin{RequestID: "REQUEST", Address: netip.MustParseAddr("192.0.2.1")}
)

// world is the service over a real store and a real record.
type world struct {
	*account.Service
	sessions *session.Sessions
	tokens   *session.Tokens
	log      *audit.Log

	mu        sync.Mutex
	clock     time.Time
	forgotten []string
}

func (w *world) now() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.clock }

func (w *world) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.clock = w.clock.Add(d) }

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: start}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	must(t, err)
	t.Cleanup(func() { _ = store.Close() })
	w.log, err = audit.Open(audit.Config{File: filepath.Join(t.TempDir(), "audit.jsonl"), Now: w.now, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = w.log.Close() })
	w.sessions = session.NewSessions(session.Config{Store: store, Now: w.now})
	w.tokens = session.NewTokens(store, w.now)
	w.Service = account.New(account.Config{
		Sessions: w.sessions, Marks: marks.NewBook(store, w.now), Record: w.log, Now: w.now,
		Forget: func(id string) { w.forgotten = append(w.forgotten, id) },
	})
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func who(subject string) idp.Identity {
	return idp.Identity{Provider: "corp", Subject: subject, Username: subject}
}

func (w *world) signIn(t *testing.T, subject string) broker.Caller {
	t.Helper()
	_, made, err := w.sessions.Create(t.Context(), session.New{Login: idp.Login{Identity: who(subject)}, Via: "browser"})
	must(t, err)
	return broker.CallerOf(made)
}

func (w *world) family(t *testing.T, id, of string, caller broker.Caller) {
	t.Helper()
	must(t, w.tokens.Begin(t.Context(), session.Family{ID: id, Session: of, Client: "rolecall-cli", Via: "cli", Identity: caller.Identity, Since: w.now(), Until: w.now().Add(12 * time.Hour)},
		session.Pair{Access: session.NewHandle(), Refresh: session.NewHandle()}))
}

func (w *world) wrote(t *testing.T, e audit.Event) {
	t.Helper()
	must(t, w.log.Append(t.Context(), e))
}

func (w *world) list(t *testing.T, caller broker.Caller) string {
	t.Helper()
	sessions, err := w.Sessions(t.Context(), caller)
	must(t, err)
	var out []string
	for _, s := range sessions {
		kind := s.Kind
		if s.Current {
			kind += "*"
		}
		out = append(out, kind)
	}
	return strings.Join(out, " ")
}

func TestOnesOwnSessionsAreListedTheCurrentFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.signIn(t, "alice")
	w.pass(time.Minute)
	w.signIn(t, "alice")
	w.signIn(t, "bob")
	w.family(t, "f1", alice.Session, alice)
	w.wrote(t, audit.Event{RequestID: "r1", Event: "signin", Outcome: audit.Granted, Provider: "corp", Subject: "alice", Session: alice.Session, Address: "198.51.100.24"})
	w.wrote(t, audit.Event{RequestID: "r2", Event: "credentials", Outcome: audit.Granted, Provider: "corp", Subject: "alice", Session: "f1", Address: "203.0.113.7"})
	if got := w.list(t, alice); got != "browser* browser cli" {
		t.Errorf("got %s", got)
	}
	sessions, err := w.Sessions(t.Context(), alice)
	must(t, err)
	if sessions[0].Address != "198.51.100.24" || sessions[1].Address != "" || sessions[2].Address != "203.0.113.7" || sessions[2].Client != "rolecall-cli" || sessions[2].LastSeen.IsZero() {
		t.Errorf("got %+v", sessions)
	}
}

func TestNobodyEndsTheSessionOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.signIn(t, "alice"), w.signIn(t, "bob")
	w.family(t, "f-bob", "", bob)
	mallory := broker.Caller{Identity: idp.Identity{Provider: "google", Subject: "bob"}, Session: "x"}
	for _, caller := range []broker.Caller{alice, mallory} {
		for _, id := range []string{bob.Session, "f-bob", "", "nothing"} {
			if err := w.End(t.Context(), origin, caller, id); broker.Shown(err).Reason != "no_such_session" {
				t.Errorf("%s ends %q: %v", caller.Identity.Subject, id, err)
			}
		}
	}
	must(t, w.EndAll(t.Context(), origin, mallory))
	if got := w.list(t, bob); got != "browser* cli" {
		t.Errorf("bob has %s", got)
	}
}

func TestAnEndedSessionTakesItsTokensAndIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.signIn(t, "alice")
	other := w.signIn(t, "alice")
	w.family(t, "f1", other.Session, alice)
	w.family(t, "f2", "", alice)
	must(t, w.End(t.Context(), origin, alice, other.Session))
	must(t, w.End(t.Context(), origin, alice, "f2"))
	if got := w.list(t, alice); got != "browser*" {
		t.Errorf("left: %s", got)
	}
	if !slices.Equal(w.forgotten, []string{other.Session, "f1", "f2"}) {
		t.Errorf("forgotten: %v", w.forgotten)
	}
	activity, more, err := w.Activity(t.Context(), alice)
	must(t, err)
	if len(activity) != 2 || activity[0].Event != "session.end" || activity[0].RequestID != "REQUEST" || activity[0].Address != "192.0.2.1" || more {
		t.Errorf("recorded %+v", activity)
	}
}

func TestSigningOutEverywhereLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice, bob := w.signIn(t, "alice"), w.signIn(t, "bob")
	w.signIn(t, "alice")
	w.family(t, "f1", alice.Session, alice)
	w.family(t, "f2", "", alice)
	must(t, w.EndAll(t.Context(), origin, alice))
	if got := w.list(t, alice); got != "" {
		t.Errorf("left: %s", got)
	}
	if got := w.list(t, bob); got != "browser*" || len(w.forgotten) != 4 {
		t.Errorf("bob has %s, forgotten %v", got, w.forgotten)
	}
}

func TestActivityIsOnesOwnWithinAWeekAndWithoutNoise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	mine := audit.Event{RequestID: "old", Event: "signin", Outcome: audit.Granted, Provider: "corp", Subject: "alice"}
	w.wrote(t, mine)
	w.pass(8 * 24 * time.Hour)
	for _, e := range []audit.Event{
		{RequestID: "r1", Event: "signin", Outcome: audit.Granted, Provider: "corp", Subject: "alice"},
		{RequestID: "of bob", Event: "signin", Outcome: audit.Granted, Provider: "corp", Subject: "bob"},
		{RequestID: "of a namesake", Event: "signin", Outcome: audit.Granted, Provider: "google", Subject: "alice"},
		{RequestID: "planted", Event: "signin", Outcome: audit.Refused, Provider: "corp", Subject: "bob", Detail: `"subject":"alice"`},
		{RequestID: "intent", Event: "credentials", Provider: "corp", Subject: "alice"},
		{RequestID: "noise", Event: "authenticate", Outcome: audit.Granted, Provider: "corp", Subject: "alice"},
		{RequestID: "r2", Event: "credentials", Outcome: audit.Refused, Reason: "role_not_granted", Provider: "corp", Subject: "alice", Role: "production/Admin", Duration: 3600},
	} {
		w.wrote(t, e)
	}
	got, _, err := w.Activity(t.Context(), broker.Caller{Identity: who("alice")})
	must(t, err)
	if len(got) != 2 || got[0].RequestID != "r2" || got[0].Reason != "role_not_granted" || got[0].Duration != time.Hour || got[1].RequestID != "r1" {
		t.Errorf("got %+v", got)
	}
}

func TestAMarkThatCannotBeKeptSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := broker.Caller{Identity: who("alice")}
	err := w.Mark(t.Context(), alice, account.Mark{Account: "111122223333", Colour: "mauve"})
	if shown := broker.Shown(err); shown.Code != broker.InvalidRequest || shown.Message != "This cannot be kept: the colour is none of the eight." {
		t.Errorf("got %v", err)
	}
	must(t, w.Mark(t.Context(), alice, account.Mark{Account: "111122223333", Colour: "red"}))
	must(t, w.Favour(t.Context(), alice, "111122223333", true))
	must(t, w.Use(t.Context(), alice, "arn:aws:iam::111122223333:role/Admin"))
	kept, err := w.Marks(t.Context(), alice)
	must(t, err)
	if !kept.Marks["111122223333"].Favourite || kept.Marks["111122223333"].Colour != "red" || len(kept.Recent) != 1 {
		t.Errorf("kept %+v", kept)
	}
}

// deaf is a record that cannot be written.
type deaf struct{ *audit.Log }

func (deaf) Append(context.Context, audit.Event) error { return audit.ErrFailed }

func TestAnEndThatCannotBeRecordedSaysSoAndHasHappened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.signIn(t, "alice")
	s := account.New(account.Config{Sessions: w.sessions, Record: deaf{w.log}, Forget: func(string) {}, Now: w.now})
	if err := s.End(t.Context(), origin, alice, alice.Session); broker.CodeOf(err) != broker.Unavailable {
		t.Errorf("got %v", err)
	}
	if got := w.list(t, alice); got != "" {
		t.Errorf("left: %s", got)
	}
}
