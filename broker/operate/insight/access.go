package insight

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/config"
)

// Access is the policy as a graph: who -> grants -> roles.
type Access struct {
	Digest string
	Loaded time.Time
	Grants []Grant // in the order of the file
}

// Grant is one grant in the middle of the graph.
type Grant struct {
	Number int // in the file, from 1
	Name   string
	Deny   bool
	Who    []Node
	Roles  []Node
	// Terms are what it demands beside who, and how long it lasts, in a few words each.
	Terms []string
	// When is its condition, "" for none.
	When string
}

// Node is one end of a grant: somebody, or a role.
type Node struct {
	// Kind is group, pattern, user, everyone or guests; of a role it is role, or
	// roles where the person or a pattern decides.
	Kind, Name string
}

// Access lists the grants of the policy that runs.
func (i *Insight) Access(ctx context.Context, caller broker.Caller) (Access, error) {
	if err := i.admit(ctx, caller); err != nil {
		return Access{}, err
	}
	running := i.cfg.Running()
	a := Access{Digest: running.Policy.Digest(), Loaded: running.Loaded}
	targets := map[string][]policy.Target{}
	for _, t := range running.Policy.Targets() {
		targets[t.Grant] = append(targets[t.Grant], t)
	}
	for n, g := range running.Config.Grants {
		a.Grants = append(a.Grants, Grant{
			Number: n + 1, Name: g.Name.Value, Deny: g.Deny, Who: whoOf(g), Roles: rolesOf(running.Policy, g, targets[g.Name.Value]), Terms: termsOf(g), When: g.When.Value,
		})
	}
	return a, nil
}

// whoOf are the selectors that name somebody. Where there is more than one kind
// they hold together; Terms of the grant say that.
func whoOf(g config.Grant) []Node {
	var who []Node
	for _, t := range g.Groups {
		who = append(who, Node{"group", t.Value})
	}
	if g.GroupsMatching.Value != "" {
		who = append(who, Node{"pattern", g.GroupsMatching.Value})
	}
	for _, t := range g.Users {
		who = append(who, Node{"user", t.Value})
	}
	if g.Everyone {
		who = append(who, Node{"everyone", "everyone"})
	}
	if g.Guests {
		who = append(who, Node{"guests", "guests"})
	}
	return who
}

// rolesOf are the roles that are known now; what is known only with the person, and
// what a refusal takes away, is the text of the grant.
func rolesOf(p *policy.Policy, g config.Grant, targets []policy.Target) []Node {
	var roles []Node
	for _, t := range targets {
		if t.Role.Name != "" {
			roles = append(roles, Node{"role", refOf(p, t.Role)})
		}
	}
	if len(roles) > 0 {
		return roles
	}
	text := g.Role.Value
	if g.Deny && text == "*" {
		text = "every role"
	}
	var where []string
	for _, n := range g.Accounts.Names {
		where = append(where, n.Value)
	}
	for key, value := range g.Accounts.Tags {
		where = append(where, key+"="+value)
	}
	if g.Accounts.Path != "" {
		where = append(where, g.Accounts.Path)
	}
	if len(where) > 0 {
		text = strings.Join(where, ", ") + ": " + text
	}
	return []Node{{"roles", text}}
}

func termsOf(g config.Grant) []string {
	var terms []string
	add := func(yes bool, format string, args ...any) {
		if yes {
			terms = append(terms, fmt.Sprintf(format, args...))
		}
	}
	kinds := 0
	for _, has := range []bool{len(g.Groups) > 0, g.GroupsMatching.Value != "", len(g.Users) > 0} {
		if has {
			kinds++
		}
	}
	add(kinds > 1, "group and user together")
	var from []string
	for _, p := range g.Providers {
		from = append(from, p.Value)
	}
	add(len(from) > 0, "from %s", strings.Join(from, " or "))
	add(g.When.Value != "", "condition")
	add(g.Require.MFA, "two factors")
	add(g.Require.MaxAuthAge > 0, "sign-in within %s", short(g.Require.MaxAuthAge))
	add(g.DeviceFlow != nil && !*g.DeviceFlow, "not by device code")
	if g.Deny {
		return terms
	}
	add(g.Console != nil && !*g.Console, "keys only")
	duration := cmp.Or(g.Duration, time.Hour)
	most := max(g.MaxDuration, duration)
	add(most == duration, "%s", short(duration))
	add(most > duration, "%s, at most %s", short(duration), short(most))
	return terms
}

// short prints 1h0m0s as 1 h and 15m0s as 15 min.
func short(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return d.String()
}
