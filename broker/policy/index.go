package policy

import "slices"

// index finds the grants that may select somebody without visiting the others.
// A grant is in exactly one of the maps, under each of its values; it is under
// anybody if neither groups nor users narrow it.
type index struct {
	byGroup map[string][]int32
	byUser  map[string][]int32
	anybody []int32
	guests  []int32
}

func (x *index) add(g *grant) {
	if x.byGroup == nil {
		x.byGroup, x.byUser = map[string][]int32{}, map[string][]int32{}
	}
	switch {
	case len(g.groups) > 0:
		for _, name := range g.groups {
			x.byGroup[name] = append(x.byGroup[name], g.index)
		}
	case len(g.users) > 0:
		for _, u := range g.users {
			x.byUser[u.key()] = append(x.byUser[u.key()], g.index)
		}
	case g.guests:
		x.guests = append(x.guests, g.index)
	default:
		x.anybody = append(x.anybody, g.index)
	}
}

// find appends the candidates for somebody, in file order and each once.
func (x *index) find(to []int32, d *decider) []int32 {
	start := len(to)
	if len(x.byGroup) > 0 {
		for _, name := range d.id.Groups {
			to = append(to, x.byGroup[name]...)
		}
	}
	if len(x.byUser) > 0 {
		to = append(to, x.byUser[d.id.Username]...)
		to = append(to, x.byUser[userRef{provider: d.id.Provider, subject: d.id.Subject}.key()]...)
	}
	to = append(to, x.anybody...)
	if d.ask.Guest {
		to = append(to, x.guests...)
	}
	slices.Sort(to[start:])
	return to[:start+len(slices.Compact(to[start:]))]
}

func (p *Policy) buildIndex() {
	for _, g := range p.grants {
		if g.deny {
			p.deny.add(g)
			continue
		}
		p.allow.add(g)
		if g.target.dynamic {
			p.loose.add(g)
		}
		for _, r := range g.target.static {
			p.byRole[r.arn] = append(p.byRole[r.arn], g.index)
		}
	}
}
