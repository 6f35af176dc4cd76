package saml

import (
	"context"
	"errors"

	"github.com/rolecall/rolecall/idp"
)

var _ idp.TokenVerifier = (*Provider)(nil)

// Verify implements idp.TokenVerifier: it judges the base64url of a Response, or
// of a bare signed Assertion, that a program brings. Nobody was asked, so nothing
// is answered; the Recipient may be the token endpoint. In all else it is judged
// as the ACS judges. It counts once (Login.Once), always. An assertion of another
// provider is idp.ErrNotMine; one of ours for another service provider is a
// Rejection that is idp.ErrNotMine too.
func (p *Provider) Verify(ctx context.Context, raw string) (idp.Login, error) {
	document, fault := decode64(raw)
	if fault != nil {
		return idp.Login{}, fault
	}
	m, err := p.source.get(ctx)
	if err != nil {
		return idp.Login{}, err
	}
	if named := claimedIssuer(document); named != "" && named != m.EntityID {
		return idp.Login{}, idp.ErrNotMine
	}
	c := p.judgedAs(m)
	c.Exchange, c.Recipients = true, []string{p.config.URL + "/oauth2/token"}
	verdict := Judge(document, c)
	if verdict.Reason == "signature" { // a new key of the provider, perhaps
		if fresh := p.source.rolled(ctx, m); fresh != nil {
			c.IDP = fresh
			verdict = Judge(document, c)
		}
	}
	if err := verdict.Err(); err != nil {
		if rejection, refused := errors.AsType[*idp.Rejection](err); refused && rejection.Reason == "audience" {
			rejection.Cause = errors.Join(idp.ErrNotMine, rejection.Cause) // another service provider of ours, perhaps
		}
		return idp.Login{}, err
	}
	return verdict.Login, nil
}

// claimedIssuer is whom a document says that it is from, before anything is
// verified; "" where it does not say so where it should.
func claimedIssuer(document []byte) string {
	root, fault := gate(document, messageLimits)
	if fault != nil {
		return ""
	}
	issuer := root.child(spaceAssertion, "Issuer")
	if assertion := root.child(spaceAssertion, "Assertion"); issuer == nil && assertion != nil {
		issuer = assertion.child(spaceAssertion, "Issuer")
	}
	if issuer == nil {
		return ""
	}
	text, fault := issuerOf(issuer)
	if fault != nil {
		return ""
	}
	return text
}
