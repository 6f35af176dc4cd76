package oidc

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// Verify judges a token that a program brings (token exchange): no nonce, and the
// provider's further audiences count. A token of another issuer is
// idp.ErrNotMine; one for another client of our issuer is a Rejection that is
// idp.ErrNotMine too. Both are found before anything is fetched or verified. Whether
// the token may come twice is the caller's to ask (Login.Once).
func (p *Provider) Verify(ctx context.Context, raw string) (idp.Login, error) {
	token, err := split(raw)
	if err != nil {
		return idp.Login{}, err
	}
	if token.claims, err = readObject(token.payload); err != nil {
		return idp.Login{}, idp.Reject("malformed", "the token's claims: %v", err)
	}
	if issuer, _ := token.claims.get("iss"); issuer.kind != kindText || !p.preset.accepts(issuer.text) {
		return idp.Login{}, idp.ErrNotMine
	}
	want := p.expect(p.now())
	want.exchange = true
	if err := want.addressee(token.claims); err != nil {
		return idp.Login{}, err
	}
	t, err := judgeSplit(ctx, token, p.keys, want, nil)
	if err != nil {
		return idp.Login{}, err
	}
	return p.login(ctx, t, nil, nil)
}

// addressee refuses a token of ours that is for another client: several providers
// may have one issuer. What cannot be read is left to judge.
func (want *expectation) addressee(claims object) error {
	var t idToken
	for _, name := range []string{"aud", "azp"} {
		if v, there := claims.get(name); there && v.kind != kindNull && t.take(name, v) != nil {
			return nil
		}
	}
	var rejection *idp.Rejection
	if errors.As(want.judgeAudience(&t), &rejection) {
		rejection.Cause = idp.ErrNotMine
		return rejection
	}
	return nil
}

// Contests finds what two providers would both take in token exchange: tokens of one
// issuer for one audience. The first one would be asked, and the other never.
func (p *Provider) Contests(other *Provider) (issuer, audience string, contested bool) {
	theirs := other.taken()
	for _, iss := range p.preset.issuers {
		for _, aud := range p.taken() {
			if other.preset.accepts(iss) && slices.Contains(theirs, aud) {
				return iss, aud, true
			}
		}
	}
	return "", "", false
}

// taken are the audiences that token exchange takes.
func (p *Provider) taken() []string {
	return append([]string{p.config.ClientID.Value}, p.config.Audiences...)
}

// Inspection asks how a token would be judged.
type Inspection struct {
	Token string
	// At is the time to judge by; zero is now.
	At time.Time
	// Nonce judges as at sign-in; without it the token is judged as at exchange.
	Nonce string
}

// Finding is a weakness. ID tokens have none that could be overlooked; the list is
// there because the document of SAML has it.
type Finding struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// Report is the answer, the document of `rolecalld oidc inspect`. A refusal has a
// Reason and no Identity.
type Report struct {
	Reason   string        `json:"reason,omitempty"`
	Detail   string        `json:"detail,omitempty"`
	Findings []Finding     `json:"findings,omitzero"`
	Identity *idp.Identity `json:"identity,omitempty"`
	Steps    []Step        `json:"steps"`
}

// Inspect judges on the code path of sign-in and exchange, step by step. It never
// makes a Login. An error says that the token could not be judged at all.
func (p *Provider) Inspect(ctx context.Context, ask Inspection) (Report, error) {
	if ask.At.IsZero() {
		ask.At = p.now()
	}
	want := p.expect(ask.At)
	want.nonce, want.exchange = ask.Nonce, ask.Nonce == ""
	s := &steps{}
	t, err := judge(ctx, ask.Token, p.keys, want, s)
	var login idp.Login
	if err == nil {
		login, err = p.login(ctx, t, nil, s)
	}
	var rejection *idp.Rejection
	switch {
	case err == nil:
		return Report{Identity: &login.Identity, Steps: s.list}, nil
	case errors.As(err, &rejection):
		return Report{Reason: rejection.Reason, Detail: rejection.Detail, Findings: []Finding{}, Steps: s.list}, nil
	}
	return Report{Steps: s.list}, err
}
