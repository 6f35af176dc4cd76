package broker

import (
	"context"
	"fmt"
	"strings"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
)

// Fate is how a rule fared with a role that somebody asks about.
type Fate string

// The fates. A rule that does not speak of the role, or not of the person, is Skipped.
const (
	Held    Fate = "held"
	Failed  Fate = "failed"
	Skipped Fate = "skipped"
)

// Rule is one grant of the policy as it fared.
type Rule struct {
	Grant string
	Deny  bool
	Fate  Fate
	Tests []RuleTest
}

// RuleTest is one test of a rule. When is the text of a condition.
type RuleTest struct {
	Test   string
	Fate   Fate
	Detail string
	When   string
}

// Why is the answer about one role: whether, by which rule, what it would be at
// AWS, and how each rule fared.
type Why struct {
	Granted        bool
	Grant          string // that gives it, or that withholds it; "" where none speaks of it
	Reason         string // why it is withheld
	StepUp         bool
	SessionName    string
	SourceIdentity string
	Tags           []iam.Tag
	Rules          []Rule // in the order of the file
	// Session is what AWS will see: arn:aws:sts::ACCOUNT:assumed-role/NAME/SESSION.
	Session string
}

// Why says why the caller has a role or not. It is the decision of Explain, put
// so that a page can show it.
func (b *Broker) Why(ctx context.Context, origin Origin, caller Caller, role string) (Why, error) {
	decision, err := b.Explain(ctx, origin, caller, role)
	if err != nil {
		return Why{}, err
	}
	arn, err := b.cfg.Policy.ResolveRole(role)
	if err != nil {
		return Why{}, fmt.Errorf("role: %w", err) // Explain has judged it
	}
	return WhyOf(b.cfg.Policy, decision, arn), nil
}

// WhyOf reads a decision with its trace as the answer about one role.
func WhyOf(p *policy.Policy, decision policy.Decision, role iam.RoleARN) Why {
	var why Why
	for _, g := range decision.Granted {
		if g.Role == role {
			why = Why{Granted: true, Grant: g.Grant, SessionName: g.SessionName, SourceIdentity: g.SourceIdentity, Tags: g.Tags,
				Session: fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", role.Partition, role.Account, role.Name, g.SessionName)}
		}
	}
	for _, d := range decision.Denied {
		if d.Role == role && !why.Granted {
			why.Grant, why.Reason, why.StepUp = d.Grant, d.Reason, d.StepUp != nil
		}
	}
	for _, trace := range decision.Trace {
		why.Rules = append(why.Rules, ruleOf(p, trace, why))
	}
	return why
}

// ruleOf judges what a trace means for the role: a cross only where a rule that
// speaks of it fails.
func ruleOf(p *policy.Policy, trace policy.GrantTrace, why Why) Rule {
	rule := Rule{Grant: trace.Grant, Fate: Skipped}
	selected, elsewhere := true, false
	for _, t := range trace.Tests {
		switch {
		case selector[t.Test]:
			selected = selected && t.Held
		case (t.Test == "role" || t.Test == "first") && !t.Held:
			elsewhere = true
		}
	}
	speaks := selected && !elsewhere
	switch {
	case trace.Grant == why.Grant && why.Granted:
		rule.Fate = Held
	case trace.Grant == why.Grant && strings.HasPrefix(why.Reason, "refused by"):
		rule.Fate, rule.Deny = Failed, true
	case speaks && !why.Granted && !trace.Matched && len(trace.Tests) > 0:
		rule.Fate = Failed
	}
	for _, t := range trace.Tests {
		test := RuleTest{Test: t.Test, Detail: t.Detail, Fate: Held}
		if t.Test == "when" {
			test.When = p.When(trace.Grant)
		}
		if !t.Held {
			if test.Fate = Skipped; rule.Fate == Failed {
				test.Fate = Failed
			}
		}
		rule.Tests = append(rule.Tests, test)
	}
	return rule
}

// selector names the tests of who somebody is.
var selector = map[string]bool{
	"providers": true, "groups": true, "groups_matching": true, "users": true, "everyone": true, "guests": true,
}
