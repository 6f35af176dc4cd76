package config

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

func (c *checker) grants() {
	names := map[string]Pos{}
	for i := range c.Grants {
		g, path := &c.Grants[i], element("grants", i)
		c.unique(names, "grants[].name", g.Name)
		c.selectors(g, path)
		c.grantProviders(g)
		c.durations(g, path)
		c.mode(g, path)
		c.filled(under(path, "role"), g.Role)
		c.listedRole(g, path)
		if g.GroupsMatching.Value != "" {
			if _, err := regexp.Compile(g.GroupsMatching.Value); err != nil {
				c.faults.Add(g.GroupsMatching.Pos, "grants[].groups_matching: %v", err)
			}
		}
		if c.set(under(path, "policy")) && c.set(under(path, "policy_file")) {
			c.fault(under(path, "policy_file"), "policy is set too; keep one of them")
		}
		c.between(under(path, "require.max_auth_age"), g.Require.MaxAuthAge, time.Second, year)
	}
}

// selectors refuses a grant that selects no person, or whom nobody can tell.
func (c *checker) selectors(g *Grant, path string) {
	people := g.Everyone || g.Guests
	for _, key := range []string{"groups", "groups_matching", "users"} {
		people = people || c.set(under(path, key))
	}
	if !people {
		c.faults.Add(g.Pos, "grant %s selects no person; give groups, groups_matching, users, everyone: true or guests: true", quoted(g.Name.Value))
	}
	if g.Everyone && g.Guests {
		c.fault(under(path, "guests"), "everyone never matches a guest and guests nobody else, so together they select no person")
	}
	c.filled(under(path, "groups_matching"), g.GroupsMatching)
	c.notEmpty(under(path, "groups"), len(g.Groups))
	c.notEmpty(under(path, "users"), len(g.Users))
	c.notEmpty(under(path, "providers"), len(g.Providers))
	c.notEmpty(under(path, "accounts.names"), len(g.Accounts.Names))
	if c.set(under(path, "accounts")) &&
		!c.set(under(path, "accounts.names")) && !c.set(under(path, "accounts.tags")) && !c.set(under(path, "accounts.path")) {
		c.fault(under(path, "accounts"), "selects nothing; give names, tags or path")
	}
	for list, texts := range map[string][]Text{"groups": g.Groups, "users": g.Users} {
		for _, t := range texts {
			if t.Value == "" && t.Pos.Line != 0 {
				c.faults.Add(t.Pos, "grants[].%s: an empty name matches nobody; remove it", list)
			}
		}
	}
	for _, name := range g.Accounts.Names {
		if name.Value != "" && c.account(name.Value) == nil {
			c.faults.Add(name.Pos, "grants[].accounts.names: no account is called %s%s", quoted(name.Value), didYouMean(name.Value, c.accountNames()))
		}
	}
}

func (c *checker) grantProviders(g *Grant) {
	var known []string
	for _, p := range c.Providers {
		known = append(known, p.Name.Value)
	}
	for _, name := range g.Providers {
		if name.Value != "" && name.Value != "device" && !slices.Contains(known, name.Value) {
			c.faults.Add(name.Pos, "grants[].providers: no provider is called %s%s", quoted(name.Value), didYouMean(name.Value, known))
		}
	}
	if len(g.Providers) > 0 || g.Guests {
		return
	}
	var open, closed int // those that count without their name, and those that do not
	for _, p := range c.Providers {
		if p.MustBeNamed() {
			closed++
		} else {
			open++
		}
	}
	switch {
	case open > 1:
		c.warn(g.Pos, "grant %s names no providers, so a group or user of any of the %d counts alike; name those that you mean", quoted(g.Name.Value), open)
	case open == 0 && closed > 0 && !g.Deny:
		c.warn(g.Pos, "grant %s names no providers and never matches: anybody may have an account at those here, or a machine may, so they must be named", quoted(g.Name.Value))
	}
}

// durations keeps to what STS gives: 15m to 12h, and 1h through a hub.
func (c *checker) durations(g *Grant, path string) {
	asked, most := under(path, "duration"), under(path, "max_duration")
	c.between(asked, g.Duration, iam.MinDuration, iam.MaxDuration)
	c.between(most, g.MaxDuration, iam.MinDuration, iam.MaxDuration)
	if c.set(most) && g.MaxDuration > 0 && g.MaxDuration < g.Duration {
		c.fault(most, "%s is less than duration, %s", brief(g.MaxDuration), brief(g.Duration))
	}
	if c.modeOf(g) != "assume-role" {
		return // nothing is chained
	}
	c.hubs(g, asked, g.Duration)
	if c.set(most) {
		c.hubs(g, most, g.MaxDuration)
	}
}

// hubs refuses what AWS never gives through a hub role, and warns where the grant
// has other accounts too, in which it does.
func (c *checker) hubs(g *Grant, path string, d time.Duration) {
	reached := c.reached(g)
	var hubbed []string
	for _, a := range reached {
		if a.HubRole.Value != "" {
			hubbed = append(hubbed, a.Name.Value)
		}
	}
	const text = "%s is more than the 1h that AWS gives through a hub role, as in %s"
	switch {
	case d <= iam.MaxChainedDuration || len(hubbed) == 0:
	case len(hubbed) == len(reached):
		c.fault(path, text, brief(d), quoted(strings.Join(hubbed, ", ")))
	default:
		c.warn(c.place(path), shown(path)+": "+text+"; there it will be 1h", brief(d), quoted(strings.Join(hubbed, ", ")))
	}
}

// reached gives the accounts that a grant names outright; what a template or a
// selection by tag gives is known at the decision only.
func (c *checker) reached(g *Grant) []*Account {
	var names []string
	for _, t := range g.Accounts.Names {
		names = append(names, t.Value)
	}
	if role, err := iam.ParseRoleARN(g.Role.Value); err == nil {
		names = append(names, role.Account)
	} else if name, _, ok := strings.Cut(g.Role.Value, "/"); ok && len(names) == 0 {
		names = append(names, name)
	}
	var found []*Account
	for _, name := range names {
		if a := c.account(name); a != nil {
			found = append(found, a)
		}
	}
	return found
}

func (c *checker) account(nameOrID string) *Account {
	for i := range c.Accounts {
		if a := &c.Accounts[i]; a.ID.Value == nameOrID || a.Name.Value == nameOrID {
			return a
		}
	}
	return nil
}

func (c *checker) accountNames() []string {
	var names []string
	for _, a := range c.Accounts {
		names = append(names, a.Name.Value)
	}
	return names
}

// listedRole warns of a role that is none of those that an account lists: a typing
// error gives nobody anything, and nobody would notice. A template is not judged.
func (c *checker) listedRole(g *Grant, path string) {
	if g.Deny || strings.Contains(g.Role.Value, "{{") {
		return
	}
	name := strings.TrimPrefix(g.Role.Value, "/")
	if role, err := iam.ParseRoleARN(g.Role.Value); err == nil {
		name = strings.TrimPrefix(role.Path+role.Name, "/")
	} else if !c.set(under(path, "accounts")) {
		_, name, _ = strings.Cut(name, "/")
	}
	for _, a := range c.reached(g) {
		known := func(r Text) bool { return strings.TrimPrefix(r.Value, "/") == name }
		if a.Roles != nil && !slices.ContainsFunc(a.Roles, known) {
			var names []string
			for _, r := range a.Roles {
				names = append(names, r.Value)
			}
			c.warn(g.Role.Pos, "grants[].role: account %s lists no role %s%s; where it is new, run rolecalld aws discover again", quoted(a.Name.Value), quoted(name), didYouMean(name, names))
		}
	}
}
