package login

import (
	"context"
	"errors"
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
	"github.com/rolecall/rolecall/idp"
)

type fakeBroker struct {
	providers []broker.ProviderInfo
	ended     []string
	left      broker.Left
	err       error
}

func (f *fakeBroker) SignInProviders() []broker.ProviderInfo { return f.providers }

func (f *fakeBroker) SignOut(_ context.Context, _ broker.Origin, token, _ string) (broker.Left, error) {
	f.ended = append(f.ended, token)
	return f.left, f.err
}

var (
	corp   = broker.ProviderInfo{Name: "corp", Type: "saml", Label: "Corporate sign-in", Host: "idp.example.com"}
	google = broker.ProviderInfo{Name: "google", Type: "oidc", Label: "Google", Host: "accounts.google.com"}
)

func site(t *testing.T, fake *fakeBroker, scheme string) http.Handler {
	t.Helper()
	cookies := endpoint.Cookies{HTTPS: scheme == "https"}
	pages, err := page.New(page.Config{Cookies: cookies})
	if err != nil {
		t.Fatal(err)
	}
	return endpoint.New(endpoint.Config{
		URL: &url.URL{Scheme: scheme, Host: "sso.example.com"}, Problems: pages,
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}, pages, Endpoint{Service: fake, Pages: pages, Cookies: cookies})
}

func visit(h http.Handler, target string, cookies ...*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://sso.example.com"+target, nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var links = regexp.MustCompile(`class="(provider(?: main)?)" href="([^"]*)"`)

// offered lists the buttons of a sign-in page, the filled one with a star.
func offered(html string) string {
	var found []string
	for _, m := range links.FindAllStringSubmatch(html, -1) {
		target := strings.ReplaceAll(m[2], "&amp;", "&")
		if m[1] == "provider main" {
			target = "*" + target
		}
		found = append(found, target)
	}
	return strings.Join(found, " ")
}

func TestTheSignInPageFillsTheButtonThatIsWanted(t *testing.T) {
	t.Parallel()
	last := func(name string) *http.Cookie { return &http.Cookie{Name: "rolecall_provider", Value: name} }
	for name, c := range map[string]struct {
		providers []broker.ProviderInfo
		target    string
		cookie    *http.Cookie
		want      string
		holds     string
	}{
		"several, the first time":             {[]broker.ProviderInfo{corp, google}, "/login", nil, "/saml/corp/login /oidc/google/login", "Choose a provider"},
		"one only, which still is a button":   {[]broker.ProviderInfo{corp}, "/login", nil, "*/saml/corp/login", "Continue with"},
		"the one used last":                   {[]broker.ProviderInfo{corp, google}, "/login", last("google"), "*/oidc/google/login /saml/corp/login", "used last on this device"},
		"one used last that is gone":          {[]broker.ProviderInfo{corp, google}, "/login", last("gone"), "/saml/corp/login /oidc/google/login", "Choose a provider"},
		"a deep link wins over the last":      {[]broker.ProviderInfo{corp, google}, "/login?provider=corp", last("google"), "*/saml/corp/login /oidc/google/login", "Another provider"},
		"a deep link to nobody":               {[]broker.ProviderInfo{corp, google}, "/login?provider=%3Cscript%3E", nil, "/saml/corp/login /oidc/google/login", "There is no provider of that name here"},
		"a deep link to nobody, one provider": {[]broker.ProviderInfo{corp}, "/login?provider=x", nil, "*/saml/corp/login", "There is no provider of that name here"},
		"none":                                {nil, "/login", nil, "", "No provider can sign you in"},
		"an OAuth provider, under its path":   {[]broker.ProviderInfo{{Name: "github", Type: "oauth2", Label: "GitHub", Host: "github.com"}}, "/login", nil, "*/oauth/github/login", "github.com"},
		"a fresh sign-in":                     {[]broker.ProviderInfo{corp}, "/login?fresh=1", nil, "*/saml/corp/login?fresh=1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cookies []*http.Cookie
			if c.cookie != nil {
				cookies = append(cookies, c.cookie)
			}
			w := visit(site(t, &fakeBroker{providers: c.providers}, "http"), c.target, cookies...)
			html := w.Body.String()
			if got := offered(html); got != c.want {
				t.Errorf("offers %s\nwant   %s", got, c.want)
			}
			if w.Code != http.StatusOK || !strings.Contains(html, c.holds) {
				t.Errorf("answered %d without %q", w.Code, c.holds)
			}
		})
	}
}

func TestWhereOneGoesOnToIsAPathOfOursOnly(t *testing.T) {
	t.Parallel()
	h := site(t, &fakeBroker{providers: []broker.ProviderInfo{corp}}, "http")
	for back, want := range map[string]string{
		"/console?role=production/Admin&service=s3": "*/saml/corp/login?return_to=%2Fconsole%3Frole%3Dproduction%2FAdmin%26service%3Ds3",
		"/keys?role=a/b":       "*/saml/corp/login?return_to=%2Fkeys%3Frole%3Da%2Fb",
		"/":                    "*/saml/corp/login",
		"":                     "*/saml/corp/login",
		"//evil.example":       "*/saml/corp/login",
		"/\\evil.example":      "*/saml/corp/login",
		"\\\\evil.example":     "*/saml/corp/login",
		"https://evil.example": "*/saml/corp/login",
		"javascript:alert(1)":  "*/saml/corp/login",
		"/x\r\nSet-Cookie: a":  "*/saml/corp/login",
		"/\t/evil.example":     "*/saml/corp/login",
		"/login?return_to=/":   "*/saml/corp/login",
		"/logout":              "*/saml/corp/login",
		" /x":                  "*/saml/corp/login",
	} {
		html := visit(h, "/login?return_to="+url.QueryEscape(back)).Body.String()
		if got := offered(html); got != want {
			t.Errorf("%q: offers %s\nwant %s", back, got, want)
		}
		if strings.Contains(html, "evil") {
			t.Errorf("%q is repeated", back)
		}
	}
}

func TestThePageNamesARoleButNoMessageOfTheLink(t *testing.T) {
	t.Parallel()
	h := site(t, &fakeBroker{providers: []broker.ProviderInfo{corp}}, "http")
	for back, want := range map[string]string{
		"/console?role=production/Admin":                    "<code>production/Admin</code>",
		"/keys?role=production/Admin":                       "<code>production/Admin</code>",
		"/oauth2/authorize?client_id=rolecall-cli":          "the program that asked for it",
		"/console?role=" + url.QueryEscape("Call +1 555 0"): "AWS accounts, roles and temporary keys",
		"/other?role=production/Admin":                      "AWS accounts, roles and temporary keys",
		"/console?role=%zz":                                 "AWS accounts, roles and temporary keys",
	} {
		if html := visit(h, "/login?return_to="+url.QueryEscape(back)).Body.String(); !strings.Contains(html, want) {
			t.Errorf("%q: the page lacks %q", back, want)
		}
	}
}

// signOut posts the form of the page at /logout.
func signOut(h http.Handler, cookie string, change func(url.Values)) *httptest.ResponseRecorder {
	session := &http.Cookie{Name: cookie, Value: "session-of-alice"}
	form := url.Values{}
	if m := regexp.MustCompile(`name="csrf" value="([\w-]+)"`).FindStringSubmatch(visit(h, "/logout", session).Body.String()); m != nil {
		form.Set("csrf", m[1])
	}
	change(form)
	r := httptest.NewRequest(http.MethodPost, "http://sso.example.com/logout", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(session)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestSigningOutEndsTheSessionOnTheServerAndInTheBrowser(t *testing.T) {
	t.Parallel()
	for scheme, name := range map[string]string{"http": "rolecall_session", "https": "__Host-rolecall_session"} {
		fake := &fakeBroker{}
		h := site(t, fake, scheme)
		w := signOut(h, name, func(url.Values) {})
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/logout" {
			t.Fatalf("%s: answered %d to %q", scheme, w.Code, w.Header().Get("Location"))
		}
		if len(fake.ended) != 1 || fake.ended[0] != "session-of-alice" {
			t.Errorf("%s: ended %v", scheme, fake.ended)
		}
		if got := w.Header().Get("Set-Cookie"); !strings.HasPrefix(got, name+"=;") || !strings.Contains(got, "Max-Age=0") {
			t.Errorf("%s: Set-Cookie is %q", scheme, got)
		}
		if html := visit(h, "/logout").Body.String(); !strings.Contains(html, "You are signed out") {
			t.Errorf("%s: the page after it says something else", scheme)
		}
	}
}

func TestALinkToSignOutOnlyAsks(t *testing.T) {
	t.Parallel()
	fake := &fakeBroker{}
	w := visit(site(t, fake, "http"), "/logout", &http.Cookie{Name: "rolecall_session", Value: "session-of-alice"})
	if len(fake.ended) > 0 || !strings.Contains(w.Body.String(), "Sign out of rolecall?") {
		t.Errorf("ended %v, answered %d", fake.ended, w.Code)
	}
}

func TestSigningOutWithoutItsTokenIsRefused(t *testing.T) {
	t.Parallel()
	fake := &fakeBroker{}
	h := site(t, fake, "http")
	for _, token := range []string{"", "wrong"} {
		w := signOut(h, "rolecall_session", func(f url.Values) { f.Set("csrf", token) })
		if w.Code != http.StatusForbidden || w.Header().Get("Set-Cookie") != "" || !strings.Contains(w.Body.String(), "This form has expired") {
			t.Errorf("token %q: answered %d", token, w.Code)
		}
	}
	if len(fake.ended) > 0 {
		t.Errorf("ended %v", fake.ended)
	}
}

func TestASessionThatCouldNotBeEndedKeepsItsCookieAndSaysSo(t *testing.T) {
	t.Parallel()
	w := signOut(site(t, &fakeBroker{err: errors.New("the store is down")}, "http"), "rolecall_session", func(url.Values) {})
	if w.Code != http.StatusInternalServerError || w.Header().Get("Set-Cookie") != "" || strings.Contains(w.Body.String(), "store") {
		t.Errorf("answered %d with cookie %q", w.Code, w.Header().Get("Set-Cookie"))
	}
}

func TestSigningOutTwiceIsNoError(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "http://sso.example.com/logout", nil)
	w := httptest.NewRecorder()
	site(t, &fakeBroker{}, "http").ServeHTTP(w, r)
	if w.Code != http.StatusSeeOther {
		t.Errorf("answered %d", w.Code)
	}
}

var _ Service = (*broker.Broker)(nil)

// The browser goes on by a page of its own: Chromium holds a redirect that follows
// a form to the form-action of the page that had the form.
func TestWhoSignsOutGoesOnToTheProvider(t *testing.T) {
	t.Parallel()
	state := strings.Repeat("s", 43)
	for name, to := range map[string]idp.Redirect{
		"by an address": {URL: "https://idp.example.com/slo?SAMLRequest=x&Signature=y%2B"},
		"by a form":     {Form: &idp.Form{Action: "https://idp.example.com/slo", Fields: map[string]string{"SAMLRequest": "x"}}},
	} {
		w := signOut(site(t, &fakeBroker{left: broker.Left{To: &to, Browser: state}}, "http"), "rolecall_session", func(url.Values) {})
		html := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(html, "https://idp.example.com/slo") {
			t.Errorf("%s: %d %s", name, w.Code, html)
		}
		if refresh := w.Header().Get("Refresh"); (refresh == "0; url="+to.URL) != (to.URL != "") {
			t.Errorf("%s: Refresh is %q", name, refresh)
		}
		if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "https://idp.example.com") != (to.Form != nil) {
			t.Errorf("%s: %s", name, csp)
		}
		var gone, bound bool
		for _, c := range w.Result().Cookies() {
			gone = gone || c.Name == "rolecall_session" && c.MaxAge < 0
			bound = bound || c.Name == "rolecall_state" && c.Value == state
		}
		if !gone || !bound {
			t.Errorf("%s: session cookie gone %t, browser bound %t", name, gone, bound)
		}
	}
}
