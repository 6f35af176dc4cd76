package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// forChallenge marks a sign-in that waits for one thing more.
const forChallenge = "challenge"

// maxName bounds what somebody types for a name.
const maxName = 320

// Acquainted remembers the devices and browsers that people signed in with: their
// own tries are counted apart from those of strangers.
type Acquainted interface {
	Knows(ctx context.Context, username, holder string) (bool, error)
	Remember(ctx context.Context, subject, holder string) error
}

// PasswordRequest is a name and a password that somebody typed here.
type PasswordRequest struct {
	Origin
	Provider string
	ReturnTo string
	// Browser is the state cookie, Holder the cookie by which a browser is known again.
	Browser, Holder string
	Username        string
	Password        secret.String
}

// Question asks a person for one thing more before they are signed in.
type Question struct {
	// Handle is what the form sends back; it works once, for ten minutes, and only with
	// Browser, the value that the state cookie must have.
	Handle, Browser string
	Kind            string // totp
}

// AnswerRequest brings the answer to a Question.
type AnswerRequest struct {
	Origin
	Provider, Browser, Holder, Handle string
	Answer                            secret.String
}

// SignInByPassword signs somebody in at a provider that takes passwords here, or
// gives a Question. What is wrong is never said.
func (b *Broker) SignInByPassword(ctx context.Context, req PasswordRequest) (SignedIn, error) {
	login, asked, err := b.judgePassword(ctx, req)
	switch {
	case err != nil:
		return SignedIn{}, b.refuseSignIn(ctx, req.Origin, req.Provider, login.Identity, err)
	case asked != nil:
		return b.question(ctx, req.Origin, asked, session.Pending{Provider: req.Provider, ReturnTo: req.ReturnTo, Browser: req.Browser})
	}
	return b.openKnown(ctx, req.Origin, login, req.ReturnTo, req.Holder)
}

func (b *Broker) judgePassword(ctx context.Context, req PasswordRequest) (idp.Login, *idp.Challenge, error) {
	who := idp.Login{Identity: idp.Identity{Provider: req.Provider, Username: boundedText(req.Username)}}
	provider, err := b.takesPasswords(req.Origin, req.Provider)
	if err != nil {
		return who, nil, err
	}
	if len(req.Username) > maxName {
		return who, nil, Fail(InvalidRequest, "too_long", "That is longer than any address. Check it and try again.")
	}
	guess, err := b.guess(ctx, provider, "password", req.Username, req.Holder)
	if err != nil {
		return who, nil, storeFailed("find a person", err)
	}
	login := who
	err = b.cfg.Guard.Try(ctx, req.Origin, guess, true, func() error {
		var err error
		login, err = provider.Password.VerifyPassword(ctx, req.Username, req.Password)
		return err
	})
	if asked, more := errors.AsType[*idp.Challenge](err); more {
		return who, asked, nil
	}
	if err != nil {
		return who, nil, passwordError(err)
	}
	return login, nil, b.MayEnter(login.Identity)
}

// takesPasswords is the provider, within the limits.
func (b *Broker) takesPasswords(origin Origin, name string) (Provider, error) {
	if err := Limited(b.cfg.Limit.Address("signin", origin.Address)); err != nil {
		return Provider{}, err
	}
	provider, ok := b.providers[name]
	if !ok || provider.Password == nil {
		return Provider{}, unknownProvider(name)
	}
	return provider, nil
}

// guess is how a try is counted: by the account as it is typed, in one spelling, so
// that one which does not exist looks the same.
func (b *Broker) guess(ctx context.Context, provider Provider, kind, account, holder string) (limit.Guess, error) {
	account = strings.ToLower(strings.TrimSpace(account))
	guess := limit.Guess{Kind: kind, Account: provider.Name + "/" + account}
	if provider.Known == nil || holder == "" {
		return guess, nil
	}
	known, err := provider.Known.Knows(ctx, account, holder)
	if known {
		guess.Device = holder
	}
	return guess, err
}

// MayEnter holds a person to their own limit and to what operators have stopped.
func (b *Broker) MayEnter(who idp.Identity) error {
	if err := Limited(b.cfg.Limit.Subject("signin", who.Provider, who.Subject)); err != nil {
		return err
	}
	return b.mayBegin(who, "", b.cfg.Now())
}

// waiting is what is kept of somebody who has shown a password.
type waiting struct {
	Subject  string `json:"subject"`
	Username string `json:"username"`
	Data     []byte `json:"data"`
}

// question keeps a challenge until it is answered.
func (b *Broker) question(ctx context.Context, origin Origin, asked *idp.Challenge, pending session.Pending) (SignedIn, error) {
	handle := session.NewHandle()
	if !session.IsHandle(pending.Browser) {
		pending.Browser = session.NewHandle()
	}
	data, err := json.Marshal(waiting{asked.Identity.Subject, asked.Identity.Username, asked.Data})
	if err != nil {
		return SignedIn{}, fmt.Errorf("encode a challenge: %w", err)
	}
	pending.For, pending.Data = forChallenge, data
	if err := b.cfg.Sessions.Keep(ctx, handle, pending); err != nil {
		return SignedIn{}, storeFailed("keep a sign-in that asks for more", err)
	}
	intent := b.event(origin, "signin", asked.Identity)
	intent.Reason, intent.Detail = "challenge", "waits for "+asked.Kind
	if err := b.record(ctx, intent); err != nil {
		return SignedIn{}, err
	}
	return SignedIn{Question: &Question{Handle: handle, Browser: pending.Browser, Kind: asked.Kind}}, nil
}

// AnswerQuestion finishes a sign-in that asked for one thing more. A wrong answer
// gives another Question with the error: the password need not be typed again.
func (b *Broker) AnswerQuestion(ctx context.Context, req AnswerRequest) (SignedIn, error) {
	login, pending, err := b.judgeAnswer(ctx, req)
	if err == nil {
		return b.openKnown(ctx, req.Origin, login, pending.ReturnTo, req.Holder)
	}
	err = b.refuseSignIn(ctx, req.Origin, req.Provider, login.Identity, err)
	if Shown(err).Reason != wrongCredentials || pending.Data == nil {
		return SignedIn{}, err
	}
	handle := session.NewHandle()
	pending.Browser = req.Browser
	if failed := b.cfg.Sessions.Keep(ctx, handle, pending); failed != nil {
		return SignedIn{}, storeFailed("keep a sign-in that asks for more", failed)
	}
	return SignedIn{Question: &Question{Handle: handle, Browser: req.Browser, Kind: "totp"}}, err
}

func (b *Broker) judgeAnswer(ctx context.Context, req AnswerRequest) (idp.Login, session.Pending, error) {
	var none session.Pending
	who := idp.Login{Identity: idp.Identity{Provider: req.Provider}}
	provider, err := b.takesPasswords(req.Origin, req.Provider)
	if err != nil {
		return who, none, err
	}
	pending, err := b.cfg.Sessions.Take(ctx, req.Handle, req.Browser)
	switch {
	case errors.Is(err, session.ErrNotFound), err == nil && (pending.For != forChallenge || pending.Provider != req.Provider):
		return who, none, Fail(InvalidRequest, "no_pending_signin",
			"This sign-in was not begun in this browser, took too long, or was finished already. Sign in again.").Because(err)
	case err != nil:
		return who, none, storeFailed("take the pending sign-in", err)
	}
	var asked waiting
	if err := json.Unmarshal(pending.Data, &asked); err != nil {
		return who, none, fmt.Errorf("a challenge that waits: the store's data cannot be read: %w", err)
	}
	who.Identity.Subject, who.Identity.Username = asked.Subject, asked.Username
	guess, err := b.guess(ctx, provider, "totp", asked.Username, req.Holder)
	if err != nil {
		return who, none, storeFailed("find a person", err)
	}
	login := who
	err = b.cfg.Guard.Try(ctx, req.Origin, guess, false, func() error {
		var err error
		login, err = provider.Password.AnswerChallenge(ctx, asked.Data, req.Answer)
		return err
	})
	if err != nil {
		return who, pending, passwordError(err)
	}
	return login, pending, b.MayEnter(login.Identity)
}

// openKnown is open for somebody whose browser is remembered, by a value that it
// has already or gets.
func (b *Broker) openKnown(ctx context.Context, origin Origin, login idp.Login, returnTo, holder string) (SignedIn, error) {
	in, _, err := b.open(ctx, origin, login, returnTo, "")
	known := b.providers[login.Identity.Provider].Known
	if err != nil || known == nil {
		return in, err
	}
	if in.Holder = holder; !session.IsHandle(holder) {
		in.Holder = session.NewHandle()
	}
	if err := known.Remember(ctx, login.Identity.Subject, in.Holder); err != nil { // they are in all the same
		b.cfg.Log.Warn("remember a browser", "request_id", origin.RequestID, "error", err)
	}
	return in, nil
}

const wrongCredentials = "wrong_credentials"

// passwordError says the same of everything that is wrong with a name, a password
// or a code.
func passwordError(err error) error {
	rejected, ok := errors.AsType[*idp.Rejection](err)
	switch {
	case !ok:
		return err
	case rejected.Reason == "wrong-credentials":
		return Fail(AccessDenied, wrongCredentials, "The address, the password or the code is not right.").Because(err)
	}
	return Fail(AccessDenied, rejected.Reason, "You were not signed in. Sign in again.").Because(fmt.Errorf("password: %w", err))
}
