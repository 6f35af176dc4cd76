package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// heldAt signs in up to the form that carries the SAML response, and gives it unsent.
func heldAt(t *testing.T, w world, name string) (*scripted.Browser, scripted.Form) {
	t.Helper()
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	b.Hold = "SAMLResponse"
	if err := b.SignIn(w.URL+"/", w.SAMLProvider, w.person(t, name)); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Page.Forms() {
		if f.Values.Has("SAMLResponse") {
			return b, f
		}
	}
	t.Fatalf("the identity provider shows no SAML response at %s", b.Page.URL)
	return nil, scripted.Form{}
}

// turnedAway fails unless the page is a 4xx with a request id that the record
// has too, and the browser has no session.
func turnedAway(t *testing.T, w world, b *scripted.Browser, what, reason string) {
	t.Helper()
	id := b.Page.Header.Get("X-Request-Id")
	if b.Page.Status < 400 || b.Page.Status > 499 || id == "" || !strings.Contains(b.Page.Text, id) {
		t.Errorf("%s: %d, want a 4xx page with its request id:\n%.1500s", what, b.Page.Status, b.Page.Text)
	}
	if sessionCookie(b, w) != "" {
		t.Errorf("%s: the browser has a session cookie", what)
	}
	for line := range strings.Lines(readAudit(t, w)) {
		if strings.Contains(line, id) && strings.Contains(line, `"outcome":"refused"`) && strings.Contains(line, reason) {
			return
		}
	}
	t.Errorf("%s: the record of request %s does not say %q:\n%s", what, id, reason, readAudit(t, w))
}

func TestASAMLResponseThatWasTouchedOpensNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for what, c := range map[string]struct {
		change func(xml string) string
		reason string
	}{
		"another person":   {func(s string) string { return strings.ReplaceAll(s, ">bob<", ">alice<") }, `"reason"`},
		"another group":    {func(s string) string { return strings.Replace(s, ">developers<", ">platform<", 1) }, `"reason"`},
		"no signature":     {withoutSignatures, `"reason"`},
		"a DOCTYPE before": {func(s string) string { return "<!DOCTYPE x>" + s }, `"reason"`},
		"no XML":           {func(string) string { return "not xml" }, `"reason"`},
	} {
		b, f := heldAt(t, w, "bob")
		xml, err := base64.StdEncoding.DecodeString(f.Values.Get("SAMLResponse"))
		if err != nil {
			t.Fatal(err)
		}
		changed := c.change(string(xml))
		if changed == string(xml) {
			t.Fatalf("%s: nothing was changed", what)
		}
		f.Values.Set("SAMLResponse", base64.StdEncoding.EncodeToString([]byte(changed)))
		if err := b.Submit(f, nil); err != nil {
			t.Fatal(err)
		}
		turnedAway(t, w, b, what, c.reason)
	}
}

// withoutSignatures cuts every ds:Signature out.
func withoutSignatures(s string) string {
	for {
		start := strings.Index(s, "<ds:Signature ")
		if start < 0 {
			return s
		}
		const end = "</ds:Signature>"
		s = s[:start] + s[strings.Index(s, end)+len(end):]
	}
}

func TestASAMLResponseCountsOnceAndInItsBrowserOnly(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b, f := heldAt(t, w, "bob")

	stranger, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	stranger.Page = b.Page
	if err := stranger.Submit(f, nil); err != nil {
		t.Fatal(err)
	}
	turnedAway(t, w, stranger, "in another browser", "no_pending_signin")

	tampered := f
	tampered.Values = url.Values{"SAMLResponse": f.Values["SAMLResponse"], "RelayState": {"x" + f.Values.Get("RelayState")}}
	if err := b.Submit(tampered, nil); err != nil {
		t.Fatal(err)
	}
	turnedAway(t, w, b, "with another RelayState", "no_pending_signin")

	if err := b.Get(w.URL + "/saml/corp/login"); err != nil { // back to where the form can be sent from
		t.Fatal(err)
	}
	if err := b.Submit(f, nil); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusOK || sessionCookie(b, w) == "" {
		t.Fatalf("the honest browser: %d", b.Page.Status)
	}
	b.Client.Jar.SetCookies(b.Page.URL, []*http.Cookie{{Name: "rolecall_session", Path: "/", MaxAge: -1}})
	if err := b.Submit(f, nil); err != nil {
		t.Fatal(err)
	}
	turnedAway(t, w, b, "a second time", "no_pending_signin")
}

func TestAnOIDCAnswerThatWasTouchedOpensNothing(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for what, query := range map[string]string{
		"no state":               "?code=abc",
		"a state of nobody":      "?code=abc&state=" + strings.Repeat("A", 43),
		"an error without state": "?error=access_denied",
		"nothing":                "",
	} {
		b, err := scripted.New()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Get(w.URL + "/oidc/staff/callback" + query); err != nil {
			t.Fatal(err)
		}
		turnedAway(t, w, b, what, "no_pending_signin")
	}
}

func TestAProviderThatDoesNotExistIsSaid(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, path := range []string{"/saml/nobody/login", "/oidc/nobody/login", "/saml/staff/login", "/oidc/corp/login", "/saml/nobody/metadata"} {
		b, err := scripted.New()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Get(w.URL + path); err != nil {
			t.Fatal(err)
		}
		if b.Page.Status != http.StatusBadRequest || !strings.Contains(b.Page.Text, "no such identity provider") {
			t.Errorf("%s: %d\n%.600s", path, b.Page.Status, b.Page.Text)
		}
	}
}

func TestABodyOverTheLimitIs413Everywhere(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for path, kind := range map[string]string{
		"/saml/corp/acs":       "application/x-www-form-urlencoded",
		"/oauth2/token":        "application/x-www-form-urlencoded",
		"/api/v1/credentials":  "application/json",
		"/oidc/staff/callback": "application/x-www-form-urlencoded",
	} {
		resp, err := http.Post(w.URL+path, kind, io.LimitReader(zeros{}, 8<<20))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge && resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: 8 MB got %d, want 413 (or 401 before the body is read)", path, resp.StatusCode)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func TestTheTokenEndpointRefusesInOAuthsWords(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for name, c := range map[string]struct {
		form url.Values
		code string
	}{
		"a code of nobody": {url.Values{"grant_type": {"authorization_code"}, "client_id": {"rolecall-cli"}, "code": {strings.Repeat("A", 43)},
			"redirect_uri": {"http://127.0.0.1:1/callback"}, "code_verifier": {strings.Repeat("a", 43)}}, "invalid_grant"},
		"a refresh token of nobody": {url.Values{"grant_type": {"refresh_token"}, "client_id": {"rolecall-cli"}, "refresh_token": {"x"}}, "invalid_grant"},
		"another client":            {url.Values{"grant_type": {"refresh_token"}, "client_id": {"somebody"}, "refresh_token": {"x"}}, "invalid_client"},
		"a password grant":          {url.Values{"grant_type": {"password"}, "client_id": {"rolecall-cli"}}, "unsupported_grant_type"},
	} {
		resp, err := http.PostForm(w.URL+"/oauth2/token", c.form)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		_, err = io.Copy(&body, resp.Body)
		_ = resp.Body.Close()
		var refused struct {
			Error string `json:"error"`
		}
		if err != nil || json.Unmarshal(body.Bytes(), &refused) != nil || refused.Error != c.code || resp.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s, want %s", name, resp.StatusCode, body.String(), c.code)
		}
	}
}

func TestARedirectAddressOfSomebodyElseIsAPageAndNoRedirect(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	for _, redirect := range []string{
		"https://evil.example/callback", "http://localhost:1/callback", "http://127.0.0.1:1/other", "http://127.0.0.1:1/callback/",
		"http://127.0.0.1:1@evil.example/callback", "http://127.0.0.1:1/callback#x", "http://127.0.0.1.evil.example/callback", "",
	} {
		b := signedIn(t, w, w.OIDCProvider, "alice")
		q := url.Values{"response_type": {"code"}, "client_id": {"rolecall-cli"}, "redirect_uri": {redirect}, "state": {"s"},
			"code_challenge_method": {"S256"}, "code_challenge": {strings.Repeat("a", 43)}}
		if err := b.Get(w.URL + "/oauth2/authorize?" + q.Encode()); err != nil {
			t.Fatalf("%s: %v", redirect, err)
		}
		if b.Page.Status < 400 || !strings.HasPrefix(b.Page.URL.String(), w.URL) {
			t.Errorf("%q: %d at %s, want a 4xx page of ours", redirect, b.Page.Status, b.Page.URL)
		}
	}
}
