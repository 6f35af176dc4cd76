package broker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/device"
)

// Order asks for credentials of one role.
type Order struct {
	Role     string // an ARN, or ACCOUNT/ROLE
	Duration string // "1h", or seconds; "" is the grant's own
	Policy   string // a session policy as JSON; it may only narrow

	// proof is the person's own assertion, which this request brought; chosen says
	// that it will come with a sign-in that begins now.
	proof  idp.Proof
	chosen bool
}

// Vended is a filled order.
type Vended struct {
	Credentials iam.Credentials
	Role        iam.RoleARN
	AccountName string
	// Stale is true where STS is down and the credentials are older than they would be otherwise.
	Stale bool
}

// Vend hands out credentials: limit, decision, the intent on disk, STS, the
// outcome. The intent is written while STS is asked; both must have succeeded
// before anything leaves.
func (b *Broker) Vend(ctx context.Context, origin Origin, caller Caller, order Order) (Vended, error) {
	granted, spec, err := b.decide(ctx, origin, caller, "credentials", order)
	if err != nil {
		return Vended{}, err
	}
	result, err := b.fill(ctx, origin, caller, "credentials", granted, spec)
	if err != nil {
		return Vended{}, err
	}
	return Vended{Credentials: result.Credentials, Role: granted.Role, AccountName: granted.Account.Name, Stale: result.Stale}, nil
}

// decide is everything before AWS is asked: rate, role, policy, bounds. What it
// refuses is recorded.
func (b *Broker) decide(ctx context.Context, origin Origin, caller Caller, what string, order Order) (policy.Granted, vend.Spec, error) {
	who := caller.Identity
	for _, decision := range []func() error{
		func() error { return Limited(b.cfg.Limit.Address(what, origin.Address)) },
		func() error { return Limited(b.cfg.Limit.Subject(what, who.Provider, who.Subject)) },
	} {
		if err := decision(); err != nil {
			b.TurnedAway(ctx, origin, what)
			return policy.Granted{}, vend.Spec{}, err
		}
	}
	granted, spec, err := b.order(ctx, origin, caller, order)
	if err != nil {
		shown := Shown(err)
		event := b.event(origin, what, who)
		event.Outcome, event.Reason, event.Session, event.Via = audit.Refused, shown.Reason, caller.Session, string(caller.Via)
		event.Client, event.Device = caller.App, caller.Device
		event.Role, event.Detail = boundedText(order.Role), causeText(shown)
		if shown.Code == Internal {
			event.Outcome = audit.Failed
		}
		if failed := b.record(ctx, event); failed != nil {
			b.cfg.Log.Error("record a refused order", "request_id", origin.RequestID, "error", failed)
		}
		return policy.Granted{}, vend.Spec{}, shown
	}
	return granted, spec, nil
}

// order resolves what was asked for into a specification for STS.
func (b *Broker) order(ctx context.Context, origin Origin, caller Caller, order Order) (policy.Granted, vend.Spec, error) {
	var none vend.Spec
	role, err := b.role(origin, caller, order)
	if err != nil {
		return policy.Granted{}, none, err
	}
	taken, err := b.nameTaken(ctx, caller.Identity)
	if err != nil {
		return policy.Granted{}, none, err
	}
	ask := b.ask(origin, caller)
	ask.Role, ask.NameTaken = role, taken
	granted, err := pick(b.cfg.Policy.Decide(caller.Identity, ask), role)
	if err != nil {
		return policy.Granted{}, none, err
	}
	if granted.OwnAssertion && order.proof.IsZero() && !order.chosen {
		return granted, none, Fail(AccessDenied, "browser_only",
			"This role is opened in the browser only, from the portal: your identity provider's own assertion proves it to AWS.")
	}
	number, err := b.revoked(caller, granted.Grant)
	if err != nil {
		return granted, none, err
	}
	duration, err := b.duration(order.Duration, granted, caller)
	if err != nil {
		return granted, none, err
	}
	sessionPolicy, err := narrow(granted, order.Policy)
	if err != nil {
		return granted, none, err
	}
	spec := vend.Spec{
		Role: granted.Role, Mode: granted.Mode, SessionName: granted.SessionName, SourceIdentity: granted.SourceIdentity,
		Tags: granted.Tags, TransitiveTags: granted.TransitiveTags, Duration: duration,
		Policy: sessionPolicy, PolicyARNs: granted.PolicyARNs, HubRole: granted.HubRole, ExternalID: granted.ExternalID, SAMLProvider: granted.SAMLProvider,
		Session: caller.Session, PolicyDigest: b.cfg.Policy.Digest(), Revocation: number, NotAfter: b.credentialsEnd(caller),
	}
	if err := fits(spec, order.Policy != ""); err != nil {
		return granted, none, err
	}
	if granted.OwnAssertion {
		spec.Proof = func(context.Context) (secret.String, error) { return order.proof.Open(), nil }
	} else if prove := b.cfg.Prove; prove != nil {
		bound := spec
		spec.Proof = func(ctx context.Context) (secret.String, error) { return prove(ctx, caller.Identity, bound) }
	}
	return granted, spec, nil
}

// role is the one that an order names. A device may leave it out where exactly one
// is granted, and has to be somebody: a guest, or a person who is logged in.
func (b *Broker) role(origin Origin, caller Caller, order Order) (iam.RoleARN, error) {
	if caller.App != "" && caller.Identity.Provider == device.Provider && !caller.Guest {
		return iam.RoleARN{}, Fail(StepUp, "not_logged_in", "Nobody is logged in on this device any more. Log in again.")
	}
	if order.Role == "" && caller.App != "" {
		return b.onlyRole(origin, caller, "role")
	}
	role, err := b.cfg.Policy.ResolveRole(order.Role)
	if err != nil {
		return role, Fail(InvalidRequest, "malformed_role",
			"The role must be an ARN (arn:aws:iam::ACCOUNT:role/NAME) or ACCOUNT/ROLE with an account of this broker.").Because(err)
	}
	return role, nil
}

// nameTaken claims the user name of somebody and reports whether it is another's.
// What a device is called is random and its own without a claim: that would be a
// write for each device.
func (b *Broker) nameTaken(ctx context.Context, who idp.Identity) (bool, error) {
	if who.Provider == device.Provider {
		return false, nil
	}
	if device.IsIdentityID(who.Username) {
		return true, nil
	}
	taken, err := b.cfg.Sessions.ClaimName(ctx, who.Provider, who.Subject, who.Username)
	if err != nil {
		return false, storeFailed("session name", err)
	}
	return taken, nil
}

// pick finds the role among the granted ones. What is withheld and what never
// existed answer alike, unless a fresh sign-in would help.
func pick(decision policy.Decision, role iam.RoleARN) (policy.Granted, error) {
	for _, g := range decision.Granted {
		if g.Role == role {
			return g, nil
		}
	}
	for _, d := range decision.Denied {
		if d.Role == role && d.StepUp != nil {
			e := Fail(StepUp, "step_up", "This role needs a fresh sign-in. Sign in again, with a second factor where you have one.").
				Because(errors.New(d.Reason))
			e.MaxAge = d.StepUp.MaxAge
			return policy.Granted{}, e
		}
	}
	reason := "no grant gives " + role.String()
	for _, d := range decision.Denied {
		if d.Role == role {
			reason = d.Grant + ": " + d.Reason
		}
	}
	return policy.Granted{}, Fail(AccessDenied, "role_not_granted",
		"This role is not granted to you. Your roles are listed in the portal and by `rolecall roles`.").Because(errors.New(reason))
}

// duration is what was asked for within the grant's bounds, shortened to the end
// of sessions that the caller cannot see.
func (b *Broker) duration(asked string, granted policy.Granted, caller Caller) (time.Duration, error) {
	d := granted.Duration
	if asked != "" {
		var err error
		if d, err = parseDuration(asked); err != nil {
			return 0, Fail(InvalidRequest, "malformed_duration", "The duration must be like 1h or 900s.").Because(err)
		}
		if d < iam.MinDuration || d > granted.MaxDuration {
			why := ""
			if granted.HubRole != (iam.RoleARN{}) && d > iam.MaxChainedDuration {
				why = " It is reached through another role, and AWS gives such sessions one hour at most."
			}
			return 0, Fail(InvalidRequest, "duration_out_of_bounds",
				fmt.Sprintf("The duration of this role must be between %s and %s.%s", short(iam.MinDuration), short(granted.MaxDuration), why))
		}
	}
	if end := b.credentialsEnd(caller); !end.IsZero() {
		if left := end.Sub(b.cfg.Now()).Truncate(5 * time.Minute); left < iam.MinDuration {
			return 0, Fail(StepUp, "session_ends", "Your sign-in ends in less than 15 minutes, the shortest life of AWS credentials. Sign in again.")
		} else if left < d {
			d = left
		}
	}
	return d, nil
}

// credentialsEnd is the instant that no credentials of the caller may pass; zero is none.
func (b *Broker) credentialsEnd(caller Caller) time.Time {
	end := caller.ProviderEnd
	if !b.cfg.OutliveSession && !caller.NotAfter.IsZero() && (end.IsZero() || caller.NotAfter.Before(end)) {
		end = caller.NotAfter
	}
	return end
}

func parseDuration(s string) (time.Duration, error) {
	if seconds, err := strconv.ParseUint(s, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, nil
	}
	return time.ParseDuration(s)
}

// short prints 1h0m0s as 1h and 15m0s as 15m.
func short(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return d.String()
}

// narrow joins the caller's session policy with the grant's, so that the result
// never allows more than the grant. STS joins inline and managed policies by OR,
// hence a caller's policy beside policy_arns would widen.
func narrow(granted policy.Granted, asked string) (string, error) {
	if asked == "" || asked == "null" {
		return granted.Policy, nil
	}
	if len(granted.PolicyARNs) > 0 {
		return "", Fail(InvalidRequest, "policy_not_narrower", "This role has managed session policies, beside which no policy of your own can be sent.")
	}
	joined, err := iam.Narrow(granted.Policy, asked)
	if err != nil {
		return "", Fail(InvalidRequest, "policy_not_narrower", "The policy was not accepted: "+err.Error()+".")
	}
	return joined, nil
}

// boundedText keeps a caller's text from filling the record.
func boundedText(s string) string { return s[:min(len(s), 256)] }

func causeText(e *Error) string {
	if e.Cause == nil {
		return ""
	}
	return e.Cause.Error()
}
