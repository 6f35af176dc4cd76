package login

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
)

func TestAnAddressLeadsToTheProviderOfItsDomain(t *testing.T) {
	t.Parallel()
	home, away := corp, google
	home.Domains, away.Domains = []string{"example.com", "corp.example.com"}, []string{"partner.example"}
	h := site(t, &fakeBroker{providers: []broker.ProviderInfo{home, away}}, "http")
	send := func(form url.Values, from string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "http://sso.example.com/login", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", from)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	for email, want := range map[string]string{
		"alice@example.com": "/login?provider=corp", " Alice@EXAMPLE.com ": "/login?provider=corp", "a@b@corp.example.com": "/login?provider=corp", "x@partner.example": "/login?provider=google", "example.com": "/login?provider=corp",
		"a@notexample.com": "", "a@sub.example.com": "", "a@example.com.evil": "", "": "", "<script>@": "", "@": "",
	} {
		w := send(url.Values{"email": {email}}, "same-origin")
		if want == "" {
			if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `id="email-fault"`) || strings.Contains(w.Body.String(), "<script>@") {
				t.Errorf("%q: answered %d without a fault at the field", email, w.Code)
			}
			continue
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
			t.Errorf("%q: %d to %s, want %s", email, w.Code, w.Header().Get("Location"), want)
		}
	}
	w := send(url.Values{"email": {"a@example.com"}, "return_to": {"/keys?role=a/B"}, "fresh": {"1"}}, "same-origin")
	if got := w.Header().Get("Location"); got != "/login?fresh=1&provider=corp&return_to=%2Fkeys%3Frole%3Da%2FB" || strings.Contains(got, "@") {
		t.Errorf("goes to %s", got)
	}
	if w := send(url.Values{"email": {"a@example.com"}, "return_to": {"//evil.example"}}, "same-origin"); strings.Contains(w.Header().Get("Location"), "evil") {
		t.Errorf("leads away: %s", w.Header().Get("Location"))
	}
	if w := send(url.Values{"email": {"a@example.com"}}, "cross-site"); w.Code != http.StatusForbidden {
		t.Errorf("from another site: answered %d", w.Code)
	}
	if html := visit(h, "/login?return_to=/keys").Body.String(); !strings.Contains(html, `name="return_to" value="/keys"`) {
		t.Error("the page does not ask for an address")
	}
	if html := visit(site(t, &fakeBroker{providers: []broker.ProviderInfo{home}}, "http"), "/login").Body.String(); strings.Contains(html, `name="email"`) {
		t.Error("one provider needs no address")
	}
}
