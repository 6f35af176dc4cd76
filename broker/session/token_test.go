package session_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/session"
)

// begin makes a family of its own session and gives its first tokens.
func (w *world) begin(t *testing.T) (session.Family, session.Pair) {
	t.Helper()
	_, made := w.signIn(t)
	family, pair := familyOf("f-"+made.ID, made.ID), newPair()
	must(t, w.tokens.Begin(t.Context(), family, pair))
	return family, pair
}

func TestATokenStandsForItsFamily(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	family, pair := w.begin(t)
	access, err := w.tokens.Access(t.Context(), pair.Access)
	must(t, err)
	refresh, err := w.tokens.Refresh(t.Context(), pair.Refresh)
	must(t, err)
	for kind, test := range map[string]struct{ got, want session.Token }{
		"access":  {access, session.Token{Family: family, Thumbprint: "jkt", Until: start.Add(10 * time.Minute)}},
		"refresh": {refresh, session.Token{Family: family, Thumbprint: "jkt", Until: start.Add(12 * time.Hour)}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
	}
}

func TestOneKindOfTokenIsNotTheOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, pair := w.begin(t)
	_, err := w.tokens.Access(t.Context(), pair.Refresh)
	wantError(t, "a refresh token at the API", err, session.ErrNotFound)
	_, err = w.tokens.Refresh(t.Context(), pair.Access)
	wantError(t, "an access token as a refresh token", err, session.ErrNotFound)
	wantError(t, "rotating an access token", w.tokens.Rotate(t.Context(), pair.Access, newPair()), session.ErrNotFound)
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	const alive, dead = true, false
	for name, test := range map[string]struct {
		do              func(t *testing.T, w *world, f session.Family, p session.Pair)
		access, refresh bool
	}{
		"an access token after ten minutes": {func(_ *testing.T, w *world, _ session.Family, _ session.Pair) { w.pass(10 * time.Minute) }, dead, alive},
		"an access token not before":        {func(_ *testing.T, w *world, _ session.Family, _ session.Pair) { w.pass(10*time.Minute - 1) }, alive, alive},
		"both with the family":              {func(_ *testing.T, w *world, _ session.Family, _ session.Pair) { w.pass(12 * time.Hour) }, dead, dead},
		"both with sign-out": {func(t *testing.T, w *world, f session.Family, _ session.Pair) {
			must(t, w.End(t.Context(), f.Session))
		}, dead, dead},
		"both with the person's end": {func(t *testing.T, w *world, _ session.Family, _ session.Pair) {
			must(t, w.EndAll(t.Context(), "corp", "a-1"))
		}, dead, dead},
		"both with the family's revocation": {func(t *testing.T, w *world, f session.Family, _ session.Pair) {
			must(t, w.tokens.EndFamily(t.Context(), f.ID))
		}, dead, dead},
		"neither with another session": {func(t *testing.T, w *world, _ session.Family, _ session.Pair) {
			_, other := w.signIn(t)
			must(t, w.End(t.Context(), other.ID))
		}, alive, alive},
		"a refresh token not with the idle end of the browser session": {func(t *testing.T, w *world, f session.Family, _ session.Pair) {
			w.pass(2 * time.Hour)
			_, err := w.ByID(t.Context(), f.Session)
			wantError(t, "the browser session", err, session.ErrNotFound)
		}, dead, alive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			family, pair := w.begin(t)
			test.do(t, w, family, pair)
			_, err := w.tokens.Access(t.Context(), pair.Access)
			if (err == nil) != test.access {
				t.Errorf("access token: %v", err)
			}
			_, err = w.tokens.Refresh(t.Context(), pair.Refresh)
			if (err == nil) != test.refresh {
				t.Errorf("refresh token: %v", err)
			}
		})
	}
}

func TestNoTokenOutlivesTheProvidersSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	family, pair := familyOf("f1", ""), newPair()
	family.ProviderEnd = start.Add(5 * time.Minute)
	must(t, w.tokens.Begin(t.Context(), family, pair))
	access, err := w.tokens.Access(t.Context(), pair.Access)
	must(t, err)
	if !access.Until.Equal(family.ProviderEnd) {
		t.Errorf("the access token ends at %v", access.Until)
	}
	next := newPair()
	next.AccessUntil = start.Add(time.Hour)
	must(t, w.tokens.Rotate(t.Context(), pair.Refresh, next))
	w.pass(5 * time.Minute)
	for _, token := range []string{pair.Access, next.Access} {
		_, err = w.tokens.Access(t.Context(), token)
		wantError(t, "access", err, session.ErrNotFound)
	}
	_, err = w.tokens.Refresh(t.Context(), next.Refresh)
	wantError(t, "refresh", err, session.ErrNotFound)
	wantError(t, "a family after that", w.tokens.Begin(t.Context(), family, newPair()), session.ErrNotFound)
}

func TestARefreshTokenRotatesAndKeepsTheFamilysEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	family, pair := w.begin(t)
	for range 5 {
		w.pass(time.Hour)
		next := newPair()
		next.Thumbprint = "another"
		must(t, w.tokens.Rotate(t.Context(), pair.Refresh, next))
		got, err := w.tokens.Refresh(t.Context(), next.Refresh)
		must(t, err)
		if !got.Until.Equal(family.Until) || got.Family.ID != family.ID || got.Thumbprint != "another" {
			t.Errorf("the next one: %+v", got)
		}
		pair = next
	}
}

func TestASecondUseOfARefreshTokenEndsTheFamily(t *testing.T) {
	t.Parallel()
	for name, use := range map[string]func(w *world, refresh string) error{
		"by rotating it":   func(w *world, r string) error { return w.tokens.Rotate(t.Context(), r, newPair()) },
		"by looking it up": func(w *world, r string) error { _, err := w.tokens.Refresh(t.Context(), r); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, pair := w.begin(t)
			next := newPair()
			must(t, w.tokens.Rotate(t.Context(), pair.Refresh, next))
			wantError(t, "the second use", use(w, pair.Refresh), session.ErrReused)
			_, err := w.tokens.Access(t.Context(), next.Access)
			wantError(t, "the successor's access token", err, session.ErrNotFound)
			_, err = w.tokens.Refresh(t.Context(), next.Refresh)
			wantError(t, "the successor", err, session.ErrNotFound)
		})
	}
}

func TestOfManyWhoRotateATokenOneWinsAndNobodyKeepsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, pair := w.begin(t)
	var group sync.WaitGroup
	results, pairs := make([]error, 64), make([]session.Pair, 64)
	for i := range results {
		pairs[i] = newPair()
		group.Go(func() { results[i] = w.tokens.Rotate(t.Context(), pair.Refresh, pairs[i]) })
	}
	group.Wait()
	won := 0
	for i, err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, session.ErrReused) && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("who came too late: %v", err)
		}
		if _, err := w.tokens.Access(t.Context(), pairs[i].Access); err == nil {
			t.Error("a token is alive although the refresh token was used twice")
		}
	}
	if won != 1 {
		t.Errorf("%d rotated it", won)
	}
}

func TestWithoutARefreshTokenThereIsNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pair := session.Pair{Access: session.NewHandle()}
	must(t, w.tokens.Begin(t.Context(), familyOf("f1", ""), pair))
	got, err := w.tokens.Access(t.Context(), pair.Access)
	if must(t, err); got.Thumbprint != "" {
		t.Errorf("a bearer token bound to %q", got.Thumbprint)
	}
	_, err = w.tokens.Refresh(t.Context(), "")
	wantError(t, "the empty token", err, session.ErrNotFound)
}

func TestTokensThatCanBeGuessedAreNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, pair := range map[string]session.Pair{
		"no access token":       {},
		"a short access token":  {Access: "secret"},
		"a short refresh token": {Access: session.NewHandle(), Refresh: "secret"},
	} {
		if w.tokens.Begin(t.Context(), familyOf("f1", ""), pair) == nil {
			t.Errorf("%s was kept", name)
		}
	}
	if w.tokens.Begin(t.Context(), familyOf("", ""), newPair()) == nil {
		t.Error("a family without an id was kept")
	}
}
