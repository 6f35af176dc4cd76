package session_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/session"
)

// sealing gives the world's sessions a key file.
func (w *world) sealing(t *testing.T) {
	t.Helper()
	sealer, err := keys.OpenSealer(filepath.Join(t.TempDir(), "rolecall.key"))
	must(t, err)
	w.Sessions = session.NewSessions(session.Config{Store: w.store, Now: w.now, Sealer: sealer})
}

func (w *world) wantIDToken(t *testing.T, what string, of session.Session, want string) {
	t.Helper()
	got, err := w.IDToken(of)
	if err != nil || got.Reveal() != want {
		t.Errorf("%s: %q, %v", what, got.Reveal(), err)
	}
}

func TestTheIDTokenIsThereAtSignOutAndNobodyElseReadsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sealing(t)
	token, made := w.signIn(t)
	found, err := w.Get(t.Context(), token)
	must(t, err)
	byID, err := w.ByID(t.Context(), made.ID)
	must(t, err)
	w.wantIDToken(t, "when it is made", made, "eyJ.marker.x")
	w.wantIDToken(t, "by the cookie", found, "eyJ.marker.x")
	w.wantIDToken(t, "by the id", byID, "eyJ.marker.x")
	for _, suffix := range []string{"", "-wal"} {
		file, err := os.ReadFile(w.path + suffix)
		must(t, err)
		if bytes.Contains(file, []byte("eyJ.marker")) {
			t.Errorf("it can be read in the file%s", suffix)
		}
	}

	w.sealing(t) // a node with another key file, or after the key file was lost
	if got, err := w.IDToken(found); err == nil || !got.IsZero() {
		t.Errorf("another key opens it: %v", err)
	}
}

func TestTheIDTokenEndsWithItsSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sealing(t)
	_, made := w.signIn(t)
	must(t, w.End(t.Context(), made.ID))
	people, err := w.Arrivals(t.Context(), "", "", 10)
	if err != nil || len(people) != 1 {
		t.Fatalf("%d people, %v", len(people), err)
	}
	w.wantIDToken(t, "of a sign-in that is only remembered", people[0], "")
	rows, err := w.store.Arrivals(t.Context(), "", "", 10)
	if err != nil || len(rows) != 1 || bytes.Contains(rows[0].Data, []byte("id_token")) {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestASealedIDTokenBelongsToItsSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sealing(t)
	_, first := w.signIn(t)
	_, second := w.signIn(t)
	row, err := w.store.SessionByID(t.Context(), first.ID)
	must(t, err)
	stolen := session.NewSessions(session.Config{Store: swapped{w.store, row}, Now: w.now})
	found, err := stolen.ByID(t.Context(), second.ID)
	must(t, err)
	if got, err := w.IDToken(found); err == nil || !got.IsZero() {
		t.Errorf("the ID token of one session opens in another: %v", err)
	}
}

// swapped answers for every session with the data of one.
type swapped struct {
	session.Store
	row session.Row
}

func (s swapped) SessionByID(_ context.Context, id string) (session.Row, error) {
	row := s.row
	row.ID = id
	return row, nil
}

func TestWithoutAKeyFileNoIDTokenIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, made := w.signIn(t)
	found, err := w.Get(t.Context(), token)
	must(t, err)
	w.wantIDToken(t, "when it is made", made, "")
	w.wantIDToken(t, "by the cookie", found, "")
	row, err := w.store.SessionByID(t.Context(), made.ID)
	must(t, err)
	if bytes.Contains(row.Data, []byte("marker")) {
		t.Errorf("the store got %s", row.Data)
	}
}
