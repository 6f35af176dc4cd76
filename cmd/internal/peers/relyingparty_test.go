package peers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// startRelying starts rolecall and the provider with all that a sign-in may ask of
// one another beside the plain code flow.
func startRelying(t *testing.T) (daemon, peer, *scripted.Log) {
	t.Helper()
	port := freePort(t)
	issuer := "http://127.0.0.1:" + portText(port)
	pemFile, public := clientKey(t)
	d := configure(t, openIDProvider(issuer, "broker-rs256", "RS256", withSecret, "pushed_requests: off")+
		openIDProvider(issuer, "broker-par", "RS256", withSecret)+
		openIDProvider(issuer, "broker-key", "RS256", "client_key: {key: ${file:"+pemFile+"}, id: ours}", "pushed_requests: require")+
		openIDProvider(issuer, "broker-es256", "ES256", withSecret, "response_mode: form_post", "provider_logout: form"))
	var callbacks []string
	for _, name := range []string{"broker-rs256", "broker-par", "broker-key", "broker-es256"} {
		callbacks = append(callbacks, d.url+"/oidc/"+name+"/callback")
	}
	op := startPeerAt(t, port, "oidc-provider", "/.well-known/openid-configuration",
		"REDIRECTS="+strings.Join(callbacks, ","), "ROLECALL="+d.url, "CLIENT_JWK="+public)
	return d, op, d.run(t)
}

// exchange brings a token to token exchange, for credentials.
func (d daemon) exchange(t *testing.T, token string) (int, string) {
	t.Helper()
	resp, err := http.PostForm(d.url+"/oauth2/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {token},
		"subject_token_type":   {"urn:ietf:params:oauth:token-type:id_token"},
		"requested_token_type": {"urn:rolecall:params:oauth:token-type:aws-credentials"}, "resource": {"production/Quoted"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// clientKey makes our key at the provider: a PEM file, and what the provider knows.
func clientKey(t *testing.T) (file, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "client.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: "ours", Algorithm: "ES256", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return file, string(jwk)
}

// happened counts an event of oidc-provider.
func (op peer) happened(t *testing.T, name string) int {
	t.Helper()
	resp, err := http.Get(op.url + "/test/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var all []string
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, event := range all {
		if event == name {
			n++
		}
	}
	return n
}

func (op peer) rotate(t *testing.T) {
	t.Helper()
	resp, err := http.Post(op.url+"/test/rotate", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}

func TestPeopleSignInTheWayTheirProviderWantsIt(t *testing.T) {
	t.Parallel()
	d, op, _ := startRelying(t)
	for _, c := range []struct {
		provider string
		pushed   int
	}{
		{"broker-rs256", 0},                    // switched off
		{"broker-par", 1},                      // the provider demands it of this client
		{"broker-key", 1}, {"broker-es256", 1}, // the provider offers it
	} {
		before := op.happened(t, "pushed_authorization_request.success")
		alice := d.signIn(t, c.provider, "alice")
		if status, who := d.identity(t, alice); status != http.StatusOK || who.Subject != "alice" || who.Provider != c.provider {
			t.Errorf("%s: %d %+v", c.provider, status, who)
		}
		if got := op.happened(t, "pushed_authorization_request.success") - before; got != c.pushed {
			t.Errorf("%s: %d pushed requests, want %d", c.provider, got, c.pushed)
		}
	}
	op.rotate(t)
	d.signIn(t, "broker-es256", "bob")
}

func TestAnAnswerThatComesAnotherWayIsRefused(t *testing.T) {
	t.Parallel()
	d, op, _ := startRelying(t)
	b := browser(t)
	b.Hold = "code"
	if err := b.SignIn(d.url+"/oidc/broker-es256/login", "broker-es256", person("alice")); err != nil {
		t.Fatal(err)
	}
	forms := b.Page.Forms()
	if len(forms) != 1 || !forms[0].Fields["code"] || !strings.HasPrefix(b.Page.URL.String(), op.url) {
		t.Fatalf("the provider shows no form that brings a code: %.2000s", b.Page.Text)
	}
	if err := b.Get(d.url + "/oidc/broker-es256/callback?" + forms[0].Values.Encode()); err != nil {
		t.Fatal(err)
	}
	d.refused(t, b, http.StatusForbidden, "response-mode")
}

// confirm sends the form by which the provider asks whether somebody means to sign
// out there.
func confirm(t *testing.T, b *scripted.Browser) {
	t.Helper()
	i := slices.IndexFunc(b.Page.Forms(), func(f scripted.Form) bool { return f.Fields["xsrf"] })
	if i < 0 {
		t.Fatalf("the provider does not ask at %s (%d):\n%.2000s", b.Page.URL, b.Page.Status, b.Page.Text)
	}
	if err := b.Submit(b.Page.Forms()[i], nil); err != nil {
		t.Fatal(err)
	}
}

func TestSigningOutHereSignsOutAtTheOpenIDProvider(t *testing.T) {
	t.Parallel()
	d, op, log := startRelying(t)
	b := d.signIn(t, "broker-rs256", "alice")
	d.press(t, b, "/logout", "/logout")
	if code, _ := d.identity(t, b); code != http.StatusUnauthorized {
		t.Errorf("before the provider is asked the session is answered with %d", code)
	}
	to, err := url.Parse(strings.TrimPrefix(b.Page.Header.Get("Refresh"), "0; url="))
	if err != nil || !strings.HasPrefix(to.String(), op.url+"/session/end?") {
		t.Fatalf("Refresh is %q", b.Page.Header.Get("Refresh"))
	}
	hint := to.Query().Get("id_token_hint")
	if err := b.Get(to.String()); err != nil {
		t.Fatal(err)
	}
	confirm(t, b)
	if b.Page.URL.String() != d.url+"/logout" || b.Page.Status != http.StatusOK || !strings.Contains(b.Page.Text, "You are signed out") {
		t.Errorf("the browser ends at %s (%d):\n%.2500s", b.Page.URL, b.Page.Status, b.Page.Text)
	}
	if op.happened(t, "end_session.success") != 1 || op.happened(t, "backchannel.error") != 0 {
		t.Error("the provider says that nobody signed out there, or that we refused its word")
	}
	if err := b.Get(d.url + "/oidc/broker-rs256/login"); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(b.Page.Forms(), func(f scripted.Form) bool { return f.Password }) {
		t.Errorf("the provider knows the person still: %s", b.Page.URL)
	}
	// The ID token has gone through an address: it is in the browser's history, and worth nothing.
	status, answer := d.exchange(t, hint)
	if status != http.StatusBadRequest || !strings.Contains(answer, "invalid_grant") || !strings.Contains(d.record(t), `"reason":"replay"`) {
		t.Errorf("token exchange takes the ID token: %d %s", status, answer)
	}
	for what, text := range map[string]string{"record": d.record(t), "log": log.String()} {
		if strings.Contains(text, "eyJ") || strings.Contains(text, hint) {
			t.Errorf("a token is in the %s:\n%s", what, text)
		}
	}
}

func TestSigningOutAtTheOpenIDProviderEndsOurSessionAtOnce(t *testing.T) {
	t.Parallel()
	d, op, _ := startRelying(t)
	alice, bob, phone := d.signIn(t, "broker-rs256", "alice"), d.signIn(t, "broker-rs256", "bob"), d.signIn(t, "broker-rs256", "alice")
	op.rotate(t) // the logout token comes with a key that we have not seen yet
	if err := alice.Get(op.url + "/session/end"); err != nil {
		t.Fatal(err)
	}
	confirm(t, alice)
	if op.happened(t, "backchannel.success") != 1 {
		t.Errorf("the provider says that we refused its word (%d errors):\n%s", op.happened(t, "backchannel.error"), d.record(t))
	}
	d.left(t, "granted", "")
	for name, c := range map[string]struct {
		b    *scripted.Browser
		want int
	}{
		"the session that ended there":        {alice, http.StatusUnauthorized},
		"somebody else's":                     {bob, http.StatusOK},
		"the same person's in another device": {phone, http.StatusOK},
	} {
		if code, _ := d.identity(t, c.b); code != c.want {
			t.Errorf("%s is answered with %d, want %d", name, code, c.want)
		}
	}
}

// A real browser holds us to Content-Security-Policy on every hop: out by redirect,
// back by the provider's form, away to sign out there, by an address and by a form,
// and back again.
func TestInChromiumPeopleComeBackByAFormAndSignOutThere(t *testing.T) {
	t.Parallel()
	d, op, _ := startRelying(t)
	for i, provider := range []string{"broker-es256", "broker-rs256"} {
		ctx := chromium(t, d.url)
		err := chromedp.Do(ctx,
			chromedp.Navigate(d.url+"/oidc/"+provider+"/login"),
			chromedp.WaitVisible(chromedp.CSS("input[type=password]")),
			chromedp.SendKeys(chromedp.CSS("input[name=username]"), "alice"),
			chromedp.SendKeys(chromedp.CSS("input[type=password]"), "alice-pw\r"),
			chromedp.WaitReady(chromedp.CSS(`form[action^="/logout"]`)),
			chromedp.Navigate(d.url+"/logout"),
			chromedp.Click(chromedp.CSS(`main form[action^="/logout"] button`)),
			chromedp.WaitVisible(chromedp.CSS("button[name=logout]")),
			chromedp.Click(chromedp.CSS("button[name=logout]")))
		var at string
		if err == nil {
			until(t, quick, 20*time.Second, "the way back to our page", func() bool {
				at, _ = chromedp.Run(ctx, chromedp.Location())
				return at == d.url+"/logout"
			})
		} else {
			at, _ = chromedp.Run(ctx, chromedp.Location())
			text, _ := chromedp.Run(ctx, chromedp.TextContent(chromedp.CSS("body")))
			t.Fatalf("%s: %v: the browser is at %s\n%.1500s\n%s", provider, err, at, text, d.record(t))
		}
		if got := op.happened(t, "end_session.success"); got != i+1 {
			t.Errorf("%s: the provider counts %d logouts, want %d", provider, got, i+1)
		}
	}
}
