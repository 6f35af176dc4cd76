package account

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/mail"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/directory"
)

// fresh is how old a login may be for what changes how somebody logs in.
const fresh = 10 * time.Minute

// Gatekeeper is what People need of the broker.
type Gatekeeper interface {
	// Admit gives the caller whom a provider's token proves.
	Admit(ctx context.Context, origin broker.Origin, evidence broker.Evidence) (broker.Caller, error)
	// MayEnter holds a person to their own limit and to what operators have stopped.
	MayEnter(who idp.Identity) error
	EveryProvider() []broker.ProviderInfo
	TurnedAway(ctx context.Context, origin broker.Origin, what string)
	Forget(session string)
}

// Phones are the devices that people are logged in on.
type Phones interface {
	// DevicesOf gives the ids of the devices of an app that are a person's.
	DevicesOf(ctx context.Context, app, provider, subject string) ([]string, error)
	RevokeDevice(ctx context.Context, id string) error
}

// Addresses counts requests by client address.
type Addresses interface {
	Address(kind string, address netip.Addr) limit.Decision
}

// PeopleConfig is what People are made of. All fields but Post are required.
type PeopleConfig struct {
	Apps        []config.App
	Directories []*directory.Directory
	Broker      Gatekeeper
	Sessions    *session.Sessions
	Phones      Phones
	Limit       Addresses
	Guard       broker.Guard
	// Post takes a letter to be sent; nil is a broker without mail.
	Post   func(mail.Letter) error
	Record Record
	Now    func() time.Time
}

// People is what people of apps do with their entry in the built-in directory, and
// how they log in on a device. It is safe for concurrent use.
type People struct {
	cfg  PeopleConfig
	apps map[string]config.App
	dirs map[string]*directory.Directory
}

// NewPeople makes a People.
func NewPeople(c PeopleConfig) *People {
	p := &People{cfg: c, apps: map[string]config.App{}, dirs: map[string]*directory.Directory{}}
	for _, a := range c.Apps {
		p.apps[a.Name.Value] = a
	}
	for _, d := range c.Directories {
		p.dirs[d.Name()] = d
	}
	return p
}

// call is one request of a device, with its record.
type call struct {
	origin broker.Origin
	caller broker.Caller
	app    config.App
	dir    *directory.Directory
	event  audit.Event
}

// admit starts a call within the limits.
func (p *People) admit(ctx context.Context, origin broker.Origin, event audit.Event) (*call, error) {
	if d := p.cfg.Limit.Address("people", origin.Address); !d.Allowed {
		p.cfg.Broker.TurnedAway(ctx, origin, event.Event)
		e := broker.Fail(broker.RateLimited, "rate_limited", "Too many requests. Wait a moment, then try again.")
		e.RetryAfter = d.RetryAfter
		return nil, e
	}
	event.RequestID = origin.RequestID
	if origin.Address.IsValid() {
		event.Address = origin.Address.String()
	}
	return &call{origin: origin, event: event}, nil
}

// begin starts a call of a device of an app, or of somebody in a browser. app is what
// the request names, "" where it does not.
func (p *People) begin(ctx context.Context, origin broker.Origin, caller broker.Caller, name, app string) (*call, error) {
	c, err := p.admit(ctx, origin, audit.Event{Event: name, Via: string(broker.ViaTVM), Client: caller.App, Session: caller.Session, Device: caller.Device})
	if err != nil {
		return nil, err
	}
	c.caller, c.app = caller, p.apps[caller.App]
	if caller.App == "" && caller.Via == broker.ViaBrowser { // at the portal, of whichever directory they are
		if c.dir, c.event.Via = p.dirs[caller.Identity.Provider], string(broker.ViaBrowser); c.dir == nil {
			return nil, broker.Fail(broker.AccessDenied, "no_directory", "You are not signed in by the directory of this service.")
		}
		c.event.Provider = c.dir.Name()
		return c, nil
	}
	if app != "" && app != caller.App {
		return nil, broker.Fail(broker.InvalidRequest, "another_app", "The access token is of a device of another app than the request names.")
	}
	for _, listed := range c.app.Providers {
		if c.dir = p.dirs[listed.Value]; c.dir != nil {
			c.event.Provider = c.dir.Name()
			return c, nil
		}
	}
	return c, nil
}

// withDirectory is begin for what needs the built-in directory.
func (p *People) withDirectory(ctx context.Context, origin broker.Origin, caller broker.Caller, name, app string) (*call, error) {
	c, err := p.begin(ctx, origin, caller, name, app)
	if err == nil && c.dir == nil {
		err = broker.Fail(broker.AccessDenied, "no_directory", "This app has no directory of people of its own: log in with a token of one of its providers.")
	}
	return c, err
}

// own is begin for what a logged-in person of the directory does with their entry;
// recently demands that they have logged in within ten minutes.
func (p *People) own(ctx context.Context, origin broker.Origin, caller broker.Caller, name string, recently bool) (*call, error) {
	c, err := p.withDirectory(ctx, origin, caller, name, "")
	if err != nil {
		return nil, err
	}
	c.about(directory.Person{ID: caller.Identity.Subject, Email: caller.Identity.Username})
	switch {
	case caller.Identity.Provider != c.dir.Name():
		return nil, broker.Fail(broker.AccessDenied, "not_logged_in", "Nobody of this app's directory is logged in on this device: log in first.")
	case recently && p.cfg.Now().Sub(caller.Identity.AuthenticatedAt) > fresh:
		e := broker.Fail(broker.StepUp, "login_too_old", "This needs a login of the last ten minutes: log in again.")
		e.MaxAge = fresh
		return nil, e
	}
	return c, nil
}

func (c *call) about(who directory.Person) { c.event.Subject, c.event.Username = who.ID, who.Email }

// conclude records how a call ended and gives the error to show.
func (p *People) conclude(ctx context.Context, c *call, err error) error {
	c.event.Outcome = audit.Granted
	if err != nil {
		shown := broker.Shown(p.shown(err))
		if shown.Code == broker.RateLimited || shown.Reason == "busy" { // a flood must not fill the disk
			p.cfg.Broker.TurnedAway(ctx, c.origin, c.event.Event)
			return shown
		}
		c.event.Outcome, c.event.Reason = audit.Refused, shown.Reason
		if shown.Cause != nil {
			c.event.Detail = shown.Cause.Error()
		}
		if shown.Code == broker.Internal || shown.Code == broker.Unavailable {
			c.event.Outcome = audit.Failed
		}
		err = shown
	}
	if failed := p.cfg.Record.Append(context.WithoutCancel(ctx), c.event); failed != nil {
		return broker.Fail(broker.Unavailable, "audit", "The audit record cannot be written. Try again in a moment.").Because(failed)
	}
	return err
}

// shown turns what the directory says into what a person may read.
func (p *People) shown(err error) error {
	if own, ok := errors.AsType[*broker.Error](err); ok {
		return own
	}
	if weak, ok := errors.AsType[*directory.Weak](err); ok {
		return broker.Fail(broker.InvalidRequest, "weak_password", "The password cannot be taken: "+weak.Why+".")
	}
	if r, ok := errors.AsType[*idp.Rejection](err); ok {
		return broker.Fail(broker.InvalidRequest, r.Reason, "The passkey was not accepted. Begin again.").Because(err)
	}
	for _, known := range []struct {
		is error
		as *broker.Error
	}{
		{directory.ErrWrong, broker.Fail(broker.InvalidRequest, "wrong_code", "The code is wrong, too old, or has been used. Ask for another one.")},
		{directory.ErrEmail, broker.Fail(broker.InvalidRequest, "malformed_email", "That is not an e-mail address: it must look like name@example.com.")},
		{directory.ErrNoPasskeys, broker.Fail(broker.InvalidRequest, "no_passkeys", "There are no passkeys here: the broker's address has no domain.")},
		{directory.ErrNoTOTP, broker.Fail(broker.InvalidRequest, "no_totp", "No one-time codes are set up, or none were begun.")},
		{directory.ErrTaken, broker.Fail(broker.InvalidRequest, "already_there", "That is there already. Remove it first.")},
		{directory.ErrNotFound, broker.Fail(broker.AccessDenied, "not_found", "There is no such thing of yours, or no longer.")},
	} {
		if errors.Is(err, known.is) {
			return known.as.Because(err)
		}
	}
	return broker.Fail(broker.Unavailable, "store", "The broker cannot reach its memory right now. Try again in a moment.").Because(err)
}

// letters holds how many letters somebody may be sent: strangers together, and each
// address and device by itself, so that nobody can keep the owner from theirs.
func (p *People) letters(ctx context.Context, c *call, email string) error {
	guess, err := p.guess(ctx, c, "letter", email)
	if err != nil {
		return err
	}
	guess.Address = c.origin.Address
	if d := p.cfg.Guard.Guesses.Try(guess); !d.Allowed {
		e := broker.Fail(broker.RateLimited, "too_many_letters", "Too many letters were asked for. Look for one that has come, or wait and try again.")
		e.RetryAfter = d.RetryAfter
		return e
	}
	return nil
}

// guess is how a try is counted, by the address as it is compared.
func (p *People) guess(ctx context.Context, c *call, kind, email string) (limit.Guess, error) {
	name, err := directory.ParseEmail(email)
	if err != nil {
		name = "-" // nobody
	}
	guess := limit.Guess{Kind: kind, Account: c.dir.Name() + "/" + name}
	known, err := c.dir.Knows(ctx, name, c.caller.Device)
	if known {
		guess.Device = c.caller.Device
	}
	return guess, err
}

// send posts a letter. That it cannot be is known before anything depends on whose
// it is: a full outbox is the same for everybody.
func (p *People) send(c *call, letter directory.Letter) error {
	if p.cfg.Post == nil {
		return noMail()
	}
	c.event.Detail = "letter: " + letter.Kind()
	if letter.To == "" {
		c.event.Detail += ", to nobody"
	}
	subject, text := letter.Write(c.app.Label)
	if err := p.cfg.Post(mail.Letter{To: letter.To, Subject: subject, Text: text, RequestID: c.origin.RequestID}); err != nil {
		e := broker.Fail(broker.Unavailable, "mail", "Mail cannot be sent right now. Try again in a few minutes.")
		e.RetryAfter = time.Minute
		return e.Because(err)
	}
	return nil
}

func noMail() *broker.Error {
	return broker.Fail(broker.AccessDenied, "no_mail", "This broker sends no mail, so nobody can register or reset a password by themselves. Ask your administrators.")
}

// Register sends a code to whoever wants to be in the app's directory. The answer
// is the same whether they are in it or not.
func (p *People) Register(ctx context.Context, origin broker.Origin, caller broker.Caller, app, email string, password secret.String) error {
	c, err := p.withDirectory(ctx, origin, caller, "user.register", app)
	if err != nil {
		return err
	}
	return p.conclude(ctx, c, p.register(ctx, c, email, password))
}

func (p *People) register(ctx context.Context, c *call, email string, password secret.String) error {
	name, err := directory.ParseEmail(email)
	if err != nil {
		return err
	}
	c.event.Username = name
	switch {
	case !c.dir.Open():
		return broker.Fail(broker.AccessDenied, "registration_closed", "People cannot register here by themselves. Ask your administrators.")
	case p.cfg.Post == nil:
		return noMail()
	}
	if err := p.letters(ctx, c, name); err != nil {
		return err
	}
	leave, err := p.cfg.Guard.Enter(ctx, c.origin)
	if err != nil {
		return err
	}
	letter, err := c.dir.Register(ctx, c.caller.Device, name, password)
	leave()
	if err != nil {
		return err
	}
	return p.send(c, letter)
}

// Confirm makes the person whose device asked for the code.
func (p *People) Confirm(ctx context.Context, origin broker.Origin, caller broker.Caller, app, email, code string) error {
	c, err := p.withDirectory(ctx, origin, caller, "user.confirm", app)
	if err != nil {
		return err
	}
	made, err := c.dir.Confirm(ctx, caller.Device, email, code)
	if err == nil {
		c.about(made)
		err = c.dir.Remember(ctx, made.ID, caller.Device)
	}
	return p.conclude(ctx, c, err)
}

// AskReset sends a code for a new password to whoever has the address. The answer
// is the same where nobody has.
func (p *People) AskReset(ctx context.Context, origin broker.Origin, caller broker.Caller, app, email string) error {
	c, err := p.withDirectory(ctx, origin, caller, "user.reset_ask", app)
	if err != nil {
		return err
	}
	return p.conclude(ctx, c, p.askReset(ctx, c, email))
}

func (p *People) askReset(ctx context.Context, c *call, email string) error {
	if p.cfg.Post == nil {
		return noMail()
	}
	name, err := directory.ParseEmail(email)
	if err != nil {
		return err
	}
	c.event.Username = name
	if err := p.letters(ctx, c, name); err != nil {
		return err
	}
	letter, err := c.dir.AskReset(ctx, c.caller.Device, name)
	if err != nil {
		return err
	}
	return p.send(c, letter)
}

// Reset sets a new password by the code and ends everything that the person has
// open, on this device too.
func (p *People) Reset(ctx context.Context, origin broker.Origin, caller broker.Caller, app, email, code string, password secret.String) error {
	c, err := p.withDirectory(ctx, origin, caller, "user.reset", app)
	if err != nil {
		return err
	}
	return p.conclude(ctx, c, p.reset(ctx, c, email, code, password))
}

func (p *People) reset(ctx context.Context, c *call, email, code string, password secret.String) error {
	leave, err := p.cfg.Guard.Enter(ctx, c.origin)
	if err != nil {
		return err
	}
	who, err := c.dir.Reset(ctx, c.caller.Device, email, code, password)
	leave()
	if err != nil {
		return err
	}
	c.about(who)
	if err := c.dir.Remember(ctx, who.ID, c.caller.Device); err != nil {
		return err
	}
	if err := p.endAll(ctx, c, who.ID, ""); err != nil {
		return err
	}
	return p.send(c, c.dir.PasswordChanged(who))
}

// endAll ends every session and every token of a person but those of keep.
func (p *People) endAll(ctx context.Context, c *call, subject, keep string) error {
	sessions, families, err := p.cfg.Sessions.Live(ctx, c.dir.Name(), subject, maxSessions)
	if err != nil {
		return err
	}
	if keep == "" {
		if err := p.cfg.Sessions.EndAll(ctx, c.dir.Name(), subject); err != nil {
			return fmt.Errorf("end all sessions: %w", err)
		}
	}
	for _, s := range sessions {
		if err := p.cfg.Sessions.End(ctx, s.ID); err != nil {
			return fmt.Errorf("end a session: %w", err)
		}
		p.cfg.Broker.Forget(s.ID)
	}
	for _, f := range families {
		if f.ID == keep {
			continue
		}
		if err := p.cfg.Sessions.EndFamily(ctx, f.ID); err != nil {
			return fmt.Errorf("end tokens: %w", err)
		}
		p.cfg.Broker.Forget(f.ID)
	}
	return nil
}

// Redeem sets a password by the code that an operator has handed out, and ends
// everything that the person has open.
func (p *People) Redeem(ctx context.Context, origin broker.Origin, provider, email, code string, password secret.String) error {
	c, err := p.admit(ctx, origin, audit.Event{Event: "user.redeem", Via: string(broker.ViaBrowser), Provider: provider})
	if err != nil {
		return err
	}
	if c.dir = p.dirs[provider]; c.dir == nil {
		return broker.Fail(broker.InvalidRequest, "unknown_provider", "There is no such directory here.")
	}
	return p.conclude(ctx, c, p.redeem(ctx, c, email, code, password))
}

func (p *People) redeem(ctx context.Context, c *call, email, code string, password secret.String) error {
	leave, err := p.cfg.Guard.Enter(ctx, c.origin)
	if err != nil {
		return err
	}
	who, err := c.dir.Reset(ctx, "", email, code, password)
	leave()
	if err != nil {
		return err
	}
	c.about(who)
	return p.endAll(ctx, c, who.ID, "")
}
