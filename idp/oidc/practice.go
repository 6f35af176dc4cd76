package oidc

import "context"

// Practice says for an operator how sign-in and sign-out go on with this provider,
// as its discovery document and the configuration have it, and what must be
// registered there.
func (p *Provider) Practice(ctx context.Context) ([]string, error) {
	m, err := p.discover.get(ctx)
	if err != nil {
		return nil, err
	}
	method, err := p.client.choose(m)
	if err != nil {
		return nil, err
	}
	if p.client.team != "" {
		method += " with a secret made of Apple's key"
	}
	how := "in the address"
	if p.config.ResponseMode.Value == formPost {
		how = "by a form"
	}
	said := []string{"rolecall proves itself by " + method, "answers come " + how + "; the redirect URI is " + p.redirectURI}
	if m.push != "" && p.config.PushedRequests.Value != "off" {
		said = append(said, "requests are pushed (RFC 9126)")
	}
	if p.leaves(m) {
		said = append(said, "signing out goes on to "+m.endSession+"; the post-logout redirect URI is "+p.logoutURI)
	}
	return said, nil
}
