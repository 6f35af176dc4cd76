package broker

import (
	"context"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
)

// Role is one role as policy answers for a caller.
type Role struct {
	ARN         iam.RoleARN
	AccountID   string
	AccountName string
	Grant       string
	Console     bool
	Duration    time.Duration // of credentials where none is asked for
	MaxDuration time.Duration // the most that may be asked for
	// Withheld says why the caller does not get the role now; "" where it is granted.
	Withheld string
	// StepUp is true where a fresh sign-in, or one with a second factor, would give it.
	StepUp bool
	// OwnAssertion says that the role is opened by Choose, with a new sign-in.
	OwnAssertion bool
}

// Roles lists what the caller may have and what is withheld, in the order of the
// policy. What only a browser can open is left out for others.
func (b *Broker) Roles(_ context.Context, origin Origin, caller Caller) ([]Role, error) {
	decision := b.cfg.Policy.Decide(caller.Identity, b.ask(origin, caller))
	roles := make([]Role, 0, len(decision.Granted)+len(decision.Denied))
	for _, g := range decision.Granted {
		if g.OwnAssertion && caller.Via != ViaBrowser {
			continue // they could never have it there
		}
		roles = append(roles, Role{
			ARN: g.Role, AccountID: g.Account.ID, AccountName: g.Account.Name, Grant: g.Grant,
			Console: g.Console, Duration: g.Duration, MaxDuration: g.MaxDuration,
			OwnAssertion: g.OwnAssertion,
		})
	}
	for _, d := range decision.Denied {
		if d.Role == (iam.RoleARN{}) {
			continue // a value was missing, so there is no role to show; explain has the reason
		}
		roles = append(roles, Role{
			ARN: d.Role, AccountID: d.Role.Account, AccountName: b.cfg.Policy.AccountName(d.Role.Account),
			Grant: d.Grant, Withheld: d.Reason, StepUp: d.StepUp != nil,
		})
	}
	return roles, nil
}

// ask is what policy must know of a request beside the identity.
func (b *Broker) ask(origin Origin, caller Caller) policy.Ask {
	return policy.Ask{Address: origin.Address, Time: b.cfg.Now(), Via: string(caller.Via), Since: caller.Since,
		App: caller.App, Device: caller.Device, Guest: caller.Guest}
}
