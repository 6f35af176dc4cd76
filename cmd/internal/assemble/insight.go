package assemble

import (
	"context"
	"slices"

	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/operate/insight"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// insight is what administrators look at of a generation.
func (g *generation) insight(d *Daemon) *insight.Insight {
	c, o := g.options.Config, g.options
	running := insight.Running{Config: c, Policy: g.policy, Loaded: o.Now(), Warnings: slices.Concat(c.Warnings, g.warnings)}
	for _, u := range g.upstreams {
		source := insight.Source{ProviderInfo: u.ProviderInfo}
		if examined, ok := u.examined(); ok {
			source.Examined = examined
		}
		running.Providers = append(running.Providers, source)
	}
	return insight.New(insight.Config{
		Admits: g.desk.Admits,
		Running: func() insight.Running {
			now := running
			now.NotTaken = d.refused.Load()
			if served := d.certificate.Load(); served != nil {
				now.TLS = served.Leaf
			}
			return now
		},
		Sessions: session.NewSessions(session.Config{Store: d.store, Max: c.Session.Max, Idle: c.Session.Idle, Now: o.Now}),
		Keys:     d.keyStates, Record: d.audit, Now: o.Now,
	})
}

// examined is what can say how a provider is: what signs people in, or, of machines,
// what judges their tokens.
func (u *upstream) examined() (idp.Examined, bool) {
	if examined, ok := u.Redirector.(idp.Examined); ok {
		return examined, true
	}
	examined, ok := u.Verifier.(idp.Examined)
	return examined, ok
}

// keyStates lists the signing keys of tokens, of every use.
func (d *Daemon) keyStates(ctx context.Context) ([]keys.State, error) {
	var all []keys.State
	for _, k := range []*keys.Keys{d.keys, d.awsKeys} {
		states, err := k.States(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, states...)
	}
	return all, nil
}
