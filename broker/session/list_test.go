package session_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// live prints what is live as "sessions/families".
func (w *world) live(t *testing.T, provider, subject string, limit int) string {
	t.Helper()
	sessions, families, err := w.Live(t.Context(), provider, subject, limit)
	must(t, err)
	return fmt.Sprintf("%d/%d", len(sessions), len(families))
}

func (w *world) family(t *testing.T, id, sessionID string, who idp.Identity) {
	t.Helper()
	must(t, w.tokens.Begin(t.Context(), session.Family{ID: id, Session: sessionID, Client: "cli", Via: "cli", Identity: who, Since: w.now(), Until: w.now().Add(12 * time.Hour)},
		session.Pair{Access: session.NewHandle(), Refresh: session.NewHandle()}))
}

func TestWhatIsLiveIsListedByPersonAndNewestFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, first := w.signIn(t)
	w.pass(time.Minute)
	_, second := w.signIn(t)
	w.family(t, "f1", first.ID, alice())
	w.family(t, "f2", "", alice())
	bob := aliceLogin()
	bob.Identity.Subject = "b-1"
	if _, _, err := w.Create(t.Context(), session.New{Login: bob, Via: "browser"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		provider, subject string
		limit             int
		want              string
	}{{"corp", "a-1", 10, "2/2"}, {"corp", "b-1", 10, "1/0"}, {"google", "a-1", 10, "0/0"}, {"", "", 10, "3/2"}, {"corp", "a-1", 1, "1/1"}} {
		if got := w.live(t, c.provider, c.subject, c.limit); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
	sessions, families, err := w.Live(t.Context(), "corp", "a-1", 10)
	must(t, err)
	if sessions[0].ID != second.ID || sessions[0].Identity.Username != "alice" || families[0].Client != "cli" || families[0].Identity.Subject != "a-1" {
		t.Errorf("got %+v and %+v", sessions, families)
	}
}

func TestWhatHasEndedOrIsTooOldIsNotListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, made := w.signIn(t)
	w.signIn(t)
	w.family(t, "f1", made.ID, alice())
	w.family(t, "f2", "", alice())
	w.family(t, "f3", "", alice())
	must(t, w.End(t.Context(), made.ID))
	must(t, w.EndFamily(t.Context(), "f2"))
	if got := w.live(t, "corp", "a-1", 10); got != "1/1" {
		t.Errorf("after an end: %s", got)
	}
	w.pass(2 * time.Hour)
	if got := w.live(t, "corp", "a-1", 10); got != "0/1" {
		t.Errorf("idle: %s", got)
	}
	w.pass(11 * time.Hour)
	if got := w.live(t, "corp", "a-1", 10); got != "0/0" {
		t.Errorf("old: %s", got)
	}
}
