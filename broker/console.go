package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/broker/vend/console"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// ConsoleOrder asks for the AWS console as one role.
type ConsoleOrder struct {
	Role    string
	Region  string
	Service string

	proof idp.Proof // as in Order
}

// ConsoleURL is a filled console order. URL signs in whoever opens it: it goes
// to the browser by a redirect and into no log.
type ConsoleURL struct {
	URL  secret.String
	Role iam.RoleARN
}

// Console signs the caller in to the AWS console. The way is that of Vend; the
// credentials go to AWS's federation endpoint instead of to the caller.
func (b *Broker) Console(ctx context.Context, origin Origin, caller Caller, order ConsoleOrder) (ConsoleURL, error) {
	granted, spec, err := b.decide(ctx, origin, caller, "console", Order{Role: order.Role, proof: order.proof})
	if err != nil {
		return ConsoleURL{}, err
	}
	if !granted.Console {
		refused := Fail(AccessDenied, "no_console", "This role is for programs: its grant does not open the console. Use access keys.")
		event := b.orderEvent(origin, caller, "console", granted, spec)
		event.Outcome, event.Reason = audit.Refused, refused.Reason
		if err := b.record(ctx, event); err != nil {
			return ConsoleURL{}, err
		}
		return ConsoleURL{}, refused
	}
	result, err := b.fill(ctx, origin, caller, "console", granted, spec)
	if err != nil {
		return ConsoleURL{}, err
	}
	address, err := b.cfg.Federation.URL(ctx, result.Credentials, console.Request{
		Partition: granted.Role.Partition, Account: granted.Role.Account, Role: granted.Role.Name,
		Region: order.Region, Service: order.Service, SessionDuration: consoleLife(result, spec),
	})
	if err != nil {
		return ConsoleURL{}, b.consoleFailed(ctx, origin, caller, granted, spec, err)
	}
	return ConsoleURL{URL: address, Role: granted.Role}, nil
}

// consoleFailed records that credentials were had but no console opened, and
// says why.
func (b *Broker) consoleFailed(ctx context.Context, origin Origin, caller Caller, granted policy.Granted, spec vend.Spec, err error) error {
	shown := Fail(Unavailable, "federation_failed", "The AWS sign-in page did not answer as it should. Try again in a moment.")
	if errors.Is(err, console.ErrBadRequest) {
		shown = Fail(InvalidRequest, "bad_console_target", "The region or service is not one of the AWS console's.")
	}
	event := b.orderEvent(origin, caller, "console", granted, spec)
	event.Outcome, event.Reason, event.Detail = audit.Failed, shown.Reason, err.Error()
	if failed := b.record(ctx, event); failed != nil {
		return failed
	}
	return shown.Because(fmt.Errorf("federation endpoint: %w", err))
}

// consoleLife is how long a console session lasts: as long as the order, whatever
// is left of kept credentials, where AWS allows it; zero is as long as they do.
func consoleLife(result vend.Result, spec vend.Spec) time.Duration {
	if !result.Unchained {
		return 0
	}
	return spec.Duration
}
