package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
)

// app is what an app adds to decisions about its devices and people.
type app struct {
	guests        bool
	guestDuration time.Duration
	// grants are those that it may use, by index.
	grants map[int32]bool
	policy *template // nil is none
}

// compileApps reads the apps. An app's policy and that of a grant must be provably
// one within the other: STS joins session policies by OR, so that both cannot be
// sent.
func (p *Policy) compileApps(apps []config.App, faults *config.Faults) {
	for _, c := range apps {
		a := &app{guests: c.Guests, guestDuration: c.GuestDuration, grants: map[int32]bool{}}
		if a.guestDuration == 0 {
			a.guestDuration = iam.MinDuration
		}
		var text string
		if c.Policy.Value != "" {
			t, compact, err := parsePolicy(c.Policy.Value, nil)
			if err != nil {
				faults.Add(c.Policy.Pos, "apps[].policy: %v", err)
				continue
			}
			a.policy, text = &t, compact
		}
		for _, name := range c.Grants {
			i := slices.IndexFunc(p.grants, func(g *grant) bool { return g.name == name.Value && !g.deny })
			if i < 0 {
				faults.Add(name.Pos, "apps[].grants: no grant that gives something is called %q", name.Value)
				continue
			}
			a.grants[p.grants[i].index] = true
			if a.policy == nil {
				continue
			}
			if why := unjoinable(p.grants[i], text); why != "" {
				faults.Add(name.Pos, "app %q has a policy, and grant %q %s; remove one of the two, or make one provably narrower than the other", c.Name.Value, name.Value, why)
			}
		}
		p.apps[c.Name.Value] = a
	}
}

// unjoinable says why the policy of an app cannot be joined with that of a grant,
// "" where it can.
func unjoinable(g *grant, policy string) string {
	switch {
	case len(g.policyARNs) > 0:
		return "has policy_arns, beside which STS would count the app's by OR"
	case g.policy == nil:
		return ""
	}
	if _, err := within(plainTemplates(g.policyText), plainTemplates(policy)); err != nil {
		return "has another, and neither is provably within the other: " + err.Error()
	}
	return ""
}

var templateGaps = regexp.MustCompile(`\{\{\s*(.*?)\s*\}\}`)

// plainTemplates makes templates that mean the same look the same. What is found
// here with the templates as text is found again with their values at each order.
func plainTemplates(text string) string { return templateGaps.ReplaceAllString(text, "{{$1}}") }

// within gives the narrower of two policies, with the refusals of both.
func within(a, b string) (string, error) {
	joined, err := iam.Narrow(a, b)
	if err == nil {
		return joined, nil
	}
	if other, failed := iam.Narrow(b, a); failed == nil {
		return other, nil
	}
	return "", err
}

// appHolds judges whether an order through an app may use a grant. One that comes
// through no app may use all; through an app that is not configured, none.
func (d *decider) appHolds(g *grant) bool {
	if d.ask.App == "" {
		return true
	}
	a := d.p.apps[d.ask.App]
	return d.note("app", a != nil && a.grants[g.index] && (a.guests || !d.ask.Guest), appDetail)
}

func appDetail(d *decider) string {
	a := d.p.apps[d.ask.App]
	switch {
	case a == nil:
		return fmt.Sprintf("there is no app %s", quoted(d.ask.App))
	case d.ask.Guest && !a.guests:
		return "app " + d.ask.App + " has no guests"
	}
	return "through app " + d.ask.App
}

// fillApp narrows an order by what the app adds: its session policy, and for a
// guest a short life.
func (o oneGrant) fillApp(out *Granted, v values) string {
	a := o.p.apps[o.ask.App]
	if o.ask.App == "" || a == nil {
		return ""
	}
	if o.ask.Guest {
		out.Duration, out.MaxDuration = min(out.Duration, a.guestDuration), min(out.MaxDuration, a.guestDuration)
	}
	if a.policy == nil {
		return ""
	}
	text, reason := a.policy.render(v, fitPolicy)
	if reason != "" {
		return "policy of app " + o.ask.App + ": " + reason
	}
	if len(out.PolicyARNs) > 0 {
		return "policy of app " + o.ask.App + ": the grant has policy_arns"
	}
	joined, err := iam.Narrow("", text)
	if out.Policy != "" {
		joined, err = within(out.Policy, text)
	}
	if err != nil {
		return "policy of app " + o.ask.App + ": " + strings.TrimSpace(err.Error())
	}
	out.Policy = joined
	return ""
}
