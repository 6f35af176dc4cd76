package peers

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// startLeaving is a provider that signs and demands signatures of logouts.
func startLeaving(t *testing.T) (samlIDP, daemon) {
	t.Helper()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp"))
	idp.meet(t, d, "corp")
	idp.set(t, map[string]any{"sign.logout": true, "redirect.sign": true, "validate.logout": true, "redirect.validate": true})
	return idp, d
}

// left fails unless the record's last word about a provider's logout is that.
func (d daemon) left(t *testing.T, outcome, reason string) {
	t.Helper()
	var last event
	for _, e := range d.events(t) {
		if e.Event == "logout.provider" {
			last = e
		}
	}
	if last.Outcome != outcome || last.Reason != reason {
		t.Errorf("the record says %+v, want %s %s:\n%s", last, outcome, reason, d.record(t))
	}
}

// asksForPassword reports whether a sign-in at the provider needs a password.
func (d daemon) asksForPassword(t *testing.T, b *scripted.Browser) bool {
	t.Helper()
	if err := b.Get(d.url + "/saml/corp/login"); err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(b.Page.Forms(), func(f scripted.Form) bool { return f.Password })
}

func TestSigningOutHereSignsOutAtTheProvider(t *testing.T) {
	t.Parallel()
	idp, d := startLeaving(t)
	b := d.signIn(t, "corp", "alice")
	d.press(t, b, "/logout", "/logout")
	if code, _ := d.identity(t, b); code != http.StatusUnauthorized {
		t.Errorf("before the provider is asked the session is answered with %d", code)
	}
	refresh := b.Page.Header.Get("Refresh")
	to := strings.TrimPrefix(refresh, "0; url=")
	if !strings.HasPrefix(to, idp.url+"/") {
		t.Fatalf("Refresh is %q", refresh)
	}
	if err := b.Get(to); err != nil {
		t.Fatal(err)
	}
	if b.Page.URL.String() != d.url+"/logout" || b.Page.Status != http.StatusOK || !strings.Contains(b.Page.Text, "You are signed out") {
		t.Errorf("the browser ends at %s (%d):\n%.2500s", b.Page.URL, b.Page.Status, b.Page.Text)
	}
	d.left(t, "granted", "")
	if !d.asksForPassword(t, b) {
		t.Error("the provider knows the person still")
	}
}

func TestSigningOutAtTheProviderSignsOutHere(t *testing.T) {
	t.Parallel()
	idp, d := startLeaving(t)
	b, other := d.signIn(t, "corp", "alice"), d.signIn(t, "corp", "bob")
	start := idp.url + "/saml2/idp/initSLO.php?" + url.Values{"RelayState": {idp.metadataURL()}}.Encode()
	if err := b.Get(start); err != nil {
		t.Fatal(err)
	}
	d.left(t, "granted", "")
	if code, _ := d.identity(t, b); code != http.StatusUnauthorized {
		t.Errorf("the session is answered with %d", code)
	}
	if code, _ := d.identity(t, other); code != http.StatusOK {
		t.Errorf("the session of somebody else is answered with %d", code)
	}
	if b.Page.URL.String() != idp.metadataURL() {
		t.Errorf("the provider did not get its answer: the browser is at %s\n%.2500s", b.Page.URL, b.Page.Text)
	}
	if !d.asksForPassword(t, b) {
		t.Error("the provider knows the person still")
	}
}

func TestAnUnsignedLogoutOfTheProviderEndsNothing(t *testing.T) {
	t.Parallel()
	idp, d := startLeaving(t)
	idp.set(t, map[string]any{"sign.logout": false, "redirect.sign": false})
	b := d.signIn(t, "corp", "alice")
	if err := b.Get(idp.url + "/saml2/idp/initSLO.php?" + url.Values{"RelayState": {idp.metadataURL()}}.Encode()); err != nil {
		t.Fatal(err)
	}
	d.left(t, "refused", "unsigned")
	if code, _ := d.identity(t, b); code != http.StatusOK {
		t.Errorf("the session is answered with %d", code)
	}
}
