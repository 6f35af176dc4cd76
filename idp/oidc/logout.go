package oidc

import (
	"context"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// logoutEvent is the member of events that makes a token a logout token.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// logoutLife bounds a logout token: it is made for one delivery.
const logoutLife = 2 * time.Minute

// VerifyLogout judges a logout token (OpenID Connect Back-Channel Logout 1.0
// section 2.6). It is for us alone, says so by typ and events, names a session or
// a person, and lives two minutes at most; Once lets it count once.
func (p *Provider) VerifyLogout(ctx context.Context, raw string) (idp.Departure, error) {
	token, err := splitAs(raw, true)
	if err != nil {
		return idp.Departure{}, err
	}
	want := p.expect(p.now())
	if err := want.judgeAlgorithm(token); err != nil {
		return idp.Departure{}, err
	}
	if err := p.keys.verify(ctx, token); err != nil {
		return idp.Departure{}, err
	}
	t, err := readClaims(token)
	if err != nil {
		return idp.Departure{}, idp.Reject("malformed", "the token's claims: %v", err)
	}
	for _, check := range []func(*idToken) error{want.judgeIssuer, want.judgeLogout, want.judgeAudience, want.judgeTime} {
		if err := check(t); err != nil {
			return idp.Departure{}, err
		}
	}
	jti, _ := t.claims.get("jti")
	gone := idp.Departure{NameID: t.subject, Once: idp.Once{Key: "logout " + jti.text, Until: t.expires.Add(p.skew)}}
	if subject, err := p.preset.subject(t); err == nil && t.subject != "" {
		gone.Subject = subject
	}
	if t.sid != "" {
		gone.Sessions = []string{t.sid}
	}
	return gone, nil
}

// judgeLogout demands what makes a logout token and no other.
func (want *expectation) judgeLogout(t *idToken) error {
	events, _ := t.claims.get("events")
	event, there := events.object().get(logoutEvent)
	jti, _ := t.claims.get("jti")
	switch {
	case events.kind != kindObject || !there || event.kind != kindObject:
		return idp.Reject("events", "the token's events do not hold the logout event as an object")
	case t.hasNonce:
		return idp.Reject("nonce", "a logout token has no nonce: this may be an ID token")
	case jti.kind != kindText || !printable(jti.text, 255):
		return idp.Reject("malformed", "the token has no jti")
	case t.subject == "" && t.sid == "":
		return idp.Reject("subject", "the token names neither sub nor sid")
	case t.subject != "" && !printable(t.subject, 255), t.sid != "" && !printable(t.sid, 255):
		return idp.Reject("subject", "sub and sid must be printable ASCII of at most 255 characters")
	case !t.expires.IsZero() && !t.issued.IsZero() && t.expires.Sub(t.issued) > logoutLife:
		return idp.Reject("lifetime", "a logout token lives two minutes at most")
	}
	return nil
}
