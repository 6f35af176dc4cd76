package broker

import (
	"context"
	"encoding/json"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// PasskeyVerifier signs people in by a passkey (WebAuthn). Holder is the browser
// that asks: a challenge is good for it alone, once.
type PasskeyVerifier interface {
	BeginLogin(ctx context.Context, holder string) (json.RawMessage, error)
	LoginByPasskey(ctx context.Context, holder string, credential []byte) (idp.Login, error)
}

// PasskeyRequest is a browser that wants to sign in by a passkey, or, with
// Credential, has done it.
type PasskeyRequest struct {
	Origin
	Provider, ReturnTo string
	// Browser is the state cookie, Holder the cookie by which a browser is known again.
	Browser, Holder string
	Credential      []byte
}

// BeginPasskey gives the options for navigator.credentials.get, and the value that
// the state cookie must have.
func (b *Broker) BeginPasskey(ctx context.Context, req PasskeyRequest) (options json.RawMessage, browser string, err error) {
	provider, err := b.takesPasskeys(req)
	if err != nil {
		return nil, "", b.refuseSignIn(ctx, req.Origin, req.Provider, idp.Identity{}, err)
	}
	if browser = req.Browser; !session.IsHandle(browser) {
		browser = session.NewHandle()
	}
	options, err = provider.Passkeys.BeginLogin(ctx, browser)
	if err != nil {
		return nil, "", storeFailed("begin a sign-in by passkey", err)
	}
	return options, browser, nil
}

// SignInByPasskey signs in whom a passkey proves.
func (b *Broker) SignInByPasskey(ctx context.Context, req PasskeyRequest) (SignedIn, error) {
	login, err := b.judgePasskey(ctx, req)
	if err != nil {
		return SignedIn{}, b.refuseSignIn(ctx, req.Origin, req.Provider, login.Identity, err)
	}
	return b.openKnown(ctx, req.Origin, login, req.ReturnTo, req.Holder)
}

func (b *Broker) judgePasskey(ctx context.Context, req PasskeyRequest) (idp.Login, error) {
	who := idp.Login{Identity: idp.Identity{Provider: req.Provider}}
	provider, err := b.takesPasskeys(req)
	if err != nil {
		return who, err
	}
	login, err := provider.Passkeys.LoginByPasskey(ctx, req.Browser, req.Credential)
	if err != nil {
		return who, passwordError(err)
	}
	return login, b.MayEnter(login.Identity)
}

func (b *Broker) takesPasskeys(req PasskeyRequest) (Provider, error) {
	if err := Limited(b.cfg.Limit.Address("signin", req.Address)); err != nil {
		return Provider{}, err
	}
	provider, ok := b.providers[req.Provider]
	if !ok || provider.Passkeys == nil {
		return Provider{}, unknownProvider(req.Provider)
	}
	return provider, nil
}
