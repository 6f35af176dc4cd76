package oauth_test

import (
	"errors"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
)

func TestARequestThatMayNotBeAnsweredIsAPageAndNeverARedirect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ parameter, value, reason string }{
		"no client":                       {"client_id", "", "unknown_client"},
		"an unknown client":               {"client_id", "other", "unknown_client"},
		"no redirect URI":                 {"redirect_uri", "", "bad_redirect_uri"},
		"the name localhost":              {"redirect_uri", "http://localhost:49152/callback", "bad_redirect_uri"},
		"https on loopback":               {"redirect_uri", "https://127.0.0.1:49152/callback", "bad_redirect_uri"},
		"another loopback address":        {"redirect_uri", "http://127.0.0.2:49152/callback", "bad_redirect_uri"},
		"the address as a number":         {"redirect_uri", "http://2130706433/callback", "bad_redirect_uri"},
		"the address in short":            {"redirect_uri", "http://127.1/callback", "bad_redirect_uri"},
		"every address":                   {"redirect_uri", "http://0.0.0.0:1/callback", "bad_redirect_uri"},
		"loopback mapped to IPv6":         {"redirect_uri", "http://[::ffff:127.0.0.1]:1/callback", "bad_redirect_uri"},
		"another host":                    {"redirect_uri", "https://evil.example/callback", "bad_redirect_uri"},
		"a host that begins like ours":    {"redirect_uri", "http://127.0.0.1.evil.example/callback", "bad_redirect_uri"},
		"user information that looks so":  {"redirect_uri", "http://127.0.0.1:80@evil.example/callback", "bad_redirect_uri"},
		"user information before":         {"redirect_uri", "http://user@127.0.0.1/callback", "bad_redirect_uri"},
		"a backslash":                     {"redirect_uri", `http://127.0.0.1\@evil.example/callback`, "bad_redirect_uri"},
		"a fragment":                      {"redirect_uri", "http://127.0.0.1:1/callback#", "bad_redirect_uri"},
		"a query":                         {"redirect_uri", "http://127.0.0.1:1/callback?a=b", "bad_redirect_uri"},
		"another path":                    {"redirect_uri", "http://127.0.0.1:1/", "bad_redirect_uri"},
		"a path below":                    {"redirect_uri", "http://127.0.0.1:1/callback/", "bad_redirect_uri"},
		"a path above":                    {"redirect_uri", "http://127.0.0.1:1/x/../callback", "bad_redirect_uri"},
		"a path in another case":          {"redirect_uri", "http://127.0.0.1:1/Callback", "bad_redirect_uri"},
		"a scheme in capitals":            {"redirect_uri", "HTTP://127.0.0.1:1/callback", "bad_redirect_uri"},
		"port 0":                          {"redirect_uri", "http://127.0.0.1:0/callback", "bad_redirect_uri"},
		"port 65536":                      {"redirect_uri", "http://127.0.0.1:65536/callback", "bad_redirect_uri"},
		"a port with a leading zero":      {"redirect_uri", "http://127.0.0.1:0080/callback", "bad_redirect_uri"},
		"a signed port":                   {"redirect_uri", "http://127.0.0.1:+80/callback", "bad_redirect_uri"},
		"an empty port":                   {"redirect_uri", "http://127.0.0.1:/callback", "bad_redirect_uri"},
		"white space":                     {"redirect_uri", " http://127.0.0.1:1/callback", "bad_redirect_uri"},
		"a line break":                    {"redirect_uri", "http://127.0.0.1:1/callback\r\nX: y", "bad_redirect_uri"},
		"a native scheme":                 {"redirect_uri", "rolecall:/callback", "bad_redirect_uri"},
		"a script":                        {"redirect_uri", "javascript:alert(1)//127.0.0.1/callback", "bad_redirect_uri"},
		"a state longer than the request": {"state", strings.Repeat("s", 1300), "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			next, err := w.server.Authorize(t.Context(), origin, ask(c.parameter, c.value), w.alice())
			shown, ok := errors.AsType[*broker.Error](err)
			if !ok || shown.Code != broker.InvalidRequest || shown.Reason != c.reason {
				t.Fatalf("got %+v, %v", next, err)
			}
			if next.Redirect != "" || next.SignIn != nil || next.Consent != nil {
				t.Errorf("the browser goes on: %+v", next)
			}
			if e := w.last(t); e.Event != "authorize" || e.Outcome != audit.Refused || e.Reason != c.reason {
				t.Errorf("recorded %+v", e)
			}
		})
	}
	t.Run("two redirect URIs", func(t *testing.T) {
		t.Parallel()
		w, params := newWorld(t), ask()
		params.Add("redirect_uri", redirectURI)
		if next, err := w.server.Authorize(t.Context(), origin, params, w.alice()); broker.CodeOf(err) != broker.InvalidRequest {
			t.Errorf("got %+v, %v", next, err)
		}
	})
}

func TestEveryLoopbackPortIsAGoodRedirect(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback",
		"http://[::1]/callback", "http://[::1]:49152/callback",
	} {
		w := newWorld(t)
		next, err := w.server.Decide(t.Context(), origin, ask("redirect_uri", uri), w.alice(), true)
		if err != nil || !strings.HasPrefix(next.Redirect, uri+"?") {
			t.Errorf("%s: got %+v, %v", uri, next, err)
		}
	}
}

func TestOtherFaultsGoBackToTheClientWithStateAndIssuer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes []string
		code    string
	}{
		"no response_type":                     {[]string{"response_type", ""}, "invalid_request"},
		"the implicit flow":                    {[]string{"response_type", "token"}, "unsupported_response_type"},
		"the hybrid flow":                      {[]string{"response_type", "code id_token"}, "unsupported_response_type"},
		"no PKCE":                              {[]string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
		"PKCE without a method, that is plain": {[]string{"code_challenge_method", ""}, "invalid_request"},
		"PKCE plain":                           {[]string{"code_challenge_method", "plain"}, "invalid_request"},
		"PKCE s256 in lower case":              {[]string{"code_challenge_method", "s256"}, "invalid_request"},
		"a challenge that is no hash":          {[]string{"code_challenge", verifier + "x"}, "invalid_request"},
		"a challenge with trailing bits":       {[]string{"code_challenge", challenge[:42] + "N"}, "invalid_request"},
		"a request object":                     {[]string{"request", "e30.e30."}, "request_not_supported"},
		"a request URI":                        {[]string{"request_uri", "https://evil.example/"}, "request_uri_not_supported"},
		"response_mode fragment":               {[]string{"response_mode", "fragment"}, "invalid_request"},
		"an unknown prompt":                    {[]string{"prompt", "create"}, "invalid_request"},
		"prompt none with another":             {[]string{"prompt", "none login"}, "invalid_request"},
		"a negative max_age":                   {[]string{"max_age", "-1"}, "invalid_request"},
		"max_age as text":                      {[]string{"max_age", "soon"}, "invalid_request"},
		"a key thumbprint that is none":        {[]string{"dpop_jkt", "x"}, "invalid_request"},
		"a nonce of 257 bytes":                 {[]string{"nonce", strings.Repeat("n", 257)}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			next, err := w.server.Authorize(t.Context(), origin, ask(c.changes...), w.alice())
			if err != nil {
				t.Fatal(err)
			}
			q := query(t, next.Redirect)
			if q.Get("error") != c.code || q.Get("state") != "state-1" || q.Get("iss") != "https://issuer.example.com" || q.Has("code") {
				t.Errorf("got %v", q)
			}
			if e := w.last(t); e.Outcome != audit.Refused || e.Reason != c.code || e.Username != "alice" || e.RequestID != "request-1" || e.Address != "192.0.2.7" {
				t.Errorf("recorded %+v", e)
			}
		})
	}
	for _, parameter := range []string{"response_type", "code_challenge", "scope", "prompt", "state"} {
		w, params := newWorld(t), ask("prompt", "consent")
		params.Add(parameter, "again")
		next, err := w.server.Authorize(t.Context(), origin, params, w.alice())
		if err != nil || query(t, next.Redirect).Get("error") != "invalid_request" {
			t.Errorf("%s twice: got %+v, %v", parameter, next, err)
		}
	}
}

func TestWhoHasNoSessionSignsInFirstAndComesBackWithTheSameRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next, err := w.server.Authorize(t.Context(), origin, ask("unknown", "dropped"), nil)
	if err != nil || next.SignIn == nil || next.SignIn.Fresh {
		t.Fatalf("got %+v, %v", next, err)
	}
	path, q, _ := strings.Cut(next.SignIn.ReturnTo, "?")
	back, err := url.ParseQuery(q)
	if err != nil || path != "/oauth2/authorize" {
		t.Fatalf("%q: %v", next.SignIn.ReturnTo, err)
	}
	back.Del("signin_after")
	if diff := cmp.Diff(ask(), back); diff != "" {
		t.Error(diff)
	}
	if len(w.events) != 0 {
		t.Errorf("recorded %+v before anything was decided", w.events)
	}
}

func TestConsentIsAskedOncePerSessionAndClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next, err := w.server.Authorize(t.Context(), origin, ask(), w.alice())
	if err != nil || next.Consent == nil {
		t.Fatalf("got %+v, %v", next, err)
	}
	c := next.Consent
	if c.Client != "rolecall CLI" || c.RedirectURI != redirectURI || c.Username != "alice" || len(c.Abilities) != 3 ||
		c.Abilities[2] != "stay signed in for 11 hours without asking again" {
		t.Errorf("the page says %+v", c)
	}
	if diff := cmp.Diff(ask(), c.Params); diff != "" {
		t.Errorf("the form does not hold the request: %s", diff)
	}
	if next, err = w.server.Decide(t.Context(), origin, c.Params, w.alice(), true); err != nil || query(t, next.Redirect).Get("code") == "" {
		t.Fatalf("got %+v, %v", next, err)
	}
	if next, err = w.server.Authorize(t.Context(), origin, ask(), w.alice()); err != nil || query(t, next.Redirect).Get("code") == "" {
		t.Errorf("the second time: %+v, %v", next, err)
	}
	if next, err = w.server.Authorize(t.Context(), origin, ask("prompt", "consent"), w.alice()); err != nil || next.Consent == nil {
		t.Errorf("prompt=consent: %+v, %v", next, err)
	}
	other := w.alice()
	other.Session = "session-2"
	if next, err = w.server.Authorize(t.Context(), origin, ask(), other); err != nil || next.Consent == nil {
		t.Errorf("another session: %+v, %v", next, err)
	}
}

func TestAConsentThatIsRefusedGoesBackAsAccessDenied(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next, err := w.server.Decide(t.Context(), origin, ask(), w.alice(), false)
	if err != nil {
		t.Fatal(err)
	}
	if q := query(t, next.Redirect); q.Get("error") != "access_denied" || q.Get("state") != "state-1" || q.Has("code") {
		t.Errorf("got %v", q)
	}
	if next, err = w.server.Authorize(t.Context(), origin, ask(), w.alice()); err != nil || next.Consent == nil {
		t.Errorf("a refusal was kept as consent: %+v, %v", next, err)
	}
}

func TestADecisionIsJudgedLikeARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if next, err := w.server.Decide(t.Context(), origin, ask(), nil, true); err != nil || next.SignIn == nil {
		t.Errorf("without a session: %+v, %v", next, err)
	}
	if next, err := w.server.Decide(t.Context(), origin, ask("redirect_uri", "https://evil.example/callback"), w.alice(), true); err == nil {
		t.Errorf("another redirect URI: %+v", next)
	}
	next, err := w.server.Decide(t.Context(), origin, ask("code_challenge_method", "plain"), w.alice(), true)
	if err != nil || query(t, next.Redirect).Get("error") != "invalid_request" {
		t.Errorf("plain: %+v, %v", next, err)
	}
}

func TestPromptNoneNeverShowsAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next, err := w.server.Authorize(t.Context(), origin, ask("prompt", "none"), nil)
	if err != nil || query(t, next.Redirect).Get("error") != "login_required" {
		t.Errorf("without a session: %+v, %v", next, err)
	}
	next, err = w.server.Authorize(t.Context(), origin, ask("prompt", "none"), w.alice())
	if err != nil || query(t, next.Redirect).Get("error") != "consent_required" {
		t.Errorf("without consent: %+v, %v", next, err)
	}
	w.code(t)
	next, err = w.server.Authorize(t.Context(), origin, ask("prompt", "none"), w.alice())
	if err != nil || query(t, next.Redirect).Get("code") == "" {
		t.Errorf("with both: %+v, %v", next, err)
	}
	next, err = w.server.Authorize(t.Context(), origin, ask("prompt", "none", "max_age", "60"), w.alice())
	if err != nil || query(t, next.Redirect).Get("error") != "login_required" {
		t.Errorf("signed in too long ago: %+v, %v", next, err)
	}
}

func TestAFreshSignInIsDemandedOnceAndThenBelieved(t *testing.T) {
	t.Parallel()
	for name, changes := range map[string][]string{
		"prompt=login":                  {"prompt", "login"},
		"max_age shorter than the past": {"max_age", "600"},
		"max_age=0":                     {"max_age", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			next, err := w.server.Authorize(t.Context(), origin, ask(changes...), w.alice())
			if err != nil || next.SignIn == nil || !next.SignIn.Fresh {
				t.Fatalf("got %+v, %v", next, err)
			}
			_, q, _ := strings.Cut(next.SignIn.ReturnTo, "?")
			back, err := url.ParseQuery(q)
			if err != nil {
				t.Fatal(err)
			}
			if next, err = w.server.Authorize(t.Context(), origin, back, w.alice()); err != nil || next.SignIn == nil {
				t.Errorf("the old session was believed: %+v, %v", next, err)
			}
			stale := w.alice()
			w.clock = w.clock.Add(30 * time.Second)
			stale.Since = w.clock.Add(-5 * time.Second)
			next, err = w.server.Authorize(t.Context(), origin, back, stale)
			if err != nil || query(t, next.Redirect).Get("error") != "login_required" {
				t.Errorf("a provider that did not ask again was believed: %+v, %v", next, err)
			}
			fresh := w.alice()
			fresh.Since, fresh.Identity.AuthenticatedAt = w.clock.Add(-5*time.Second), w.clock.Add(-10*time.Second)
			if next, err = w.server.Authorize(t.Context(), origin, back, fresh); err != nil || next.Consent == nil {
				t.Errorf("the fresh sign-in was not believed: %+v, %v", next, err)
			}
			w.clock = w.clock.Add(time.Hour)
			if next, err = w.server.Authorize(t.Context(), origin, back, fresh); err != nil || next.SignIn == nil {
				t.Errorf("an hour later the same address still counts as fresh: %+v, %v", next, err)
			}
		})
	}
}

func TestSelectAccountLeadsToTheSignInPageOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next, err := w.server.Authorize(t.Context(), origin, ask("prompt", "select_account"), w.alice())
	if err != nil || next.SignIn == nil || next.SignIn.Fresh {
		t.Fatalf("got %+v, %v", next, err)
	}
	again := w.alice()
	again.Since = w.clock
	next, err = w.server.Authorize(t.Context(), origin, ask("prompt", "select_account", "signin_after", strconv.FormatInt(w.clock.Unix(), 10)), again)
	if err != nil || next.Consent == nil {
		t.Errorf("got %+v, %v", next, err)
	}
}

func TestSigninAfterAloneOpensNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, value := range []string{"0", "-1", "x", strconv.FormatInt(w.clock.Add(time.Hour).Unix(), 10), strconv.FormatInt(w.clock.Add(-2*time.Hour).Unix(), 10)} {
		next, err := w.server.Authorize(t.Context(), origin, ask("prompt", "login", "signin_after", value), w.alice())
		if err != nil || next.SignIn == nil || !next.SignIn.Fresh {
			t.Errorf("%s: got %+v, %v", value, next, err)
		}
	}
}

func TestMaxAgeThatIsKeptAsksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	next, err := w.server.Authorize(t.Context(), origin, ask("max_age", "3600"), w.alice())
	if err != nil || next.Consent == nil {
		t.Errorf("got %+v, %v", next, err)
	}
}

func TestTooManyRequestsAreTurnedAwayWithoutARecordEach(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"address authorize", "subject authorize corp alice-id"} {
		w := newWorld(t)
		w.limited[kind] = true
		next, err := w.server.Decide(t.Context(), origin, ask(), w.alice(), true)
		shown, ok := errors.AsType[*broker.Error](err)
		if !ok || shown.Code != broker.RateLimited || shown.RetryAfter != 7*time.Second || next.Redirect != "" {
			t.Errorf("%s: got %+v, %v", kind, next, err)
		}
		if len(w.events) != 0 || len(w.away) != 1 || len(w.codes) != 0 {
			t.Errorf("%s: recorded %+v, turned away %v, %d codes", kind, w.events, w.away, len(w.codes))
		}
	}
}

func TestWithoutARecordThereIsNoCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deaf = errors.New("disk full")
	next, err := w.server.Decide(t.Context(), origin, ask(), w.alice(), true)
	if broker.CodeOf(err) != broker.Unavailable || next.Redirect != "" {
		t.Errorf("got %+v, %v", next, err)
	}
}

func TestAStoreThatFailsIsAPageAndNoCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fails = errors.New("disk broken")
	next, err := w.server.Authorize(t.Context(), origin, ask(), w.alice())
	if !errors.Is(err, w.fails) || broker.CodeOf(err) != broker.Internal || next.Redirect != "" {
		t.Errorf("got %+v, %v", next, err)
	}
	if e := w.last(t); e.Outcome != audit.Failed {
		t.Errorf("recorded %+v", e)
	}
}
