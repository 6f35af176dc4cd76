package endpoint

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/config/secret"
)

func TestCookiesHaveTheAttributesThatTheirWayNeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		https         bool
		name, state   string
		secure        bool
		stateSameSite http.SameSite
	}{
		{true, "__Host-rolecall_session", "__Host-rolecall_state", true, http.SameSiteNoneMode},
		{false, "rolecall_session", "rolecall_state", false, http.SameSiteLaxMode},
	} {
		w := httptest.NewRecorder()
		cookies := Cookies{HTTPS: c.https}
		cookies.SetSession(w, secret.New("token"), time.Now().Add(time.Hour))
		cookies.SetState(w, "handle")
		set := w.Result().Cookies()
		session, state := set[0], set[1]
		if session.Name != c.name || session.SameSite != http.SameSiteLaxMode || session.Value != "token" {
			t.Errorf("https %v: session cookie %v", c.https, session)
		}
		if state.Name != c.state || state.SameSite != c.stateSameSite || state.MaxAge <= 0 || state.MaxAge > 3600 {
			t.Errorf("https %v: state cookie %v", c.https, state)
		}
		for _, got := range set {
			if !got.HttpOnly || got.Secure != c.secure || got.Path != "/" || got.Domain != "" {
				t.Errorf("https %v: %v", c.https, got)
			}
		}
	}
}

func TestACookieThatIsThereTwiceIsNone(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "rolecall_session=mine; rolecall_session=planted")
	if got := (Cookies{}).Session(r); got != "" {
		t.Errorf("read %q of two cookies", got)
	}
}

func TestAFormOfAnotherPageIsRefused(t *testing.T) {
	t.Parallel()
	post := func(session, token, site string) error {
		r := httptest.NewRequest(http.MethodPost, "/logout", strings.NewReader(url.Values{"csrf": {token}}.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if session != "" {
			r.AddCookie(&http.Cookie{Name: "rolecall_session", Value: session})
		}
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		return Cookies{}.CheckCSRF(r)
	}
	own := httptest.NewRequest(http.MethodGet, "/", nil)
	own.AddCookie(&http.Cookie{Name: "rolecall_session", Value: "alices"})
	good := Cookies{}.CSRF(own)

	if err := post("alices", good, "same-origin"); err != nil {
		t.Errorf("the right token: %v", err)
	}
	if err := post("alices", good, ""); err != nil {
		t.Errorf("the right token from a browser without Sec-Fetch-Site: %v", err)
	}
	for name, err := range map[string]error{
		"no token":              post("alices", "", "same-origin"),
		"another session's":     post("mallorys", good, "same-origin"),
		"no session":            post("", good, "same-origin"),
		"no session, no token":  post("", "", ""),
		"from another site":     post("alices", good, "cross-site"),
		"from a sibling's site": post("alices", good, "same-site"),
		"the token with a tail": post("alices", good+"x", "same-origin"),
	} {
		if broker.CodeOf(err) != broker.AccessDenied {
			t.Errorf("%s: %v, want access_denied", name, err)
		}
	}
}

func TestNobodyIsSentToAnotherSite(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"/":                             "/",
		"/keys?role=production/Admin":   "/keys?role=production/Admin",
		"":                              "/",
		"//evil.example":                "/",
		"/\\evil.example":               "/",
		"https://evil.example/":         "/",
		"javascript:alert(1)":           "/",
		"/ok\r\nSet-Cookie: a=b":        "/",
		"/\t/evil.example":              "/",
		"relative":                      "/",
		"/" + strings.Repeat("x", 5000): "/",
	} {
		if got := LocalPath(given); got != want {
			t.Errorf("%.40q: %q, want %q", given, got, want)
		}
	}
}

func TestAFormMayLeadToTheOneOriginThatIsAllowed(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"https://idp.example.com/sso?x=1": "form-action 'self' https://idp.example.com;",
		"http://127.0.0.1:4711/callback":  "form-action 'self' http://127.0.0.1:4711;",
		"javascript:alert(1)":             "form-action 'self';",
		"https://a.example; script-src *": "form-action 'self';",
		"/relative":                       "form-action 'self';",
	} {
		w := httptest.NewRecorder()
		secureHeaders(w.Header(), true)
		AllowFormAction(w, target)
		if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
}
