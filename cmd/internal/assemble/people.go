package assemble

import (
	"context"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/mail"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/device"
	"github.com/rolecall/rolecall/idp/directory"
)

// openPeople makes what stands before passwords, and the way out for letters. Where
// there is no mail there is no outbox.
func (d *Daemon) openPeople() error {
	d.guard = broker.Guard{
		Guesses: limit.NewGuesses(limit.GuessConfig{Now: d.options.Now}), Gate: limit.NewGate(limit.GateConfig{}),
	}
	m, gate := d.options.metrics, d.guard.Gate
	m.Watch("password_queue", "Requests that wait for a place to judge a password.", func() float64 { return float64(gate.Load().Waiting) })
	m.Count("password_shed_total", "", "Requests that were turned away because too many waited to judge a password.", func() float64 { return float64(gate.Load().Shed) })
	sender := d.options.Mail
	if c := d.options.Config.Mail; c.SMTP.Value != "" {
		smtp, err := mail.NewSMTP(c)
		if err != nil {
			return err
		}
		sender = smtp
	}
	if sender != nil {
		d.outbox = mail.NewOutbox(sender, d.options.Log)
	}
	return nil
}

// runOutbox sends letters, where there are any.
func (d *Daemon) runOutbox(ctx context.Context) {
	if d.outbox != nil {
		d.outbox.Run(ctx)
	}
}

// addDirectory makes the built-in directory. A check has no store, and needs none.
func (g *generation) addDirectory(made *upstream, p config.Provider) error {
	c := directory.Config{Provider: p, URL: serverURL(g.options.Config), Now: g.options.Now}
	if d := g.options.daemon; d != nil {
		c.Store, c.Sealer = d.store, d.sealer
	}
	people, err := directory.New(c)
	if err != nil {
		return err
	}
	made.directory, made.Password, made.Known = people, people, people
	if people.HasPasskeys() {
		made.Passkeys, made.ProviderInfo.Passkeys = people, true
	}
	return nil
}

// newPeople serves the people of the built-in directories.
func (d *Daemon) newPeople(g *generation, sessions *session.Sessions) *account.People {
	c := account.PeopleConfig{
		Apps: g.options.Config.Apps, Broker: g.broker, Sessions: sessions, Limit: d.limiter, Guard: d.guard, Record: d.audit, Now: g.options.Now,
		Phones: phones{device.New(device.Config{Store: d.store, Now: g.options.Now})},
	}
	for _, u := range g.upstreams {
		if u.directory != nil {
			c.Directories = append(c.Directories, u.directory)
		}
	}
	if d.outbox != nil {
		c.Post = d.outbox.Post
	}
	return account.NewPeople(c)
}

// phones are devices as account.People wants them.
type phones struct{ devices *device.Devices }

// DevicesOf implements account.Phones.
func (p phones) DevicesOf(ctx context.Context, app, provider, subject string) ([]string, error) {
	found, err := p.devices.Of(ctx, app, provider, subject)
	ids := make([]string, len(found))
	for i, d := range found {
		ids[i] = d.ID
	}
	return ids, err
}

// RevokeDevice implements account.Phones.
func (p phones) RevokeDevice(ctx context.Context, id string) error { return p.devices.Revoke(ctx, id) }
