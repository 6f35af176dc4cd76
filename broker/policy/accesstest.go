package policy

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// TestResult is how one access test fared; without a Failure it passed.
type TestResult struct {
	Name     string
	Failures config.Faults // at the role in the file that is not as expected
}

// RunTests decides every access test as an order of each of its roles would be
// decided. The error is config.Faults: what makes a test mean nothing.
func (p *Policy) RunTests(tests []config.AccessTest, now time.Time) ([]TestResult, error) {
	var faults config.Faults
	results := make([]TestResult, 0, len(tests))
	for _, t := range tests {
		who, ask := p.testCase(t, now, &faults)
		result := TestResult{Name: t.Name.Value}
		for i, text := range append(append([]config.Text{}, t.Allow...), t.Deny...) {
			role, err := p.ResolveRole(text.Value)
			if err != nil {
				faults.Add(text.Pos, "%v", err)
				continue
			}
			ask.Role = role
			p.expect(&result, who, ask, text, i < len(t.Allow))
		}
		results = append(results, result)
	}
	return results, faults.Err()
}

// testCase is who asks and how. A provider that is not there is a fault: whoever
// comes from nowhere is denied everything, and the test would show nothing.
func (p *Policy) testCase(t config.AccessTest, now time.Time, faults *config.Faults) (idp.Identity, Ask) {
	i, r := t.Identity, t.Request
	if _, known := p.providers[i.Provider.Value]; !known {
		faults.Add(i.Provider.Pos, "provider: no provider is called %s", quoted(i.Provider.Value))
	}
	if _, known := p.apps[r.App]; r.App != "" && !known {
		faults.Add(t.Pos, "app: no app is called %s", quoted(r.App))
	}
	instant := func(text config.Text, otherwise time.Time) time.Time {
		if text.Value == "" {
			return otherwise
		}
		at, err := time.Parse(time.RFC3339, text.Value)
		if err != nil {
			faults.Add(text.Pos, "%s is not a time such as 2026-11-23T09:00:00Z", quoted(text.Value))
		}
		return at
	}
	who := idp.Identity{
		ID: i.ID, Provider: i.Provider.Value, Subject: cmp.Or(i.Subject, i.Username), Username: cmp.Or(i.Username, i.Subject),
		Groups: i.Groups, Attributes: i.Attributes, Methods: i.Methods, AuthenticatedAt: instant(i.AuthenticatedAt, time.Time{}),
	}
	ask := Ask{Time: instant(r.Time, now), Device: r.Device, App: r.App, Guest: r.Guest, Via: r.Via.Value}
	if r.IP.Value != "" {
		var err error
		if ask.Address, err = netip.ParseAddr(r.IP.Value); err != nil {
			faults.Add(r.IP.Pos, "ip: %s is not an IP address", quoted(r.IP.Value))
		}
	}
	return who, ask
}

// expect compares one decision with what the test says.
func (p *Policy) expect(result *TestResult, who idp.Identity, ask Ask, role config.Text, allow bool) {
	decision := p.Decide(who, ask)
	granted, given := grantOf(decision, ask.Role)
	switch {
	case given && !allow:
		result.Failures.Add(role.Pos, "%s is granted, by %s", role.Value, granted.Grant)
	case !given && allow:
		result.Failures.Add(role.Pos, "%s is not granted: %s", role.Value, reasonOf(decision, ask.Role))
	}
}

func grantOf(decision Decision, role iam.RoleARN) (Granted, bool) {
	for _, g := range decision.Granted {
		if g.Role == role {
			return g, true
		}
	}
	return Granted{}, false
}

// reasonOf is why a role is not granted.
func reasonOf(decision Decision, role iam.RoleARN) string {
	for _, d := range decision.Denied {
		if d.Role == role {
			return d.Grant + ": " + d.Reason
		}
	}
	return "no grant that selects the identity gives it"
}
