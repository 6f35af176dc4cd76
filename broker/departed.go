package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// DepartedRequest is a provider's word, from server to server, that somebody has
// signed out there.
type DepartedRequest struct {
	Origin
	Provider string
	Token    secret.String
}

// Departed ends the sessions that a logout token names, at once and with all that
// was made from them: those of a sid, or all of a person.
func (b *Broker) Departed(ctx context.Context, req DepartedRequest) error {
	if err := Limited(b.cfg.Limit.Address("logout", req.Address)); err != nil {
		b.TurnedAway(ctx, req.Origin, "logout.provider")
		return err
	}
	event := b.event(req.Origin, "logout.provider", idp.Identity{Provider: req.Provider})
	ended, who, err := b.departed(ctx, req)
	event.Subject, event.Outcome = who, audit.Granted
	if err != nil {
		shown := departedError(err)
		event.Outcome, event.Reason, event.Detail = audit.Refused, shown.Reason, detailOf(err)
		if shown.Code == Internal || shown.Code == Unavailable {
			event.Outcome, event.Detail = audit.Failed, causeText(shown)
		}
		err = shown
	} else {
		event.Detail = fmt.Sprintf("%d sessions ended", ended)
	}
	if failed := b.record(ctx, event); failed != nil && err == nil {
		return failed // the sessions have ended all the same
	}
	return err
}

func (b *Broker) departed(ctx context.Context, req DepartedRequest) (ended int, who string, err error) {
	provider, ok := b.providers[req.Provider]
	if !ok || provider.BackChannel == nil {
		return 0, "", unknownProvider(req.Provider)
	}
	gone, err := provider.BackChannel.VerifyLogout(ctx, req.Token.Reveal())
	if err != nil {
		return 0, "", err
	}
	ended, err = b.endDeparted(ctx, req.Provider, gone)
	return ended, gone.NameID, err
}

// endDeparted ends what a provider's word means, which counts once: the sessions
// that it names, or all of a person, with what no session has made.
func (b *Broker) endDeparted(ctx context.Context, provider string, gone idp.Departure) (int, error) {
	err := b.cfg.Replay.Use(ctx, provider, gone.Once.Key, gone.Once.Until)
	if errors.Is(err, replay.ErrReplayed) {
		return 0, Fail(InvalidRequest, "replay", "This logout has been used before.").Because(err)
	}
	if err != nil {
		return 0, storeFailed("replay cache", err)
	}
	ended, err := b.cfg.Sessions.EndUpstream(ctx, provider, gone.NameID, gone.Sessions)
	if err != nil {
		return 0, err
	}
	people := map[string]bool{}
	for _, s := range ended {
		b.Forget(s.ID)
		people[s.Identity.Subject] = true
	}
	if len(gone.Sessions) > 0 {
		return len(ended), nil
	}
	if gone.Subject != "" {
		people[gone.Subject] = true
	}
	for subject := range people {
		if err := b.cfg.Sessions.EndAll(ctx, provider, subject); err != nil {
			return len(ended), storeFailed("end what is left of a person", err)
		}
	}
	return len(ended), nil
}

func departedError(err error) *Error {
	if rejected, ok := errors.AsType[*idp.Rejection](err); ok {
		return Fail(InvalidRequest, rejected.Reason, "The logout token was not accepted ("+rejected.Reason+").").Because(err)
	}
	return signInError(err)
}
