package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// forLogout marks a pending logout at a provider.
const forLogout = "logout"

// Left says where a browser goes on to after somebody signed out: to the provider
// (To), with the value that its state cookie must have, or nowhere.
type Left struct {
	To      *idp.Redirect
	Browser string
}

// LeaveRequest is what a browser brings from a provider about a logout there.
type LeaveRequest struct {
	Origin
	Provider, Type string
	Browser        string
	Answer         idp.Answer
	// Returned says that it is the answer to a logout of ours, and not one of theirs.
	Returned bool
}

// leaveUpstream begins the logout at the provider of a session that has ended
// here. That it cannot is no error: here the person has signed out.
func (b *Broker) leaveUpstream(ctx context.Context, origin Origin, ended session.Session, browser string) Left {
	provider, ok := b.providers[ended.Identity.Provider]
	if !ok || provider.Logout == nil {
		return Left{}
	}
	handle := session.NewHandle()
	if !session.IsHandle(browser) {
		browser = session.NewHandle()
	}
	up := ended.Upstream
	var err error
	if up.IDToken, err = b.cfg.Sessions.IDToken(ended); err != nil { // the provider may ask the person instead
		b.cfg.Log.Warn("sign out at the provider without its ID token", "request_id", origin.RequestID, "provider", provider.Name, "error", err)
	}
	to, data, err := provider.Logout.BeginLogout(ctx, up, handle)
	if errors.Is(err, idp.ErrNoLogout) {
		return Left{}
	}
	if err == nil {
		err = b.cfg.Sessions.Keep(ctx, handle, session.Pending{Provider: provider.Name, For: forLogout, Data: data, Browser: browser})
	}
	if err != nil {
		b.cfg.Log.Warn("sign out at the provider", "request_id", origin.RequestID, "provider", provider.Name, "error", err)
		return Left{}
	}
	return Left{To: &to, Browser: browser}
}

// Leave takes a provider's word, brought by a browser, that somebody signs out
// there, ends their sessions here and sends the browser back; or it takes the
// answer to a logout of ours.
func (b *Broker) Leave(ctx context.Context, req LeaveRequest) (Left, error) {
	if err := Limited(b.cfg.Limit.Address("logout", req.Address)); err != nil {
		b.TurnedAway(ctx, req.Origin, "logout.provider")
		return Left{}, err
	}
	event := b.event(req.Origin, "logout.provider", idp.Identity{Provider: boundedText(req.Provider)})
	event.Outcome = audit.Granted
	left, err := b.leave(ctx, req, &event)
	if err != nil {
		shown := leaveError(err)
		event.Outcome, event.Reason, event.Detail = audit.Refused, shown.Reason, detailOf(err)
		if shown.Code == Internal || shown.Code == Unavailable {
			event.Outcome, event.Detail = audit.Failed, causeText(shown)
		}
		err = shown
	}
	if failed := b.record(ctx, event); failed != nil && err == nil {
		return Left{}, failed // the sessions have ended all the same
	}
	return left, err
}

func (b *Broker) leave(ctx context.Context, req LeaveRequest, event *audit.Event) (Left, error) {
	provider, ok := b.providers[req.Provider]
	switch {
	case !ok || provider.Type != req.Type, req.Returned && provider.Logout == nil, !req.Returned && provider.Departures == nil:
		return Left{}, unknownProvider(req.Provider)
	case req.Returned:
		event.Detail = "signed out at the provider, too"
		return Left{}, b.returned(ctx, provider, req)
	}
	gone, err := provider.Departures.Departed(ctx, req.Answer)
	if err != nil {
		return Left{}, err
	}
	event.Subject = gone.NameID
	ended, failed := b.endDeparted(ctx, provider.Name, gone)
	if failed != nil && CodeOf(failed) != Unavailable && CodeOf(failed) != Internal {
		return Left{}, failed // not its word, or not any more
	}
	event.Detail = fmt.Sprintf("%d sessions ended", ended)
	if failed != nil { // the provider is told so, and may tell the person
		gone.Failed = true
		event.Outcome, event.Reason, event.Detail = audit.Failed, Shown(failed).Reason, event.Detail+"; "+causeText(Shown(failed))
		b.cfg.Log.Error("end what a provider signs out", "request_id", req.RequestID, "provider", provider.Name, "error", failed)
	}
	to, err := provider.Departures.LeaveDeparture(ctx, gone)
	if err != nil { // the sessions have ended; only the provider does not hear of it
		b.cfg.Log.Warn("answer a logout of the provider", "request_id", req.RequestID, "provider", provider.Name, "error", err)
		return Left{}, failed
	}
	return Left{To: &to}, nil
}

// returned judges the answer to a logout that this browser began.
func (b *Broker) returned(ctx context.Context, provider Provider, req LeaveRequest) error {
	pending, err := b.cfg.Sessions.Take(ctx, idp.HandleOf(req.Answer), req.Browser)
	switch {
	case errors.Is(err, session.ErrNotFound), err == nil && (pending.For != forLogout || pending.Provider != provider.Name):
		return Fail(InvalidRequest, "no_pending_logout", "This sign-out was not begun in this browser, or is finished already.").Because(err)
	case err != nil:
		return storeFailed("take the pending logout", err)
	}
	return provider.Logout.FinishLogout(ctx, pending.Data, req.Answer)
}

func leaveError(err error) *Error {
	if rejected, ok := errors.AsType[*idp.Rejection](err); ok && rejected.Reason == "partial-logout" {
		return Fail(AccessDenied, rejected.Reason,
			"You are signed out here and at the identity provider, which could not sign you out everywhere else. Close your browser to be sure.").Because(err)
	}
	if rejected, ok := errors.AsType[*idp.Rejection](err); ok {
		return Fail(AccessDenied, rejected.Reason,
			"The identity provider's word about signing out was not accepted. If you signed out here, you are signed out here; whether you are there is not certain.").Because(err)
	}
	return signInError(err)
}
