package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// oracle answers as DESIGN.md section 4 reads, grant by grant, with nothing
// compiled and nothing indexed: what it grants, as grant=ACCOUNT/ROLE.
func oracle(c Config, id idp.Identity, a Ask) []string {
	out, given := []string{}, map[string]bool{}
	for _, g := range c.Grants {
		if g.Deny || !oracleSelects(c, g, id, a) || g.Require.MFA && !slices.Contains(id.Methods, "mfa") {
			continue
		}
		for _, role := range oracleRoles(g, id) {
			if given[role] || oracleRefuses(c, role, id, a) {
				continue
			}
			given[role] = true
			out = append(out, g.Name.Value+"="+role)
		}
	}
	return out
}

func oracleSelects(c Config, g config.Grant, id idp.Identity, a Ask) bool {
	has := func(list []config.Text, value string) bool {
		return slices.ContainsFunc(list, func(t config.Text) bool { return t.Value == value })
	}
	named := len(g.Providers) == 0 || has(g.Providers, id.Provider)
	if len(g.Providers) == 0 && !g.Deny && !g.Guests {
		named = slices.ContainsFunc(c.Providers, func(p config.Provider) bool {
			return p.Name.Value == id.Provider && (p.Type.Value == "saml" || p.Type.Value == "oidc") && p.Preset.Value != "kubernetes"
		})
	}
	inGroup := len(g.Groups) == 0 || slices.ContainsFunc(id.Groups, func(name string) bool { return has(g.Groups, name) })
	matching := g.GroupsMatching.Value == "" || len(oracleCaptures(id)) > 0
	user := len(g.Users) == 0 || has(g.Users, id.Username) || has(g.Users, id.Provider+"="+id.Subject)
	guest := (!g.Everyone || !a.Guest) && (!g.Guests || a.Guest)
	when := g.When.Value == "" || (g.When.Value == "identity.mfa") == slices.Contains(id.Methods, "mfa")
	return named && inGroup && matching && user && guest && when
}

// oracleCaptures are the roles that groups named AWS-ROLE give.
func oracleCaptures(id idp.Identity) []string {
	var found []string
	for _, group := range id.Groups {
		if role, ok := strings.CutPrefix(group, "AWS-"); ok {
			found = append(found, role)
		}
	}
	return found
}

func oracleRoles(g config.Grant, id idp.Identity) []string {
	if g.GroupsMatching.Value == "" {
		return []string{strings.Replace(g.Role.Value, "production", "111122223333", 1)}
	}
	var roles []string
	for _, role := range oracleCaptures(id) {
		roles = append(roles, "111122223333/"+role)
	}
	return roles
}

func oracleRefuses(c Config, role string, id idp.Identity, a Ask) bool {
	for _, g := range c.Grants {
		pattern, _ := strings.CutSuffix(strings.Replace(g.Role.Value, "production", "111122223333", 1), "*")
		if g.Deny && oracleSelects(c, g, id, a) && (role == g.Role.Value || strings.HasPrefix(role, pattern)) {
			return true
		}
	}
	return false
}

// randomGrant uses every selector.
func randomGrant(r *rand.Rand, i int) config.Grant {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	maybe := func(set func()) {
		if r.IntN(3) == 0 {
			set()
		}
	}
	g := config.Grant{Name: text(fmt.Sprint("grant-", i)), Role: text("production/" + pick("A", "B", "C", "D", "E"))}
	maybe(func() { g.Groups = append(g.Groups, text(pick("g1", "g2", "g3"))) })
	maybe(func() { g.Groups = append(g.Groups, text(pick("g3", "g4", "g5"))) })
	maybe(func() { g.Users = texts(pick("alice", "bob"), pick("corp=s1", "lab=s1")) })
	maybe(func() { g.Everyone = r.IntN(2) == 0; g.Guests = !g.Everyone })
	maybe(func() { g.Providers = texts(pick("corp", "lab", "machine", "device")) })
	maybe(func() { g.When = text(pick("identity.mfa", "!identity.mfa")) })
	maybe(func() { g.Deny = r.IntN(2) == 0 })
	if g.Deny {
		maybe(func() { g.Role = text("production/*") })
	} else {
		maybe(func() { g.Require.MFA = true })
		maybe(func() { g.GroupsMatching, g.Role = text("AWS-(?P<role>.*)"), text("production/{{ role }}") })
	}
	if len(g.Groups)+len(g.Users) == 0 && !g.Everyone && !g.Guests && g.GroupsMatching.Value == "" {
		g.Everyone = true
	}
	return g
}

func TestNoIdentityGetsWhatTheOracleDoesNotGive(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 2026)) //nolint:gosec // a fixed seed, so that a failure repeats
	some := 0
	for range 1000 {
		var grants []config.Grant
		for i := range 1 + r.IntN(8) {
			grants = append(grants, randomGrant(r, i))
		}
		c := setup(grants...)
		c.Providers = append(c.Providers, config.Provider{Name: text("lab"), Type: text("oidc")}, config.Provider{Name: text("machine"), Type: text("oidc"), Preset: text("kubernetes")})
		p := compiled(t, c)
		for range 5 {
			id := idp.Identity{
				Provider: []string{"corp", "lab", "machine", "device", "unknown"}[r.IntN(5)],
				Subject:  []string{"s1", "s2"}[r.IntN(2)], Username: []string{"alice", "bob", "carol"}[r.IntN(3)],
			}
			for _, name := range []string{"g1", "g2", "g3", "g4", "AWS-A", "AWS-F", "AWS-G"} {
				if r.IntN(2) == 0 {
					id.Groups = append(id.Groups, name)
				}
			}
			if r.IntN(2) == 0 {
				id.Methods = []string{"mfa"}
			}
			a := ask()
			a.Guest = id.Provider == "device" && r.IntN(2) == 0
			want, got := oracle(c, id, a), roles(decide(t, p, id, a))
			some += len(want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%+v\n%+v\nguest %v: oracle (-) and policy (+):\n%s", grants, id, a.Guest, diff)
			}
		}
	}
	if some < 1000 {
		t.Errorf("the oracle granted %d roles in all: too few to show anything", some)
	}
}
