package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
)

func mode(name string) func(*config.Grant) {
	return func(g *config.Grant) { g.Mode = text(name) }
}

const narrow = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`

// withHub gives production a hub role, an external id, and a SAML provider.
func withHub(grants ...config.Grant) Config {
	c := setup(grants...)
	c.Accounts[0].HubRole = text("arn:aws:iam::444455556666:role/Hub")
	c.Accounts[0].SAMLProvider = text("arn:aws:iam::111122223333:saml-provider/rolecall")
	return c
}

func TestEachModeTakesFromTheAccountWhatItNeeds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hub      bool
		saml     string
		duration time.Duration
		source   string
	}{
		"assume-role":      {true, "", time.Hour, "corp=u-1"},
		"web-identity":     {false, "", 8 * time.Hour, "corp=u-1"},
		"saml":             {false, "arn:aws:iam::111122223333:saml-provider/rolecall", 8 * time.Hour, "corp=u-1"},
		"federation-token": {false, "", 8 * time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compiled(t, withHub(named("g", "platform", "production/Admin", mode(name), func(g *config.Grant) {
				g.Duration = 8 * time.Hour
				g.Policy = text(narrow)
			})))
			got := p.Decide(alice("platform"), ask()).Granted
			if len(got) != 1 {
				t.Fatalf("%+v", got)
			}
			g := got[0]
			if (g.HubRole != iam.RoleARN{}) != c.hub || g.SAMLProvider != c.saml || g.MaxDuration != c.duration || g.SourceIdentity != c.source || g.Mode != name {
				t.Errorf("%+v", g)
			}
		})
	}
}

func TestAnAccountWithoutSAMLProviderWithholdsARoleOfThatMode(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup(named("g", "platform", "production/Admin", mode("saml"))))
	d := p.Decide(alice("platform"), ask())
	if len(d.Granted) != 0 || len(d.Denied) != 1 || !strings.Contains(d.Denied[0].Reason, "no saml_provider") {
		t.Errorf("%+v", d)
	}
}

// GetFederationToken takes 32 characters: the hash keeps people apart in them.
func TestNamesOfFederationTokensAreShortAndNobodySharesOne(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 40)
	for _, template := range []string{"", "{{ identity.username }}"} {
		p := compiled(t, setup(named("g", "platform", "production/Admin", mode("federation-token"), func(g *config.Grant) {
			g.Policy, g.SessionName = text(narrow), text(template)
		})))
		seen := map[string]bool{}
		for _, subject := range []string{"1", "2"} {
			who := alice("platform")
			who.Username, who.Subject = long, subject
			name := p.Decide(who, ask()).Granted[0].SessionName
			if len(name) > 32 || seen[name] {
				t.Errorf("%q", name)
			}
			seen[name] = true
		}
	}
}

func TestAFederationTokenWithoutASessionPolicyDoesNotCompile(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*config.Grant){
		func(*config.Grant) {},
		func(g *config.Grant) { g.Policy, g.SourceIdentity = text(narrow), text("{{ identity.subject }}") },
		func(g *config.Grant) {
			g.Policy, g.Tags, g.TransitiveTags = text(narrow), map[string]config.Text{"a": text("b")}, texts("a")
		},
	} {
		if _, err := Compile(setup(named("g", "platform", "production/Admin", mode("federation-token"), change))); err == nil || !strings.Contains(err.Error(), "federation-token") {
			t.Errorf("%v", err)
		}
	}
}
