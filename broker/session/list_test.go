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

func TestWhoHasSignedInIsKnownAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	login := aliceLogin()
	_, made, err := w.Create(t.Context(), session.New{Login: login, Via: "browser", Address: "192.0.2.1", Agent: "Firefox on Linux"})
	must(t, err)
	if got, err := w.ByID(t.Context(), made.ID); err != nil || got.Address != "192.0.2.1" || got.Agent != "Firefox on Linux" {
		t.Errorf("got %+v, %v", got, err)
	}
	must(t, w.EndAll(t.Context(), made.Identity.Provider, made.Identity.Subject))
	w.pass(89 * 24 * time.Hour)
	people, err := w.Arrivals(t.Context(), "", "", 10)
	must(t, err)
	if len(people) != 1 || people[0].ID != "" || people[0].Address != "192.0.2.1" || people[0].Identity.Username != made.Identity.Username || len(people[0].Identity.Groups) != len(made.Identity.Groups) {
		t.Errorf("got %+v", people)
	}
	w.pass(2 * 24 * time.Hour)
	if people, err := w.Arrivals(t.Context(), "", "", 10); err != nil || len(people) != 0 {
		t.Errorf("after 90 days: %+v, %v", people, err)
	}
}

func TestAskingWhetherANameIsTakenClaimsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	taken := func(subject, name string) bool {
		t.Helper()
		got, err := w.NameTaken(t.Context(), "corp", subject, name)
		must(t, err)
		return got
	}
	if taken("2", "alice") {
		t.Error("nobody has it")
	}
	if claimed, err := w.ClaimName(t.Context(), "corp", "1", "alice"); err != nil || claimed {
		t.Fatalf("asking claimed it: %t, %v", claimed, err)
	}
	if taken("1", "alice") || !taken("2", "alice") || taken("2", "not a valid name!") {
		t.Error("the owner has it taken, or another one not")
	}
}
