package policy

import (
	"fmt"
	"slices"
	"strings"
)

const viaDevice = "device"

// selector is one test of who somebody is.
type selector struct {
	name   string
	wanted func(g *grant) bool
	holds  func(d *decider, g *grant) bool
	detail func(d *decider, g *grant) string
}

// selectors are joined by AND, the values of one by OR.
var selectors = []selector{
	{"providers", func(*grant) bool { return true }, (*decider).providerHolds, providerDetail},
	{"groups", func(g *grant) bool { return len(g.groups) > 0 }, (*decider).groupHolds, groupDetail},
	{"groups_matching", func(g *grant) bool { return g.pattern != nil }, (*decider).patternHolds, patternDetail},
	{"users", func(g *grant) bool { return len(g.users) > 0 }, (*decider).userHolds, userDetail},
	{"everyone", func(g *grant) bool { return g.everyone }, (*decider).everyoneHolds, guestDetail},
	{"guests", func(g *grant) bool { return g.guests }, (*decider).guestHolds, guestDetail},
}

// selects runs the selectors of a grant: all of them where the trace is wanted.
func (d *decider) selects(g *grant) bool {
	held := len(g.groups) > 0 || g.pattern != nil || len(g.users) > 0 || g.everyone || g.guests
	for i := range selectors {
		s := &selectors[i]
		if !s.wanted(g) {
			continue
		}
		ok := s.holds(d, g)
		held = held && ok
		if d.trace != nil {
			d.trace.Tests = append(d.trace.Tests, Test{s.name, ok, s.detail(d, g)})
		} else if !ok {
			return false
		}
	}
	return held
}

// providerHolds: the named ones; without names every provider whose word is a
// company's own. A refusal without names, and a grant to guests, ask none.
func (d *decider) providerHolds(g *grant) bool {
	if len(g.providers) > 0 {
		return slices.Contains(g.providers, d.id.Provider)
	}
	if g.deny || g.guests {
		return true
	}
	k, configured := d.p.providers[d.id.Provider]
	return configured && !k.mustBeNamed
}

func providerDetail(d *decider, g *grant) string {
	if len(g.providers) > 0 {
		return fmt.Sprintf("wants %s; the identity comes from %q", listed(g.providers), d.id.Provider)
	}
	k, configured := d.p.providers[d.id.Provider]
	switch {
	case g.deny || g.guests:
		return "names none, and asks none"
	case !configured:
		return fmt.Sprintf("%q is not a configured provider", d.id.Provider)
	case k.mustBeNamed:
		return fmt.Sprintf("names none, and %q is of a kind that must be named", d.id.Provider)
	}
	return fmt.Sprintf("names none; %q may do without", d.id.Provider)
}

func (d *decider) groupHolds(g *grant) bool {
	return d.found || slices.ContainsFunc(g.groups, d.groups.has)
}

func groupDetail(d *decider, g *grant) string {
	if i := slices.IndexFunc(g.groups, d.groups.has); i >= 0 {
		return fmt.Sprintf("in %q", g.groups[i])
	}
	return "in none of " + listed(g.groups)
}

func (d *decider) patternHolds(g *grant) bool {
	d.matches = g.pattern.matches(d.id.Groups)
	return len(d.matches) > 0
}

func patternDetail(d *decider, _ *grant) string {
	return fmt.Sprintf("%d of %d groups match", len(d.matches), len(d.id.Groups))
}

func (d *decider) userHolds(g *grant) bool {
	return slices.ContainsFunc(g.users, func(u userRef) bool {
		if u.provider != "" {
			return u.provider == d.id.Provider && u.subject == d.id.Subject
		}
		return u.username == d.id.Username
	})
}

func userDetail(d *decider, _ *grant) string {
	return fmt.Sprintf("username %s, subject %s", quoted(d.id.Username), quoted(d.id.Subject))
}

func (d *decider) everyoneHolds(*grant) bool { return !d.ask.Guest }

func (d *decider) guestHolds(*grant) bool { return d.ask.Guest }

func guestDetail(d *decider, _ *grant) string {
	if d.ask.Guest {
		return "a guest"
	}
	return "not a guest"
}

// listed prints a few names.
func listed(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// note records a test where the trace is wanted.
func (d *decider) note(test string, held bool, detail func(*decider) string) bool {
	if d.trace != nil {
		d.trace.Tests = append(d.trace.Tests, Test{test, held, detail(d)})
	}
	return held
}
