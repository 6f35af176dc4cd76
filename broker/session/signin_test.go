package session_test

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/session"
)

func TestAPendingSignInIsTakenOnceByItsBrowser(t *testing.T) {
	t.Parallel()
	handle, browser, thief := session.NewHandle(), session.NewHandle(), session.NewHandle()
	for name, test := range map[string]struct {
		do   func(t *testing.T, w *world)
		want error
	}{
		"at once":                          {func(*testing.T, *world) {}, nil},
		"just before ten minutes are over": {func(_ *testing.T, w *world) { w.pass(10*time.Minute - time.Microsecond) }, nil},
		"after ten minutes":                {func(_ *testing.T, w *world) { w.pass(10 * time.Minute) }, session.ErrNotFound},
		"after it was taken": {func(t *testing.T, w *world) {
			_, err := w.Take(t.Context(), handle, browser)
			must(t, err)
		}, session.ErrNotFound},
		"after another browser tried": {func(t *testing.T, w *world) {
			_, err := w.Take(t.Context(), handle, thief)
			wantError(t, "another browser", err, session.ErrNotFound)
		}, nil},
		"after a browser without a cookie tried": {func(t *testing.T, w *world) {
			_, err := w.Take(t.Context(), handle, "")
			wantError(t, "no browser", err, session.ErrNotFound)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			want := session.Pending{Provider: "corp", ReturnTo: "/console?role=production/Admin", Data: []byte{0, 1, 0xff}, Browser: browser}
			must(t, w.Keep(t.Context(), handle, want))
			test.do(t, w)
			got, err := w.Take(t.Context(), handle, browser)
			wantError(t, "take", err, test.want)
			want.Browser = "" // the store does not know it
			if test.want != nil {
				want = session.Pending{}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatAPendingSignInMayOccupyIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	handle, browser := session.NewHandle(), session.NewHandle()
	for name, test := range map[string]struct {
		handle  string
		pending session.Pending
	}{
		"a guessable handle":    {"1", session.Pending{Browser: browser}},
		"no browser":            {handle, session.Pending{}},
		"a long return address": {handle, session.Pending{Browser: browser, ReturnTo: "/" + string(bytes.Repeat([]byte("a"), 8<<10))}},
		"a lot of data":         {handle, session.Pending{Browser: browser, Data: make([]byte, 64<<10+1)}},
	} {
		if w.Keep(t.Context(), test.handle, test.pending) == nil {
			t.Errorf("%s was kept", name)
		}
	}
}

func codeOf(family session.Family) session.Code {
	return session.Code{
		Client: "rolecall-cli", RedirectURI: "http://127.0.0.1:7/callback", Challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		Nonce: "n", Thumbprint: "jkt", Scope: []string{"openid", "offline_access"}, Family: family,
	}
}

func familyOf(id, sessionID string) session.Family {
	return session.Family{
		ID: id, Session: sessionID, Client: "rolecall-cli", Via: "cli", Scope: []string{"openid"}, Identity: alice(),
		Since: start, Until: start.Add(12 * time.Hour),
	}
}

func newPair() session.Pair {
	return session.Pair{Access: "rca_" + session.NewHandle(), Refresh: "rcr_" + session.NewHandle(), Thumbprint: "jkt"}
}

func TestACodeGivesWhatItWasKeptWithOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, made := w.signIn(t)
	code, want := "rcc_"+session.NewHandle(), codeOf(familyOf("f1", made.ID))
	must(t, w.KeepCode(t.Context(), code, want))
	got, err := w.TakeCode(t.Context(), code)
	must(t, err)
	want.Until = start.Add(time.Minute)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-kept +taken):\n%s", diff)
	}
	pair := newPair()
	must(t, w.tokens.Begin(t.Context(), got.Family, pair))
	got, err = w.TakeCode(t.Context(), code)
	wantError(t, "the second time", err, session.ErrReused)
	if diff := cmp.Diff(session.Code{Family: session.Family{ID: "f1"}}, got); diff != "" {
		t.Errorf("the second time (-want +got):\n%s", diff)
	}
	_, err = w.tokens.Access(t.Context(), pair.Access)
	wantError(t, "the tokens of the first", err, session.ErrNotFound)
}

func TestACodeIsRefused(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(t *testing.T, w *world, id string){
		"after sixty seconds": func(_ *testing.T, w *world, _ string) { w.pass(time.Minute) },
		"after sign-out":      func(t *testing.T, w *world, id string) { must(t, w.End(t.Context(), id)) },
		"after the person's end everywhere": func(t *testing.T, w *world, _ string) {
			must(t, w.EndAll(t.Context(), "corp", "a-1"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, made := w.signIn(t)
			code := session.NewHandle()
			must(t, w.KeepCode(t.Context(), code, codeOf(familyOf("f1", made.ID))))
			do(t, w, made.ID)
			_, err := w.TakeCode(t.Context(), code)
			wantError(t, "take", err, session.ErrNotFound)
		})
	}
}

func TestTokensOfACodeAreNotMadeAfterSignOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, made := w.signIn(t)
	code := session.NewHandle()
	must(t, w.KeepCode(t.Context(), code, codeOf(familyOf("f1", made.ID))))
	taken, err := w.TakeCode(t.Context(), code)
	must(t, err)
	must(t, w.End(t.Context(), made.ID))
	wantError(t, "begin", w.tokens.Begin(t.Context(), taken.Family, newPair()), session.ErrNotFound)
}

func TestOfManyWhoTakeACodeOneGetsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := session.NewHandle()
	must(t, w.KeepCode(t.Context(), code, codeOf(familyOf("f1", ""))))
	var group sync.WaitGroup
	results := make([]error, 64)
	for i := range results {
		group.Go(func() { _, results[i] = w.TakeCode(t.Context(), code) })
	}
	group.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, session.ErrReused) {
			t.Errorf("who came too late: %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d got it", won)
	}
}

func TestACodeThatCannotBeSafeIsNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	endless := familyOf("f1", "")
	endless.Until = time.Time{}
	for name, test := range map[string]struct {
		code   string
		family session.Family
	}{
		"a short code":            {"1234", familyOf("f1", "")},
		"no family":               {session.NewHandle(), familyOf("", "")},
		"a family without an end": {session.NewHandle(), endless},
	} {
		if w.KeepCode(t.Context(), test.code, codeOf(test.family)) == nil {
			t.Errorf("%s was kept", name)
		}
	}
}

func TestNobodyMakesACodeLiveLonger(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, long := session.NewHandle(), codeOf(familyOf("f1", ""))
	long.Until = start.Add(time.Hour)
	must(t, w.KeepCode(t.Context(), code, long))
	w.pass(time.Minute)
	_, err := w.TakeCode(t.Context(), code)
	wantError(t, "after a minute", err, session.ErrNotFound)
}

func TestConsentIsAskedOncePerSessionAndClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, first := w.signIn(t)
	_, second := w.signIn(t)
	must(t, w.Consent(t.Context(), first.ID, "cli"))
	for _, c := range []struct {
		session, client string
		want            bool
	}{{first.ID, "cli", true}, {first.ID, "app", false}, {second.ID, "cli", false}} {
		got, err := w.Consented(t.Context(), c.session, c.client)
		if must(t, err); got != c.want {
			t.Errorf("%s: %t, want %t", c.client, got, c.want)
		}
	}
	must(t, w.End(t.Context(), first.ID))
	got, err := w.Consented(t.Context(), first.ID, "cli")
	if must(t, err); got {
		t.Error("consent outlives the session")
	}
	wantError(t, "consent in a session that has ended", w.Consent(t.Context(), first.ID, "cli"), session.ErrNotFound)
}

func TestWhoComesFirstKeepsTheSessionName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		provider, subject, name string
		taken                   bool
	}{
		{"corp", "1", "alice", false}, {"corp", "1", "alice", false}, {"corp", "2", "alice", true},
		{"google", "1", "alice", true}, {"google", "1", "Alice", false},
		{"corp", "1", "not fit: ü", false}, {"corp", "2", "not fit: ü", false}, {"corp", "3", strings.Repeat("x", 1<<20), false},
	} {
		taken, err := w.ClaimName(t.Context(), c.provider, c.subject, c.name)
		if must(t, err); taken != c.taken {
			t.Errorf("%s=%s asks for %s: taken %t", c.provider, c.subject, c.name, taken)
		}
	}
}

func TestALoginThatWaitsComesBackWholeAndIsNoPendingSignIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	handle, browser := session.NewHandle(), session.NewHandle()
	login := aliceLogin()
	login.NotAfter = start.Add(time.Hour)
	for i := range 900 { // as many groups as a response can hold
		login.Identity.Groups = append(login.Identity.Groups, strings.Repeat("g", 200)+string(rune('a'+i%26)))
	}
	must(t, w.KeepLogin(t.Context(), handle, session.Pending{Provider: "corp", Browser: browser}, login))
	_, _, err := w.TakeLogin(t.Context(), handle, session.NewHandle())
	wantError(t, "another browser", err, session.ErrNotFound)
	pending, got, err := w.TakeLogin(t.Context(), handle, browser)
	must(t, err)
	want := login
	want.Upstream.IDToken, want.Once = got.Upstream.IDToken, got.Once // not kept
	if diff := cmp.Diff(want, got); diff != "" || pending.Provider != "corp" || !got.Upstream.IDToken.IsZero() {
		t.Errorf("of %q (-want +got):\n%s", pending.Provider, diff)
	}
	_, _, err = w.TakeLogin(t.Context(), handle, browser)
	wantError(t, "a second time", err, session.ErrNotFound)

	must(t, w.Keep(t.Context(), handle, session.Pending{Provider: "corp", Browser: browser}))
	_, _, err = w.TakeLogin(t.Context(), handle, browser)
	wantError(t, "a pending sign-in", err, session.ErrNotFound)
	login.Identity.Username = strings.Repeat("x", 2<<20)
	if w.KeepLogin(t.Context(), handle, session.Pending{Provider: "corp", Browser: browser}, login) == nil {
		t.Error("two megabytes are kept")
	}
}
