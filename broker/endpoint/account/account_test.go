package account

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	own "github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/page/pagetest"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
	"github.com/rolecall/rolecall/idp"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const aliceSession = "session-of-alice"

// fake answers from fields and remembers what it was asked to end.
type fake struct {
	sessions []own.Session
	activity []own.Activity
	more     bool
	err      error
	ended    []string
	fakeMarks
}

func (f *fake) Session(_ context.Context, _ broker.Origin, token string) (broker.Caller, error) {
	if token != aliceSession {
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "no_session", "Your session has ended. Sign in again.")
	}
	return broker.Caller{Identity: idp.Identity{Provider: "corp", Subject: "1", Username: "alice@example.com"}, Session: "s-1", NotAfter: noon.Add(10 * time.Hour)}, nil
}

func (f *fake) SignInProviders() []broker.ProviderInfo {
	return []broker.ProviderInfo{{Name: "corp", Label: "Corporate sign-in"}}
}

func (f *fake) Sessions(context.Context, broker.Caller) ([]own.Session, error) {
	return f.sessions, f.err
}

func (f *fake) Activity(context.Context, broker.Caller) ([]own.Activity, bool, error) {
	return f.activity, f.more, f.err
}

func (f *fake) End(_ context.Context, _ broker.Origin, _ broker.Caller, id string) error {
	f.ended = append(f.ended, id)
	return f.err
}

func (f *fake) EndAll(context.Context, broker.Origin, broker.Caller) error {
	f.ended = append(f.ended, "all")
	return f.err
}

func demo() *fake {
	return &fake{
		sessions: []own.Session{
			{ID: "s-1", Kind: "browser", Current: true, Agent: "Firefox on Linux", Address: "198.51.100.24", Since: noon.Add(-2 * time.Hour), LastSeen: noon.Add(-time.Minute), Ends: noon.Add(10 * time.Hour)},
			{ID: "f-1", Kind: "cli", Client: "rolecall-cli", Address: "2001:db8:1:2:3:4:5:6", Since: noon.Add(-20 * time.Hour), LastSeen: noon.Add(-30 * time.Minute), Ends: noon.Add(20 * time.Hour)},
			{ID: "f-2", Kind: "device", Since: noon.Add(-time.Hour), Ends: noon.Add(time.Hour)},
		},
		activity: []own.Activity{
			{Time: noon.Add(-time.Minute), Event: "credentials", Outcome: "granted", Role: "arn:aws:iam::444455556666:role/Developer", Address: "198.51.100.24", Duration: time.Hour, RequestID: "R1"},
			{Time: noon.Add(-2 * time.Minute), Event: "console", Outcome: "refused", Reason: "role_not_granted", Role: "production/Admin", Address: "198.51.100.24", RequestID: "R2"},
			{Time: noon.Add(-3 * time.Minute), Event: "credentials", Outcome: "failed", Role: "arn:aws:iam::444455556666:role/Developer", RequestID: "R3"},
			{Time: noon.Add(-26 * time.Hour), Event: "signin", Outcome: "refused", Reason: "expired", Address: "192.0.2.88", RequestID: "R4"},
			{Time: noon.Add(-27 * time.Hour), Event: "something.new", Outcome: "granted", RequestID: "R5"},
		},
	}
}

func site(t *testing.T, f *fake) http.Handler {
	t.Helper()
	pages, err := page.New(page.Config{Organisation: "Example Corp", Support: "cloud-access@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Service: f, Marks: f, Roles: f, Door: visitor.Door{Sessions: f}, Pages: pages, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	var edge http.Handler
	mux := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/test-sign-in" {
			http.SetCookie(w, &http.Cookie{Name: "rolecall_session", Value: aliceSession, Path: "/", HttpOnly: true})
			return
		}
		r.Host = "sso.example.com"
		edge.ServeHTTP(w, r)
	})
	edge = endpoint.New(endpoint.Config{URL: &url.URL{Scheme: "http", Host: "sso.example.com"}, Problems: pages, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }}, pages, e)
	return mux
}

func visit(h http.Handler, target string) *httptest.ResponseRecorder {
	return send(h, httptest.NewRequest(http.MethodGet, "http://sso.example.com"+target, nil))
}

func send(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	r.AddCookie(&http.Cookie{Name: "rolecall_session", Value: aliceSession})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// post sends a form with the token of the page at from.
func post(h http.Handler, from, target string, form url.Values) *httptest.ResponseRecorder {
	if m := regexp.MustCompile(`name="csrf" value="([\w-]+)"`).FindStringSubmatch(visit(h, from).Body.String()); m != nil {
		form.Set("csrf", m[1])
	}
	r := httptest.NewRequest(http.MethodPost, "http://sso.example.com"+target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return send(h, r)
}

// pagesOf are all pages in the states that matter.
func pagesOf() map[string]string {
	return map[string]string{"sessions": "/sessions", "sessions-ended": "/sessions?ended=1", "sessions-end-all": "/sessions/end-all",
		"account": "/accounts/111122223333", "account-new": "/accounts/444455556666"}
}

func TestEachPageIsAsItsGoldenFileSays(t *testing.T) {
	t.Parallel()
	h := site(t, demo())
	for name, target := range pagesOf() {
		pagetest.Golden(t, name, visit(h, target).Body.String(), *update)
	}
	pagetest.Golden(t, "sessions-quiet", visit(site(t, &fake{sessions: demo().sessions[:1]}), "/sessions").Body.String(), *update)
}

func TestEachPageIsForEverybodyOnAPhoneAndOnADesk(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(site(t, demo()))
	t.Cleanup(server.Close)
	pagetest.Browse(t, server.URL, "/test-sign-in", pagesOf())
}

func TestASessionEndsByItsButtonOnly(t *testing.T) {
	t.Parallel()
	f := demo()
	h := site(t, f)
	for _, target := range []string{"/sessions?session=f-1", "/sessions/end-all?confirm=1"} {
		visit(h, target)
	}
	r := httptest.NewRequest(http.MethodPost, "http://sso.example.com/sessions", strings.NewReader("session=f-1&csrf=wrong"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if w := send(h, r); w.Code != http.StatusForbidden || len(f.ended) > 0 {
		t.Fatalf("without the token: %d, ended %v", w.Code, f.ended)
	}
	w := post(h, "/sessions", "/sessions", url.Values{"session": {"f-1"}})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/sessions?ended=1" || len(f.ended) != 1 || f.ended[0] != "f-1" {
		t.Errorf("%d to %s, ended %v", w.Code, w.Header().Get("Location"), f.ended)
	}
	if strings.Contains(w.Header().Get("Set-Cookie"), "rolecall_session") {
		t.Error("this browser lost its session")
	}
}

func TestTheEndOfThisSessionLeadsOut(t *testing.T) {
	t.Parallel()
	for target, form := range map[string]url.Values{"/sessions": {"session": {"s-1"}}, "/sessions/end-all": {}} {
		f := demo()
		w := post(site(t, f), "/sessions", target, form)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/logout" || len(f.ended) != 1 || !strings.Contains(w.Header().Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("%s: %d to %s, ended %v, cookie %q", target, w.Code, w.Header().Get("Location"), f.ended, w.Header().Get("Set-Cookie"))
		}
	}
}

func TestAnEndThatFailsKeepsTheCookieAndSaysSo(t *testing.T) {
	t.Parallel()
	f := demo()
	h := site(t, f)
	form := url.Values{}
	if m := regexp.MustCompile(`name="csrf" value="([\w-]+)"`).FindStringSubmatch(visit(h, "/sessions").Body.String()); m != nil {
		form.Set("csrf", m[1])
	}
	f.err = broker.Fail(broker.InvalidRequest, "no_such_session", "There is no such session of yours.")
	r := httptest.NewRequest(http.MethodPost, "http://sso.example.com/sessions", strings.NewReader(form.Encode()+"&session=s-1"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := send(h, r)
	if w.Code != http.StatusBadRequest || w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Body.String(), "no such session of yours") {
		t.Errorf("%d, cookie %q", w.Code, w.Header().Get("Set-Cookie"))
	}
}

func TestARefusalLeadsToItsReason(t *testing.T) {
	t.Parallel()
	html := visit(site(t, demo()), "/sessions").Body.String()
	for _, want := range []string{`<span class="word bad">refused: role not granted</span> <a href="/why?role=production/Admin">why</a>`, "issued until 12:59", "444455556666/Developer", "22 Nov 10:00:00", "something.new", `aria-current="page">My sessions`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
}

var _ Service = (*own.Service)(nil)
