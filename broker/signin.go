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
	Type     string // the endpoint that was called: saml, oidc, oauth2
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

// SignedIn is a new session: Token goes into the cookie. With Confirm or Question
// there is no session yet.
type SignedIn struct {
	Token    secret.String
	Expires  time.Time
	ReturnTo string
	Confirm  *Confirmation
	// Opened is what the person had chosen before (Choose), nil for a plain sign-in.
	Opened *Opened
	// Question asks for one thing more; there is no session yet.
	Question *Question
	// Holder is the value of the cookie by which the browser is known again, "" for none.
	Holder string
}

// Begin starts a sign-in: the pending request is kept under a handle that only
// this browser can take back.
func (b *Broker) Begin(ctx context.Context, req BeginRequest) (Begun, error) {
	if err := Limited(b.cfg.Limit.Address("signin", req.Address)); err != nil {
		return Begun{}, b.refuseSignIn(ctx, req.Origin, req.Provider, idp.Identity{}, err)
	}
	provider, ok := b.providers[req.Provider]
	if !ok || provider.Type != req.Type || provider.Redirector == nil {
		return Begun{}, b.refuseSignIn(ctx, req.Origin, req.Provider, idp.Identity{}, unknownProvider(req.Provider))
	}
	return b.begin(ctx, req.Origin, provider, session.Pending{Provider: req.Provider, ReturnTo: req.ReturnTo, Browser: req.Browser}, idp.Want{Fresh: req.Fresh})
}

// begin sends the browser out, and keeps what is pending.
func (b *Broker) begin(ctx context.Context, origin Origin, provider Provider, pending session.Pending, want idp.Want) (Begun, error) {
	want.Handle = session.NewHandle()
	if !session.IsHandle(pending.Browser) {
		pending.Browser = session.NewHandle()
	}
	to, data, err := provider.Redirector.Begin(ctx, want)
	if err != nil {
		return Begun{}, b.refuseSignIn(ctx, origin, provider.Name, idp.Identity{}, fmt.Errorf("begin at %s: %w", provider.Name, err))
	}
	pending.Data = data
	if err := b.cfg.Sessions.Keep(ctx, want.Handle, pending); err != nil {
		return Begun{}, storeFailed("keep the pending sign-in", err)
	}
	return Begun{To: to, Browser: pending.Browser}, nil
}

// SignIn judges a provider's answer and makes a session. The cheap checks come
// first: rate, then the pending request, which is taken once; parsers last. An
// answer that nobody asked for is, where the provider may send one, a question to
// the person (SignedIn.Confirm).
func (b *Broker) SignIn(ctx context.Context, req SignInRequest) (SignedIn, error) {
	provider, err := b.answering(req)
	if err != nil {
		return SignedIn{}, b.refuseSignIn(ctx, req.Origin, req.Provider, idp.Identity{}, err)
	}
	if provider.Unsolicited && !session.IsHandle(idp.HandleOf(req.Answer)) {
		return b.askFirst(ctx, provider, req)
	}
	login, pending, err := b.arrive(ctx, provider, req)
	if err != nil {
		return SignedIn{}, b.refuseSignIn(ctx, req.Origin, req.Provider, login.Identity, err)
	}
	if len(pending.Order) > 0 {
		return b.openChosen(ctx, req.Origin, login, pending)
	}
	in, _, err := b.open(ctx, req.Origin, login, pending.ReturnTo, "")
	return in, err
}

// answering is the provider whose answer comes, within the limits.
func (b *Broker) answering(req SignInRequest) (Provider, error) {
	if err := Limited(b.cfg.Limit.Address("signin", req.Address)); err != nil {
		return Provider{}, err
	}
	provider, ok := b.providers[req.Provider]
	if !ok || provider.Type != req.Type || provider.Redirector == nil {
		return Provider{}, unknownProvider(req.Provider)
	}
	return provider, nil
}

// open makes the session of a login and records it, with a reason where there is
// something to say.
func (b *Broker) open(ctx context.Context, origin Origin, login idp.Login, returnTo, reason string) (SignedIn, session.Session, error) {
	token, made, err := b.cfg.Sessions.Create(ctx, session.New{Login: login, Via: string(ViaBrowser), Address: origin.client(), Agent: origin.Agent})
	if err != nil {
		return SignedIn{}, made, storeFailed("make a session", err)
	}
	event := b.event(origin, "signin", login.Identity)
	event.Outcome, event.Session, event.Reason = audit.Granted, made.ID, reason
	if err := b.record(ctx, event); err != nil {
		if ended := b.cfg.Sessions.End(context.WithoutCancel(ctx), made.ID); ended != nil {
			b.cfg.Log.Error("end a session that could not be recorded", "request_id", origin.RequestID, "error", ended)
		}
		return SignedIn{}, made, err
	}
	return SignedIn{Token: secret.New(token), Expires: made.Expires, ReturnTo: returnTo}, made, nil
}

// arrive turns an answer into a Login that counts once.
func (b *Broker) arrive(ctx context.Context, provider Provider, req SignInRequest) (idp.Login, session.Pending, error) {
	var none session.Pending
	pending, err := b.cfg.Sessions.Take(ctx, idp.HandleOf(req.Answer), req.Browser)
	switch {
	case errors.Is(err, session.ErrNotFound), err == nil && pending.For != "":
		return idp.Login{}, none, Fail(InvalidRequest, "no_pending_signin",
			"This sign-in was not begun in this browser, took longer than ten minutes, or was finished already. Sign in again.").Because(err)
	case err != nil:
		return idp.Login{}, none, storeFailed("take the pending sign-in", err)
	case pending.Provider != req.Provider:
		return idp.Login{}, none, Fail(InvalidRequest, "wrong_provider", "This answer belongs to another identity provider. Sign in again.").
			Because(fmt.Errorf("the sign-in was begun at %q", pending.Provider))
	}
	login, err := b.judge(ctx, provider, pending.Data, req)
	return login, pending, err
}

// judge lets the provider judge an answer, and counts it once. Without pending
// bytes nobody asked for it.
func (b *Broker) judge(ctx context.Context, provider Provider, pending []byte, req SignInRequest) (idp.Login, error) {
	login, err := provider.Redirector.Finish(ctx, pending, req.Answer)
	if err != nil {
		return idp.Login{}, err
	}
	if err := Limited(b.cfg.Limit.Subject("signin", login.Identity.Provider, login.Identity.Subject)); err != nil {
		return login, err
	}
	since := b.cfg.Now()
	if len(pending) == 0 { // nobody asked: it may have been lying around
		since = b.madeAt(login)
	}
	if err := b.mayBegin(login.Identity, "", since); err != nil {
		return login, err
	}
	if err := b.cfg.Replay.Use(ctx, req.Provider, login.Once.Key, login.Once.Until); err != nil {
		if errors.Is(err, replay.ErrReplayed) {
			return login, Fail(AccessDenied, "replay", "This answer of the identity provider has been used before. Sign in again.").Because(err)
		}
		return login, storeFailed("replay cache", err)
	}
	return login, nil
}

// refuseSignIn records why a sign-in failed and gives the error to show.
func (b *Broker) refuseSignIn(ctx context.Context, origin Origin, provider string, who idp.Identity, err error) error {
	shown := signInError(err)
	if shown.Code == RateLimited || shown.Reason == reasonBusy { // a flood must not fill the disk
		b.TurnedAway(ctx, origin, "signin")
		return shown
	}
	who.Provider = boundedText(provider) // it may be any text of an address
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
