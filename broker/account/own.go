package account

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/directory"
)

// Person is an entry of the directory, without its secrets.
type Person = directory.Person

// Enrolment is what an authenticator app needs.
type Enrolment = directory.Enrolment

// Passkey is what people see of one.
type Passkey = directory.Passkey

// Export is everything that is kept of a person, but for secrets and for what the
// record must keep.
type Export struct {
	Time     time.Time           `json:"time"`
	Provider string              `json:"provider"`
	Person   Person              `json:"person"`
	Devices  map[string][]string `json:"devices"` // by app
	Sessions []ExportedSession   `json:"sessions"`
	Activity []ExportedActivity  `json:"activity"`
	// Whole says that Activity has all of the last seven days.
	Whole bool `json:"activity_whole"`
}

// ExportedSession is a session or a family of tokens.
type ExportedSession struct {
	ID    string    `json:"id"`
	Via   string    `json:"via"`
	App   string    `json:"app,omitempty"`
	Since time.Time `json:"since"`
	Ends  time.Time `json:"ends"`
}

// ExportedActivity is one record about the person.
type ExportedActivity struct {
	Time    time.Time `json:"time"`
	Event   string    `json:"event"`
	Outcome string    `json:"outcome"`
	Address string    `json:"address,omitempty"`
	Role    string    `json:"role,omitempty"`
}

// Me gives the caller's own entry.
func (p *People) Me(ctx context.Context, origin broker.Origin, caller broker.Caller) (Person, error) {
	c, err := p.own(ctx, origin, caller, "user.read", false)
	if err != nil {
		return Person{}, err
	}
	who, err := c.dir.ByID(ctx, caller.Identity.Subject)
	if err != nil {
		return Person{}, p.shown(err)
	}
	return who, nil
}

// Export gives everything that is kept of the caller.
func (p *People) Export(ctx context.Context, origin broker.Origin, caller broker.Caller) (Export, error) {
	c, err := p.own(ctx, origin, caller, "user.export", true)
	if err != nil {
		return Export{}, err
	}
	all, err := p.export(ctx, c)
	return all, p.conclude(ctx, c, err)
}

func (p *People) export(ctx context.Context, c *call) (Export, error) {
	id, provider := c.caller.Identity.Subject, c.dir.Name()
	all := Export{Time: p.cfg.Now().UTC(), Provider: provider, Devices: map[string][]string{}, Sessions: []ExportedSession{}, Activity: []ExportedActivity{}}
	var err error
	if all.Person, err = c.dir.ByID(ctx, id); err != nil {
		return Export{}, err
	}
	for name := range p.apps {
		devices, err := p.cfg.Phones.DevicesOf(ctx, name, provider, id)
		if err != nil {
			return Export{}, err
		}
		if len(devices) > 0 {
			all.Devices[name] = devices
		}
	}
	sessions, families, err := p.cfg.Sessions.Live(ctx, provider, id, maxSessions)
	if err != nil {
		return Export{}, err
	}
	for _, s := range sessions {
		all.Sessions = append(all.Sessions, ExportedSession{ID: s.ID, Via: s.Via, Since: s.Since, Ends: s.Expires})
	}
	for _, f := range families {
		all.Sessions = append(all.Sessions, ExportedSession{ID: f.ID, Via: f.Via, App: f.Client, Since: f.Since, Ends: f.Until})
	}
	service := &Service{Config{Record: p.cfg.Record, Now: p.cfg.Now}}
	found, err := service.own(ctx, c.caller, func(r audit.Record) bool { return r.Outcome != "" })
	if err != nil {
		return Export{}, err
	}
	all.Whole = found.Whole && !found.More
	for _, r := range found.Records {
		all.Activity = append(all.Activity, ExportedActivity{Time: r.Time, Event: r.Event.Event, Outcome: string(r.Outcome), Address: r.Address, Role: r.Role})
	}
	return all, nil
}

// Delete removes the caller from the directory, with their tokens and devices. The
// session name that they have in AWS stays theirs, so that nobody else appears under
// it in CloudTrail; so does the record.
func (p *People) Delete(ctx context.Context, origin broker.Origin, caller broker.Caller) error {
	c, err := p.own(ctx, origin, caller, "user.delete", true)
	if err != nil {
		return err
	}
	return p.conclude(ctx, c, p.delete(ctx, c))
}

// delete ends what there is first: a person who is gone cannot be asked again.
func (p *People) delete(ctx context.Context, c *call) error {
	id := c.caller.Identity.Subject
	for name := range p.apps {
		devices, err := p.cfg.Phones.DevicesOf(ctx, name, c.dir.Name(), id)
		if err != nil {
			return err
		}
		for _, device := range devices {
			if err := p.cfg.Phones.RevokeDevice(ctx, device); err != nil {
				return err
			}
		}
	}
	if err := c.dir.Delete(ctx, id); err != nil {
		return err
	}
	return p.endAll(ctx, c, id, "")
}

// ChangePassword sets another password for somebody who shows the current one, and
// ends everything that they have open elsewhere.
func (p *People) ChangePassword(ctx context.Context, origin broker.Origin, caller broker.Caller, current, next secret.String) error {
	c, err := p.own(ctx, origin, caller, "user.password", false)
	if err != nil {
		return err
	}
	return p.conclude(ctx, c, p.changePassword(ctx, c, current, next))
}

func (p *People) changePassword(ctx context.Context, c *call, current, next secret.String) error {
	if err := c.dir.Acceptable(c.caller.Identity.Username, next); err != nil {
		return err
	}
	guess, err := p.guess(ctx, c, "password", c.caller.Identity.Username)
	if err != nil {
		return err
	}
	var who directory.Person
	err = p.cfg.Guard.Try(ctx, c.origin, guess, true, func() error {
		var err error
		who, err = c.dir.ChangePassword(ctx, c.caller.Identity.Subject, current, next)
		return err
	})
	if errors.Is(err, directory.ErrWrong) {
		return broker.Fail(broker.AccessDenied, "wrong_credentials", "The current password is not right.").Because(err)
	}
	if err != nil {
		return err
	}
	if err := p.endAll(ctx, c, who.ID, c.caller.Session); err != nil {
		return err
	}
	if p.cfg.Post == nil {
		return nil
	}
	return p.send(c, c.dir.PasswordChanged(who))
}

// AskEmail sends a code to another address of the caller.
func (p *People) AskEmail(ctx context.Context, origin broker.Origin, caller broker.Caller, email string) error {
	c, err := p.own(ctx, origin, caller, "user.email_ask", true)
	if err != nil {
		return err
	}
	return p.conclude(ctx, c, p.askEmail(ctx, c, email))
}

func (p *People) askEmail(ctx context.Context, c *call, email string) error {
	if p.cfg.Post == nil {
		return noMail()
	}
	if err := p.letters(ctx, c, email); err != nil {
		return err
	}
	letter, err := c.dir.AskEmail(ctx, c.caller.Identity.Subject, c.caller.Device, email)
	if err != nil {
		return err
	}
	return p.send(c, letter)
}

// ConfirmEmail moves the caller to the address that the code was sent to; the
// address before is told.
func (p *People) ConfirmEmail(ctx context.Context, origin broker.Origin, caller broker.Caller, email, code string) error {
	c, err := p.own(ctx, origin, caller, "user.email", true)
	if err != nil {
		return err
	}
	who, before, err := c.dir.ConfirmEmail(ctx, caller.Identity.Subject, caller.Device, email, code)
	if err == nil {
		c.about(who)
		if p.cfg.Post != nil {
			err = p.send(c, c.dir.EmailChanged(before))
		}
	}
	return p.conclude(ctx, c, err)
}

// BeginTOTP gives the secret for an authenticator app.
func (p *People) BeginTOTP(ctx context.Context, origin broker.Origin, caller broker.Caller) (Enrolment, error) {
	c, err := p.own(ctx, origin, caller, "user.totp_begin", true)
	if err != nil {
		return Enrolment{}, err
	}
	made, err := c.dir.BeginTOTP(ctx, caller.Identity.Subject)
	return made, p.conclude(ctx, c, err)
}

// ConfirmTOTP puts it into force by a code, and gives the recovery codes.
func (p *People) ConfirmTOTP(ctx context.Context, origin broker.Origin, caller broker.Caller, code string) ([]string, error) {
	c, err := p.own(ctx, origin, caller, "user.totp", true)
	if err != nil {
		return nil, err
	}
	recovery, err := c.dir.ConfirmTOTP(ctx, caller.Identity.Subject, code)
	return recovery, p.conclude(ctx, c, err)
}

// RemoveTOTP takes the second factor away.
func (p *People) RemoveTOTP(ctx context.Context, origin broker.Origin, caller broker.Caller) error {
	c, err := p.own(ctx, origin, caller, "user.totp_remove", true)
	if err != nil {
		return err
	}
	_, err = c.dir.RemoveTOTP(ctx, caller.Identity.Subject)
	return p.conclude(ctx, c, err)
}

// BeginPasskey gives the options for navigator.credentials.create.
func (p *People) BeginPasskey(ctx context.Context, origin broker.Origin, caller broker.Caller) (json.RawMessage, error) {
	c, err := p.own(ctx, origin, caller, "user.passkey_begin", true)
	if err != nil {
		return nil, err
	}
	options, err := c.dir.BeginPasskey(ctx, caller.Identity.Subject, caller.Device)
	if err != nil {
		return nil, p.shown(err)
	}
	return options, nil
}

// AddPasskey keeps a passkey that the caller's device has made.
func (p *People) AddPasskey(ctx context.Context, origin broker.Origin, caller broker.Caller, label string, credential json.RawMessage) (Passkey, error) {
	c, err := p.own(ctx, origin, caller, "user.passkey", true)
	if err != nil {
		return Passkey{}, err
	}
	made, err := c.dir.FinishPasskey(ctx, caller.Identity.Subject, caller.Device, label, credential)
	return made, p.conclude(ctx, c, err)
}

// RemovePasskey forgets one.
func (p *People) RemovePasskey(ctx context.Context, origin broker.Origin, caller broker.Caller, id string) error {
	c, err := p.own(ctx, origin, caller, "user.passkey_remove", true)
	if err != nil {
		return err
	}
	return p.conclude(ctx, c, c.dir.RemovePasskey(ctx, caller.Identity.Subject, id))
}
