package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/vend"
)

// fill orders credentials from STS while the intent is being written. If either
// fails nothing is handed out.
func (b *Broker) fill(ctx context.Context, origin Origin, caller Caller, what string, granted policy.Granted, spec vend.Spec) (vend.Result, error) {
	intent := b.orderEvent(origin, caller, what, granted, spec)
	written := make(chan error, 1)
	go func() { written <- b.record(ctx, intent) }() // ends with the append, which this call waits for

	result, err := b.cfg.Vendor.Vend(ctx, spec)
	if failed := <-written; failed != nil {
		return vend.Result{}, failed
	}
	outcome := intent
	outcome.Outcome, outcome.Cached, outcome.Stale = audit.Granted, result.Cached, result.Stale
	shown := vendError(err, spec)
	if shown != nil {
		outcome.Outcome, outcome.Reason, outcome.Detail = audit.Failed, shown.Reason, causeText(shown)
		if shown.Code == AWSRefused {
			outcome.Outcome = audit.Refused
		}
	} else {
		outcome.AccessKeyID = result.Credentials.AccessKeyID
	}
	// The intent is on the disk; the outcome need not keep the caller waiting.
	if failed := unrecorded(b.cfg.Audit.Later(outcome)); failed != nil {
		return vend.Result{}, failed
	}
	if shown != nil {
		return vend.Result{}, shown
	}
	return result, nil
}

// orderEvent is the intent of an order; with an outcome it becomes its record.
func (b *Broker) orderEvent(origin Origin, caller Caller, what string, granted policy.Granted, spec vend.Spec) audit.Event {
	event := b.event(origin, what, caller.Identity)
	event.Session, event.Via, event.Client, event.Device = caller.Session, string(caller.Via), caller.App, caller.Device
	event.Role, event.Grant, event.Mode = spec.Role.String(), granted.Grant, spec.Mode
	event.SessionName, event.SourceIdentity = spec.SessionName, spec.SourceIdentity
	event.Duration = int(spec.Duration.Seconds())
	if len(spec.Tags) > 0 {
		event.Tags = map[string]string{}
		for _, t := range spec.Tags {
			event.Tags[t.Key] = t.Value
		}
	}
	return event
}

// vendError says what went wrong at AWS without naming our principal.
func vendError(err error, spec vend.Spec) *Error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*vend.Refused](err); ok {
		return Fail(AWSRefused, "aws_"+refused.Code, refusal(refused, spec)).Because(err)
	}
	if errors.Is(err, vend.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Fail(Unavailable, "aws_unavailable", "AWS does not answer right now. Try again in a moment.").Because(err)
	}
	return Shown(fmt.Errorf("order credentials: %w", err))
}

// refusal is what a person may read of a refusal, and can do something about.
func refusal(refused *vend.Refused, spec vend.Spec) string {
	const help = " Give the request id to your administrators."
	switch {
	case refused.Code == "PackedPolicyTooLarge":
		return packedText(spec) + help
	case refused.Code != "ValidationError": // its code says no more
	case strings.Contains(refused.Message, "role chaining"):
		return "AWS gives one hour at most to a role that is assumed by another role, and this broker acts as a role. Ask for 1h or less."
	case strings.Contains(refused.Message, "MaxSessionDuration"):
		return fmt.Sprintf("%s is longer than the role itself allows at AWS (its maximum session duration). Ask for less.", short(spec.Duration)) + help
	}
	return "AWS refused the role. Its trust policy may not admit this broker; give the request id to your administrators."
}

// surelyTooLarge is the estimate of iam.Packed that no error of it explains.
const surelyTooLarge = 200

// fits refuses, before AWS is asked, what it would surely refuse for its size.
func fits(spec vend.Spec, own bool) error {
	plain := len(spec.Policy)
	for _, t := range spec.Tags {
		plain += len(t.Key) + len(t.Value)
	}
	if plain < iam.MaxPolicy { // packing is not free, and most orders are small
		return nil
	}
	if policies, tags := iam.Packed(spec.Policy, spec.PolicyARNs, spec.Tags); policies+tags <= surelyTooLarge {
		return nil
	}
	if own {
		return Fail(TooLarge, "packed_too_large", packedText(spec)+" Send a smaller policy.")
	}
	return Fail(AWSRefused, "packed_too_large", packedText(spec)+" Give the request id to your administrators.")
}

// packedText explains PackedPolicyTooLarge.
func packedText(spec vend.Spec) string {
	policies, tags := iam.Packed(spec.Policy, spec.PolicyARNs, spec.Tags)
	return fmt.Sprintf("The session policies and tags of this role are together too large for AWS, which packs them into a small space: by estimate policies take %d %% of it, and %d tags %d %%.",
		policies, len(spec.Tags), tags)
}

// Forget drops cached credentials of a session that has ended.
func (b *Broker) Forget(session string) {
	if cache, ok := b.cfg.Vendor.(interface{ Forget(session string) }); ok {
		cache.Forget(session)
	}
}
