package endpoint

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestFormsMayLeadToTheOriginsNamedAndNoFurther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		targets []string
		want    string
	}{
		"none":                         {nil, "form-action 'self';"},
		"a loopback redirect":          {[]string{"http://127.0.0.1:49152/callback?x=1"}, "form-action 'self' http://127.0.0.1:49152;"},
		"every hop of the console":     {[]string{"https://signin.aws.amazon.com", "https://*.console.aws.amazon.com/"}, "form-action 'self' https://signin.aws.amazon.com https://*.console.aws.amazon.com;"},
		"an IPv6 loopback redirect":    {[]string{"http://[::1]:49152/callback"}, "form-action 'self' http://*:49152;"},
		"IPv6 without a port":          {[]string{"http://[::1]/callback"}, "form-action 'self' http://*:80;"},
		"a script":                     {[]string{"javascript:alert(1)"}, "form-action 'self';"},
		"an app's own scheme":          {[]string{"com.example.app://callback"}, "form-action 'self' com.example.app:;"},
		"a scheme that is no app's":    {[]string{"app:/callback", "data:text/html,x"}, "form-action 'self';"},
		"a path":                       {[]string{"/callback"}, "form-action 'self';"},
		"a host that adds a directive": {[]string{"https://evil.example;script-src *"}, "form-action 'self';"},
		"a host that adds a source":    {[]string{"https://evil.example *"}, "form-action 'self';"},
		"user information":             {[]string{"https://a:b@idp.example.com/"}, "form-action 'self' https://idp.example.com;"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			AllowFormAction(w, c.targets...)
			if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, c.want) || strings.Count(got, "script-src") != 1 {
				t.Errorf("%q lacks %q", got, c.want)
			}
		})
	}
}

func TestTheLastProviderIsRememberedInACookieForNoScript(t *testing.T) {
	t.Parallel()
	for https, name := range map[bool]string{false: "rolecall_provider", true: "__Host-rolecall_provider"} {
		cookies := Cookies{HTTPS: https}
		w := httptest.NewRecorder()
		cookies.SetLastProvider(w, "corp")
		set := w.Result().Cookies()[0]
		if set.Name != name || !set.HttpOnly || set.Secure != https || set.SameSite != http.SameSiteLaxMode || set.Path != "/" {
			t.Errorf("https %v: %+v", https, set)
		}
		r := httptest.NewRequest(http.MethodGet, "/login", nil)
		r.AddCookie(set)
		if got := cookies.LastProvider(r); got != "corp" {
			t.Errorf("https %v: read back %q", https, got)
		}
	}
}
