package assemble

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
)

const (
	appCallback = "com.example.notes:/callback"
	verifier    = "a-verifier-of-at-least-forty-three-characters-0"
)

// forPeople lets people of corp log in to the app notes, and use its role.
func forPeople(c *config.Config) {
	user := c.Grants[len(c.Grants)-1]
	for _, g := range c.Grants {
		if g.Name.Value == "notes-guest" {
			user = g
		}
	}
	user.Name, user.Guests, user.Everyone = config.Text{Value: "app-people"}, false, true
	user.Providers = []config.Text{{Value: "corp"}}
	c.Grants = append(c.Grants, user)
	for i := range c.Apps {
		if a := &c.Apps[i]; a.Name.Value == "notes" {
			a.Grants = append(a.Grants, user.Name)
			a.Providers = []config.Text{{Value: "corp"}}
			a.RedirectURIs = []config.Text{{Value: appCallback}}
		}
	}
}

// authorize opens what the app opens in the browser, agrees, and gives what the app's
// address gets.
func authorize(t *testing.T, w world, b *scripted.Browser, change func(url.Values)) url.Values {
	t.Helper()
	sum := sha256.Sum256([]byte(verifier))
	params := url.Values{
		"response_type": {"code"}, "client_id": {"notes"}, "redirect_uri": {appCallback}, "state": {"s"}, "scope": {"openid"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	if change != nil {
		change(params)
	}
	b.Client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Scheme == "com.example.notes" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	if err := b.Get(w.URL + "/oauth2/authorize?" + params.Encode()); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Page.Forms() {
		if f.Action == "/oauth2/authorize" {
			if csp := b.Page.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' com.example.notes:;") {
				t.Errorf("the consent's form cannot lead to the app: %s", csp)
			}
			if err := b.Submit(f, map[string]string{"decision": "approve"}); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	to, err := url.Parse(b.Page.Header.Get("Location"))
	if err != nil || to.Scheme != "com.example.notes" {
		t.Fatalf("the browser is at %s, %d, sent to %q", b.Page.URL, b.Page.Status, b.Page.Header.Get("Location"))
	}
	return to.Query()
}

func TestSomebodySignsInInTheBrowserForTheirPhone(t *testing.T) {
	t.Parallel()
	w := run(t, forPeople)
	p := w.phone(t)
	guest := *p
	b := w.signIn(t, "corp")
	answer := authorize(t, w, b, nil)
	if answer.Get("state") != "s" || answer.Get("code") == "" {
		t.Fatalf("the app got %v", answer)
	}
	thief := scripted.NewPhone(w.URL, "notes")
	if r := want(t, 400)(thief.Redeem(t.Context(), authorize(t, w, b, nil).Get("code"), appCallback, verifier)); r.Error() != "invalid_grant" {
		t.Errorf("by a key that is no device: %s", r)
	}
	if r := want(t, 400)(p.Redeem(t.Context(), authorize(t, w, b, nil).Get("code"), appCallback, verifier+"x")); r.Error() != "invalid_grant" {
		t.Errorf("with another verifier: %s", r)
	}
	want(t, 200)(p.Redeem(t.Context(), answer.Get("code"), appCallback, verifier))
	if p.Device.IdentityID != guest.Device.IdentityID || p.Device.DeviceID != guest.Device.DeviceID {
		t.Errorf("the phone is %+v, was %+v", p.Device, guest.Device)
	}
	want(t, 401)(guest.Credentials(t.Context(), ""))
	want(t, 200)(p.Credentials(t.Context(), ""))
	record := w.record(t)
	for _, text := range []string{`"event":"device.login"`, `"session_name":"alice"`, `"grant":"app-people"`, `"username":"alice"`} {
		if !strings.Contains(record, text) {
			t.Errorf("the record lacks %s", text)
		}
	}
	want(t, 200)(p.Renew(t.Context()))
	want(t, 200)(p.Credentials(t.Context(), ""))
	if r := want(t, 400)(p.RenewWith(t.Context(), guest.Refresh)); r.Error() != "invalid_grant" {
		t.Errorf("the guest's refresh token: %s", r)
	}

	// The code again ends what it gave.
	stolen := *p
	want(t, 400)(stolen.Redeem(t.Context(), answer.Get("code"), appCallback, verifier))
	want(t, 401)(p.Credentials(t.Context(), ""))
	want(t, 200)(p.Register(t.Context()))
	if r := want(t, 401)(p.Credentials(t.Context(), "")); r.Error() != "insufficient_user_authentication" || p.Device.Guest || p.Device.LoggedIn {
		t.Errorf("by its key alone the phone gets %s", r)
	}
}

func TestWhoMayNotSignInInTheBrowserForAnApp(t *testing.T) {
	t.Parallel()
	w := run(t, forPeople)
	if got := authorize(t, w, w.signIn(t, "staff"), nil); got.Get("error") != "access_denied" {
		t.Errorf("of a provider that the app does not list: %v", got)
	}
	b := w.signIn(t, "corp")
	for _, uri := range []string{"com.example.notes:/other", appCallback + "/", "http://127.0.0.1/callback", "https://evil.example.com/"} {
		if err := b.Get(w.URL + "/oauth2/authorize?" + url.Values{"response_type": {"code"}, "client_id": {"notes"}, "redirect_uri": {uri}}.Encode()); err != nil || b.Page.Status != 400 {
			t.Errorf("%s: %d %v", uri, b.Page.Status, err)
		}
	}
	if got := authorize(t, w, b, func(v url.Values) { v.Del("code_challenge") }); got.Get("error") != "invalid_request" {
		t.Errorf("without PKCE: %v", got)
	}
}
