package oidc

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

// Whatever of the provider hangs or fails in the middle of a sign-in: nobody is
// signed in, nobody waits longer than their request, and the next one passes.
func TestAnOutageInTheMiddleOfASignIn(t *testing.T) {
	t.Parallel()
	yes := true
	hang := func(release chan struct{}) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { <-release }
	}
	fail := func(chan struct{}) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", http.StatusBadGateway) }
	}
	for name, c := range map[string]struct {
		path string
		how  func(chan struct{}) http.HandlerFunc
	}{
		"the token endpoint hangs":    {"/token", hang},
		"the token endpoint fails":    {"/token", fail},
		"the keys hang":               {"/jwks", hang},
		"the keys fail":               {"/jwks", fail},
		"the userinfo endpoint hangs": {"/userinfo", hang},
		"the userinfo endpoint fails": {"/userinfo", fail},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, func(s *config.Provider) { s.Userinfo = &yes })
			info := map[string]any{"sub": "subject-1"}
			release := make(chan struct{})
			p.op.Behave(idptest.Behaviour{Userinfo: info, Serve: map[string]http.HandlerFunc{c.path: c.how(release)}})
			address, pending := p.begin(idp.Want{})
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			begun := time.Now()
			login, err := p.Finish(ctx, pending, answer(p.op.Visit(address)))
			unavailable(t, err)
			if login.Identity.Subject != "" || time.Since(begun) > 10*time.Second {
				t.Errorf("%+v after %v", login, time.Since(begun))
			}
			close(release)
			p.op.Behave(idptest.Behaviour{Userinfo: info})
			eventually(t, "a sign-in when it is back", func() bool {
				p.clock.add(retryPause)
				_, err := p.signIn(idp.Want{})
				return err == nil
			})
		})
	}
}

func TestAFloodOfLogoutTokensCostsFewFetches(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	now := p.clock.now().Unix()
	claims := map[string]any{
		"iss": p.op.Issuer, "aud": p.op.ClientID, "iat": now, "exp": now + 60, "jti": "j", "sub": "s",
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
	typed := map[string]any{"typ": "logout+jwt"}
	forger := idptest.NewOPKey(t, jose.ES256)
	for range 50 {
		forger.ID = idptest.NewOPKey(t, jose.RS256).ID
		_, err := p.VerifyLogout(t.Context(), p.op.Sign(forger, claims, typed))
		refused(t, err, "unknown-key")
	}
	if gone, err := p.VerifyLogout(t.Context(), p.op.Sign(p.op.Key(), claims, typed)); err != nil || gone.NameID != "s" || gone.Subject != "s" {
		t.Errorf("an honest one after that: %+v, %v", gone, err)
	}
	if got := p.op.Hits("/jwks"); got > 3 {
		t.Errorf("%d fetches", got)
	}
}

func TestClocksThatDifferWithinTheSkew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		skew   time.Duration
		behind time.Duration // how far the provider's clock is behind ours
		reason string
	}{
		"theirs is a little behind":             {time.Minute, 50 * time.Second, ""},
		"theirs is a little ahead":              {time.Minute, -50 * time.Second, ""},
		"theirs is far ahead":                   {time.Minute, -90 * time.Second, "issued-at"},
		"theirs is far ahead, which is allowed": {5 * time.Minute, -4 * time.Minute, ""},
		"theirs is a token's life behind":       {time.Minute, 12 * time.Minute, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ours, theirs := newClock(), newClock()
			theirs.add(-c.behind)
			op := idptest.StartOP(t, theirs.now)
			p := party{provider(t, op, ours, func(s *config.Provider) { s.ClockSkew = c.skew }), op, ours, t}
			login, err := p.signIn(idp.Want{})
			switch {
			case c.reason != "":
				refused(t, err, c.reason)
			case err != nil:
				t.Error(err)
			case login.Once.Until.Before(theirs.now().Add(10 * time.Minute)):
				t.Errorf("it is forgotten at %v, while it is good", login.Once.Until)
			}
		})
	}
}
