package account

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/directory"
)

// Credentials are what somebody shows to log in on a device: an address and a
// password, with a code where a second factor is set up; or a provider's token.
type Credentials struct {
	App            string
	Email          string
	Password, Code secret.String
	Provider       string
	Token          secret.String
}

// Login gives the login that credentials prove; whoever gets it makes the device
// theirs.
func (p *People) Login(ctx context.Context, origin broker.Origin, caller broker.Caller, shown Credentials) (idp.Login, error) {
	if shown.Provider != "" {
		return p.loginByToken(ctx, origin, caller, shown)
	}
	c, err := p.withDirectory(ctx, origin, caller, "user.login", shown.App)
	if err != nil {
		return idp.Login{}, err
	}
	login, err := p.loginByPassword(ctx, c, shown)
	if err == nil {
		err = p.enter(ctx, c, login)
	}
	return login, p.conclude(ctx, c, loginError(err))
}

func (p *People) loginByPassword(ctx context.Context, c *call, shown Credentials) (idp.Login, error) {
	var login idp.Login
	if name, err := directory.ParseEmail(shown.Email); err == nil {
		c.event.Username = name
	}
	guess, err := p.guess(ctx, c, "password", shown.Email)
	if err != nil {
		return login, err
	}
	err = p.cfg.Guard.Try(ctx, c.origin, guess, true, func() error {
		var err error
		login, err = c.dir.VerifyPassword(ctx, shown.Email, shown.Password)
		return err
	})
	asked, more := errors.AsType[*idp.Challenge](err)
	if !more {
		return login, err
	}
	c.event.Subject = asked.Identity.Subject
	if shown.Code.Reveal() == "" {
		e := broker.Fail(broker.StepUp, "totp_required", "The password is right, and a one-time code is needed too: send it as code.")
		e.ACR = "totp"
		return login, e
	}
	guess.Kind = "totp"
	err = p.cfg.Guard.Try(ctx, c.origin, guess, false, func() error {
		var err error
		login, err = c.dir.AnswerChallenge(ctx, asked.Data, shown.Code)
		return err
	})
	return login, err
}

// enter lets somebody in who has proved who they are.
func (p *People) enter(ctx context.Context, c *call, login idp.Login) error {
	c.event.Subject, c.event.Username = login.Identity.Subject, login.Identity.Username
	if err := p.cfg.Broker.MayEnter(login.Identity); err != nil {
		return err
	}
	return c.dir.Remember(ctx, login.Identity.Subject, c.caller.Device)
}

// loginError says the same of everything that is wrong with who somebody says they are.
func loginError(err error) error {
	rejected, ok := errors.AsType[*idp.Rejection](err)
	if !ok && !errors.Is(err, directory.ErrWrong) {
		return err
	}
	reason := "wrong_credentials"
	if ok && rejected.Reason != "wrong-credentials" {
		reason = rejected.Reason
	}
	return broker.Fail(broker.Unauthenticated, reason, "The address, the password, the code or the passkey is not right.").Because(err)
}

// loginByToken takes the word of another provider of the app. What is wrong with
// the token, Admit has recorded.
func (p *People) loginByToken(ctx context.Context, origin broker.Origin, caller broker.Caller, shown Credentials) (idp.Login, error) {
	c, err := p.begin(ctx, origin, caller, "user.login", shown.App)
	if err != nil {
		return idp.Login{}, err
	}
	c.event.Provider = shown.Provider
	providers := p.cfg.Broker.EveryProvider()
	known := slices.IndexFunc(providers, func(i broker.ProviderInfo) bool { return i.Name == shown.Provider })
	if known < 0 || !slices.ContainsFunc(c.app.Providers, func(t config.Text) bool { return t.Value == shown.Provider }) {
		c.event.Provider = ""
		return idp.Login{}, p.conclude(ctx, c, broker.Fail(broker.AccessDenied, "unknown_provider", "No provider of that name lets people log in to this app."))
	}
	saml := providers[known].Type == "saml"
	who, err := p.cfg.Broker.Admit(ctx, origin, broker.Evidence{Token: shown.Token, SAML: saml})
	if err != nil {
		return idp.Login{}, err
	}
	login := idp.Login{Identity: who.Identity, NotAfter: who.ProviderEnd}
	c.event.Subject, c.event.Username = who.Identity.Subject, who.Identity.Username
	if who.Identity.Provider != shown.Provider {
		err = broker.Fail(broker.Unauthenticated, "wrong_provider", "The token is of another provider than the request names.")
	} else {
		err = p.cfg.Broker.MayEnter(who.Identity)
	}
	return login, p.conclude(ctx, c, err)
}

// BeginPasskeyLogin gives the options for navigator.credentials.get. They name nobody.
func (p *People) BeginPasskeyLogin(ctx context.Context, origin broker.Origin, caller broker.Caller, app string) (json.RawMessage, error) {
	c, err := p.withDirectory(ctx, origin, caller, "user.login_begin", app)
	if err != nil {
		return nil, err
	}
	options, err := c.dir.BeginLogin(ctx, caller.Device)
	if err != nil {
		return nil, p.shown(err)
	}
	return options, nil
}

// PasskeyLogin gives the login that a passkey proves.
func (p *People) PasskeyLogin(ctx context.Context, origin broker.Origin, caller broker.Caller, credential json.RawMessage) (idp.Login, error) {
	c, err := p.withDirectory(ctx, origin, caller, "user.login", "")
	if err != nil {
		return idp.Login{}, err
	}
	login, err := c.dir.LoginByPasskey(ctx, caller.Device, credential)
	if err == nil {
		err = p.enter(ctx, c, login)
	}
	return login, p.conclude(ctx, c, loginError(err))
}

// Logout ends the tokens of the person on this device. The device stays known by
// its key; it is nobody's until somebody logs in again.
func (p *People) Logout(ctx context.Context, origin broker.Origin, caller broker.Caller) error {
	c, err := p.begin(ctx, origin, caller, "user.logout", "")
	if err != nil {
		return err
	}
	c.event.Provider, c.event.Subject, c.event.Username = caller.Identity.Provider, caller.Identity.Subject, caller.Identity.Username
	err = p.cfg.Sessions.EndFamily(ctx, caller.Session)
	if err == nil {
		p.cfg.Broker.Forget(caller.Session)
	}
	return p.conclude(ctx, c, err)
}
