package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/idp"
)

// event starts the record of a request.
func (s *Server) event(origin broker.Origin, name string) audit.Event {
	event := audit.Event{RequestID: origin.RequestID, Event: name, Via: string(broker.ViaCLI)}
	if origin.Address.IsValid() {
		event.Address = origin.Address.String()
	}
	return event
}

// describe puts a caller into a record.
func describe(event *audit.Event, caller broker.Caller) {
	event.Provider, event.Subject, event.Username = caller.Identity.Provider, caller.Identity.Subject, caller.Identity.Username
	event.Session = caller.Session
	if caller.App != "" {
		event.Via, event.Device = string(caller.Via), caller.Device
	}
}

// digest names a token in the record without giving it away.
func digest(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:8])
}

// conclude records how a request ended; err nil is granted. What it returns is a
// failure to record, after which nothing may be handed out.
func (s *Server) conclude(ctx context.Context, event audit.Event, err error) error {
	event.Outcome = audit.Granted
	if err != nil {
		event.Outcome, event.Reason, event.Detail = audit.Failed, "internal", err.Error()
		if refusal, ok := errors.AsType[*Error](err); ok {
			event.Outcome, event.Reason, event.Detail = audit.Refused, string(refusal.Code), detailOf(refusal.Description, refusal.Cause)
		} else if refusal, ok := errors.AsType[*broker.Error](err); ok && refusal.Code != broker.Internal && refusal.Code != broker.Unavailable {
			event.Outcome, event.Reason, event.Detail = audit.Refused, refusal.Reason, detailOf("", refusal.Cause)
		}
	}
	// The record must not be lost because the client closed the connection.
	if failed := s.cfg.Audit.Append(context.WithoutCancel(ctx), event); failed != nil {
		return broker.Fail(broker.Unavailable, "audit", "The audit record cannot be written, so nothing is handed out. Try again in a moment.").Because(failed)
	}
	return nil
}

func detailOf(text string, cause error) string {
	switch {
	case cause == nil:
		return text
	case text == "":
		return cause.Error()
	}
	return text + ": " + cause.Error()
}

func (s *Server) limitAddress(ctx context.Context, origin broker.Origin, what string) error {
	return s.limited(ctx, origin, what, s.cfg.Limit.Address(what, origin.Address))
}

func (s *Server) limitSubject(ctx context.Context, origin broker.Origin, what string, who idp.Identity) error {
	return s.limited(ctx, origin, what, s.cfg.Limit.Subject(what, who.Provider, who.Subject))
}

// errTurnedAway marks what the limiter refused: it is recorded in bulk.
var errTurnedAway = errors.New("turned away by the limiter")

// errUnrecorded marks what is no decision yet: a device that polls.
var errUnrecorded = errors.New("nothing to record")

func (s *Server) limited(ctx context.Context, origin broker.Origin, what string, d limit.Decision) error {
	if d.Allowed {
		return nil
	}
	s.cfg.Broker.TurnedAway(ctx, origin, what)
	return broker.Shown(broker.Limited(d)).Because(errTurnedAway)
}
