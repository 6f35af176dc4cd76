package visitor_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
	"github.com/rolecall/rolecall/idp"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

type fake struct{ broken bool }

func (f fake) Session(_ context.Context, _ broker.Origin, token string) (broker.Caller, error) {
	switch {
	case f.broken:
		return broker.Caller{}, broker.Fail(broker.Unavailable, "store", "Not now.")
	case token != "of-alice":
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "no_session", "Sign in again.")
	}
	return broker.Caller{Identity: idp.Identity{Provider: "corp", Subject: "1", Username: "alice"}, NotAfter: noon}, nil
}

func (fake) SignInProviders() []broker.ProviderInfo {
	return []broker.ProviderInfo{{Name: "corp", Label: "Corporate sign-in"}}
}

type mount struct {
	door visitor.Door
	seen *int
}

func (m mount) Mount(mux *endpoint.Mux) {
	h := m.door.In(func(http.ResponseWriter, *http.Request, broker.Caller) error { *m.seen++; return nil })
	mux.Page("GET /own", h)
	mux.Page("POST /own", h)
}

// ask sends a request through a door and reports the answer and how often it opened.
func ask(t *testing.T, f fake, r *http.Request) (w *httptest.ResponseRecorder, seen int) {
	t.Helper()
	pages, err := page.New(page.Config{})
	if err != nil {
		t.Fatal(err)
	}
	edge := endpoint.New(endpoint.Config{URL: &url.URL{Scheme: "http", Host: "sso.example.com"}, Problems: pages, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }},
		mount{visitor.Door{Sessions: f}, &seen})
	w = httptest.NewRecorder()
	edge.ServeHTTP(w, r)
	return w, seen
}

func request(method, body, session string) *http.Request {
	r := httptest.NewRequest(method, "http://sso.example.com/own?x=1", strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if session != "" {
		r.AddCookie(&http.Cookie{Name: "rolecall_session", Value: session})
	}
	return r
}

func token(session string) string {
	r := request(http.MethodGet, "", session)
	return endpoint.Cookies{}.CSRF(r)
}

func TestTheDoorOpensForWhoIsSignedInOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		broken       bool
		request      *http.Request
		code, opened int
	}{
		"signed in":                 {false, request("GET", "", "of-alice"), 200, 1},
		"without a session":         {false, request("GET", "", ""), 303, 0},
		"with an ended session":     {false, request("GET", "", "old"), 303, 0},
		"a form without a session":  {false, request("POST", "csrf=x", ""), 401, 0},
		"a form without its token":  {false, request("POST", "a=b", "of-alice"), 403, 0},
		"a form of another session": {false, request("POST", "csrf="+token("of-bob"), "of-alice"), 403, 0},
		"a form with its token":     {false, request("POST", "csrf="+token("of-alice"), "of-alice"), 200, 1},
		"while the store is away":   {true, request("GET", "", "of-alice"), 503, 0},
		"a form that is none at all": {false, func() *http.Request {
			r := request("POST", "{}", "of-alice")
			r.Header.Set("Content-Type", "application/json")
			return r
		}(), 400, 0},
	} {
		w, opened := ask(t, fake{c.broken}, c.request)
		if w.Code != c.code || opened != c.opened {
			t.Errorf("%s: %d, opened %d times; want %d, %d", name, w.Code, opened, c.code, c.opened)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: Cache-Control %q", name, w.Header().Get("Cache-Control"))
		}
		if c.code == 303 && w.Header().Get("Location") != "/login?return_to=%2Fown%3Fx%3D1" {
			t.Errorf("%s: to %s", name, w.Header().Get("Location"))
		}
	}
}

func TestAPersonIsShownByNameAndProvider(t *testing.T) {
	t.Parallel()
	caller := broker.Caller{NotAfter: noon, Identity: idp.Identity{Provider: "corp", Username: "alice", Methods: []string{"mfa"}, Attributes: map[string][]string{"displayName": {"Alice Meyer"}}}}
	yes := func(context.Context, broker.Caller) bool { return true }
	got := visitor.Door{Sessions: fake{}, Admin: yes}.Person(t.Context(), caller)
	want := visitor.Person{Username: "alice", Name: "Alice Meyer", Provider: "Corporate sign-in", MFA: true, Until: noon, Sessions: true, Admin: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	caller.Identity.Attributes = map[string][]string{"name": {"alice"}, "displayName": {"a", "b"}}
	if got := (visitor.Door{Sessions: fake{}}).Person(t.Context(), caller); got.Name != "" || got.Admin {
		t.Errorf("got %+v", got)
	}
}
