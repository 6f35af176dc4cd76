package portal

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
)

func TestWithoutASessionAPageLeadsToTheSignInAndBack(t *testing.T) {
	t.Parallel()
	h := site(t, demo())
	for target, want := range map[string]string{
		"/": "/login?return_to=%2F",
		"/console?role=production/Admin&service=s3": "/login?return_to=%2Fconsole%3Frole%3Dproduction%2FAdmin%26service%3Ds3",
		"/keys?role=production/Admin":               "/login?return_to=%2Fkeys%3Frole%3Dproduction%2FAdmin",
		"/why?role=production/Admin":                "/login?return_to=%2Fwhy%3Frole%3Dproduction%2FAdmin",
	} {
		for _, session := range []string{"", "ended"} {
			w := send(h, httptest.NewRequest(http.MethodGet, "http://sso.example.com"+target, nil), session)
			if w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
				t.Errorf("%s with session %q: %d to %q, want 303 to %q", target, session, w.Code, w.Header().Get("Location"), want)
			}
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s: Cache-Control is %q", target, got)
			}
		}
	}
}

func TestWithoutASessionAFormDoesNothingAndLeadsBackToItsPage(t *testing.T) {
	t.Parallel()
	fake := demo()
	h := site(t, fake)
	for _, target := range []string{"/console", "/keys"} {
		w := send(h, formRequest(target, url.Values{"role": {"production/Admin"}, "csrf": {"x"}}), "")
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s answers %d", target, w.Code)
		}
		if want := "/login?return_to=%2F" + target[1:] + "%3Frole%3Dproduction%2FAdmin"; !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: the page does not lead to %s", target, want)
		}
	}
	if len(fake.orders)+len(fake.console) > 0 {
		t.Error("something was ordered")
	}
}

func TestTheListHasEachRoleWithBothItsLinks(t *testing.T) {
	t.Parallel()
	html := visit(site(t, demo()), "/").Body.String()
	for _, want := range []string{
		`href="/console?role=production/Admin"`, `href="/keys?role=production/Admin"`,
		`href="/console?role=development/Developer"`, `href="/keys?role=development/Deploy" title="Access keys only"`,
		`<li class="role withheld"><a class="open" href="/why?role=production/Billing"`,
		`<input type="search" id="q"`, `4 roles in 2 accounts`, `Sign out`, `until <time datetime="2026-11-23T22:00:00Z">22:00 UTC</time>`,
		`by <bdi>Corporate sign-in</bdi> with two factors`, `<bdi>Alice Meyer</bdi>`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the list lacks %s", want)
		}
	}
	if strings.Contains(html, `/console?role=development/Deploy`) {
		t.Error("a role without console is offered the console")
	}
}

func TestTheListMayLeadToTheConsolesOriginsAndNoOther(t *testing.T) {
	t.Parallel()
	for _, target := range []string{"/", "/console?role=production/Admin"} {
		csp := visit(site(t, demo()), target).Header().Get("Content-Security-Policy")
		if want := "form-action 'self' https://signin.aws.example https://*.console.aws.example; "; !strings.Contains(csp, want) {
			t.Errorf("%s: %q lacks %q", target, csp, want)
		}
	}
	if csp := visit(site(t, demo()), "/keys?role=production/Admin").Header().Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self'; ") {
		t.Errorf("keys: %q", csp)
	}
}

func TestWhoHasNoRoleReadsWhatToDo(t *testing.T) {
	t.Parallel()
	fake := &fakeBroker{groups: []string{"contractors", "everyone"}}
	w := visit(site(t, fake), "/")
	html := w.Body.String()
	for _, want := range []string{"no role", "What to do", "<bdi>contractors</bdi>, <bdi>everyone</bdi>", "Corporate sign-in", "request " + w.Header().Get("X-Request-Id") + " at 2026-11-23T12:00:00Z", "provider corp"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if w.Code != http.StatusOK {
		t.Errorf("answers %d: it is no error", w.Code)
	}
}

func TestAReadingRequestNeverOrders(t *testing.T) {
	t.Parallel()
	fake := demo()
	h := site(t, fake)
	for _, target := range []string{"/", "/?q=admin", "/console?role=production/Admin&service=s3", "/keys?role=production/Admin&duration=3600", "/keys?role=production/Admin&csrf=x"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			send(h, httptest.NewRequest(method, "http://sso.example.com"+target, nil), aliceSession)
		}
	}
	if len(fake.orders)+len(fake.console) > 0 {
		t.Errorf("ordered: %v %v", fake.orders, fake.console)
	}
}

func TestTheConsoleOpensByARedirectThatNothingElseHolds(t *testing.T) {
	t.Parallel()
	fake := demo()
	w := post(site(t, fake), "/console?role=production/Admin", "/console", url.Values{"role": {"production/Admin"}, "service": {"s3"}, "region": {"eu-north-1"}})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != consoleURL {
		t.Fatalf("answered %d to %q", w.Code, w.Header().Get("Location"))
	}
	if h := w.Header(); h.Get("Referrer-Policy") != "no-referrer" || h.Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), "SigninToken") {
		t.Errorf("headers %v, body %q", h, w.Body)
	}
	want := broker.ConsoleOrder{Role: "arn:aws:iam::111122223333:role/Admin", Service: "s3", Region: "eu-north-1"}
	if len(fake.console) != 1 || fake.console[0] != want {
		t.Errorf("ordered %+v, want %+v", fake.console, want)
	}
}

func TestKeysAreMadeByTheButtonAndShownMasked(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.stale = true
	w := post(site(t, fake), "/keys?role=production/Admin", "/keys", url.Values{"role": {"production/Admin"}, "duration": {"14400"}})
	html := w.Body.String()
	if w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Encoding") != "" {
		t.Fatalf("answered %d with %v", w.Code, w.Header())
	}
	for _, want := range []string{`data-left="1800" data-of="14400"`, `<span class="secret">` + secretKey + `</span>`, "ASIATEST", "AWS does not answer right now", "credential-process --role production/Admin", "region = eu-west-1"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if want := (broker.Order{Role: "arn:aws:iam::111122223333:role/Admin", Duration: "14400"}); len(fake.orders) != 1 || fake.orders[0] != want {
		t.Errorf("ordered %+v", fake.orders)
	}
	if w.Header().Get("X-Rolecall-Stale") != "1" {
		t.Error("the header for stale keys is missing")
	}
}

func TestAFormFromElsewhereIsRefused(t *testing.T) {
	t.Parallel()
	fake := demo()
	h := site(t, fake)
	token := tokenOf(visit(h, "/").Body.String())
	for name, change := range map[string]func(*http.Request){
		"from another site":        func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"from a sibling subdomain": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"with a wrong token":       func(r *http.Request) { _ = r.ParseForm(); r.PostForm.Set("csrf", "wrong") },
		"with the token in the address only": func(r *http.Request) {
			_ = r.ParseForm()
			r.PostForm.Del("csrf")
			r.URL.RawQuery = "csrf=" + token
		},
		"as JSON": func(r *http.Request) { r.Header.Set("Content-Type", "application/json") },
		"as text": func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
	} {
		for _, target := range []string{"/console", "/keys"} {
			r := formRequest(target, url.Values{"role": {"production/Admin"}, "csrf": {token}})
			change(r)
			if w := send(h, r, aliceSession); w.Code != http.StatusForbidden && w.Code != http.StatusBadRequest {
				t.Errorf("%s %s: answered %d", target, name, w.Code)
			}
		}
	}
	if len(fake.orders)+len(fake.console) > 0 {
		t.Errorf("ordered: %v %v", fake.orders, fake.console)
	}
}

func TestEveryConsoleOfAWSIsNamedInThePolicy(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	endpoint.AllowFormAction(w, AWSOrigins()...)
	csp := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{" https://signin.aws.amazon.com ", " https://*.console.aws.amazon.com ", " https://console.amazonaws-us-gov.com ", " https://*.signin.amazonaws.cn "} {
		if !strings.Contains(csp, want) {
			t.Errorf("%q lacks %q", csp, want)
		}
	}
}

var (
	_ Service   = (*broker.Broker)(nil)
	_ Explainer = (*broker.Broker)(nil)
)
