package oidc_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/oidc"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// asked remembers what the endpoints make of requests.
type asked struct {
	begun broker.BeginRequest
	back  broker.SignInRequest
}

func (a *asked) Begin(_ context.Context, req broker.BeginRequest) (broker.Begun, error) {
	a.begun = req
	return broker.Begun{To: idp.Redirect{URL: "https://github.com/login/oauth/authorize?state=x"}, Browser: "browser-handle"}, nil
}

func (a *asked) SignIn(_ context.Context, req broker.SignInRequest) (broker.SignedIn, error) {
	a.back = req
	return broker.SignedIn{Token: secret.New("session"), Expires: time.Now().Add(time.Hour), ReturnTo: "/keys"}, nil
}

func (a *asked) ConfirmSignIn(context.Context, broker.ConfirmRequest) (broker.SignedIn, error) {
	return broker.SignedIn{}, broker.Fail(broker.InvalidRequest, "never", "Never.")
}

// An OAuth provider answers under its own path and type only: what is meant for one
// protocol is never judged by the rules of another.
func TestThePathsOfAnOAuthProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		method, target string
		status         int
		kind           string // of provider that was asked, "" is nobody
		location       string
	}{
		"out":                           {"GET", "/oauth/github/login?return_to=/keys&fresh=1", 303, "oauth2", "https://github.com/login/oauth/authorize?state=x"},
		"back":                          {"GET", "/oauth/github/callback?code=c&state=s", 303, "oauth2", "/keys"},
		"back by a form":                {"POST", "/oauth/github/callback", 405, "", ""},
		"out by a form":                 {"POST", "/oauth/github/login", 405, "", ""},
		"under OpenID Connect's path":   {"GET", "/oidc/github/callback?code=c&state=s", 303, "oidc", "/keys"},
		"it has no logout of its own":   {"POST", "/oauth/github/backchannel-logout", 404, "", ""},
		"a provider with a slash in it": {"GET", "/oauth/git/hub/login", 404, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &asked{}
			edge := endpoint.New(endpoint.Config{
				URL: &url.URL{Scheme: "https", Host: "sso.example.com"}, Problems: noPages{}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
			}, oidc.Endpoint{SignIn: endpoint.SignIn{Service: s, Cookies: endpoint.Cookies{HTTPS: true}}, Logout: &service{}})
			r := httptest.NewRequest(test.method, "https://sso.example.com"+test.target, strings.NewReader(""))
			r.AddCookie(&http.Cookie{Name: "__Host-rolecall_state", Value: "browser-handle"})
			w := httptest.NewRecorder()
			edge.ServeHTTP(w, r)
			if w.Code != test.status || w.Header().Get("Location") != test.location || s.begun.Type+s.back.Type != test.kind {
				t.Errorf("%d to %q by %q", w.Code, w.Header().Get("Location"), s.begun.Type+s.back.Type)
			}
			if test.kind == "" {
				return
			}
			if got := s.begun.Provider + s.back.Provider; got != "github" {
				t.Errorf("the provider is %q", got)
			}
			if s.begun.Type != "" && (!s.begun.Fresh || s.begun.ReturnTo != "/keys" || !strings.Contains(w.Header().Get("Set-Cookie"), "browser-handle")) {
				t.Errorf("begun %+v with %v", s.begun, w.Header())
			}
			if s.back.Type != "" && (s.back.Browser != "browser-handle" || s.back.Answer.Query.Get("code") != "c" || s.back.Answer.Method != http.MethodGet) {
				t.Errorf("back %+v", s.back)
			}
		})
	}
}
