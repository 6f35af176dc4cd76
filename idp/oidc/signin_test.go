package oidc

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func TestSignIn(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	login, err := p.signIn(idp.Want{})
	if err != nil {
		t.Fatal(err)
	}
	want := idp.Identity{
		Provider: "corp", Subject: "subject-1", Username: "subject-1", Groups: []string{"platform", "developers"},
		Methods: []string{"pwd"}, AuthenticatedAt: p.clock.now(),
	}
	if diff := cmp.Diff(want, login.Identity, cmpopts.IgnoreFields(idp.Identity{}, "Attributes")); diff != "" {
		t.Error(diff)
	}
	for name, values := range map[string][]string{
		"email": {"alice@example.com"}, "email_verified": {"true"}, "groups": {"platform", "developers"}, "iss": {p.op.Issuer}, "name": {"Alice Ames"},
	} {
		if diff := cmp.Diff(values, login.Identity.Attributes[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if login.Once.Key == "" || !login.Once.Until.Equal(p.clock.now().Add(11*time.Minute)) {
		t.Errorf("once %+v", login.Once)
	}
	if login.Upstream.Sid != "upstream-session" || strings.Count(login.Upstream.IDToken.Reveal(), ".") != 2 {
		t.Errorf("upstream %+v", login.Upstream)
	}
}

func TestBeginAsksForWhatIsWanted(t *testing.T) {
	t.Parallel()
	p := start(t, func(c *config.Provider) { c.Scopes = []string{"groups", "email"} })
	for _, c := range []struct {
		want idp.Want
		has  map[string]string
	}{
		{idp.Want{Handle: "the-handle-of-sign-in-1"}, map[string]string{
			"state": "the-handle-of-sign-in-1", "response_type": "code", "client_id": "rolecall", "scope": "openid profile email groups",
			"redirect_uri": "https://broker.example/oidc/corp/callback", "code_challenge_method": "S256", "prompt": "", "max_age": "",
		}},
		{idp.Want{Handle: "the-handle-of-sign-in-2", Fresh: true, MaxAge: time.Hour}, map[string]string{"prompt": "login", "max_age": "0"}},
		{idp.Want{Handle: "the-handle-of-sign-in-3", MaxAge: time.Hour}, map[string]string{"prompt": "", "max_age": "3600"}},
		{idp.Want{Handle: "the-handle-of-sign-in-4", MaxAge: time.Millisecond}, map[string]string{"max_age": "1"}},
		{idp.Want{Handle: "the-handle-of-sign-in-5", ACR: []string{"a", "b"}, LoginHint: "al@example.com"}, map[string]string{"acr_values": "a b", "login_hint": "al@example.com"}},
	} {
		address, pending := p.begin(c.want)
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range c.has {
			if got := u.Query().Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", c.want.Handle, name, got, value)
			}
		}
		if strings.Contains(string(pending), c.want.Handle) {
			t.Errorf("the pending bytes hold the handle: %s", pending)
		}
	}
	first, _ := p.begin(idp.Want{})
	second, _ := p.begin(idp.Want{})
	for _, name := range []string{"nonce", "code_challenge", "state"} {
		a, _ := url.Parse(first)
		b, _ := url.Parse(second)
		if a.Query().Get(name) == b.Query().Get(name) || len(a.Query().Get(name)) < 26 {
			t.Errorf("%s is not fresh: %s", name, a.Query().Get(name))
		}
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(url.Values)
		reason string
	}{
		"state of another sign-in":          {func(q url.Values) { q.Set("state", "other") }, "state"},
		"no state":                          {func(q url.Values) { q.Del("state") }, "state"},
		"state twice":                       {func(q url.Values) { q.Add("state", q.Get("state")) }, "malformed"},
		"iss of another provider (mix-up)":  {func(q url.Values) { q.Set("iss", "https://evil.example") }, "iss"},
		"iss missing though promised":       {func(q url.Values) { q.Del("iss") }, "iss"},
		"iss twice":                         {func(q url.Values) { q.Add("iss", q.Get("iss")) }, "malformed"},
		"iss empty":                         {func(q url.Values) { q.Set("iss", "") }, "iss"},
		"iss with a slash more":             {func(q url.Values) { q.Set("iss", q.Get("iss")+"/") }, "iss"},
		"code twice":                        {func(q url.Values) { q.Add("code", "x") }, "malformed"},
		"no code":                           {func(q url.Values) { q.Del("code") }, "malformed"},
		"a code that is unknown":            {func(q url.Values) { q.Set("code", "x") }, "code"},
		"a code of endless length":          {func(q url.Values) { q.Set("code", strings.Repeat("x", 5000)) }, "malformed"},
		"the person refused":                {func(q url.Values) { q.Set("error", "access_denied") }, "access-denied"},
		"another error":                     {func(q url.Values) { q.Set("error", "login_required") }, "idp-error"},
		"an error that is an attack":        {func(q url.Values) { q.Set("error", "<script>canary") }, "idp-error"},
		"an error that is empty":            {func(q url.Values) { q.Set("error", "") }, "idp-error"},
		"an error of another issuer":        {func(q url.Values) { q.Set("error", "access_denied"); q.Set("iss", "https://evil.example") }, "iss"},
		"an error text that tells a secret": {func(q url.Values) { q.Set("error", "server_error"); q.Set("error_description", "canary") }, "idp-error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			p.op.Behave(idptest.Behaviour{Answer: c.change})
			_, err := p.signIn(idp.Want{})
			refused(t, err, c.reason)
		})
	}
}

func TestIssIsCheckedEvenIfNotPromised(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	quiet := func(d map[string]any) { delete(d, "authorization_response_iss_parameter_supported") }
	p.op.Behave(idptest.Behaviour{Discovery: quiet, Answer: func(q url.Values) { q.Set("iss", "https://evil.example") }})
	_, err := p.signIn(idp.Want{})
	refused(t, err, "iss")
	p.op.Behave(idptest.Behaviour{Discovery: quiet, Answer: func(q url.Values) { q.Del("iss") }})
	if _, err := p.signIn(idp.Want{}); err != nil {
		t.Errorf("a provider that does not promise iss: %v", err)
	}
}

func TestAnswerByPostIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	address, pending := p.begin(idp.Want{})
	query := p.op.Visit(address)
	_, err := p.Finish(t.Context(), pending, idp.Answer{Method: http.MethodPost, Form: query})
	refused(t, err, "response-mode")
	_, err = p.Finish(t.Context(), pending, idp.Answer{Method: http.MethodGet, Query: query, Form: url.Values{"state": {"x"}}})
	refused(t, err, "response-mode")
	if _, err = p.Finish(t.Context(), pending, idp.Answer{Method: http.MethodGet, Query: query, Form: query}); err != nil {
		t.Errorf("net/http's Form of a GET: %v", err)
	}
}

func TestCodeOfAnotherSignInIsRefused(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	mine, pending := p.begin(idp.Want{})
	theirs, _ := p.begin(idp.Want{})
	query := p.op.Visit(mine)
	query.Set("code", p.op.Visit(theirs).Get("code"))
	// PKCE: the provider refuses the verifier of the other sign-in.
	_, err := p.Finish(t.Context(), pending, answer(query))
	refused(t, err, "code")
}

func TestPendingOfAnotherIssuerIsRefused(t *testing.T) {
	t.Parallel()
	p, other := start(t, nil), start(t, nil)
	address, pending := other.begin(idp.Want{})
	_, err := p.Finish(t.Context(), pending, answer(other.op.Visit(address)))
	refused(t, err, "issuer")
	if _, err := p.Finish(t.Context(), []byte("{"), idp.Answer{}); err == nil {
		t.Error("pending bytes that are none were accepted")
	}
}

func TestFreshAuthentication(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		want   idp.Want
		age    any // seconds before now, or nil for no auth_time
		reason string
	}{
		"fresh and fresh":                  {idp.Want{Fresh: true}, 0, ""},
		"fresh within the skew":            {idp.Want{Fresh: true}, 59, ""},
		"fresh and an old session":         {idp.Want{Fresh: true}, 120, "auth-time"},
		"fresh and not said":               {idp.Want{Fresh: true}, nil, "auth-time"},
		"max age kept":                     {idp.Want{MaxAge: time.Hour}, 3600, ""},
		"max age passed":                   {idp.Want{MaxAge: time.Hour}, 3700, "auth-time"},
		"max age and not said":             {idp.Want{MaxAge: time.Hour}, nil, "auth-time"},
		"not asked and not said":           {idp.Want{}, nil, ""},
		"auth_time in the future":          {idp.Want{}, -120, "auth-time"},
		"a context that was asked for":     {idp.Want{ACR: []string{"gold", "silver"}}, 0, ""},
		"a context that was not asked for": {idp.Want{ACR: []string{"platinum"}}, 0, "acr"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			p.op.Behave(idptest.Behaviour{Claims: func(claims map[string]any) {
				claims["acr"] = "silver"
				delete(claims, "auth_time")
				if age, ok := c.age.(int); ok {
					claims["auth_time"] = p.clock.now().Unix() - int64(age)
				}
			}})
			login, err := p.signIn(c.want)
			if c.reason != "" {
				refused(t, err, c.reason)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (c.age == nil) != login.Identity.AuthenticatedAt.IsZero() {
				t.Errorf("authenticated at %v", login.Identity.AuthenticatedAt)
			}
		})
	}
}

func TestTokenEndpointThatFails(t *testing.T) {
	t.Parallel()
	reply := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, c := range map[string]struct {
		token  http.HandlerFunc
		reason string // empty: unavailable
	}{
		"an error page":            {reply(503, "canary"), ""},
		"an error of the provider": {reply(500, `{"error":"server_error","error_description":"canary"}`), ""},
		"not knowing our secret":   {reply(401, `{"error":"invalid_client","error_description":"canary"}`), ""},
		"a redirect elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/?canary", http.StatusTemporaryRedirect)
		}, ""},
		"no JSON":                        {reply(200, "canary"), ""},
		"no access token":                {reply(200, `{"id_token":"canary"}`), ""},
		"endless":                        {reply(200, `{"access_token":"`+strings.Repeat("canary", 200_000)), ""},
		"a refused code":                 {reply(400, `{"error":"invalid_grant","error_description":"canary"}`), "code"},
		"a refused code with odd name":   {reply(400, `{"error":"<canary>"}`), "code"},
		"no ID token":                    {reply(200, `{"access_token":"canary","token_type":"Bearer"}`), "malformed"},
		"an ID token that is a number":   {reply(200, `{"access_token":"canary","token_type":"Bearer","id_token":7}`), "malformed"},
		"an ID token that is not signed": {reply(200, `{"access_token":"canary","token_type":"Bearer","id_token":"canary"}`), "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			p.op.Behave(idptest.Behaviour{Serve: map[string]http.HandlerFunc{"/token": c.token}})
			_, err := p.signIn(idp.Want{})
			if c.reason == "" {
				unavailable(t, err)
			} else {
				refused(t, err, c.reason)
			}
		})
	}
}
