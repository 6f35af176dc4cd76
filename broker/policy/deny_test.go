package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

func refusing(role string, changes ...func(*config.Grant)) config.Grant {
	g := named("no", "", role, changes...)
	g.Deny = true
	if len(g.Groups)+len(g.Users) == 0 && g.GroupsMatching.Value == "" && !g.Guests {
		g.Everyone = true
	}
	return g
}

func TestADenyWinsOverEveryGrant(t *testing.T) {
	t.Parallel()
	grants := []config.Grant{
		named("a", "dev", "production/Admin"),
		named("b", "dev", "production/team/Reader"),
		named("c", "dev", "development/Admin"),
		named("d", "", "{{ account }}/{{ role }}", func(g *config.Grant) { g.GroupsMatching = text(`(?P<account>\w+)-(?P<role>\w+)`) }),
	}
	const pa, pr, da, dx = "a=111122223333/Admin", "b=111122223333/team/Reader", "c=444455556666/Admin", "d=444455556666/Extra"
	for _, c := range []struct {
		name string
		deny config.Grant
		want []string
	}{
		{"one role by name", refusing("production/Admin"), []string{pr, da, dx}},
		{"one role by ARN", refusing("arn:aws:iam::111122223333:role/Admin"), []string{pr, da, dx}},
		{"one role by account id", refusing("111122223333/Admin"), []string{pr, da, dx}},
		{"all of an account", refusing("production/*"), []string{da, dx}},
		{"all of an account by ARN", refusing("arn:aws:iam::111122223333:role/*"), []string{da, dx}},
		{"a star stands for slashes too", refusing("production/*Reader"), []string{pa, da, dx}},
		{"a role in every account", refusing("*/Admin"), []string{pr, dx}},
		{"everything", refusing("*"), []string{}},
		{"a role that a template names", refusing("*Extra"), []string{pa, pr, da}},
		{"matching is case-sensitive", refusing("production/admin"), []string{pa, pr, da, dx}},
		{"a star does not match across nothing", refusing("production/Ad*min*x"), []string{pa, pr, da, dx}},
		{"by accounts", refusing("Ad*", func(g *config.Grant) { g.Accounts.Tags = map[string]string{"stage": "dev"} }), []string{pa, pr, dx}},
		{"to a group", refusing("*", func(g *config.Grant) { g.Groups = texts("dev") }), []string{}},
		{"to another group", refusing("*", func(g *config.Grant) { g.Groups = texts("ops") }), []string{pa, pr, da, dx}},
		{"to a user", refusing("*", func(g *config.Grant) { g.Users = texts("corp=u-1") }), []string{}},
		{"of what a group names", refusing("{{ account }}/*", func(g *config.Grant) { g.GroupsMatching = text(`(?P<account>develop\w+)-.*`) }), []string{pa, pr}},
		{"with a condition that holds", refusing("*", func(g *config.Grant) { g.When = text("!identity.mfa") }), []string{}},
		{"with a condition that does not hold", refusing("*", func(g *config.Grant) { g.When = text("identity.mfa") }), []string{pa, pr, da, dx}},
		{"with a condition that cannot be evaluated", refusing("*", func(g *config.Grant) { g.When = text(`identity.attributes.nope[0] == "x"`) }), []string{}},
		{"with an unset variable", refusing("*", func(g *config.Grant) { g.When = text(`device == "x"`) }), []string{}},
		{"with a condition on the role", refusing("*", func(g *config.Grant) { g.When = text(`request.role.endsWith("/Admin")`) }), []string{pr, dx}},
		{"with a missing value", refusing("production/{{ identity.attributes.nope }}"), []string{da, dx}},
		{"with a value that does not fit", refusing("production/{{ identity.attributes.odd }}"), []string{da, dx}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			id := alice("dev", "development-Extra")
			id.Attributes["odd"] = []string{"a/b"}
			for _, first := range []bool{true, false} {
				order := append([]config.Grant{}, grants...)
				if first {
					order = append([]config.Grant{c.deny}, order...)
				} else {
					order = append(order, c.deny)
				}
				d := decide(t, compiled(t, setup(order...)), id, ask())
				if diff := cmp.Diff(c.want, roles(d)); diff != "" {
					t.Errorf("deny first: %v\n%s", first, diff)
				}
				if len(d.Granted)+len(d.Denied) != 4 {
					t.Errorf("%d granted and %d denied, want 4 together", len(d.Granted), len(d.Denied))
				}
			}
		})
	}
}

func TestADenyThatCanRefuseNothingIsAFault(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"Admin*", "prodution/*", "arn:aws:iam:111122223333:role/*", "arn:aws:s3::111122223333:role/*", "arn:aws:iam::1:user/*", "nowhere/R", "Admin"} {
		if _, err := Compile(setup(refusing(role))); err == nil {
			t.Errorf("a deny of %q compiles", role)
		}
	}
	for _, role := range []string{"*", "prod*", "production/*", "1111*", "999988887777/*", "arn:*", "arn:aws:iam::*:role/Admin", "arn:aws-cn:iam::1*", "arn:aws:iam::111122223333:role/x*", "*/Admin", "{{ app }}/x"} {
		if _, err := Compile(setup(refusing(role))); err != nil {
			t.Errorf("a deny of %q: %v", role, err)
		}
	}
	if _, err := Compile(setup(named("g", "dev", "production/*"))); err == nil {
		t.Error("a grant that is no deny may hold *")
	}
}

func TestADenyGivesNothing(t *testing.T) {
	t.Parallel()
	d := decide(t, compiled(t, setup(refusing("production/Admin"))), alice("dev"), ask())
	if len(d.Granted)+len(d.Denied) != 0 {
		t.Errorf("a deny alone gave %v and withheld %v", roles(d), d.Denied)
	}
	if _, err := Compile(setup(refusing("*", func(g *config.Grant) { g.Tags = map[string]config.Text{"a": text("b")} }))); err == nil {
		t.Error("a deny with tags compiles")
	}
}

func TestWildcardIsAnchoredAtBothEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"a*", "ba", false}, {"*a", "ab", false},
		{"a*a", "a", false}, {"a*a", "aa", true}, {"a**b", "ab", true}, {"a*b*c", "axcxbxc", true}, {"a*b*c", "acb", false},
		{"*ab*ab", "ab", false}, {"?", "a", false},
	} {
		if got := wildcard(c.pattern, c.text); got != c.want {
			t.Errorf("wildcard(%q, %q) = %v", c.pattern, c.text, got)
		}
	}
}

func TestADenyBindsGuestsWhereItSaysSo(t *testing.T) {
	t.Parallel()
	p := compiled(t, setup(
		named("g", "", "production/R", func(g *config.Grant) { g.Guests = true }),
		refusing("*", func(g *config.Grant) { g.Guests = true; g.When = text(`request.guest && request.via == "tvm"`) }),
	))
	a := ask()
	a.Guest, a.Via = true, "tvm"
	if d := decide(t, p, idp.Identity{Provider: "device", Subject: "d"}, a); len(d.Granted) != 0 {
		t.Errorf("granted %v", roles(d))
	}
}
