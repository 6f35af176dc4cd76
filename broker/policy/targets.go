package policy

import (
	"maps"
	"slices"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

// Target is one role that one allowing grant gives, as the account that has the
// role must know it.
type Target struct {
	Grant string
	// Role is zero where it is known only with the person.
	Role    iam.RoleARN
	Account Account
	Mode    string
	// Providers are those whose people may have it, sorted.
	Providers      []string
	TagKeys        []string // sorted
	TransitiveTags []string
	// OwnSource says that the grant has a source_identity of its own making.
	OwnSource    bool
	MaxDuration  time.Duration
	HubRole      iam.RoleARN
	ExternalID   secret.String
	SAMLProvider string
	// OwnAssertion says that people's own assertions prove it.
	OwnAssertion bool
}

// Targets lists what the grants give, in file order.
func (p *Policy) Targets() []Target {
	var targets []Target
	for _, g := range p.grants {
		if g.deny {
			continue
		}
		t := Target{
			Grant: g.name, Mode: g.mode, Providers: p.providersOf(g), TransitiveTags: g.transitive,
			OwnSource: g.sourceIdentity != nil || g.ownAssertion, OwnAssertion: g.ownAssertion, MaxDuration: min(g.most, iam.MaxDuration),
		}
		for _, tag := range g.tags {
			t.TagKeys = append(t.TagKeys, tag.key)
		}
		if g.target.dynamic || g.target.captured {
			targets = append(targets, t)
			continue
		}
		for _, r := range g.target.static {
			one := t
			one.Role, one.Account.ID = r.arn, r.arn.Account
			if a := r.account; a != nil {
				one.Account.Name = a.name
				one.SAMLProvider = a.samlProvider
				if one.Mode == assumeRole {
					one.HubRole, one.ExternalID = a.hub, a.externalID
				}
			}
			targets = append(targets, one)
		}
	}
	return targets
}

// providersOf are the providers whose people a grant may select.
func (p *Policy) providersOf(g *grant) []string {
	if len(g.providers) > 0 {
		return slices.Sorted(slices.Values(g.providers))
	}
	if g.guests {
		return []string{deviceProvider}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(p.providers)) {
		if !p.providers[name].mustBeNamed {
			names = append(names, name)
		}
	}
	return names
}
