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
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/config/secret"
)

// site is the endpoint over a service that remembers what it was asked.
type site struct {
	edge    http.Handler
	signIns []broker.SignInRequest
	leaves  []broker.LeaveRequest
	left    broker.Left
	err     error
}

func (s *site) Begin(context.Context, broker.BeginRequest) (broker.Begun, error) {
	return broker.Begun{}, s.err
}

func (s *site) SignIn(_ context.Context, req broker.SignInRequest) (broker.SignedIn, error) {
	s.signIns = append(s.signIns, req)
	return broker.SignedIn{Token: secret.New("the-session"), Expires: time.Now().Add(time.Hour), ReturnTo: "/console?role=a/b"}, s.err
}

func (s *site) ConfirmSignIn(context.Context, broker.ConfirmRequest) (broker.SignedIn, error) {
	return broker.SignedIn{}, s.err
}

func (s *site) Departed(context.Context, broker.DepartedRequest) error { return s.err }

func (s *site) Leave(_ context.Context, req broker.LeaveRequest) (broker.Left, error) {
	s.leaves = append(s.leaves, req)
	return s.left, s.err
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{}
	cookies := endpoint.Cookies{HTTPS: true}
	pages, err := page.New(page.Config{Cookies: cookies})
	if err != nil {
		t.Fatal(err)
	}
	s.edge = endpoint.New(endpoint.Config{
		URL: &url.URL{Scheme: "https", Host: "sso.example.com"}, Problems: pages, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}, pages, oidc.Endpoint{SignIn: endpoint.SignIn{Service: s, Cookies: cookies, Pages: pages}, Logout: s})
	return s
}

// ask is a request of a browser that comes from the provider's site.
func (s *site) ask(method, target, kind, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://sso.example.com"+target, strings.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Origin", "https://op.example.com")
	r.AddCookie(&http.Cookie{Name: "__Host-rolecall_state", Value: "browser"})
	w := httptest.NewRecorder()
	s.edge.ServeHTTP(w, r)
	return w
}

const formKind = "application/x-www-form-urlencoded"

func TestAnAnswerComesByTheAddressOrByAForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, target, kind, body string
		status                     int
		query, form                url.Values // what the service is given; nil is that it is not asked
	}{
		"by the address": {"GET", "/oidc/staff/callback?code=c&state=s", "", "", 303, url.Values{"code": {"c"}, "state": {"s"}}, nil},
		"by a form":      {"POST", "/oidc/staff/callback", formKind, "code=c&state=s&iss=https%3A%2F%2Fop", 303, url.Values{}, url.Values{"code": {"c"}, "state": {"s"}, "iss": {"https://op"}}},
		"by both, which are kept apart": {"POST", "/oidc/staff/callback?code=q&state=s", formKind, "code=f&state=s", 303,
			url.Values{"code": {"q"}, "state": {"s"}}, url.Values{"code": {"f"}, "state": {"s"}}},
		"by a form of another kind":      {"POST", "/oidc/staff/callback", "text/plain", "code=c&state=s", 400, nil, nil},
		"by JSON":                        {"POST", "/oidc/staff/callback", "application/json", `{"code":"c"}`, 400, nil, nil},
		"by a form of half a megabyte":   {"POST", "/oidc/staff/callback", formKind, "code=" + strings.Repeat("A", 600<<10), 413, nil, nil},
		"by a form that cannot be read":  {"POST", "/oidc/staff/callback", formKind, "code=%zz", 400, nil, nil},
		"by a method of another purpose": {"PUT", "/oidc/staff/callback", formKind, "code=c&state=s", 405, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			w := s.ask(c.method, c.target, c.kind, c.body)
			if w.Code != c.status {
				t.Fatalf("%d, want %d: %.300s", w.Code, c.status, w.Body)
			}
			if c.query == nil {
				if len(s.signIns) != 0 || len(w.Result().Cookies()) != 0 {
					t.Errorf("the service was asked %+v, cookies %v", s.signIns, w.Result().Cookies())
				}
				return
			}
			got := s.signIns[0]
			if got.Provider != "staff" || got.Type != "oidc" || got.Browser != "browser" || got.Answer.Method != c.method {
				t.Errorf("asked %+v", got)
			}
			if got.Answer.Query.Encode() != c.query.Encode() || got.Answer.Form.Encode() != c.form.Encode() {
				t.Errorf("query %v, form %v", got.Answer.Query, got.Answer.Form)
			}
			// Whoever posted is sent on by 303, so that going back or reloading posts nothing again.
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/console?role=a/b" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%d to %q, %q", w.Code, w.Header().Get("Location"), w.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestTheStateCookieComesWithAFormFromAnotherSite(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	endpoint.Cookies{HTTPS: true}.SetState(w, "browser")
	c := w.Result().Cookies()[0]
	if c.SameSite != http.SameSiteNoneMode || !c.Secure || !c.HttpOnly || !strings.HasPrefix(c.Name, "__Host-") {
		t.Errorf("%+v", c)
	}
}

func TestARefusedAnswerGivesNoSession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.err = broker.Fail(broker.AccessDenied, "response-mode", "The identity provider's answer was not accepted.")
	w := s.ask("POST", "/oidc/staff/callback", formKind, "code=c&state=s")
	if w.Code != http.StatusForbidden || len(w.Result().Cookies()) != 0 || !strings.Contains(w.Body.String(), "response-mode") {
		t.Errorf("%d, %v, %.500s", w.Code, w.Result().Cookies(), w.Body)
	}
}

func TestBackFromALogoutAtTheProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	w := s.ask("GET", "/oidc/staff/logout?state=s", "", "")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/logout" {
		t.Errorf("%d to %q", w.Code, w.Header().Get("Location"))
	}
	got := s.leaves[0]
	if !got.Returned || got.Provider != "staff" || got.Type != "oidc" || got.Browser != "browser" || got.Answer.Query.Get("state") != "s" {
		t.Errorf("asked %+v", got)
	}
	s.err = broker.Fail(broker.InvalidRequest, "no_pending_logout", "This sign-out was not begun in this browser.")
	if w := s.ask("GET", "/oidc/staff/logout?state=s", "", ""); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "no_pending_logout") {
		t.Errorf("a logout that was not begun: %d", w.Code)
	}
	if w := s.ask("POST", "/oidc/staff/logout", formKind, "state=s"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("by POST: %d", w.Code)
	}
}

// Whatever a browser or a provider sends: an answer below 500, no session where
// the service did not make one, and at most one question to the service.
func FuzzCallback(f *testing.F) {
	for _, seed := range []struct{ query, body string }{
		{"code=c&state=s&iss=https%3A%2F%2Fop.example.com", ""},
		{"", "code=c&state=s"},
		{"state=a&state=b", "state=c;code=d"},
		{"error=access_denied&error_description=%3Cscript%3E", "user=%7B%22name%22%3A%7B%7D%7D"},
		{"%", "%zz=%"},
		{"code=" + strings.Repeat("A", 5000), "\x00\xff"},
	} {
		f.Add(true, seed.query, seed.body)
		f.Add(false, seed.query, seed.body)
	}
	s := newSite(f)
	s.err = broker.Fail(broker.AccessDenied, "state", "No.")
	f.Fuzz(func(t *testing.T, post bool, query, body string) {
		s.signIns = nil
		r := httptest.NewRequest(http.MethodGet, "https://sso.example.com/oidc/staff/callback", nil)
		if post {
			r = httptest.NewRequest(http.MethodPost, "https://sso.example.com/oidc/staff/callback", strings.NewReader(body))
			r.Header.Set("Content-Type", formKind)
		}
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		s.edge.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 || len(s.signIns) > 1 || len(w.Result().Cookies()) != 0 {
			t.Errorf("%d after %d questions, cookies %v", w.Code, len(s.signIns), w.Result().Cookies())
		}
		if post == false && len(s.signIns) == 1 && len(s.signIns[0].Answer.Form) != 0 {
			t.Errorf("a GET with a form: %v", s.signIns[0].Answer.Form)
		}
	})
}
