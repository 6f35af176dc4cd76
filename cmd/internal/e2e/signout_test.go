package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// Of `rolecalld dev`: signing out of a session by OpenID Connect goes on to the
// provider and comes back.
func TestSignOutGoesOnToTheOpenIDProvider(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	b := signedIn(t, w, w.OIDCProvider, "alice")
	stolen := sessionCookie(b, w)
	if err := b.Submit(formWith(t, b.Page, "/logout"), nil); err != nil {
		t.Fatal(err)
	}
	if got := rolesByCookie(t, w, stolen); got != http.StatusUnauthorized {
		t.Errorf("before the provider is asked the old cookie gets %d, want 401", got)
	}
	to, err := url.Parse(strings.TrimPrefix(b.Page.Header.Get("Refresh"), "0; url="))
	if err != nil || to.Query().Get("id_token_hint") == "" || to.Query().Get("state") == "" || !strings.HasSuffix(to.Query().Get("post_logout_redirect_uri"), "/oidc/"+w.OIDCProvider+"/logout") {
		t.Fatalf("the page sends the browser on to %q", b.Page.Header.Get("Refresh"))
	}
	if err := b.Get(to.String()); err != nil {
		t.Fatal(err)
	}
	if b.Page.URL.String() != w.URL+"/logout" || b.Page.Status != http.StatusOK || !strings.Contains(b.Page.Text, "You are signed out") {
		t.Errorf("the browser ends at %s (%d):\n%.1500s", b.Page.URL, b.Page.Status, b.Page.Text)
	}
	if err := b.Get(w.URL + "/oidc/" + w.OIDCProvider + "/login"); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(b.Page.Forms(), func(f scripted.Form) bool { return f.Password }) {
		t.Errorf("the provider knows alice still: the browser is at %s", b.Page.URL)
	}

	other := signedIn(t, w, w.OIDCProvider, "bob") // the way back is this browser's alone
	if err := other.Get(w.URL + "/oidc/" + w.OIDCProvider + "/logout?state=" + to.Query().Get("state")); err != nil {
		t.Fatal(err)
	}
	if other.Page.Status != http.StatusBadRequest || !strings.Contains(other.Page.Text, "no_pending_logout") {
		t.Errorf("another browser brings the answer: %d", other.Page.Status)
	}
	if got := rolesByCookie(t, w, sessionCookie(other, w)); got != http.StatusOK {
		t.Errorf("bob's session gets %d", got)
	}
}
