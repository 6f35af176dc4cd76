package storetest

import (
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/session"
)

func rotateTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"a lost answer may be asked for again, once":                       againOnce,
		"the second asking ends the family after its grace":                againLate,
		"the first use of one answer ends the other":                       againSiblings,
		"the use of both answers ends the family":                          againBoth,
		"a token whose answer has been used gives no other":                againUsed,
		"a family whose tokens rotate lives on":                            againSlides,
		"an unknown token and an access token do not rotate with grace":    againUnknown,
		"a rotation with grace whose tokens cannot be kept spends nothing": againWhole,
		"of a crowd with one token two get an answer":                      againCrowd,
		"used tokens are forgotten after a day, and then are none":         againForgotten,
	}
}

const grace = 30 * time.Second

var familyLives = now.Add(90 * 24 * time.Hour)

// again is RotateAgain at so long after now.
func again(t *testing.T, s Store, after time.Duration, old, next string) error {
	t.Helper()
	return s.RotateAgain(t.Context(), key(old+"-refresh"), pair(next), now.Add(after), grace, familyLives)
}

func begun(t *testing.T, fresh Fresh) Store {
	t.Helper()
	s := one(t, fresh)
	must(t, s.PutFamily(t.Context(), familyRow("f1", ""), pair("first")))
	return s
}

func alive(t *testing.T, s Store, names ...string) {
	t.Helper()
	for _, name := range names {
		if row, _, err := s.FindToken(t.Context(), key(name)); err != nil || row.Used {
			t.Errorf("%s: used %v, %v", name, row.Used, err)
		}
	}
}

func ended(t *testing.T, s Store, names ...string) {
	t.Helper()
	for _, name := range names {
		_, _, err := s.FindToken(t.Context(), key(name))
		wantError(t, name, err, session.ErrNotFound)
	}
}

func againOnce(t *testing.T, fresh Fresh) {
	s := begun(t, fresh)
	must(t, again(t, s, 0, "first", "a"))
	row, _, err := s.FindToken(t.Context(), key("first-refresh"))
	must(t, err)
	if !row.Used || !row.UsedAt.Equal(now) {
		t.Errorf("the used token: %+v", row)
	}
	must(t, again(t, s, grace-time.Second, "first", "b"))
	alive(t, s, "a-access", "a-refresh", "b-access", "b-refresh")
	wantError(t, "a third time", again(t, s, grace-time.Second, "first", "c"), session.ErrReused)
	ended(t, s, "first-access", "a-access", "a-refresh", "b-access", "b-refresh", "c-access", "c-refresh")
}

func againLate(t *testing.T, fresh Fresh) {
	s := begun(t, fresh)
	must(t, again(t, s, 0, "first", "a"))
	wantError(t, "after the grace", again(t, s, grace, "first", "b"), session.ErrReused)
	ended(t, s, "a-access", "a-refresh", "b-access", "b-refresh")
}

func againSiblings(t *testing.T, fresh Fresh) {
	for _, used := range []string{"a", "b"} {
		other := map[string]string{"a": "b", "b": "a"}[used]
		s := begun(t, fresh)
		must(t, again(t, s, 0, "first", "a"))
		must(t, again(t, s, time.Second, "first", "b"))
		must(t, again(t, s, 2*time.Second, used, "next"))
		alive(t, s, "next-access", "next-refresh", used+"-access")
		ended(t, s, other+"-access")
		if row, _, err := s.FindToken(t.Context(), key(other+"-refresh")); err != nil || !row.Used {
			t.Errorf("%s-refresh: used %v, %v", other, row.Used, err)
		}
	}
}

func againBoth(t *testing.T, fresh Fresh) {
	s := begun(t, fresh)
	must(t, again(t, s, 0, "first", "a"))
	must(t, again(t, s, time.Second, "first", "b"))
	must(t, again(t, s, 2*time.Second, "a", "next"))
	wantError(t, "the other answer", again(t, s, 3*time.Second, "b", "thief"), session.ErrReused)
	ended(t, s, "a-access", "next-access", "next-refresh", "thief-access", "thief-refresh")
}

func againUsed(t *testing.T, fresh Fresh) {
	s := begun(t, fresh)
	must(t, again(t, s, 0, "first", "a"))
	must(t, again(t, s, time.Second, "a", "next"))
	wantError(t, "the token before", again(t, s, 2*time.Second, "first", "thief"), session.ErrReused)
	ended(t, s, "a-access", "next-access", "next-refresh", "thief-refresh")
}

func againSlides(t *testing.T, fresh Fresh) {
	s := begun(t, fresh)
	next := pair("a")
	next[1].Expires = familyLives
	must(t, s.RotateAgain(t.Context(), key("first-refresh"), next, now, grace, familyLives))
	must(t, s.Sweep(t.Context(), familyLives.Add(-time.Second)))
	_, row, err := s.FindToken(t.Context(), key("a-refresh"))
	must(t, err)
	if !row.Expires.Equal(familyLives) {
		t.Errorf("the family ends at %s, want %s", row.Expires, familyLives)
	}
	must(t, s.Sweep(t.Context(), familyLives))
	ended(t, s, "a-refresh")
}

func againUnknown(t *testing.T, fresh Fresh) {
	s := begun(t, fresh)
	wantError(t, "an unknown token", again(t, s, 0, "unknown", "a"), session.ErrNotFound)
	wantError(t, "an access token", s.RotateAgain(t.Context(), key("first-access"), pair("a"), now, grace, familyLives), session.ErrNotFound)
	alive(t, s, "first-access", "first-refresh")
}

func againWhole(t *testing.T, fresh Fresh) {
	s := begun(t, fresh)
	clash := pair("a")
	clash[1].Hash = key("first-access")
	if s.RotateAgain(t.Context(), key("first-refresh"), clash, now, grace, familyLives) == nil {
		t.Fatal("one token twice")
	}
	alive(t, s, "first-refresh")
	ended(t, s, "a-access")
}

func againCrowd(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	must(t, node(0).PutFamily(t.Context(), familyRow("f1", ""), pair("first")))
	errs := atOnce(2, func(i int) error { return again(t, node(i), 0, "first", []string{"a", "b"}[i]) })
	if won := wonBy(t, errs, session.ErrReused); won != 2 {
		t.Errorf("%d of two got an answer", won)
	}
	errs = atOnce(2, func(i int) error { return again(t, node(i), time.Second, []string{"a", "b"}[i], []string{"c", "d"}[i]) })
	if won := wonBy(t, errs, session.ErrReused); won != 1 {
		t.Errorf("%d of two went on, want 1", won)
	}
	ended(t, node(0), "a-access", "b-access", "c-access", "d-access", "c-refresh", "d-refresh")
}

func againForgotten(t *testing.T, fresh Fresh) {
	s := begun(t, fresh)
	must(t, again(t, s, 0, "first", "a"))
	must(t, again(t, s, 23*time.Hour, "a", "b"))
	if row, _, err := s.FindToken(t.Context(), key("first-refresh")); err != nil || !row.Used {
		t.Errorf("within a day: used %v, %v", row.Used, err)
	}
	must(t, again(t, s, 25*time.Hour, "b", "c"))
	ended(t, s, "first-refresh")
	wantError(t, "the forgotten one", again(t, s, 25*time.Hour, "first", "thief"), session.ErrNotFound)
	alive(t, s, "c-refresh")
}
