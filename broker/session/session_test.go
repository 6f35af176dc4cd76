package session_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

func TestASessionComesBackAsItWasMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	login := aliceLogin()
	login.NotAfter = start.Add(8 * time.Hour)
	token, made, err := w.Create(t.Context(), session.New{Login: login, Via: "browser"})
	must(t, err)
	got, err := w.Get(t.Context(), token)
	must(t, err)
	byID, err := w.ByID(t.Context(), made.ID)
	must(t, err)
	want := session.Session{
		ID: made.ID, Identity: alice(), Upstream: login.Upstream, Via: "browser",
		Since: start, Expires: start.Add(8 * time.Hour), NotAfter: start.Add(8 * time.Hour), LastSeen: start,
	}
	want.Upstream.IDToken = secret.String{} // is kept sealed only
	for how, found := range map[string]session.Session{"made": made, "by token": got, "by id": byID} {
		if diff := cmp.Diff(want, found, cmpopts.EquateComparable(secret.String{}), cmpopts.IgnoreUnexported(session.Session{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", how, diff)
		}
	}
}

func TestEverySignInHasANewSecretThatIsNotTheID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := map[string]bool{}
	for range 20 {
		token, made := w.signIn(t)
		if len(token) != 43 || !session.IsHandle(token) {
			t.Errorf("token %d characters", len(token))
		}
		if seen[token] || seen[made.ID] || token == made.ID {
			t.Error("a token or an id came twice")
		}
		seen[token], seen[made.ID] = true, true
		_, err := w.Get(t.Context(), made.ID)
		wantError(t, "the public id as a cookie", err, session.ErrNotFound)
	}
}

func TestASessionEnds(t *testing.T) {
	t.Parallel()
	type step func(w *world, token, id string)
	use := func(w *world, token, _ string) {
		w.pass(50 * time.Minute)
		_, _ = w.Get(t.Context(), token)
	}
	wait := func(d time.Duration) step { return func(w *world, _, _ string) { w.pass(d) } }
	for name, test := range map[string]struct {
		notAfter time.Duration
		steps    []step
		alive    bool
	}{
		"it lives just short of idle":                {steps: []step{wait(time.Hour - time.Microsecond)}, alive: true},
		"it ends when idle":                          {steps: []step{wait(time.Hour)}},
		"use puts the idle end off":                  {steps: []step{use, use, wait(59 * time.Minute)}, alive: true},
		"use does not put the last end off":          {steps: []step{use, use, use, use, use, use, use, use, use, use, use, use, use, use, use}},
		"it ends with the provider's session":        {notAfter: 30 * time.Minute, steps: []step{wait(30 * time.Minute)}},
		"it lives until the provider's session ends": {notAfter: 30 * time.Minute, steps: []step{wait(29 * time.Minute)}, alive: true},
		"sign-out ends it":                           {steps: []step{func(w *world, _, id string) { must(t, w.End(t.Context(), id)) }}},
		"so does the end of all of the person's": {steps: []step{func(w *world, _, _ string) {
			must(t, w.EndAll(t.Context(), "corp", "a-1"))
		}}},
		"another person's end does not": {steps: []step{func(w *world, _, _ string) {
			must(t, w.EndAll(t.Context(), "corp", "b-1"))
		}}, alive: true},
		"a clock that jumps back does not": {steps: []step{wait(-time.Hour)}, alive: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			login := aliceLogin()
			if test.notAfter > 0 {
				login.NotAfter = start.Add(test.notAfter)
			}
			token, made, err := w.Create(t.Context(), session.New{Login: login})
			must(t, err)
			for _, step := range test.steps {
				step(w, token, made.ID)
			}
			want := session.ErrNotFound
			if test.alive {
				want = nil
			}
			_, err = w.ByID(t.Context(), made.ID)
			wantError(t, "by id", err, want)
			_, err = w.Get(t.Context(), token)
			wantError(t, "by token", err, want)
		})
	}
}

func TestALoginWhoseSessionHasEndedMakesNone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	login := aliceLogin()
	login.NotAfter = start
	_, _, err := w.Create(t.Context(), session.New{Login: login})
	wantError(t, "create", err, session.ErrNotFound)
}

func TestLookingByIDDoesNotKeepASessionAlive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, made := w.signIn(t)
	for range 3 {
		w.pass(25 * time.Minute)
		_, _ = w.ByID(t.Context(), made.ID)
	}
	_, err := w.Get(t.Context(), token)
	wantError(t, "after 75 minutes of looking", err, session.ErrNotFound)
}

func TestATokenOfTheWrongFormIsNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, token := range map[string]string{
		"none": "", "a short one": "abc", "a huge one": string(bytes.Repeat([]byte("a"), 1<<20)),
		"one that was never given": session.NewHandle(), "SQL": "' OR '1'='1' -- aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	} {
		_, err := w.Get(t.Context(), token)
		wantError(t, name, err, session.ErrNotFound)
	}
}

func TestTheStoreNeverSeesASecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, made := w.signIn(t)
	handle, browser, code := session.NewHandle(), session.NewHandle(), session.NewHandle()
	must(t, w.Keep(t.Context(), handle, session.Pending{Provider: "corp", Browser: browser}))
	family := session.Family{ID: "f1", Session: made.ID, Client: "cli", Identity: alice(), Since: start, Until: start.Add(time.Hour)}
	must(t, w.KeepCode(t.Context(), code, session.Code{Client: "cli", Family: family}))
	pair := session.Pair{Access: "rca_" + session.NewHandle(), Refresh: "rcr_" + session.NewHandle()}
	must(t, w.tokens.Begin(t.Context(), family, pair))
	for _, suffix := range []string{"", "-wal"} {
		file, err := os.ReadFile(w.path + suffix)
		must(t, err)
		for name, secret := range map[string]string{
			"the cookie": token, "a handle": handle, "the state cookie": browser, "a code": code,
			"an access token": pair.Access, "a refresh token": pair.Refresh, "the provider's ID token": "eyJ.marker",
		} {
			if bytes.Contains(file, []byte(secret)) {
				t.Errorf("%s is in the file%s", name, suffix)
			}
		}
	}
}

func TestUseIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, made := w.signIn(t)
	for after, want := range []time.Duration{0, 0, time.Minute, time.Minute, 2 * time.Minute} {
		w.mu.Lock()
		w.clock = start.Add(time.Duration(after) * 31 * time.Second)
		w.mu.Unlock()
		_, err := w.Get(t.Context(), token)
		must(t, err)
		row, err := w.store.SessionByID(t.Context(), made.ID)
		must(t, err)
		if late := row.Seen.Sub(start); late < want || late > want+5*time.Second {
			t.Errorf("request %d: seen is written as %v after the sign-in, want about %v", after, late, want)
		}
	}
}

func TestDefaultsHoldWhereNothingIsConfigured(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sessions := session.NewSessions(session.Config{Store: w.store, Now: w.now})
	token, made, err := sessions.Create(t.Context(), session.New{Login: idp.Login{Identity: alice()}})
	must(t, err)
	if life := made.Expires.Sub(start); life != 12*time.Hour {
		t.Errorf("a session lives %v", life)
	}
	w.pass(time.Hour)
	_, err = sessions.Get(t.Context(), token)
	wantError(t, "after an hour", err, session.ErrNotFound)
}

func TestHandlesAreToldFromOtherText(t *testing.T) {
	t.Parallel()
	good := session.NewHandle()
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"a handle":             {good, true},
		"nothing":              {"", false},
		"one character short":  {good[:42], false},
		"one too long":         {good + "A", false},
		"padding":              {good[:42] + "=", false},
		"another alphabet":     {"+" + good[1:], false},
		"bits that do not fit": {good[:42] + "B", false},
		"a newline":            {good[:42] + "\n", false},
		// 31 bytes and no bits left over, which a decoder that skips line breaks accepts.
		"a newline after bits that fit": {good[:41] + "A\n", false},
	} {
		if got := session.IsHandle(test.text); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAProvidersLogoutEndsTheSessionsThatItMeans(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, made, err := w.Create(t.Context(), session.New{Login: aliceLogin(), Via: "browser"})
	must(t, err)
	other := aliceLogin()
	other.Upstream.SessionIndex = "_other"
	still, _, err := w.Create(t.Context(), session.New{Login: other, Via: "browser"})
	must(t, err)
	ended, err := w.EndUpstream(t.Context(), "corp", "a-1", []string{"_i"})
	must(t, err)
	if len(ended) != 1 || ended[0].ID != made.ID || ended[0].Identity.Username != "alice" {
		t.Errorf("ended %+v", ended)
	}
	_, err = w.Get(t.Context(), token)
	wantError(t, "the session that was meant", err, session.ErrNotFound)
	_, err = w.Get(t.Context(), still)
	must(t, err)
	if _, err := w.EndUpstream(t.Context(), "corp", "", nil); err == nil {
		t.Error("a logout of nobody is no error")
	}
}
