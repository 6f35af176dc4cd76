package insight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// Question is about whom, and under what circumstances.
type Question struct {
	// Person is somebody who has signed in, as PROVIDER=SUBJECT or by a user name that
	// is only theirs: their newest identity counts, and Identity does not.
	Person   string
	Identity idp.Identity
	// Role asks about one, as an ARN or ACCOUNT/ROLE; "" is all.
	Role string
	// Address is theirs; At is when, zero for now; Via is the way on which they come,
	// by default the browser; Device is for the Token Vending Machine.
	Address, Via, Device string
	At                   time.Time
}

// Explanation is the decision, read for people.
type Explanation struct {
	Identity idp.Identity
	At       time.Time
	// Seen is when Person signed in last, zero for an identity that was made up.
	Seen time.Time
	// NameTaken says that somebody else came first with this user name.
	NameTaken bool
	Decision  policy.Decision
	// Role is the answer where one was asked about; nil is all.
	Role *broker.Why
	// Ref is that role as ACCOUNT/ROLE.
	Ref    string
	Rules  []Rule
	Orders []Order
	// Withheld are roles that a grant names and something keeps back.
	Withheld []Withheld
	// JSON is the document of `rolecalld explain --json`.
	JSON string
}

// Withheld is one role that is kept back; Ref is "" where it cannot even be named.
type Withheld struct{ Ref, Grant, Reason string }

// Rule is one grant of the policy and how it fared. Selects says that it speaks of
// this identity.
type Rule struct {
	broker.Rule
	Number  int // in the file, from 1
	Selects bool
}

// Explain answers a question. It is the very call that vending makes, and what
// `rolecalld explain` prints.
func (i *Insight) Explain(ctx context.Context, origin broker.Origin, caller broker.Caller, q Question) (Explanation, error) {
	if err := i.admit(ctx, caller); err != nil {
		return Explanation{}, err
	}
	var out Explanation
	who, seen, err := i.identity(ctx, q)
	if err != nil {
		return out, err
	}
	running := i.cfg.Running()
	ask, err := i.ask(running.Policy, q)
	if err != nil {
		return out, err
	}
	detail := fmt.Sprintf("%s=%s (%s)", who.Provider, who.Subject, who.Username)
	for _, part := range [][2]string{{"role", q.Role}, {"from", q.Address}, {"by", ask.Via}, {"at", ask.Time.UTC().Format(time.RFC3339)}} {
		if part[1] != "" {
			detail += ", " + part[0] + " " + part[1]
		}
	}
	if err := i.record(ctx, origin, caller, "admin.explain", detail); err != nil {
		return out, err
	}
	if ask.NameTaken, err = i.cfg.Sessions.NameTaken(ctx, who.Provider, who.Subject, who.Username); err != nil {
		return out, err
	}
	out = Explanation{Identity: who, At: ask.Time, Seen: seen, NameTaken: ask.NameTaken, Decision: running.Policy.Explain(who, ask)}
	if q.Role != "" {
		why := broker.WhyOf(running.Policy, out.Decision, ask.Role)
		out.Role, out.Ref = &why, refOf(running.Policy, ask.Role)
	}
	out.Rules = rulesOf(running.Policy, out.Decision, out.Role)
	for _, g := range out.Decision.Granted {
		out.Orders = append(out.Orders, orderOf(g))
	}
	for _, d := range out.Decision.Denied {
		w := Withheld{Grant: d.Grant, Reason: d.Reason}
		if d.Role != (iam.RoleARN{}) {
			w.Ref = refOf(running.Policy, d.Role)
		}
		out.Withheld = append(out.Withheld, w)
	}
	text, err := json.MarshalIndent(out.Decision, "", "  ")
	if err != nil {
		return out, fmt.Errorf("explain as JSON: %w", err)
	}
	out.JSON = string(text)
	return out, nil
}

// identity is whom the question is about.
func (i *Insight) identity(ctx context.Context, q Question) (idp.Identity, time.Time, error) {
	if q.Person == "" {
		who := q.Identity
		if who.Provider == "" || who.Subject == "" {
			return who, time.Time{}, broker.Fail(broker.InvalidRequest, "no_identity", "Name a provider and a subject, or choose somebody who has signed in.")
		}
		return who, time.Time{}, nil
	}
	found, err := i.named(ctx, q.Person)
	switch {
	case err != nil:
		return idp.Identity{}, time.Time{}, err
	case len(found) == 1:
		return found[0].Identity, found[0].Since, nil
	case len(found) > 1:
		who := make([]string, len(found))
		for n, s := range found {
			who[n] = s.Identity.Provider + "=" + s.Identity.Subject
		}
		return idp.Identity{}, time.Time{}, broker.Fail(broker.InvalidRequest, "ambiguous_person", "Several people have this user name. Write one of: "+strings.Join(who[:min(len(who), 5)], ", ")+".")
	}
	return idp.Identity{}, time.Time{}, broker.Fail(broker.InvalidRequest, "no_such_person", "Nobody of that name has signed in within the last 90 days. Describe the identity instead.")
}

// named are the newest sign-ins of PROVIDER=SUBJECT, or of everybody with a user name.
func (i *Insight) named(ctx context.Context, name string) ([]session.Session, error) {
	if provider, subject, ok := strings.Cut(name, "="); ok && provider != "" && subject != "" {
		if found, err := i.cfg.Sessions.Arrivals(ctx, provider, subject, 1); err != nil || len(found) == 1 {
			return found, err
		}
	}
	all, err := i.cfg.Sessions.Arrivals(ctx, "", "", maxPeople)
	return slices.DeleteFunc(all, func(s session.Session) bool { return s.Identity.Username != name }), err
}

var ways = []broker.Via{broker.ViaBrowser, broker.ViaCLI, broker.ViaDevice, broker.ViaExchange, broker.ViaTVM}

func (i *Insight) ask(p *policy.Policy, q Question) (policy.Ask, error) {
	ask := policy.Ask{Time: q.At, Device: q.Device, Via: string(broker.ViaBrowser)}
	if ask.Time.IsZero() {
		ask.Time = i.cfg.Now()
	}
	if q.Via != "" {
		if !slices.Contains(ways, broker.Via(q.Via)) {
			return ask, broker.Fail(broker.InvalidRequest, "malformed_via", "The way is one of browser, cli, device, exchange and tvm.")
		}
		ask.Via = q.Via
	}
	var err error
	if q.Role != "" {
		if ask.Role, err = p.ResolveRole(q.Role); err != nil {
			return ask, broker.Fail(broker.InvalidRequest, "malformed_role", "The role must be an ARN (arn:aws:iam::ACCOUNT:role/NAME) or ACCOUNT/ROLE with an account of this broker.").Because(err)
		}
	}
	if ask.Address, err = addressOf(q.Address); err != nil {
		return ask, broker.Fail(broker.InvalidRequest, "malformed_address", "The address must be an IP address such as 192.0.2.7.").Because(err)
	}
	return ask, nil
}

// selecting names the tests of who somebody is.
var selecting = []string{"providers", "groups", "groups_matching", "users", "everyone", "guests"}

// rulesOf reads the trace: as the answer about one role where there is one, else
// grant by grant, with a cross where a grant that speaks of the identity fails.
func rulesOf(p *policy.Policy, d policy.Decision, role *broker.Why) []Rule {
	rules := make([]Rule, len(d.Trace))
	for n, trace := range d.Trace {
		rule := Rule{Number: n + 1, Selects: true, Rule: broker.Rule{Grant: trace.Grant, Fate: broker.Skipped}}
		for _, t := range trace.Tests {
			rule.Selects = rule.Selects && (t.Held || !slices.Contains(selecting, t.Test))
		}
		rule.Selects = rule.Selects && len(trace.Tests) > 0
		if role != nil {
			rule.Rule = role.Rules[n]
			rules[n] = rule
			continue
		}
		switch {
		case trace.Matched:
			rule.Fate = broker.Held
		case rule.Selects:
			rule.Fate = broker.Failed
		}
		for _, t := range trace.Tests {
			test := broker.RuleTest{Test: t.Test, Detail: t.Detail, Fate: broker.Held}
			if t.Test == "when" {
				test.When = p.When(trace.Grant)
			}
			if !t.Held {
				if test.Fate = broker.Skipped; rule.Selects {
					test.Fate = broker.Failed
				}
			}
			rule.Tests = append(rule.Tests, test)
		}
		rules[n] = rule
	}
	return rules
}
