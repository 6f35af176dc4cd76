package saml

import (
	"cmp"
	"context"
	"crypto/x509"
	"slices"

	"github.com/rolecall/rolecall/idp"
)

var _ idp.Examined = (*Provider)(nil)

// Health implements idp.Examined.
func (p *Provider) Health() idp.Health {
	c := p.config.Provider
	h := p.source.health()
	h.From = cmp.Or(c.MetadataURL.Value, c.MetadataFile.Value)
	h.Signing = slices.Clone(p.published.signing)
	if p.published.encryption != nil {
		h.Encryption = []*x509.Certificate{p.published.encryption}
	}
	return h
}

// Examine implements idp.Examined: it fetches the metadata. A file is there already.
func (p *Provider) Examine(ctx context.Context) error {
	if !p.source.remote() {
		return p.source.health().Err
	}
	if _, err := p.source.fetch(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// health is what the source knows, expired or not.
func (s *source) health() idp.Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := idp.Health{Read: s.good, Err: s.failed}
	if m := s.current; m != nil {
		h.Until, h.Certificates, h.Keys = m.ValidUntil, slices.Clone(m.certs), len(m.certs)
		if h.Err == nil && m.expired(s.Now()) {
			h.Err = unavailable(errExpired(m))
		}
	}
	return h
}
