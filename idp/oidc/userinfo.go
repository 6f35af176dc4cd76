package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
)

// userinfo gives further claims of the person whom the ID token names, where the
// configuration asks for them: always, never, or where a claim that it reads is
// not in the ID token.
func (p *Provider) userinfo(ctx context.Context, m *metadata, accessToken string, t *idToken) (object, error) {
	always := p.config.Userinfo
	switch {
	case always != nil && !*always, always == nil && (m.userinfo == "" || !p.needsUserinfo(t)):
		return nil, nil
	case m.userinfo == "":
		return nil, fmt.Errorf("userinfo: %w: it is to be asked, and discovery names no userinfo_endpoint", idp.ErrUnavailable)
	}
	claims, err := p.askUserinfo(ctx, m.userinfo, accessToken)
	if err != nil {
		return nil, err
	}
	// OpenID Connect Core 1.0 section 5.3.2: without this the access token of
	// somebody else could bring their claims.
	if sub, _ := claims.get("sub"); sub.kind != kindText || sub.text != t.subject {
		return nil, idp.Reject("userinfo", "the userinfo answer is about another subject")
	}
	return claims, nil
}

// needsUserinfo says whether a claim that the configuration reads is not in the ID token.
func (p *Provider) needsUserinfo(t *idToken) bool { return p.mapping.missing(t.claims) }

func (p *Provider) askUserinfo(ctx context.Context, endpoint, accessToken string) (object, error) {
	req, err := http.NewRequestWithContext(fetch.For(ctx, "userinfo"), http.MethodGet, endpoint, nil)
	if err != nil {
		return nil, fmt.Errorf("userinfo: %w", idp.ErrUnavailable)
	}
	req.Header.Set("Authorization", "Bearer "+accessToken)
	req.Header.Set("Accept", "application/json, application/jwt")
	resp, err := p.fetch.HTTPClient().Do(req)
	if err != nil {
		return nil, fmt.Errorf("userinfo: %w: %w", idp.ErrUnavailable, bare(err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("userinfo: %w: %w", idp.ErrUnavailable, err)
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("userinfo: %w: the answer is HTTP status %d", idp.ErrUnavailable, resp.StatusCode)
	case kind == "application/jwt":
		return p.signedUserinfo(ctx, string(body))
	case kind != "application/json":
		return nil, fmt.Errorf("userinfo: %w: the answer is neither JSON nor a JWT", idp.ErrUnavailable)
	}
	claims, err := readObject(body)
	if err != nil {
		return nil, idp.Reject("userinfo", "the userinfo answer: %v", err)
	}
	return claims, nil
}

// signedUserinfo reads an answer that the provider signed: by the keys and
// algorithms of its ID tokens, from the provider and for us.
func (p *Provider) signedUserinfo(ctx context.Context, raw string) (object, error) {
	t, err := p.readSigned(ctx, raw)
	if rejected, ok := errors.AsType[*idp.Rejection](err); ok {
		return nil, idp.Reject("userinfo", "the signed userinfo answer: %s", rejected.Detail)
	}
	if err != nil {
		return nil, err
	}
	return t.claims, nil
}

func (p *Provider) readSigned(ctx context.Context, raw string) (*idToken, error) {
	token, err := split(raw)
	if err != nil {
		return nil, err
	}
	want := p.expect(p.now())
	if err := want.judgeAlgorithm(token); err != nil {
		return nil, err
	}
	if err := p.keys.verify(ctx, token); err != nil {
		return nil, err
	}
	t, err := readClaims(token)
	if err != nil {
		return nil, idp.Reject("malformed", "its claims: %v", err)
	}
	if err := want.judgeIssuer(t); err != nil {
		return nil, err
	}
	if !slices.Contains(t.audience, want.clientID) {
		return nil, idp.Reject("audience", "it is for %.200q, not for %q", t.audience, want.clientID)
	}
	return t, nil
}
