package devidp

import (
	"crypto/rand"
	"crypto/rsa"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

const (
	testSP       = "https://broker.example/saml/dev/metadata"
	testACS      = "https://broker.example/saml/dev/acs"
	testCallback = "https://broker.example/oidc/dev/callback"
)

var sharedKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is a running provider and the clock it goes by.
type house struct {
	*IDP
	url   string
	clock *clock
}

func start(t *testing.T) house {
	t.Helper()
	key, err := sharedKey()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	h := house{url: "http://" + server.Listener.Addr().String(), clock: &clock{at: time.Now()}}
	h.IDP, err = New(Config{
		URL: h.url, Key: key, Now: h.clock.now,
		People: []Person{
			{Username: "alice", Password: secret.New("alice-pw"), Name: "Alice Ames", Email: "alice@example.com", Groups: []string{"platform", "developers"}},
			{Username: "carol", Password: secret.New("carol-pw"), Name: "Carol <b>Cole</b>", Email: "carol@example.com"},
		},
		ServiceProviders: []ServiceProvider{{EntityID: testSP, ACSURL: testACS}},
		Clients: []Client{
			{ID: "broker", Secret: secret.New("s3cret/+&"), RedirectURIs: []string{testCallback}},
			{ID: "public", RedirectURIs: []string{testCallback}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = h.IDP
	server.Start()
	t.Cleanup(server.Close)
	return h
}

// browser keeps cookies and stops at every redirect.
type browser struct {
	t *testing.T
	*http.Client
}

func newBrowser(t *testing.T) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return browser{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// page is an answer that was read.
type page struct {
	*http.Response
	text string
}

func (b browser) do(req *http.Request) page {
	b.t.Helper()
	resp, err := b.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{resp, string(body)}
}

func (b browser) get(address string) page {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(req)
}

func (b browser) post(address string, form url.Values) page {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(req)
}

// field reads a hidden field of the page; empty when there is none.
func (p page) field(name string) string {
	m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(p.text)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// signIn fills in the form of a page.
func (b browser) signIn(h house, form page, username, password string) page {
	b.t.Helper()
	return b.post(h.url+"/login", url.Values{"asked": {form.field("asked")}, "username": {username}, "password": {password}})
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]Config{
		"no URL":              {},
		"a URL with a path":   {URL: "http://127.0.0.1:1/idp"},
		"a person unnamed":    {URL: "http://127.0.0.1:1", People: []Person{{Password: secret.New("x")}}},
		"a person unguarded":  {URL: "http://127.0.0.1:1", People: []Person{{Username: "x"}}},
		"a URL with a query":  {URL: "http://127.0.0.1:1?x"},
		"a URL that is none":  {URL: "127.0.0.1:1"},
		"a path of one slash": {URL: "http://127.0.0.1:1/"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestOtherHostsAreMisdirected(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, host := range []string{"evil.example", "localhost", ""} {
		req := httptest.NewRequest(http.MethodGet, h.url+"/saml/metadata", nil)
		req.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, req)
		if w.Code != http.StatusMisdirectedRequest {
			t.Errorf("Host %q: %d", host, w.Code)
		}
	}
}

func TestEveryPageHasStrictHeaders(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	for _, path := range []string{"/", "/nothing", "/saml/sso", "/oidc/authorize"} {
		p := b.get(h.url + path)
		csp := p.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"Cross-Origin-Opener-Policy": "same-origin", "X-Frame-Options": "DENY", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := p.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if regexp.MustCompile(`<style|style=|<script>|onclick|onload`).MatchString(p.text) {
			t.Errorf("%s holds inline style or script", path)
		}
	}
	for name, kind := range map[string]string{"devidp.css": "text/css; charset=utf-8", "continue.js": "text/javascript; charset=utf-8"} {
		if p := b.get(h.url + "/assets/" + name); p.StatusCode != 200 || p.Header.Get("Content-Type") != kind {
			t.Errorf("%s: %d %s", name, p.StatusCode, p.Header.Get("Content-Type"))
		}
	}
	if p := b.get(h.url + "/assets/..%2fpages%2flogin.html"); p.StatusCode != http.StatusNotFound {
		t.Errorf("a template came out as an asset: %d", p.StatusCode)
	}
}

func TestHomeShowsPeopleEscapedAndWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	p := b.get(h.url + "/")
	if !strings.Contains(p.text, "Nobody is signed in") || !strings.Contains(p.text, "Carol &lt;b&gt;Cole&lt;/b&gt;") || strings.Contains(p.text, "alice-pw") {
		t.Errorf("home: %s", p.text)
	}
	b.signIn(h, b.get(h.authorizeURL(nil)), "alice", "alice-pw")
	if p := b.get(h.url + "/"); !strings.Contains(p.text, "Signed in as Alice Ames") {
		t.Errorf("home when signed in: %s", p.text)
	}
	if p := b.post(h.url+"/logout", nil); p.StatusCode != http.StatusSeeOther {
		t.Errorf("sign-out: %d", p.StatusCode)
	}
	if p := b.get(h.url + "/"); !strings.Contains(p.text, "Nobody is signed in") {
		t.Error("still signed in")
	}
}

func TestWrongPasswordIsRefusedClearlyAndMayBeTriedAgain(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	form := b.get(h.authorizeURL(nil))
	for _, attempt := range [][2]string{
		{"alice", "wrong"}, {"alice", ""}, {"alice", "carol-pw"}, {"nobody", "alice-pw"}, {"", ""}, {"ALICE", "alice-pw"}, {`"><script>`, "x"},
	} {
		p := b.signIn(h, form, attempt[0], attempt[1])
		if p.StatusCode != http.StatusUnauthorized || !strings.Contains(p.text, "do not belong together") || len(p.Cookies()) > 0 {
			t.Errorf("%v: %d, cookies %v", attempt, p.StatusCode, p.Cookies())
		}
		if strings.Contains(p.text, "<script>") {
			t.Error("the user name is written unescaped")
		}
	}
	p := b.signIn(h, form, "alice", "alice-pw")
	if p.StatusCode != http.StatusSeeOther || len(p.Cookies()) != 1 {
		t.Fatalf("the right password: %d", p.StatusCode)
	}
	if c := p.Cookies()[0]; c.Name != cookieName || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
		t.Errorf("cookie %v", c)
	}
	if p := b.signIn(h, form, "alice", "alice-pw"); p.StatusCode != http.StatusBadRequest {
		t.Errorf("the form worked twice: %d", p.StatusCode)
	}
}

func TestFormOfAnotherSiteIsRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	form := b.get(h.authorizeURL(nil))
	for _, path := range []string{"/login", "/logout"} {
		body := url.Values{"asked": {form.field("asked")}, "username": {"alice"}, "password": {"alice-pw"}}.Encode()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "cross-site")
		if p := b.do(req); p.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", path, p.StatusCode)
		}
	}
}

func TestSessionAndFormEndWithTime(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	form := b.get(h.authorizeURL(nil))
	h.clock.add(askedLife)
	if p := b.signIn(h, form, "alice", "alice-pw"); p.StatusCode != http.StatusBadRequest {
		t.Errorf("an old form: %d", p.StatusCode)
	}
	b.signIn(h, b.get(h.authorizeURL(nil)), "alice", "alice-pw")
	if p := b.get(h.authorizeURL(nil)); p.StatusCode != http.StatusSeeOther {
		t.Errorf("within the session: %d", p.StatusCode)
	}
	h.clock.add(sessionLife)
	if p := b.get(h.authorizeURL(nil)); p.StatusCode != http.StatusOK || p.field("asked") == "" {
		t.Errorf("after the session: %d", p.StatusCode)
	}
}

func TestHugeFormIsRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	p := newBrowser(t).post(h.url+"/oidc/token", url.Values{"x": {strings.Repeat("x", maxBody)}})
	if p.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d", p.StatusCode)
	}
}

func TestKeptIsBoundedAndForgets(t *testing.T) {
	t.Parallel()
	c := &clock{at: time.Unix(1, 0)}
	k := newKept[int](c.now)
	first := k.put(1, time.Minute)
	for i := range 3 * keptAtMost {
		k.put(i, time.Hour)
	}
	if len(k.items) > keptAtMost {
		t.Errorf("%d items", len(k.items))
	}
	name := k.put(7, time.Minute)
	if v, ok := k.take(name); !ok || v != 7 {
		t.Error("what was put is not there")
	}
	if _, ok := k.take(name); ok {
		t.Error("taken twice")
	}
	c.add(time.Minute)
	if _, ok := k.get(first); ok {
		t.Error("an old value is still given")
	}
}
