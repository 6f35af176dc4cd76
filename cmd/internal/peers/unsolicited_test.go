package peers

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// Where a provider may, it sends people here from its own page of applications:
// they say first that it is them.
func TestAProviderThatMaySendsPeopleUnasked(t *testing.T) {
	t.Parallel()
	idp := startSAML(t)
	d := serve(t, idp.provider("corp", "idp_initiated: true"))
	idp.meet(t, d, "corp")
	start := idp.url + "/saml2/idp/SSOService.php?" + url.Values{"spentityid": {d.url + "/saml/corp/metadata"}, "RelayState": {"https://evil.example.com/"}}.Encode()
	asked := func(name string) (*scripted.Browser, scripted.Form) {
		b := browser(t)
		b.Hold = "csrf"
		if err := b.SignIn(start, "corp", person(name)); err != nil {
			t.Fatal(err)
		}
		if code, _ := d.identity(t, b); code != http.StatusUnauthorized || !strings.Contains(b.Page.Text, "<bdi>"+name+"</bdi>") {
			t.Fatalf("before the click: identity %d, the page:\n%.2500s", code, b.Page.Text)
		}
		for _, f := range b.Page.Forms() {
			if f.Fields["csrf"] && strings.HasSuffix(f.Action, "/saml/corp/confirm") {
				return b, f
			}
		}
		t.Fatalf("there is no question:\n%.2500s", b.Page.Text)
		return nil, scripted.Form{}
	}
	victim := browser(t)
	if err := victim.Get(d.url + "/saml/corp/login"); err != nil {
		t.Fatal(err)
	}
	attacker, question := asked("alice")
	victim.Page = attacker.Page
	if err := victim.Submit(question, map[string]string{"decision": "approve"}); err != nil {
		t.Fatal(err)
	}
	d.refused(t, victim, http.StatusBadRequest, "no_pending_signin")

	if err := attacker.Submit(question, map[string]string{"decision": "approve"}); err != nil {
		t.Fatal(err)
	}
	d.atHome(t, attacker)

	bob, question := asked("bob")
	if err := bob.Submit(question, map[string]string{"decision": "deny"}); err != nil {
		t.Fatal(err)
	}
	d.refused(t, bob, http.StatusForbidden, "cancelled")
}
