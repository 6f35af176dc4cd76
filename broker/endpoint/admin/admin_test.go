package admin

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
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/page/pagetest"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/operate/insight"
	"github.com/rolecall/rolecall/idp"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// fake admits whoever has the session of the operator.
type fake struct {
	admits   bool
	overview operate.Overview
	live     []operate.Live
	records  operate.Records
	asked    []operate.Filter
	ended    []string
	err      error
	position operate.Position
	lines    []string
	exported error
	looked
}

func (f *fake) Session(context.Context, broker.Origin, string) (broker.Caller, error) {
	return broker.Caller{Identity: idp.Identity{Provider: "corp", Subject: "o-1", Username: "ops@example.com"}, Session: "s-1", NotAfter: noon.Add(time.Hour)}, nil
}

func (f *fake) SignInProviders() []broker.ProviderInfo {
	return []broker.ProviderInfo{{Name: "corp", Label: "Corporate sign-in"}}
}

func (f *fake) refusal() error {
	if !f.admits {
		return broker.Fail(broker.AccessDenied, "not_admin", "Administration is not yours to see.")
	}
	return f.err
}

func (f *fake) Overview(context.Context, broker.Caller) (operate.Overview, error) {
	return f.overview, f.refusal()
}

func (f *fake) Live(context.Context, broker.Caller) ([]operate.Live, bool, error) {
	return f.live, false, f.refusal()
}

func (f *fake) End(_ context.Context, _ broker.Origin, _ broker.Caller, id string, everything bool, reason string) error {
	if err := f.refusal(); err != nil {
		return err
	}
	scope := "one"
	if everything {
		scope = "all"
	}
	f.ended = append(f.ended, id+" "+scope+" "+reason)
	return nil
}

func (f *fake) Search(_ context.Context, _ broker.Origin, _ broker.Caller, filter operate.Filter) (operate.Records, error) {
	f.asked = append(f.asked, filter)
	return f.records, f.refusal()
}

func (f *fake) Entry(_ context.Context, _ broker.Origin, _ broker.Caller, at int64) (operate.Position, error) {
	if at != f.position.At {
		return operate.Position{}, broker.Fail(broker.InvalidRequest, "no_record", "There is no such record.")
	}
	return f.position, f.refusal()
}

func (f *fake) Export(_ context.Context, _ broker.Origin, _ broker.Caller, filter operate.Filter, each func([]byte) error) (bool, error) {
	f.asked = append(f.asked, filter)
	if err := f.refusal(); err != nil {
		return false, err
	}
	for _, line := range f.lines {
		if err := each([]byte(line)); err != nil {
			return false, err
		}
	}
	return false, f.exported
}

func entry(ago time.Duration, change func(*operate.Entry)) operate.Entry {
	r := operate.Entry{Time: noon.Add(-ago)}
	r.RequestID, r.Provider, r.Username, r.Address = "R1", "corp", "alice@example.com", "198.51.100.24"
	change(&r)
	return r
}

func demo() *fake {
	refusedAt := entry(time.Minute, func(r *operate.Entry) {
		r.Event.Event, r.Outcome, r.Reason, r.Role = "console", "refused", "role_not_granted", "arn:aws:iam::111122223333:role/Admin"
	})
	return &fake{
		admits: true,
		overview: operate.Overview{
			Live: 412, People: 287, Issued: 1904, Refused: 37, Read: 5120, Whole: true, Last: []operate.Entry{refusedAt},
			Reasons: []operate.Reason{{Event: "signin", Provider: "partner", Reason: "sha1", Count: 12}},
		},
		live: []operate.Live{
			{ID: "s-1", Kind: "browser", Provider: "corp", Subject: "1", Username: "alice@example.com", Address: "198.51.100.24", Agent: "Firefox on Linux", Since: noon.Add(-time.Hour), LastSeen: noon, Ends: noon.Add(time.Hour)},
			{ID: "f-1", Kind: "cli", Client: "rolecall-cli", Provider: "corp", Subject: "1", Username: "alice@example.com", Since: noon.Add(-26 * time.Hour), Ends: noon.Add(time.Hour)},
			{ID: "s-2", Kind: "browser", Provider: "google", Subject: "2", Username: "bob@example.com", Since: noon.Add(-time.Hour), LastSeen: noon, Ends: noon.Add(time.Hour)},
		},
		looked: demoLooked(),
		lines:  []string{`{"time":"2026-11-23T11:59:00Z","request_id":"R1"}`, `{"time":"2026-11-23T11:58:00Z","request_id":"R0"}`},
		position: operate.Position{
			Record: entry(2*time.Minute, func(r *operate.Entry) {
				r.At, r.Event.Event, r.Outcome, r.Reason, r.Subject, r.Role, r.Grant, r.Hash = 4096, "console", "refused", "role_not_granted", "1", "arn:aws:iam::111122223333:role/Admin", "platform-admin", strings.Repeat("9f", 32)
			}),
			Line: `{"time":"2026-11-23T11:58:00Z","detail":"a <b>detail</b>"}`, Number: 184219, Prev: strings.Repeat("51", 32), Intact: true, Followed: 1, NextHash: strings.Repeat("e0", 32), Linked: true,
		},
		records: operate.Records{Read: 5120, Whole: true, More: true, Older: 4096, Newer: 9001, List: []operate.Entry{
			refusedAt,
			entry(2*time.Minute, func(r *operate.Entry) { r.Event.Event, r.Outcome = "credentials", "granted" }),
			entry(3*time.Minute, func(r *operate.Entry) { r.Event.Event = "credentials" }),
			entry(30*time.Hour, func(r *operate.Entry) {
				r.Event.Event, r.Outcome, r.Count, r.Username, r.Detail = "signin", "failed", 7, "", "a <b>detail</b>"
			}),
		}},
	}
}

func site(t *testing.T, f *fake) http.Handler {
	t.Helper()
	pages, err := page.New(page.Config{Organisation: "Example Corp", Support: "cloud-access@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	admits := func(context.Context, broker.Caller) bool { return f.admits }
	e, err := New(Config{Service: f, Exporter: f, Insight: insightOf{f}, AccountName: accountName, Door: visitor.Door{Sessions: f, Admin: admits}, Pages: pages, Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	edge := endpoint.New(endpoint.Config{URL: &url.URL{Scheme: "http", Host: "sso.example.com"}, Problems: pages, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }}, pages, e)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "sso.example.com"
		r.AddCookie(&http.Cookie{Name: "rolecall_session", Value: "session-of-ops"})
		edge.ServeHTTP(w, r)
	})
}

func accountName(id string) string { return map[string]string{"111122223333": "production"}[id] }

func visit(h http.Handler, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://sso.example.com"+target, nil))
	return w
}

// revoke posts the form, with the token of its page unless told otherwise.
func revoke(h http.Handler, form url.Values) *httptest.ResponseRecorder {
	if m := regexp.MustCompile(`name="csrf" value="([\w-]+)"`).FindStringSubmatch(visit(h, "/admin/sessions").Body.String()); m != nil && !form.Has("csrf") {
		form.Set("csrf", m[1])
	}
	r := httptest.NewRequest(http.MethodPost, "http://sso.example.com/admin/revoke", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func pagesOf() map[string]string {
	return map[string]string{
		"overview": "/admin/", "live": "/admin/sessions", "live-ended": "/admin/sessions?ended=1&kind=cli", "live-none": "/admin/sessions?q=nobody",
		"revoke": "/admin/revoke?session=f-1", "audit": "/admin/audit?q=alice&outcome=refused", "audit-more": "/admin/audit?person=alice&from=2026-11-23T09:00",
		"record": "/admin/audit/record?at=4096", "people": "/admin/people", "people-none": "/admin/people?q=nobody",
		"explain-form": "/admin/explain", "explain-all": "/admin/explain?person=alice@example.com", "explain-role": "/admin/explain?person=corp%3D1&role=production/Admin&address=198.51.100.24",
		"explain-described": "/admin/explain?provider=corp&username=new&groups=platform%0D%0Adevelopers&role=bad", "access": "/admin/access", "access-focus": "/admin/access?focus=group:platform",
		"access-none": "/admin/access?q=nothing", "health": "/admin/health", "configuration": "/admin/configuration",
	}
}

func TestEachPageIsAsItsGoldenFileSays(t *testing.T) {
	t.Parallel()
	h := site(t, demo())
	for name, target := range pagesOf() {
		pagetest.Golden(t, name, visit(h, target).Body.String(), *update)
	}
	quiet := site(t, &fake{admits: true, records: operate.Records{Read: 3}})
	pagetest.Golden(t, "overview-broken", visit(quiet, "/admin/").Body.String(), *update)
	pagetest.Golden(t, "audit-none", visit(quiet, "/admin/audit").Body.String(), *update)
}

func TestEachPageIsForEverybodyOnAPhoneAndOnADesk(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(site(t, demo()))
	t.Cleanup(server.Close)
	pagetest.Browse(t, server.URL, "/admin/", pagesOf())
}

func TestWhoIsNotAdmittedSeesNothingAndDoesNothing(t *testing.T) {
	t.Parallel()
	f := demo()
	f.admits = false
	h := site(t, f)
	for _, target := range pagesOf() {
		w := visit(h, target)
		html := w.Body.String()
		if w.Code != http.StatusForbidden || strings.Contains(html, "alice@example.com") || strings.Contains(html, "412") || strings.Contains(html, `href="/admin/"`) {
			t.Errorf("%s: answered %d", target, w.Code)
		}
	}
	csrf := endpoint.Cookies{}.CSRF(func() *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: "rolecall_session", Value: "session-of-ops"})
		return r
	}())
	if w := revoke(h, url.Values{"session": {"s-2"}, "reason": {"x"}, "csrf": {csrf}}); w.Code != http.StatusForbidden || len(f.ended) > 0 {
		t.Errorf("revoked: %d, %v", w.Code, f.ended)
	}
}

func TestASessionIsRevokedByTheFormOnly(t *testing.T) {
	t.Parallel()
	f := demo()
	h := site(t, f)
	visit(h, "/admin/revoke?session=s-2&scope=user&reason=x")
	if w := revoke(h, url.Values{"session": {"s-2"}, "reason": {"x"}, "csrf": {"wrong"}}); w.Code != http.StatusForbidden || len(f.ended) > 0 {
		t.Fatalf("without the token: %d, %v", w.Code, f.ended)
	}
	revoke(h, url.Values{"session": {"s-2"}, "reason": {"lost laptop"}})
	w := revoke(h, url.Values{"session": {"f-1"}, "scope": {"user"}, "reason": {"left"}})
	if got := strings.Join(f.ended, "; "); got != "s-2 one lost laptop; f-1 all left" || w.Header().Get("Location") != "/admin/sessions?ended=1" {
		t.Errorf("ended %s, to %s", got, w.Header().Get("Location"))
	}
	if w := visit(h, "/admin/revoke?session=nothing"); w.Code != http.StatusNotFound {
		t.Errorf("a session that is gone: answered %d", w.Code)
	}
}

func TestTheListOfSessionsIsFiltered(t *testing.T) {
	t.Parallel()
	h := site(t, demo())
	for target, want := range map[string]string{
		"/admin/sessions": "3 of 3", "/admin/sessions?q=firefox": "1 of 3", "/admin/sessions?q=198.51": "1 of 3", "/admin/sessions?q=ALICE": "2 of 3", "/admin/sessions?q=s-2": "1 of 3", "/admin/sessions?provider=google": "1 of 3", "/admin/sessions?kind=cli&q=bob": "0 of 3", "/admin/sessions?kind=nonsense": "0 of 3",
	} {
		if html := visit(h, target).Body.String(); !strings.Contains(html, want) {
			t.Errorf("%s: the page lacks %q", target, want)
		}
	}
}

func TestASearchAsksForWhatTheFormSays(t *testing.T) {
	t.Parallel()
	f := demo()
	h := site(t, f)
	for target, want := range map[string]operate.Filter{
		"/admin/audit":                       {Since: time.Hour},
		"/admin/audit?before=4096&since=all": {Before: 4096},
		"/admin/audit?after=17&before=-3":    {After: 17, Since: time.Hour},
		"/admin/audit?request=R1":            {Request: "R1"},
		"/admin/audit?person=alice&role=production/Admin&address=192.0.2.&since=168h": {Person: "alice", Role: "production/Admin", Address: "192.0.2.", Since: 168 * time.Hour},
		"/admin/audit?from=2026-11-23T09:00&until=2026-11-23T10:00:30":                {From: noon.Add(-3 * time.Hour), Until: noon.Add(-2*time.Hour + 30*time.Second)},
		"/admin/audit?q=+alice+&event=signin&outcome=refused&since=24h":               {Text: "alice", Event: "signin", Outcome: "refused", Since: 24 * time.Hour},
		"/admin/audit?event=anything&outcome=%27+OR+1&since=-5h":                      {Since: time.Hour},
		"/admin/audit?event=admin.&since=2160h&q=" + strings.Repeat("x", 1000):        {Event: "admin.", Text: strings.Repeat("x", 200), Since: 2160 * time.Hour},
	} {
		f.asked = nil
		if w := visit(h, target); w.Code != http.StatusOK || len(f.asked) != 1 || f.asked[0] != want {
			t.Errorf("%.60s: asked %+v", target, f.asked)
		}
	}
	if html := visit(h, "/admin/audit").Body.String(); strings.Contains(html, "<b>detail") || !strings.Contains(html, "failed, 7 times") {
		t.Error("a detail became markup, or the count is missing")
	}
}

var (
	_ Service  = (*operate.Desk)(nil)
	_ Exporter = (*operate.Desk)(nil)
	_ Insight  = (*insight.Insight)(nil)
)
