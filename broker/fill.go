package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/rolecall/rolecall/broker/audit"
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
	shown := vendError(err)
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
func vendError(err error) *Error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*vend.Refused](err); ok {
		message := "AWS refused the role. Its trust policy may not admit this broker; give the request id to your administrators."
		if refused.Code == "PackedPolicyTooLarge" {
			message = "The session tags and policies of this role are together too large for AWS. Give the request id to your administrators."
		}
		return Fail(AWSRefused, "aws_"+refused.Code, message).Because(err)
	}
	if errors.Is(err, vend.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return Fail(Unavailable, "aws_unavailable", "AWS does not answer right now. Try again in a moment.").Because(err)
	}
	return Shown(fmt.Errorf("order credentials: %w", err))
}

// Forget drops cached credentials of a session that has ended.
func (b *Broker) Forget(session string) {
	if cache, ok := b.cfg.Vendor.(interface{ Forget(session string) }); ok {
		cache.Forget(session)
	}
}
