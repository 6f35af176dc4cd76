package broker

import (
	"context"
	"errors"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// idpInitiated is the reason in the record of a sign-in that began at the provider.
const idpInitiated = "idp_initiated"

// Confirmation asks a person whom a provider sent unasked whether it is really
// them who is to be signed in here: anybody can send a browser to us with an
// answer about somebody else.
type Confirmation struct {
	// Handle is what the button sends back; it works once, for ten minutes, and only
	// with Browser, the value that the state cookie must have.
	Handle, Browser   string
	Provider, Label   string
	Username, Subject string
}

// ConfirmRequest is the person's answer.
type ConfirmRequest struct {
	Origin
	Provider, Type  string
	Browser, Handle string
	// Refused says that it is not them.
	Refused bool
}

// askFirst judges an answer that nobody asked for. It counts once from here on;
// who it is about waits for the click of the browser that brought it.
func (b *Broker) askFirst(ctx context.Context, provider Provider, req SignInRequest) (SignedIn, error) {
	login, err := b.judge(ctx, provider, nil, req)
	if err != nil {
		return SignedIn{}, b.refuseSignIn(ctx, req.Origin, req.Provider, login.Identity, err)
	}
	handle, browser := session.NewHandle(), req.Browser
	if !session.IsHandle(browser) {
		browser = session.NewHandle()
	}
	if err := b.cfg.Sessions.KeepLogin(ctx, handle, session.Pending{Provider: req.Provider, Browser: browser}, login); err != nil {
		return SignedIn{}, storeFailed("keep a login until it is confirmed", err)
	}
	intent := b.event(req.Origin, "signin", login.Identity)
	intent.Reason, intent.Detail = idpInitiated, "waits for the person to confirm it"
	if err := b.record(ctx, intent); err != nil {
		return SignedIn{}, err
	}
	return SignedIn{Confirm: &Confirmation{
		Handle: handle, Browser: browser, Provider: provider.Name, Label: provider.Label,
		Username: login.Identity.Username, Subject: login.Identity.Subject,
	}}, nil
}

// ConfirmSignIn signs in whom askFirst asked about, if the same browser says so.
func (b *Broker) ConfirmSignIn(ctx context.Context, req ConfirmRequest) (SignedIn, error) {
	login, err := b.confirmed(ctx, req)
	if err != nil {
		return SignedIn{}, b.refuseSignIn(ctx, req.Origin, req.Provider, login.Identity, err)
	}
	in, _, err := b.open(ctx, req.Origin, login, "/", idpInitiated)
	return in, err
}

func (b *Broker) confirmed(ctx context.Context, req ConfirmRequest) (idp.Login, error) {
	provider, err := b.answering(SignInRequest{Origin: req.Origin, Provider: req.Provider, Type: req.Type})
	if err != nil {
		return idp.Login{}, err
	}
	if !provider.Unsolicited {
		return idp.Login{}, Fail(InvalidRequest, "unsolicited", "Sign-ins at this provider begin here. Choose it on the sign-in page.")
	}
	pending, login, err := b.cfg.Sessions.TakeLogin(ctx, req.Handle, req.Browser)
	switch {
	case errors.Is(err, session.ErrNotFound), err == nil && pending.Provider != req.Provider:
		return idp.Login{}, Fail(InvalidRequest, "no_pending_signin",
			"This question was not asked in this browser, is older than ten minutes, or was answered already. Sign in again.").Because(err)
	case err != nil:
		return idp.Login{}, storeFailed("take the login that waits", err)
	case req.Refused:
		return login, Fail(AccessDenied, "cancelled", "You were not signed in. If you did not start this yourself, tell your administrators the request id.")
	}
	return login, b.mayBegin(login.Identity, "", b.madeAt(login)) // revoked while it waited
}
