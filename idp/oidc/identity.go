package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// login makes a Login of a judged token; more are claims of the userinfo endpoint.
func (p *Provider) login(raw string, t *idToken, more object, s *steps) (idp.Login, error) {
	all := merge(t.claims, more)
	identity, err := p.identity(t, all)
	if s.add("identity", identity.Username, err) != nil {
		return idp.Login{}, err
	}
	return idp.Login{
		Identity: identity,
		Once:     idp.Once{Key: onceKey(t.payload), Until: t.expires.Add(p.skew)},
		Upstream: idp.Upstream{NameID: t.subject, SessionIndex: t.sid, Sid: t.sid, IDToken: secret.New(raw)},
	}, nil
}

func (p *Provider) identity(t *idToken, all object) (idp.Identity, error) {
	if err := p.require.holds(all); err != nil {
		return idp.Identity{}, err
	}
	if err := p.judgeGroups(all); err != nil {
		return idp.Identity{}, err
	}
	if p.mapping.Username == "email" {
		// Some providers (Cognito, Apple) say "true" as text.
		if verified, _ := all.get("email_verified"); verified.text != "true" {
			return idp.Identity{}, idp.Reject("email-unverified", "email is the user name here, and the provider does not say that it is verified")
		}
	}
	identity, err := p.mapping.Identity(p.name, t.subject, all.attributes())
	if err != nil {
		return idp.Identity{}, err
	}
	identity.Methods = append(identity.Methods, t.methods...)
	identity.AuthenticatedAt = t.authTime.UTC()
	return identity, nil
}

// judgeGroups refuses groups that are not all there or cannot be read: a grant
// that denies by group must not be escaped by having too many.
func (p *Provider) judgeGroups(all object) error {
	name := p.mapping.Groups
	if name == "" {
		return nil
	}
	elsewhere := false
	if names, there := all.get("_claim_names"); there {
		_, elsewhere = names.object().get(name)
	}
	if more, _ := all.get("hasgroups"); elsewhere || more.kind == kindBool && more.text == "true" {
		return idp.Reject("groups-overage", "the person has more groups than fit into a token; let the provider send only those that are assigned to rolecall")
	}
	groups, there := all.get(name)
	if !there || groups.kind == kindNull {
		return nil
	}
	if _, scalar := groups.scalars(); groups.kind == kindObject || !scalar {
		return idp.Reject("malformed", "the claim %q holds no list of groups", name)
	}
	return nil
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

// needsUserinfo says whether a claim that the configuration reads is not in the ID token.
func (p *Provider) needsUserinfo(t *idToken) bool {
	for _, name := range []string{p.mapping.Groups, p.mapping.Username} {
		if _, there := t.claims.get(name); name != "" && !there {
			return true
		}
	}
	return false
}

// userinfo asks for further claims of the person whom the ID token names.
func (p *Provider) userinfo(ctx context.Context, endpoint, accessToken, subject string) (object, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		return nil, fmt.Errorf("userinfo: %w: %w", idp.ErrUnavailable, err)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Accept", "application/json")
	resp, err := p.fetch.HTTPClient().Do(req)
	if err != nil {
		return nil, fmt.Errorf("userinfo: %w: %w", idp.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("userinfo: %w: %w", idp.ErrUnavailable, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("userinfo: %w: the answer is HTTP status %d", idp.ErrUnavailable, resp.StatusCode)
	case kind != "application/json":
		return nil, fmt.Errorf("userinfo: %w: %w", idp.ErrUnavailable, errors.New("the answer is not JSON"))
	}
	claims, err := readObject(body)
	if err != nil {
		return nil, idp.Reject("userinfo", "the userinfo answer: %v", err)
	}
	if sub, _ := claims.get("sub"); sub.kind != kindText || sub.text != subject {
		return nil, idp.Reject("userinfo", "the userinfo answer is about another subject")
	}
	return claims, nil
}
