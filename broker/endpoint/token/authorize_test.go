package token_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker/endpoint"
)

const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// ask is the address of a good request with changes; an empty value removes.
func ask(changes ...string) string {
	v := url.Values{
		"response_type": {"code"}, "client_id": {"rolecall-cli"}, "redirect_uri": {redirectURI}, "scope": {"openid offline_access"},
		"state": {"s t&ate+1"}, "nonce": {"nonce-1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		v.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			v.Del(changes[i])
		}
	}
	return "/oauth2/authorize?" + v.Encode()
}

func TestABrowserWithoutSessionIsSentToSignInAndBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	a := b.get(ask("prompt", "login"))
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode != http.StatusSeeOther || to.Path != "/login" || to.Host != "" || to.Query().Get("fresh") != "1" {
		t.Fatalf("got %d to %q: %v", a.StatusCode, a.Header.Get("Location"), err)
	}
	if back := to.Query().Get("return_to"); endpoint.LocalPath(back) != back || !strings.HasPrefix(back, "/oauth2/authorize?") {
		t.Errorf("the sign-in page would not go back to %q", back)
	}
	page := b.consents(ask("prompt", "login"))
	if page.StatusCode != http.StatusOK || len(s.logins) != 1 {
		t.Errorf("got %d after %d sign-ins", page.StatusCode, len(s.logins))
	}
}

func TestALongRequestStillFitsTheWayThroughSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	back, err := url.Parse(s.browser(t).approve(ask("state", strings.Repeat("=", 250))))
	if err != nil || len(back.Query().Get("state")) != 250 {
		t.Errorf("got %v, %v", back, err)
	}
}

func TestTheConsentPageAsksAndLeadsOnlyToTheClient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	page := b.consents(ask())
	for _, text := range []string{"rolecall CLI", "alice", redirectURI, "stay signed in for 12 hours without asking again"} {
		if !strings.Contains(page.text, text) {
			t.Errorf("the page does not say %q: %s", text, page.text)
		}
	}
	if csp := page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' http://127.0.0.1:49152;") {
		t.Errorf("form-action: %s", csp)
	}
	if page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control: %s", page.Header.Get("Cache-Control"))
	}
	values := form(page.text)
	values.Set("decision", "approve")
	a := b.post("/oauth2/authorize", values)
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || a.StatusCode != http.StatusSeeOther || to.Query().Get("code") == "" || to.Query().Get("state") != "s t&ate+1" || to.Query().Get("iss") != s.url {
		t.Errorf("got %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	if a.text != "" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the redirect has a body %q or headers that keep it: %v", a.text, a.Header)
	}
	if again := b.get(ask()); again.StatusCode != http.StatusSeeOther || !strings.HasPrefix(again.Header.Get("Location"), redirectURI) {
		t.Errorf("the second time: %d to %q", again.StatusCode, again.Header.Get("Location"))
	}
}

func TestWhoCancelsGivesNoCode(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	values := form(b.consents(ask()).text)
	values.Set("decision", "deny")
	to, err := url.Parse(b.post("/oauth2/authorize", values).Header.Get("Location"))
	if err != nil || to.Query().Get("error") != "access_denied" || to.Query().Has("code") {
		t.Errorf("got %v, %v", to, err)
	}
}

func TestAConsentThatDidNotComeFromOurPageIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	victim, attacker := s.browser(t), s.browser(t)
	good, foreign := form(victim.consents(ask()).text), form(attacker.consents(ask()).text)
	for name, c := range map[string]struct {
		csrf, site string
		decision   []string
		status     int
	}{
		"no CSRF token":                 {"", "same-origin", []string{"approve"}, http.StatusForbidden},
		"the token of another session":  {foreign.Get("csrf"), "same-origin", []string{"approve"}, http.StatusForbidden},
		"another token":                 {strings.Repeat("A", 43), "same-origin", []string{"approve"}, http.StatusForbidden},
		"the right token, another site": {good.Get("csrf"), "cross-site", []string{"approve"}, http.StatusForbidden},
		"the right token, a subdomain":  {good.Get("csrf"), "same-site", []string{"approve"}, http.StatusForbidden},
		"a refusal without a token":     {"", "same-origin", []string{"deny"}, http.StatusForbidden},
		"two answers":                   {good.Get("csrf"), "same-origin", []string{"deny", "approve"}, http.StatusBadRequest},
		"another answer":                {good.Get("csrf"), "same-origin", []string{"yes"}, http.StatusBadRequest},
	} {
		values := url.Values{}
		for k, v := range good {
			values[k] = v
		}
		values.Set("csrf", c.csrf)
		values["decision"] = c.decision
		r := victim.request(http.MethodPost, "/oauth2/authorize", values)
		r.Header.Set("Sec-Fetch-Site", c.site)
		if a := victim.send(r); a.StatusCode != c.status || a.Header.Get("Location") != "" {
			t.Errorf("%s: got %d to %q", name, a.StatusCode, a.Header.Get("Location"))
		}
	}
}

func TestAFormThatIsChangedIsJudgedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	values := form(b.consents(ask()).text)
	values.Set("decision", "approve")
	values.Set("redirect_uri", "https://evil.example/callback")
	if a := b.post("/oauth2/authorize", values); a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || !strings.Contains(a.text, "bad_redirect_uri") {
		t.Errorf("got %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
}

func TestAnInvalidRedirectURIIsAPage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	for name, address := range map[string]string{
		"redirect URI": ask("redirect_uri", "https://evil.example/callback"), "none": ask("redirect_uri", ""), "client": ask("client_id", "evil"),
		"two": ask() + "&redirect_uri=https%3A%2F%2Fevil.example%2Fcallback", "malformed": ask() + "&a=%zz", "semicolon": ask() + ";a=b",
	} {
		a := b.get(address)
		if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || !strings.Contains(a.text, a.Header.Get("X-Request-Id")) {
			t.Errorf("%s: got %d to %q: %s", name, a.StatusCode, a.Header.Get("Location"), a.text)
		}
	}
}

func TestOtherFaultsGoBackToTheClient(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.browser(t).get(ask("code_challenge_method", "plain"))
	to, err := url.Parse(a.Header.Get("Location"))
	if err != nil || !strings.HasPrefix(to.String(), redirectURI+"?") || to.Query().Get("error") != "invalid_request" ||
		to.Query().Get("state") != "s t&ate+1" || to.Query().Get("iss") != s.url {
		t.Errorf("got %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
}

func TestARequestByPOSTContinuesAsGET(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	request, err := url.ParseQuery(strings.TrimPrefix(ask(), "/oauth2/authorize?"))
	if err != nil {
		t.Fatal(err)
	}
	a := b.post("/oauth2/authorize", request)
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != ask() {
		t.Fatalf("got %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
	b.approve(a.Header.Get("Location"))
}

func TestASessionThatHasEndedIsASignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	values := form(b.consents(ask()).text)
	if err := s.sessions.EndAll(t.Context(), "corp", "alice-id"); err != nil {
		t.Fatal(err)
	}
	values.Set("decision", "approve")
	if a := b.post("/oauth2/authorize", values); !strings.HasPrefix(a.Header.Get("Location"), "/login?") {
		t.Errorf("got %d to %q", a.StatusCode, a.Header.Get("Location"))
	}
}
