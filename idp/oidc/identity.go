package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// login makes a Login of a judged token; more are claims of the userinfo endpoint.
func (p *Provider) login(ctx context.Context, t *idToken, more object, s *steps) (idp.Login, error) {
	var identity idp.Identity
	all, err := p.complete(ctx, merge(t.claims, more))
	if err == nil {
		identity, err = p.identity(t, all)
	}
	if s.add("identity", identity.Username, err) != nil {
		return idp.Login{}, err
	}
	return idp.Login{
		Identity: identity, IssuedAt: t.issued,
		Once:     idp.Once{Key: onceKey(t.payload), Until: t.expires.Add(p.skew), AtSignIn: t.hasNonce},
		Upstream: idp.Upstream{NameID: t.subject, SessionIndex: t.sid, Sid: t.sid},
	}, nil
}

func (p *Provider) identity(t *idToken, all object) (idp.Identity, error) {
	if err := p.require.holds(all); err != nil {
		return idp.Identity{}, err
	}
	if err := p.judgeGroups(all); err != nil {
		return idp.Identity{}, err
	}
	if username := p.mapping.username; username.last() == "email" {
		// Some providers (Cognito, Apple) say "true" as text.
		if verified, _, err := username.beside("email_verified").find(all); err != nil || verified.text != "true" {
			return idp.Identity{}, idp.Reject("email-unverified", "email is the user name here, and the provider does not say that it is verified")
		}
	}
	subject, err := p.preset.subject(t)
	if err != nil {
		return idp.Identity{}, err
	}
	identity, err := p.mapping.identity(p.name, subject, all)
	if err != nil {
		return idp.Identity{}, err
	}
	if p.preset.groups != nil && len(p.mapping.groups) == 0 {
		identity.Groups = p.preset.groups(t)
	}
	identity.Methods = append(identity.Methods, t.methods...)
	if !identity.MFA() && p.secondFactor(t.acr) {
		identity.Methods = append(identity.Methods, "mfa")
	}
	identity.AuthenticatedAt = t.authTime.UTC()
	return identity, nil
}

// secondFactor reports whether an authentication context is one of several
// factors: by the configuration, or by the names that are in common use.
func (p *Provider) secondFactor(acr string) bool {
	switch acr {
	case "":
		return false
	case "https://refeds.org/profile/mfa", "http://schemas.openid.net/pape/policies/2007/06/multi-factor",
		"http://schemas.microsoft.com/claims/multipleauthn", "http://idmanagement.gov/ns/assurance/aal/2", "http://idmanagement.gov/ns/assurance/aal/3":
		return true
	}
	return slices.ContainsFunc(p.config.MFAACRValues, func(c config.Text) bool { return c.Value == acr })
}

// judgeGroups refuses groups that are not all there or cannot be read: a grant
// that denies by group must not be escaped by having too many.
func (p *Provider) judgeGroups(all object) error {
	path := p.mapping.groups
	if len(path) == 0 {
		return nil
	}
	if overage(all, path[0]) {
		return idp.Reject("groups-overage", "the person has more groups than fit into a token; let the provider send only those that are assigned to rolecall")
	}
	groups, there, err := path.find(all)
	if err != nil || !there {
		return err
	}
	if _, scalar := groups.scalars(); groups.kind == kindObject || !scalar {
		return idp.Reject("malformed", "the claim %q holds no list of groups", path.attribute())
	}
	return nil
}

// overage reports whether a claim is there as a pointer only (OpenID Connect Core
// 1.0 section 5.6.2), which is never followed.
func overage(all object, name string) bool {
	elsewhere := false
	if names, there := all.get("_claim_names"); there {
		_, elsewhere = names.object().get(name)
	}
	more, _ := all.get("hasgroups")
	return elsewhere || more.kind == kindBool && more.text == "true"
}

// onceKey is the hash of what was signed, not of the text, which others may be
// able to write in several ways.
func onceKey(payload []byte) string {
	sum := sha256.Sum256(payload)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// merge adds the claims of userinfo that the ID token lacks. What the ID token
// says stays, and what only a signed token may say is not taken from elsewhere.
func merge(claims, more object) object {
	if len(more) == 0 {
		return claims
	}
	all := append(object{}, claims...)
	for _, m := range more {
		switch m.name {
		case "iss", "sub", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "auth_time", "acr", "amr", "sid", "at_hash", "c_hash", "events":
			continue
		}
		if _, there := claims.get(m.name); !there {
			all = append(all, m)
		}
	}
	return all
}
