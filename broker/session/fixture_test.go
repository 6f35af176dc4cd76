package session_test

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// world is one node over a real store, with a clock that the test moves.
type world struct {
	*session.Sessions
	tokens *session.Tokens
	store  *sqlite.Store
	path   string

	mu    sync.Mutex
	clock time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: start, path: filepath.Join(t.TempDir(), "rolecall.db")}
	var err error
	if w.store, err = sqlite.Open(t.Context(), w.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Sessions = session.NewSessions(session.Config{Store: w.store, Max: 12 * time.Hour, Idle: time.Hour, Now: w.now})
	w.tokens = session.NewTokens(w.store, w.now)
	return w
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func alice() idp.Identity {
	return idp.Identity{
		Provider: "corp", Subject: "a-1", Username: "alice", Groups: []string{"platform", "développeurs"},
		Attributes: map[string][]string{"team": {"core", "infra"}}, Methods: []string{"pwd", "mfa"}, AuthenticatedAt: start.Add(-time.Minute),
	}
}

func aliceLogin() idp.Login {
	return idp.Login{Identity: alice(), Upstream: idp.Upstream{
		NameID: "a-1", NameIDFormat: "persistent", NameQualifier: "q", SPNameQualifier: "sp", SessionIndex: "_i", Sid: "sid",
		IDToken: secret.New("eyJ.marker.x"),
	}}
}

func (w *world) signIn(t *testing.T) (token string, made session.Session) {
	t.Helper()
	token, made, err := w.Create(t.Context(), session.New{Login: aliceLogin(), Via: "browser"})
	if err != nil {
		t.Fatal(err)
	}
	return token, made
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
