package policy

import (
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/idp"
)

// decider is one decision in progress.
type decider struct {
	p      *Policy
	id     *idp.Identity
	ask    *Ask
	groups groupSet
	vars   *variables
	names  names
	room   [32]int32 // for the candidates of most people
	// found says that the grants being considered come from the index of groups, so
	// that their groups have held already.
	found bool

	refusals []refusal
	granted  []Granted
	denied   []Denied
	given    map[iam.RoleARN]string // role -> grant, for roles that several grants may give
	dynamic  bool                   // a candidate's roles are known only with the person

	judged     judged
	whenReason string      // why the last condition did not hold
	matches    [][]capture // of the pattern of the grant being considered
	trace      *GrantTrace // nil where nobody asked why
	traces     []GrantTrace
}

// refusal is a denying grant that selects the person.
type refusal struct {
	g        *grant
	patterns []string
}

// Decide answers for one identity and one ask.
func (p *Policy) Decide(id idp.Identity, ask Ask) Decision {
	d := decider{p: p, id: &id, ask: &ask, groups: groupSet{names: id.Groups}}
	d.found = true
	for _, i := range p.deny.find(d.room[:0], &d) {
		d.refuse(p.grants[i])
	}
	d.found = ask.Role == (iam.RoleARN{})
	candidates := p.candidates(d.room[:0], &d)
	d.granted = make([]Granted, 0, len(candidates))
	for _, i := range candidates {
		d.consider(p.grants[i])
	}
	return d.decision()
}

// Explain is Decide with the trace of every grant.
func (p *Policy) Explain(id idp.Identity, ask Ask) Decision {
	d := decider{p: p, id: &id, ask: &ask, groups: groupSet{names: id.Groups}, dynamic: true}
	d.traces = make([]GrantTrace, len(p.grants))
	for i, g := range p.grants {
		d.traces[i].Grant = g.name
	}
	for _, denying := range []bool{true, false} {
		for i, g := range p.grants {
			if g.deny != denying {
				continue
			}
			d.trace = &d.traces[i]
			if denying {
				d.refuse(g)
			} else {
				d.consider(g)
			}
		}
	}
	return d.decision()
}

// candidates appends the allowing grants that may concern the ask, in file order.
func (p *Policy) candidates(to []int32, d *decider) []int32 {
	if d.ask.Role == (iam.RoleARN{}) {
		to = p.allow.find(to, d)
		for _, i := range to {
			if p.grants[i].target.dynamic {
				d.dynamic = true
				break
			}
		}
		return to
	}
	loose := p.loose.find(to, d)
	exact := p.byRole[d.ask.Role]
	if len(loose) == 0 {
		return exact
	}
	d.dynamic = true
	return merge(loose, exact)
}

// merge joins two ascending lists.
func merge(a, b []int32) []int32 {
	merged := make([]int32, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0] < b[0] {
			merged, a = append(merged, a[0]), a[1:]
		} else {
			merged, b = append(merged, b[0]), b[1:]
		}
	}
	return append(append(merged, a...), b...)
}

// refuse takes up a denying grant if it selects the person. A condition that
// depends on the role is judged with each role.
func (d *decider) refuse(g *grant) {
	d.matches = nil
	if !d.selects(g) || !d.refusalHolds(g) {
		return
	}
	sets := d.matches
	if sets == nil {
		sets = [][]capture{nil}
	}
	r := refusal{g: g}
	for _, captures := range sets {
		r.patterns = append(r.patterns, g.target.patterns(values{d.id, d.ask, captures})...)
	}
	d.refusals = append(d.refusals, r)
	if d.trace != nil {
		d.trace.Matched = true
	}
}

// refusalHolds judges what joins the selectors of a deny by AND. What cannot be
// said holds.
func (d *decider) refusalHolds(g *grant) bool {
	held := true
	if g.when != nil && !g.when.perRole {
		held = d.when(g, nil)
	}
	if g.require.MFA {
		held = d.note("require.mfa", d.id.MFA(), methodsDetail) && held
	}
	if g.require.MaxAge > 0 {
		fresh := d.fresh(g.require.MaxAge) || d.id.AuthenticatedAt.IsZero()
		held = d.note("require.max_auth_age", fresh, ageDetail) && held
	}
	if g.noDevice {
		held = d.note("device_flow", d.ask.Via != viaDevice, viaDetail) && held
	}
	return held
}

// consider weighs an allowing grant.
func (d *decider) consider(g *grant) {
	d.matches = nil
	if !d.selects(g) || !d.appHolds(g) {
		return
	}
	one := oneGrant{decider: d, g: g}
	if g.pattern == nil || len(g.pattern.captures) == 0 {
		one.roles(nil)
		return
	}
	for _, captures := range d.matches {
		one.roles(captures)
	}
}

// decision sorts out the denied: a role that is granted after all is not denied,
// and of several reasons that a person can do something about is kept.
func (d *decider) decision() Decision {
	out := Decision{Identity: *d.id, Granted: d.granted, Trace: d.traces}
	if len(d.denied) == 0 {
		return out
	}
	granted := make(map[iam.RoleARN]bool, len(d.granted))
	for _, g := range d.granted {
		granted[g.Role] = true
	}
	at := make(map[iam.RoleARN]int, len(d.denied))
	for _, denied := range d.denied {
		if granted[denied.Role] {
			continue
		}
		first, seen := at[denied.Role]
		if !seen || denied.Role == (iam.RoleARN{}) {
			at[denied.Role] = len(out.Denied)
			out.Denied = append(out.Denied, denied)
			continue
		}
		if out.Denied[first].StepUp == nil && denied.StepUp != nil {
			out.Denied[first] = denied
		}
	}
	return out
}
