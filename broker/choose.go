package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// Choice is a role that somebody chose in the portal and that their own assertion
// must prove to AWS (assertion: user): a new sign-in brings one, and the request
// that brings it opens the role too.
type Choice struct {
	Role     string `json:"role"`
	Duration string `json:"duration,omitempty"`
	// Console asks for the AWS console, else for access keys.
	Console bool   `json:"console,omitempty"`
	Region  string `json:"region,omitempty"`
	Service string `json:"service,omitempty"`
}

// keptChoice is a Choice with who made it.
type keptChoice struct {
	Choice
	Provider string `json:"provider"`
	Subject  string `json:"subject"`
}

// Opened is a choice that a sign-in has opened, or why not.
type Opened struct {
	Choice
	Caller  Caller
	Console ConsoleURL
	Vended  Vended
	// Err says why the role was not opened; the person is signed in all the same.
	Err error
}

// Choose begins the sign-in that a choice needs, at the provider where the caller
// signed in. Policy is asked now, so that nobody travels for nothing, and again
// about whoever comes back.
func (b *Broker) Choose(ctx context.Context, origin Origin, caller Caller, browser string, choice Choice) (Begun, error) {
	what := "credentials"
	if choice.Console {
		what = "console"
	}
	granted, _, err := b.decide(ctx, origin, caller, what, Order{Role: choice.Role, Duration: choice.Duration, chosen: true})
	if err != nil {
		return Begun{}, err
	}
	provider, ok := b.providers[caller.Identity.Provider]
	if !ok {
		return Begun{}, unknownProvider(caller.Identity.Provider)
	}
	if !granted.OwnAssertion {
		return Begun{}, Fail(InvalidRequest, "no_choice", "This role needs no new sign-in. Open it from the list.")
	}
	choice.Role = granted.Role.String()
	order, err := json.Marshal(keptChoice{choice, caller.Identity.Provider, caller.Identity.Subject})
	if err != nil {
		return Begun{}, fmt.Errorf("encode a choice: %w", err)
	}
	return b.begin(ctx, origin, provider, session.Pending{Provider: provider.Name, ReturnTo: "/", Browser: browser, Order: order}, idp.Want{PassOn: true})
}

// openChosen signs somebody in and opens what they had chosen with the assertion
// that they bring. It is the one place where an assertion goes on to AWS.
func (b *Broker) openChosen(ctx context.Context, origin Origin, login idp.Login, pending session.Pending) (SignedIn, error) {
	var choice keptChoice
	if err := json.Unmarshal(pending.Order, &choice); err != nil {
		return SignedIn{}, b.refuseSignIn(ctx, origin, pending.Provider, login.Identity, fmt.Errorf("the pending choice cannot be read: %w", err))
	}
	if login.Identity.Provider != choice.Provider || login.Identity.Subject != choice.Subject {
		err := Fail(AccessDenied, "other_person", "Your identity provider signed in somebody else than who chose this role. Sign out there, or choose the role anew.").
			Because(errors.New("the role was chosen by " + choice.Provider + "=" + choice.Subject))
		return SignedIn{}, b.refuseSignIn(ctx, origin, pending.Provider, login.Identity, err)
	}
	in, made, err := b.open(ctx, origin, login, pending.ReturnTo, "")
	if err != nil {
		return SignedIn{}, err
	}
	in.Opened = &Opened{Choice: choice.Choice, Caller: CallerOf(made)}
	if choice.Console {
		in.Opened.Console, in.Opened.Err = b.Console(ctx, origin, in.Opened.Caller, ConsoleOrder{Role: choice.Role, Region: choice.Region, Service: choice.Service, proof: login.Proof})
	} else {
		in.Opened.Vended, in.Opened.Err = b.Vend(ctx, origin, in.Opened.Caller, Order{Role: choice.Role, Duration: choice.Duration, proof: login.Proof})
	}
	return in, nil
}
