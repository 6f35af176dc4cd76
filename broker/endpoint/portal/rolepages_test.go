package portal

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/page/pagetest"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

func allRoleSamples(p *RolePages) map[string]endpoint.Handler {
	all := roleSamples(p)
	maps.Copy(all, whySamples(p))
	return all
}

func TestEachPageOfARoleIsAsItsGoldenFileSays(t *testing.T) {
	t.Parallel()
	for name, render := range allRoleSamples(newRolePages(t)) {
		html := drawn(t, render)
		pagetest.Golden(t, name, html, *update)
		if err := pagetest.WellFormed(html); err != nil {
			t.Errorf("%s is not well-formed: %v", name, err)
		}
	}
}

func TestEachPageOfARoleIsForEverybodyOnAPhoneAndOnADesk(t *testing.T) {
	t.Parallel()
	mounted, paths := routes{}, map[string]string{}
	for name, render := range allRoleSamples(newRolePages(t)) {
		if name != "opening" { // it leaves at once
			mounted["GET /s/"+name], paths[name] = render, "/s/"+name
		}
	}
	var serve http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	serve = edgeAt(frame(t), server.URL, mounted)
	pagetest.Browse(t, server.URL, "/s/keys", paths)
}

func TestANameOnAPageOfARoleCannotBecomeMarkup(t *testing.T) {
	t.Parallel()
	pages := newRolePages(t)
	for _, evil := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title><script>alert(1)</script>`, "`${alert(1)}`", `javascript:alert(1)`} {
		person := page.Person{Username: evil, Name: evil, Provider: evil, Until: noon}
		role := Role{AccountID: "111122223333", AccountName: evil, Name: evil, Ref: evil, Grant: evil, Withheld: evil, Console: true, Label: evil}
		granted := role
		granted.Withheld = ""
		for name, render := range map[string]endpoint.Handler{
			"console":       showing(pages.Console, Console{Person: person, Role: granted, Services: []page.Option{{Value: evil, Text: evil, Chosen: true}}, Link: evil}),
			"opening":       showing(pages.Opening, Opening{Person: person, Role: granted, Service: page.Option{Value: evil, Text: evil}, Region: page.Option{Value: evil, Text: evil}, CancelURL: evil}),
			"keys-withheld": showing(pages.Keys, Keys{Person: person, Role: role, SignInURL: evil}),
			"keys-issued":   showing(pages.Keys, Keys{Person: person, Role: granted, Issued: &Issued{Region: evil, Credentials: iam.Credentials{AccessKeyID: evil, SecretAccessKey: secret.New(evil), SessionToken: secret.New(evil)}}}),
			"why":           showing(pages.Why, Why{Person: person, Role: role, SignInURL: evil, Address: evil, Others: []page.ListedRole{{Name: evil, Ref: evil, Console: true}}, Why: evilWhy(evil)}),
		} {
			html := drawn(t, render)
			for _, bad := range []string{"<script>", "<img", `href="javascript:`, `action="javascript:`, "<b>", "' onmouseover"} {
				if strings.Contains(html, bad) {
					t.Errorf("%s with %q holds %s", name, evil, bad)
				}
			}
			if err := pagetest.WellFormed(html); err != nil {
				t.Errorf("%s with %q is not well-formed: %v", name, evil, err)
			}
		}
	}
}

// evilWhy is an answer whose every text is an attack.
func evilWhy(evil string) broker.Why {
	why := broker.Why{Grant: evil, Reason: evil}
	for _, test := range []string{"providers", "groups", "groups_matching", "users", "everyone", "when", "require.mfa", "require.max_auth_age", "device_flow", "role", evil} {
		for _, fate := range []broker.Fate{broker.Held, broker.Failed} {
			why.Rules = append(why.Rules, broker.Rule{Grant: evil, Fate: fate, Tests: []broker.RuleTest{{Test: test, Fate: fate, Detail: evil, When: evil}, {Test: test, Fate: fate, Detail: `in "` + evil}}})
		}
	}
	return why
}

func TestASecretStandsOnlyInTheElementsThatMaskIt(t *testing.T) {
	t.Parallel()
	pages := newRolePages(t)
	const mark = "SecretMarkerOfThisTest"
	html := drawn(t, func(w http.ResponseWriter, r *http.Request) error {
		return pages.Keys(w, r, Keys{Role: Role{Ref: "a/B"}, Issued: &Issued{Credentials: iam.Credentials{SecretAccessKey: secret.New(mark), SessionToken: secret.New(mark)}}})
	})
	masked := strings.Count(html, `<span class="veil">••••••••••••••••</span><span class="secret">`+mark+`</span>`)
	if all := strings.Count(html, mark); all != 8 || masked != 8 {
		t.Errorf("the secret is there %d times, %d of them masked; want 8 and 8", all, masked)
	}
}

func TestKeysAreQuotedForTheirShell(t *testing.T) {
	t.Parallel()
	odd := Issued{Region: "eu-west-1", Credentials: iam.Credentials{AccessKeyID: `A'B\C`, SecretAccessKey: secret.New("x\u2019y\nz"), SessionToken: secret.New("t")}}
	got := map[string]string{}
	for _, s := range odd.Snippets(Role{Ref: "sand box/Dev+Ops"}) {
		got[s.ID] = s.Lines[0].Head + "|" + s.Lines[1].Head + s.Lines[1].Secret
	}
	for id, want := range map[string]string{
		"bash":       `export AWS_ACCESS_KEY_ID='A'\''B\C'|export AWS_SECRET_ACCESS_KEY='x’yz`,
		"fish":       `set -gx AWS_ACCESS_KEY_ID 'A\'B\\C'|set -gx AWS_SECRET_ACCESS_KEY 'x’yz`,
		"powershell": `$Env:AWS_ACCESS_KEY_ID = 'A''B\C'|$Env:AWS_SECRET_ACCESS_KEY = 'x’’yz`,
		"file":       `[sand-box-Dev+Ops]|aws_access_key_id = A'B\C`,
		"process":    `[profile sand-box-Dev+Ops]|region = eu-west-1`,
	} {
		if got[id] != want {
			t.Errorf("%s:\n got %s\nwant %s", id, got[id], want)
		}
	}
}
