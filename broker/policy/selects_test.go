package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// one makes a grant "g" of production/R.
func one(change func(*config.Grant)) config.Grant {
	return named("g", "", "production/R", change)
}

func TestWhoAGrantSelects(t *testing.T) {
	t.Parallel()
	device := false
	for _, c := range []struct {
		name  string
		grant config.Grant
		id    func(*idp.Identity)
		ask   func(*Ask)
		want  bool
	}{
		{"a group that one has", one(func(g *config.Grant) { g.Groups = texts("x", "dev") }), nil, nil, true},
		{"a group in other case", one(func(g *config.Grant) { g.Groups = texts("Dev") }), nil, nil, false},
		{"a group that one's begins with", one(func(g *config.Grant) { g.Groups = texts("de") }), nil, nil, false},
		{"a pattern matches the whole name", one(func(g *config.Grant) { g.GroupsMatching = text("d.v") }), nil, nil, true},
		{"a pattern that matches a part does not match", one(func(g *config.Grant) { g.GroupsMatching = text("de") }), nil, nil, false},
		{"each side of an alternative is anchored", one(func(g *config.Grant) { g.GroupsMatching = text("x|de") }), nil, nil, false},
		{"a pattern does not match a line of a name", one(func(g *config.Grant) { g.GroupsMatching = text("(?m)^admin$") }),
			func(id *idp.Identity) { id.Groups = []string{"x\nadmin\ny"} }, nil, false},
		{"a trailing line feed is part of a name", one(func(g *config.Grant) { g.GroupsMatching = text("dev") }),
			func(id *idp.Identity) { id.Groups = []string{"dev\n"} }, nil, false},
		{"a username", one(func(g *config.Grant) { g.Users = texts("alice") }), nil, nil, true},
		{"a username in other case", one(func(g *config.Grant) { g.Users = texts("Alice") }), nil, nil, false},
		{"provider=subject", one(func(g *config.Grant) { g.Users = texts("corp=u-1") }), nil, nil, true},
		{"another's subject", one(func(g *config.Grant) { g.Users = texts("corp=u-2") }), nil, nil, false},
		{"a username chosen to look like provider=subject", one(func(g *config.Grant) { g.Users = texts("corp=u-2") }),
			func(id *idp.Identity) { id.Username = "corp=u-2" }, nil, false},
		{"a subject that equals a username of the list", one(func(g *config.Grant) { g.Users = texts("bob") }),
			func(id *idp.Identity) { id.Subject = "bob" }, nil, false},
		{"groups and users are joined by AND", one(func(g *config.Grant) { g.Groups, g.Users = texts("dev"), texts("bob") }), nil, nil, false},
		{"groups and a pattern are joined by AND", one(func(g *config.Grant) { g.Groups, g.GroupsMatching = texts("dev"), text("ops") }), nil, nil, false},
		{"everyone", one(func(g *config.Grant) { g.Everyone = true }), nil, nil, true},
		{"everyone is no guest", one(func(g *config.Grant) { g.Everyone = true }), nil, func(a *Ask) { a.Guest = true }, false},
		{"guests are no persons", one(func(g *config.Grant) { g.Guests = true }), nil, nil, false},
		{"a guest", one(func(g *config.Grant) { g.Guests = true }), func(id *idp.Identity) { id.Provider = "device" }, func(a *Ask) { a.Guest = true }, true},
		{"a grant without selectors selects nobody", one(func(*config.Grant) {}), nil, nil, false},
		{"only providers selects nobody", one(func(g *config.Grant) { g.Providers = texts("corp") }), nil, nil, false},
		{"another provider", one(func(g *config.Grant) { g.Everyone, g.Providers = true, texts("lab") }), nil, nil, false},
		{"one of the providers", one(func(g *config.Grant) { g.Everyone, g.Providers = true, texts("lab", "corp") }), nil, nil, true},
		{"the device flow is refused", one(func(g *config.Grant) { g.Everyone, g.DeviceFlow = true, &device }), nil, func(a *Ask) { a.Via = "device" }, false},
		{"refusing the device flow lets others in", one(func(g *config.Grant) { g.Everyone, g.DeviceFlow = true, &device }), nil, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			id, a := alice("dev"), ask()
			if c.id != nil {
				c.id(&id)
			}
			if c.ask != nil {
				c.ask(&a)
			}
			d := decide(t, compiled(t, setup(c.grant)), id, a)
			if got := len(d.Granted) == 1; got != c.want {
				t.Errorf("granted: %v, want %v; trace %+v", got, c.want, d.Trace)
			}
			if d.Trace[0].Matched != c.want {
				t.Errorf("trace says matched: %v, want %v", d.Trace[0].Matched, c.want)
			}
		})
	}
}

func TestProvidersWhoseWordIsWorthLessMustBeNamed(t *testing.T) {
	t.Parallel()
	grants := []config.Grant{
		named("unnamed", "dev", "production/Unnamed"),
		named("named", "dev", "production/Named", func(g *config.Grant) { g.Providers = texts("p", "device") }),
		named("refuse", "", "production/Never", func(g *config.Grant) { g.Deny, g.Everyone = true, true }),
	}
	// The list of DESIGN.md section 4, by type and by preset.
	for _, c := range []struct{ kind, preset string }{
		{"oauth2", ""}, {"directory", ""}, {"device", ""}, {"oidc", "google"}, {"oidc", "apple"}, {"oauth2", "facebook"}, {"oauth2", "amazon"},
		{"oauth2", "github"}, {"oidc", "github-actions"}, {"oidc", "gitlab-ci"}, {"oidc", "kubernetes"}, {"oidc", "spiffe"},
		{"oidc", "cognito"}, {"oidc", "auth0"},
	} {
		what := c.kind + " " + c.preset
		d := decideAt(t, grants, config.Provider{Type: text(c.kind), Preset: text(c.preset)})
		if diff := cmp.Diff([]string{"named=111122223333/Named"}, roles(d)); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		if !d.Trace[2].Matched {
			t.Errorf("%s: a deny that names no provider must bind everybody", what)
		}
		if want := "must be named"; !strings.Contains(d.Trace[0].Tests[0].Detail, want) {
			t.Errorf("%s: the trace says %q, not %q", what, d.Trace[0].Tests[0].Detail, want)
		}
	}
	for _, c := range []struct{ kind, preset string }{
		{"saml", ""}, {"oidc", ""}, {"ldap", ""}, {"oidc", "microsoft"}, {"oidc", "okta"}, {"oidc", "keycloak"},
	} {
		d := decideAt(t, grants, config.Provider{Type: text(c.kind), Preset: text(c.preset)})
		if diff := cmp.Diff([]string{"unnamed=111122223333/Unnamed", "named=111122223333/Named"}, roles(d)); diff != "" {
			t.Errorf("%s %s: %s", c.kind, c.preset, diff)
		}
	}
	id := alice("dev")
	id.Provider = "nobody-configured-this"
	if d := decide(t, compiled(t, setup(grants[0])), id, ask()); len(d.Granted) != 0 {
		t.Errorf("an identity of a provider that is not configured was granted %v", roles(d))
	}
}

// decideAt decides for alice of dev at a provider "p", or "device" of that type.
func decideAt(t *testing.T, grants []config.Grant, provider config.Provider) Decision {
	t.Helper()
	c := setup(grants...)
	provider.Name = text("p")
	id := alice("dev")
	if id.Provider = "p"; provider.Type.Value == "device" {
		id.Provider = "device"
	}
	c.Providers = append(c.Providers, provider)
	return decide(t, compiled(t, c), id, ask())
}

// What a grant without providers reaches is told to whoever sets up the roles too.
func TestProvidersThatMustBeNamedAreNoneOfATargets(t *testing.T) {
	t.Parallel()
	c := setup(named("unnamed", "dev", "production/R"))
	c.Providers = append(c.Providers,
		config.Provider{Name: text("google"), Type: text("oidc"), Preset: text("google")},
		config.Provider{Name: text("entra"), Type: text("oidc"), Preset: text("microsoft")})
	var got []string
	for _, target := range compiled(t, c).Targets() {
		got = append(got, target.Providers...)
	}
	if diff := cmp.Diff([]string{"corp", "entra"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRequireWithholdsWithAWayOut(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup(named("g", "dev", "production/R", func(g *config.Grant) {
		g.Require = config.Require{MFA: true, MaxAuthAge: 10 * time.Minute}
	})))
	for _, c := range []struct {
		name    string
		methods []string
		at      time.Time
		want    *StepUp
	}{
		{"both are there", []string{"pwd", "mfa"}, now.Add(-10 * time.Minute), nil},
		{"no second factor", []string{"pwd", "MFA", "otp"}, now, &StepUp{MFA: true}},
		{"too long ago", []string{"mfa"}, now.Add(-10*time.Minute - time.Nanosecond), &StepUp{MaxAge: 10 * time.Minute}},
		{"the provider does not say when", []string{"mfa"}, time.Time{}, &StepUp{MaxAge: 10 * time.Minute}},
		{"neither", nil, time.Time{}, &StepUp{MFA: true, MaxAge: 10 * time.Minute}},
	} {
		id := alice("dev")
		id.Methods, id.AuthenticatedAt = c.methods, c.at
		a := ask()
		a.Since = now // a session of this minute says nothing about the provider's
		d := decide(t, p, id, a)
		if c.want == nil {
			if len(d.Granted) != 1 {
				t.Errorf("%s: not granted: %+v", c.name, d.Denied)
			}
			continue
		}
		if len(d.Granted) != 0 || len(d.Denied) != 1 {
			t.Fatalf("%s: granted %v, denied %v", c.name, roles(d), d.Denied)
		}
		if diff := cmp.Diff(c.want, d.Denied[0].StepUp); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestAStepUpThatWouldNotHelpIsNotOffered(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup(
		named("g", "dev", "production/R", func(g *config.Grant) { g.Require.MFA = true; g.When = text("false") }),
		named("h", "dev", "production/S", func(g *config.Grant) { g.Require.MFA = true }),
		named("no", "dev", "production/S", func(g *config.Grant) { g.Deny = true }),
	))
	for _, denied := range decide(t, p, alice("dev"), ask()).Denied {
		if denied.StepUp != nil {
			t.Errorf("%s offers a step-up: %s", denied.Grant, denied.Reason)
		}
	}
}

func TestTheFirstGrantThatHoldsGivesTheRole(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup(
		named("mfa-only", "dev", "production/R", func(g *config.Grant) { g.Require.MFA = true; g.Duration = 4 * time.Hour }),
		named("first", "dev", "arn:aws:iam::111122223333:role/R", func(g *config.Grant) { g.Duration = 2 * time.Hour }),
		named("second", "", "{{ account }}/R", func(g *config.Grant) { g.GroupsMatching = text("(?P<account>prod.*)") }),
		named("third", "dev", "111122223333/R"),
	))
	d := decide(t, p, alice("production", "dev"), ask())
	if len(d.Granted) != 1 || d.Granted[0].Grant != "first" || d.Granted[0].Duration != 2*time.Hour {
		t.Fatalf("granted %v", roles(d))
	}
	if len(d.Denied) != 0 {
		t.Errorf("a role that is granted is denied too: %v", d.Denied)
	}
	for i, want := range []bool{false, true, true, true} {
		if d.Trace[i].Matched != want {
			t.Errorf("%s: matched %v, want %v", d.Trace[i].Grant, d.Trace[i].Matched, want)
		}
	}
	tests := d.Trace[3].Tests
	if last := tests[len(tests)-1]; last.Test != "first" || !strings.Contains(last.Detail, "by first") {
		t.Errorf("the trace of a later grant ends with %+v", last)
	}
}

func TestAccountsSelectOneRoleInEach(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		selector config.Accounts
		want     []string
	}{
		"by name":             {config.Accounts{Names: texts("development")}, []string{"g=444455556666/x/R"}},
		"by id":               {config.Accounts{Names: texts("111122223333")}, []string{"g=111122223333/x/R"}},
		"by tag":              {config.Accounts{Tags: map[string]string{"stage": "live"}}, []string{"g=111122223333/x/R"}},
		"by path":             {config.Accounts{Path: "/dev/"}, []string{"g=444455556666/x/R"}},
		"all":                 {config.Accounts{Path: "/"}, []string{}},
		"not by half a path":  {config.Accounts{Path: "/de"}, []string{}},
		"not by another tag":  {config.Accounts{Tags: map[string]string{"stage": "live", "x": ""}}, []string{}},
		"by tag and name":     {config.Accounts{Names: texts("development"), Tags: map[string]string{"stage": "live"}}, []string{}},
		"two names in a list": {config.Accounts{Names: texts("development", "production")}, []string{"g=111122223333/x/R", "g=444455556666/x/R"}},
	} {
		if name == "all" {
			c.want = []string{"g=111122223333/x/R", "g=444455556666/x/R"}
		}
		p := compiled(t, setup(named("g", "dev", "x/R", func(g *config.Grant) { g.Accounts = c.selector })))
		if diff := cmp.Diff(c.want, roles(decide(t, p, alice("dev"), ask()))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
