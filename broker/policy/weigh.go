package policy

import (
	"fmt"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

// oneGrant is an allowing grant that selects the person.
type oneGrant struct {
	*decider
	g *grant
}

// roles weighs every role that the grant gives with one set of captures.
func (o oneGrant) roles(captures []capture) {
	v := values{o.id, o.ask, captures}
	roles, reason := o.g.target.static, ""
	if o.g.target.dynamic || o.g.target.captured {
		roles, reason = o.g.target.render(o.p, v)
	}
	if reason != "" {
		o.withhold(roles, reason)
		return
	}
	for _, r := range roles {
		o.role(r, v)
	}
}

// withhold refuses roles that could not be named rightly; without any, the grant as such.
func (o oneGrant) withhold(roles []*role, reason string) {
	if o.trace != nil {
		o.trace.Tests = append(o.trace.Tests, Test{"role", false, reason})
	}
	var arn iam.RoleARN
	if len(roles) > 0 {
		arn = roles[0].arn
	}
	if o.ask.Role == (iam.RoleARN{}) || o.ask.Role == arn {
		o.denied = append(o.denied, Denied{Role: arn, Grant: o.g.name, Reason: reason})
	}
}

// role weighs one role: asked for, not given yet, not refused, condition,
// requirements, values.
func (o oneGrant) role(r *role, v values) {
	if o.ask.Role != (iam.RoleARN{}) && o.ask.Role != r.arn {
		o.say("role", false, "gives %s, which was not asked for", r.arn)
		return
	}
	if by := o.givenBy(r); by != "" {
		if o.trace != nil && o.requirements(r) == nil { // for the trace: would it hold?
			o.trace.Matched = true
		}
		o.say("first", false, "%s is given by %s already", r.arn, by)
		return
	}
	if by := o.refusedBy(r); by != "" {
		o.say("deny", false, "%s is refused by %s", r.arn, by)
		o.denied = append(o.denied, Denied{Role: r.arn, Grant: by, Reason: "refused by the grant " + by})
		return
	}
	if denied := o.requirements(r); denied != nil {
		o.denied = append(o.denied, *denied)
		return
	}
	o.granted = append(o.granted, Granted{})
	last := len(o.granted) - 1
	if reason := o.order(&o.granted[last], r, v); reason != "" {
		o.granted = o.granted[:last]
		o.say("values", false, "%s", reason)
		o.denied = append(o.denied, Denied{Role: r.arn, Grant: o.g.name, Reason: reason})
		return
	}
	if o.trace != nil {
		o.say("role", true, "gives %s", r.arn)
		o.trace.Matched = true
	}
	if r.contested || o.dynamic {
		if o.given == nil {
			o.given = map[iam.RoleARN]string{}
		}
		o.given[r.arn] = o.g.name
	}
}

func (d *decider) say(test string, held bool, format string, args ...any) {
	if d.trace != nil {
		d.trace.Tests = append(d.trace.Tests, Test{test, held, fmt.Sprintf(format, args...)})
	}
}

func (d *decider) givenBy(r *role) string {
	if d.given == nil || !r.contested && !d.dynamic {
		return ""
	}
	return d.given[r.arn]
}

// refusedBy names the denying grant that covers a role.
func (d *decider) refusedBy(r *role) string {
	for _, refusal := range d.refusals {
		for _, pattern := range refusal.patterns {
			if !refuses(pattern, r) {
				continue
			}
			if refusal.g.when != nil && refusal.g.when.perRole && !d.when(refusal.g, r) {
				break
			}
			return refusal.g.name
		}
	}
	return ""
}

// requirements judges device_flow, when and require; a grant that fails only on
// require needs a fresh sign-in and no more.
func (o oneGrant) requirements(r *role) *Denied {
	g := o.g
	deny := func(reason string) *Denied { return &Denied{Role: r.arn, Grant: g.name, Reason: reason} }
	if g.noDevice && !o.note("device_flow", o.ask.Via != viaDevice, viaDetail) {
		return deny("the grant refuses sessions that came by the device flow")
	}
	if g.when != nil && !o.when(g, r) {
		return deny("its condition does not hold: " + o.whenReason)
	}
	var missing []string
	var step StepUp
	if g.require.MFA && !o.note("require.mfa", o.id.MFA(), methodsDetail) {
		step.MFA = true
		missing = append(missing, "a second factor")
	}
	if most := g.require.MaxAge; most > 0 && !o.note("require.max_auth_age", o.fresh(most), ageDetail) {
		step.MaxAge = most
		missing = append(missing, fmt.Sprintf("a sign-in of the last %s", most))
	}
	if missing == nil {
		return nil
	}
	denied := deny("needs " + strings.Join(missing, " and "))
	denied.StepUp = &StepUp{MFA: step.MFA, MaxAge: step.MaxAge}
	return denied
}

// judged is the last condition that does not depend on the role, and its outcome:
// a grant of many roles evaluates it once.
type judged struct {
	g      *grant
	held   bool
	reason string
}

// when evaluates a grant's condition, for a role where it depends on one. What
// cannot be evaluated holds in a deny and does not hold elsewhere.
func (d *decider) when(g *grant, r *role) bool {
	if d.judged.g == g {
		d.whenReason = d.judged.reason
		return d.judged.held
	}
	if d.vars == nil {
		d.vars = &variables{id: d.id, ask: d.ask, groups: &d.groups}
	}
	d.vars.role, d.vars.unset = "", ""
	if g.when.perRole && r != nil {
		d.vars.role = r.arn.String()
	}
	held, err := g.when.holds(d.vars)
	d.whenReason = "false"
	if err != nil {
		held, d.whenReason = g.deny, "it cannot be evaluated: "+err.Error()
	}
	if !g.when.perRole {
		d.judged = judged{g, held, d.whenReason}
	}
	switch {
	case err != nil && g.deny:
		d.say("when", held, "%s; in a deny that holds", d.whenReason)
	case err != nil:
		d.say("when", held, "%s; that does not hold", d.whenReason)
	default:
		d.note("when", held, whenDetail)
	}
	return held
}

func whenDetail(d *decider) string {
	if d.vars.role != "" {
		return "for " + d.vars.role
	}
	return ""
}

// fresh reports whether the provider saw the person within most. A provider that
// does not say when has not shown it.
func (d *decider) fresh(most time.Duration) bool {
	return !d.id.AuthenticatedAt.IsZero() && d.ask.Time.Sub(d.id.AuthenticatedAt) <= most
}

func methodsDetail(d *decider) string { return "methods: " + listed(d.id.Methods) }

func viaDetail(d *decider) string { return "came by " + d.ask.Via }

func ageDetail(d *decider) string {
	if d.id.AuthenticatedAt.IsZero() {
		return "the provider does not say when the person signed in"
	}
	return "signed in " + d.ask.Time.Sub(d.id.AuthenticatedAt).Truncate(time.Second).String() + " ago"
}
