package peers

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// openIDProvider is a section of the configuration for npm oidc-provider; name and
// client are the same.
func openIDProvider(issuer, client, algorithm string, more ...string) string {
	text := "  - name: " + client + "\n    type: oidc\n    issuer: " + issuer + "\n    client_id: " + client +
		"\n    algorithms: [" + algorithm + `]
    allow_private: true
    scopes: [groups]
    groups: {claim: groups}
`
	for _, line := range more {
		text += "    " + line + "\n"
	}
	return text
}

const withSecret = "client_secret: ${env:OP_SECRET}"

var algorithms = map[string]string{"broker-rs256": "RS256", "broker-es256": "ES256", "broker-ps256": "PS256", "broker-eddsa": "EdDSA"}

// startOpenID starts rolecall and the provider, which know one another.
func startOpenID(t *testing.T) (daemon, peer) {
	t.Helper()
	port := freePort(t)
	issuer := "http://127.0.0.1:" + portText(port)
	sections := openIDProvider(issuer, "broker-public", "RS256") +
		openIDProvider(issuer, "broker-other", "ES256", withSecret)
	names := []string{"broker-public", "broker-other"}
	for client, algorithm := range algorithms {
		sections += openIDProvider(issuer, client, algorithm, withSecret)
		names = append(names, client)
	}
	d := configure(t, sections)
	var callbacks []string
	for _, name := range names {
		callbacks = append(callbacks, d.url+"/oidc/"+name+"/callback")
	}
	op := startPeerAt(t, port, "oidc-provider", "/.well-known/openid-configuration", "REDIRECTS="+strings.Join(callbacks, ","))
	d.run(t)
	return d, op
}

func TestPeopleSignInAtAnOpenIDProvider(t *testing.T) {
	t.Parallel()
	d, op := startOpenID(t)
	for client := range algorithms {
		alice := d.signIn(t, client, "alice")
		status, who := d.identity(t, alice)
		if status != http.StatusOK || who.Subject != "alice" || who.Provider != client {
			t.Errorf("%s: %d %+v", client, status, who)
		}
		groups := []string{"aws-admins", "developers", `Team, "Quoted" & Co`, "Führung"}
		if diff := cmp.Diff(groups, who.Groups); diff != "" {
			t.Errorf("%s: groups (-want +got):\n%s", client, diff)
		}
	}

	alice := d.signIn(t, "broker-public", "alice") // no secret: PKCE alone
	d.press(t, alice, "/keys?role=production/Quoted", "/keys")
	if alice.Page.Status != http.StatusOK || !accessKey.MatchString(alice.Page.Text) {
		t.Errorf("no keys: %d\n%.2000s", alice.Page.Status, alice.Page.Text)
	}
	d.press(t, alice, "/console?role=production/Admin", "/console")
	if !strings.HasPrefix(alice.Page.URL.String(), d.aws+"/console") {
		t.Errorf("the console did not open: %s (%d)", alice.Page.URL, alice.Page.Status)
	}

	t.Run("an algorithm that is not listed is refused", func(t *testing.T) {
		b := browser(t)
		if err := b.SignIn(d.url+"/", "broker-other", person("alice")); err != nil {
			t.Fatal(err)
		}
		d.refused(t, b, http.StatusForbidden, "algorithm")
	})
	t.Run("a wrong password never reaches us", func(t *testing.T) {
		b := browser(t)
		if err := b.SignIn(d.url+"/", "broker-es256", scripted.Person{Name: "alice", Password: "wrong"}); err == nil {
			t.Errorf("no error; the browser is at %s", b.Page.URL)
		}
		if status, _ := d.identity(t, b); status != http.StatusUnauthorized {
			t.Errorf("the browser's cookie is answered with %d, want 401", status)
		}
	})
	t.Run("fresh asks for the password again", func(t *testing.T) {
		b := d.signIn(t, "broker-es256", "bob")
		b.Hold = "password"
		if err := b.SignIn(d.url+"/oidc/broker-es256/login", "broker-es256", person("bob")); err != nil {
			t.Fatal(err)
		}
		d.atHome(t, b)
		if err := b.SignIn(d.url+"/oidc/broker-es256/login?fresh=1", "broker-es256", person("bob")); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(b.Page.URL.String(), op.url) {
			t.Fatalf("the provider did not ask again: the browser is at %s", b.Page.URL)
		}
		b.Hold = ""
		if err := b.Submit(passwordForm(t, b), map[string]string{"username": "bob", "password": "bob-pw"}); err != nil {
			t.Fatal(err)
		}
		d.atHome(t, b)
	})
	t.Run("new keys need no restart", func(t *testing.T) {
		resp, err := http.Post(op.url+"/test/rotate", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		d.signIn(t, "broker-rs256", "bob")
	})
}
