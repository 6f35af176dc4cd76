package oidc

import (
	"cmp"
	"context"

	"github.com/rolecall/rolecall/idp"
)

var _ idp.Examined = (*Provider)(nil)

// Health implements idp.Examined: its keys, and where there are none yet its
// discovery document.
func (p *Provider) Health() idp.Health {
	p.keys.mu.Lock()
	h := idp.Health{Read: p.keys.fetched, Err: p.keys.failure, Keys: len(p.keys.keys)}
	p.keys.mu.Unlock()
	p.discover.mu.Lock()
	defer p.discover.mu.Unlock()
	if m := p.discover.last; m != nil && h.Read.IsZero() {
		h.Read = m.fetched
	}
	if h.Err == nil {
		h.Err = p.discover.failure
	}
	h.From = cmp.Or(p.config.JWKSFile.Value, p.config.Issuer.Value)
	return h
}

// Examine implements idp.Examined: it reads the discovery document anew, and the
// keys where they are too old. With jwks_file there may be nobody to ask.
func (p *Provider) Examine(ctx context.Context) error {
	if p.config.JWKSFile.Value == "" {
		if err := p.discover.again(ctx); err != nil {
			return err
		}
	}
	_, err := p.keys.current(ctx)
	return err
}
