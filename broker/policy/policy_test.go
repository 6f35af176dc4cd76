package policy

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// now is a Monday, 9 o'clock UTC.
var now = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

func text(s string) config.Text { return config.Text{Value: s} }

func texts(values ...string) []config.Text {
	var out []config.Text
	for _, v := range values {
		out = append(out, text(v))
	}
	return out
}

// named makes a grant to a group, changed by f.
func named(name, group, role string, changes ...func(*config.Grant)) config.Grant {
	g := config.Grant{Name: text(name), Role: text(role), Duration: time.Hour}
	if group != "" {
		g.Groups = texts(group)
	}
	for _, change := range changes {
		change(&g)
	}
	return g
}

func setup(grants ...config.Grant) Config {
	return Config{
		Grants: grants,
		Accounts: []config.Account{
			{ID: text("111122223333"), Name: text("production"), Path: "/live", Tags: map[string]string{"stage": "live"}},
			{ID: text("444455556666"), Name: text("development"), Path: "/dev", Tags: map[string]string{"stage": "dev"}},
		},
		Providers: []config.Provider{{Name: text("corp"), Type: text("saml")}},
		Apps:      []config.App{wallet(grants)},
	}
}

// wallet is an app with guests that may use every grant.
func wallet(grants []config.Grant) config.App {
	a := config.App{Name: text("wallet"), Guests: true, GuestDuration: 12 * time.Hour}
	for _, g := range grants {
		if !g.Deny {
			a.Grants = append(a.Grants, g.Name)
		}
	}
	return a
}

func compiled(t testing.TB, c Config) *Policy {
	t.Helper()
	p, err := Compile(c)
	if err != nil {
		t.Fatalf("Compile: %v", err)
	}
	return p
}

func alice(groups ...string) idp.Identity {
	return idp.Identity{
		Provider: "corp", Subject: "u-1", Username: "alice", Groups: groups, Methods: []string{"pwd"},
		Attributes: map[string][]string{"team": {"core"}, "cost": {"a", "b"}}, AuthenticatedAt: now.Add(-time.Minute),
	}
}

func ask() Ask {
	return Ask{Address: netip.MustParseAddr("10.0.0.7"), Time: now, Via: "browser"}
}

// roles lists what is granted as grant=ACCOUNT/ROLE.
func roles(d Decision) []string {
	out := []string{}
	for _, g := range d.Granted {
		out = append(out, g.Grant+"="+g.Account.ID+g.Role.Path+g.Role.Name)
	}
	return out
}

// decide answers and holds Decide and Explain, listing and asking for one role, to the same answer.
func decide(t testing.TB, p *Policy, id idp.Identity, a Ask) Decision {
	t.Helper()
	d, e := p.Decide(id, a), p.Explain(id, a)
	if diff := cmp.Diff(d.Granted, e.Granted, secrets); diff != "" {
		t.Errorf("Decide and Explain grant differently:\n%s", diff)
	}
	if diff := cmp.Diff(d.Denied, e.Denied); diff != "" {
		t.Errorf("Decide and Explain deny differently:\n%s", diff)
	}
	if len(e.Trace) != len(p.grants) {
		t.Errorf("the trace has %d grants of %d", len(e.Trace), len(p.grants))
	}
	if a.Role != (iam.RoleARN{}) {
		return e
	}
	for _, g := range d.Granted {
		one := a
		one.Role = g.Role
		if diff := cmp.Diff([]Granted{g}, p.Decide(id, one).Granted, secrets); diff != "" {
			t.Errorf("asked for %s alone, the answer differs:\n%s", g.Role, diff)
		}
	}
	return e
}

var secrets = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b secret.String) bool { return a.Equal(b) })}

func TestTheExampleOfTheDesignGivesTheVeryCall(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup(
		named("platform-admin", "platform", "arn:aws:iam::111122223333:role/Admin", func(g *config.Grant) {
			g.Providers = texts("corp")
			g.When = text(`identity.mfa && cidr("10.0.0.0/8").containsIP(request.ip)`)
			g.Tags = map[string]config.Text{"team": text("{{ identity.attributes.team }}")}
			g.TransitiveTags = texts("team")
		}),
		named("by-convention", "", "arn:aws:iam::{{ account }}:role/{{ role }}", func(g *config.Grant) {
			g.GroupsMatching = text(`AWS-(?P<account>\d{12})-(?P<role>[\w+=,.@-]+)`)
		}),
	))
	id := alice("platform", "AWS-444455556666-Developer", "AWS-999999999999-Admin")
	id.Methods = []string{"pwd", "mfa"}
	got, err := json.Marshal(decide(t, p, id, ask()))
	if err != nil {
		t.Fatal(err)
	}
	var document struct{ Granted, Denied any }
	if err := json.Unmarshal(got, &document); err != nil {
		t.Fatal(err)
	}
	want := `{"Granted":[
	 {"role_arn":"arn:aws:iam::111122223333:role/Admin","account":"111122223333","grant":"platform-admin","duration":3600,
	  "session_name":"alice","source_identity":"corp=u-1","tags":{"team":"core"},"transitive_tags":["team"],"policy":null,"policy_arns":[],"console":true},
	 {"role_arn":"arn:aws:iam::444455556666:role/Developer","account":"444455556666","grant":"by-convention","duration":3600,
	  "session_name":"alice","source_identity":"corp=u-1","tags":{},"transitive_tags":[],"policy":null,"policy_arns":[],"console":true}],
	 "Denied":[{"role_arn":"","grant":"by-convention","reason":"the captured account \"999999999999\" is not one of accounts"}]}`
	var wanted struct{ Granted, Denied any }
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, document); diff != "" {
		t.Error(diff)
	}
}

func TestExplainJSONHasNoNullLists(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(compiled(t, setup()).Explain(idp.Identity{Provider: "corp", Subject: "s", Username: "u"}, ask()))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"identity":{"provider":"corp","subject":"s","username":"u","groups":[],"attributes":{},"methods":[]},"granted":[],"denied":[],"trace":[]}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestResolveRoleReadsWhatPeopleWrite(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup())
	for in, want := range map[string]string{
		"arn:aws:iam::111122223333:role/Admin":      "arn:aws:iam::111122223333:role/Admin",
		"arn:aws-cn:iam::999999999999:role/a/b":     "arn:aws-cn:iam::999999999999:role/a/b",
		"production/Admin":                          "arn:aws:iam::111122223333:role/Admin",
		"444455556666/Developer":                    "arn:aws:iam::444455556666:role/Developer",
		"development/team/x/Developer":              "arn:aws:iam::444455556666:role/team/x/Developer",
		"Admin":                                     "",
		"":                                          "",
		"nowhere/Admin":                             "",
		"production/":                               "",
		"production/Ad*":                            "",
		"production/../Admin\n":                     "",
		"arn:aws:iam::111122223333:user/Admin":      "",
		"arn:aws:iam::111122223333:role/Admin/../x": "",
	} {
		got, err := p.ResolveRole(in)
		if got.String() != want || (err == nil) != (want != "") {
			t.Errorf("ResolveRole(%q) = %s, %v; want %q", in, got, err, want)
		}
		if err != nil && !errors.Is(err, iam.ErrBadARN) {
			t.Errorf("ResolveRole(%q): %v is no ErrBadARN", in, err)
		}
	}
	if got := p.AccountName("111122223333") + p.AccountName("000000000000"); got != "production" {
		t.Errorf("AccountName gives %q", got)
	}
}

func TestTheDigestCoversAllThatDecides(t *testing.T) {
	t.Parallel()
	base := func() Config {
		return setup(named("a", "g", "production/A", func(g *config.Grant) { g.PolicyFile = text("p.json") }))
	}
	digest := func(change func(*Config)) string {
		c := base()
		c.ReadFile = func(string) ([]byte, error) {
			return []byte(`{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`), nil
		}
		change(&c)
		return compiled(t, c).Digest()
	}
	same := digest(func(*Config) {})
	if again := digest(func(*Config) {}); again != same || len(same) != 64 {
		t.Errorf("two digests of one policy: %s, %s", same, again)
	}
	for name, change := range map[string]func(*Config){
		"a group":        func(c *Config) { c.Grants[0].Groups = texts("h") },
		"an account":     func(c *Config) { c.Accounts[0].Name = text("prod"); c.Grants[0].Role = text("prod/A") },
		"a provider":     func(c *Config) { c.Providers[0].Type = text("oidc") },
		"the mode":       func(c *Config) { c.Mode = "web-identity" },
		"an external id": func(c *Config) { c.Accounts[0].ExternalID = secret.New("x") },
		"a policy file": func(c *Config) {
			c.ReadFile = func(string) ([]byte, error) {
				return []byte(`{"Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}`), nil
			}
		},
	} {
		if digest(change) == same {
			t.Errorf("%s changed and the digest did not", name)
		}
	}
}

func TestFaultsNameThePlaceAndTheMistake(t *testing.T) {
	t.Parallel()
	at := func(s string, line int) config.Text {
		return config.Text{Value: s, Pos: config.Pos{File: "c.yaml", Line: line, Column: 3}}
	}
	_, err := Compile(setup(
		named("a", "g", "production/A", func(g *config.Grant) { g.When = at("identity.mfa &&\n  identity.nam == 'x'", 10) }),
		named("b", "g", "production/B", func(g *config.Grant) { g.When = at("identity.username", 20) }),
		named("c", "", "production/C", func(g *config.Grant) { g.GroupsMatching = at("a)|(b", 30) }),
		named("d", "g", "production/D", func(g *config.Grant) { g.SessionName = at("{{ identity.email }}", 40) }),
		named("e", "g", "production/E", func(g *config.Grant) { g.Role = at("production/{{ role }}", 50) }),
		named("f", "g", "production/F", func(g *config.Grant) { g.Policy = at(`{"Statement": [{{ app }}]}`, 60) }),
		named("h", "g", "production/H", func(g *config.Grant) { g.PolicyARNs = []config.Text{at("arn:aws:iam::aws:role/x", 70)} }),
		named("i", "g", "production/I", func(g *config.Grant) { g.When = at(`cidr("10.0.0.0/99").containsIP(request.ip)`, 80) }),
	))
	faults, ok := errors.AsType[config.Faults](err)
	if !ok {
		t.Fatalf("%v is no config.Faults", err)
	}
	for _, want := range []string{"c.yaml:11: when", "c.yaml:20: when", "c.yaml:30: groups_matching", "c.yaml:40: session_name",
		"c.yaml:50: role", "c.yaml:60: policy", "c.yaml:70: policy_arns", "c.yaml:80: when"} {
		if !strings.Contains(faults.Error(), want) {
			t.Errorf("no fault begins with %q in:\n%v", want, faults)
		}
	}
}
