package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// BeginRequest asks to send a browser to a provider.
type BeginRequest struct {
	Origin
	Provider string
	Type     string // the endpoint that was called: saml, oidc
	ReturnTo string // a path of ours, already judged
	Browser  string // the state cookie's value, "" for a new browser
	Fresh    bool   // the person must prove themselves again
}

// Begun says where to send the browser, and the value that its state cookie must have.
type Begun struct {
	To      idp.Redirect
	Browser string
}

// SignInRequest brings a provider's answer back.
type SignInRequest struct {
	Origin
	Provider string
	Type     string
	Browser  string
	Answer   idp.Answer
}

// SignedIn is a new session: Token goes into the cookie.
type SignedIn struct {
	Token    secret.String
	Expires  time.Time
	ReturnTo string
}

// Begin starts a sign-in: the pending request is kept under a handle that only
// this browser can take back.
func (b *Broker) Begin(ctx context.Context, req BeginRequest) (Begun, error) {
	if err := limited(b.cfg.Limit.Address("signin", req.Address)); err != nil {
		return Begun{}, b.refuseSignIn(ctx, req.Origin, req.Provider, idp.Identity{}, err)
	}
	provider, ok := b.providers[req.Provider]
	if !ok || provider.Type != req.Type {
		return Begun{}, unknownProvider(req.Provider)
	}
	handle, browser := session.NewHandle(), req.Browser
	if !session.IsHandle(browser) {
		browser = session.NewHandle()
	}
	to, data, err := provider.Redirector.Begin(ctx, idp.Want{Handle: handle, Fresh: req.Fresh})
	if err != nil {
		return Begun{}, b.refuseSignIn(ctx, req.Origin, req.Provider, idp.Identity{}, fmt.Errorf("begin at %s: %w", req.Provider, err))
	}
	pending := session.Pending{Provider: req.Provider, ReturnTo: req.ReturnTo, Data: data, Browser: browser}
	if err := b.cfg.Sessions.Keep(ctx, handle, pending); err != nil {
		return Begun{}, fmt.Errorf("keep the pending sign-in: %w", err)
	}
	return Begun{To: to, Browser: browser}, nil
}

// SignIn judges a provider's answer and makes a session. The cheap checks come
// first: rate, then the pending request, which is taken once; parsers last.
func (b *Broker) SignIn(ctx context.Context, req SignInRequest) (SignedIn, error) {
	login, pending, err := b.arrive(ctx, req)
	if err != nil {
		return SignedIn{}, b.refuseSignIn(ctx, req.Origin, req.Provider, login.Identity, err)
	}
	token, made, err := b.cfg.Sessions.Create(ctx, session.New{Login: login, Via: string(ViaBrowser)})
	if err != nil {
		return SignedIn{}, fmt.Errorf("make a session: %w", err)
	}
	event := b.event(req.Origin, "signin", login.Identity)
	event.Outcome, event.Session = audit.Granted, made.ID
	if err := b.record(ctx, event); err != nil {
		if ended := b.cfg.Sessions.End(context.WithoutCancel(ctx), made.ID); ended != nil {
			b.cfg.Log.Error("end a session that could not be recorded", "request_id", req.RequestID, "error", ended)
		}
		return SignedIn{}, err
	}
	return SignedIn{Token: secret.New(token), Expires: made.Expires, ReturnTo: pending.ReturnTo}, nil
}

// arrive turns an answer into a Login that counts once.
func (b *Broker) arrive(ctx context.Context, req SignInRequest) (idp.Login, session.Pending, error) {
	var none session.Pending
	if err := limited(b.cfg.Limit.Address("signin", req.Address)); err != nil {
		return idp.Login{}, none, err
	}
	provider, ok := b.providers[req.Provider]
	if !ok || provider.Type != req.Type {
		return idp.Login{}, none, unknownProvider(req.Provider)
	}
	pending, err := b.cfg.Sessions.Take(ctx, idp.HandleOf(req.Answer), req.Browser)
	switch {
	case errors.Is(err, session.ErrNotFound):
		return idp.Login{}, none, Fail(InvalidRequest, "no_pending_signin",
			"This sign-in was not begun in this browser, took longer than ten minutes, or was finished already. Sign in again.").Because(err)
	case err != nil:
		return idp.Login{}, none, fmt.Errorf("take the pending sign-in: %w", err)
	case pending.Provider != req.Provider:
		return idp.Login{}, none, Fail(InvalidRequest, "wrong_provider", "This answer belongs to another identity provider. Sign in again.").
			Because(fmt.Errorf("the sign-in was begun at %q", pending.Provider))
	}
	login, err := provider.Redirector.Finish(ctx, pending.Data, req.Answer)
	if err != nil {
		return idp.Login{}, none, err
	}
	if err := limited(b.cfg.Limit.Subject("signin", login.Identity.Provider, login.Identity.Subject)); err != nil {
		return login, none, err
	}
	if err := b.cfg.Replay.Use(ctx, req.Provider, login.Once.Key, login.Once.Until); err != nil {
		if errors.Is(err, replay.ErrReplayed) {
			return login, none, Fail(AccessDenied, "replay", "This answer of the identity provider has been used before. Sign in again.").Because(err)
		}
		return login, none, fmt.Errorf("replay cache: %w", err)
	}
	return login, pending, nil
}

// refuseSignIn records why a sign-in failed and gives the error to show.
func (b *Broker) refuseSignIn(ctx context.Context, origin Origin, provider string, who idp.Identity, err error) error {
	shown := signInError(err)
	if shown.Code == RateLimited {
		b.TurnedAway(ctx, origin, "signin")
		return shown
	}
	who.Provider = provider
	event := b.event(origin, "signin", who)
	event.Outcome, event.Reason, event.Detail = audit.Refused, shown.Reason, detailOf(err)
	if shown.Code == Internal || shown.Code == Unavailable {
		event.Outcome = audit.Failed
	}
	if failed := b.record(ctx, event); failed != nil {
		b.cfg.Log.Error("record a refused sign-in", "request_id", origin.RequestID, "error", failed)
	}
	return shown
}

// signInError maps what a provider says to what a person may read: the reason's
// word, never the evidence.
func signInError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if rejected, ok := errors.AsType[*idp.Rejection](err); ok {
		return Fail(AccessDenied, rejected.Reason,
			"The identity provider's answer was not accepted. Sign in again; if it happens again, give the request id to your administrators.").Because(err)
	}
	if errors.Is(err, idp.ErrUnavailable) {
		return Fail(Unavailable, "provider_unavailable", "The identity provider cannot be reached right now. Try again in a moment, or sign in with another one.").Because(err)
	}
	return Shown(err)
}

func detailOf(err error) string {
	if rejected, ok := errors.AsType[*idp.Rejection](err); ok {
		return rejected.Detail
	}
	return ""
}

// event starts an audit event about somebody.
func (b *Broker) event(origin Origin, name string, who idp.Identity) audit.Event {
	event := audit.Event{
		RequestID: origin.RequestID, Event: name,
		Provider: who.Provider, Subject: who.Subject, Username: who.Username,
	}
	if origin.Address.IsValid() {
		event.Address = origin.Address.String()
	}
	return event
}
