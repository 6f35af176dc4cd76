package oidc

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/rolecall/rolecall/idp"
)

var _ idp.Redirector = (*Provider)(nil)

// pending is what Finish must know of Begin. The handle itself stays out: the
// store keeps handles only as hashes.
type pending struct {
	Issuer   string    `json:"issuer"`
	State    string    `json:"state"` // hash of the handle
	Nonce    string    `json:"nonce"`
	Verifier string    `json:"verifier"`
	Since    time.Time `json:"since,omitzero"` // auth_time must not be before this
	MaxAge   int64     `json:"max_age,omitempty"`
	ACR      []string  `json:"acr,omitempty"`
}

// Begin sends the browser to the provider's authorization endpoint.
func (p *Provider) Begin(ctx context.Context, want idp.Want) (idp.Redirect, []byte, error) {
	m, err := p.discover.get(ctx)
	if err != nil {
		return idp.Redirect{}, nil, err
	}
	keep := pending{
		Issuer: p.config.Issuer.Value, State: hashText(want.Handle), Nonce: rand.Text() + rand.Text(),
		Verifier: oauth2.GenerateVerifier(), ACR: want.ACR, MaxAge: int64(want.MaxAge / time.Second),
	}
	options := []oauth2.AuthCodeOption{goidc.Nonce(keep.Nonce), oauth2.S256ChallengeOption(keep.Verifier)}
	set := func(name, value string) { options = append(options, oauth2.SetAuthURLParam(name, value)) }
	switch {
	case want.Fresh:
		keep.Since, keep.MaxAge = p.now().UTC(), 0
		set("prompt", "login")
		set("max_age", "0")
	case want.MaxAge > 0:
		keep.MaxAge = max(1, keep.MaxAge)
		set("max_age", strconv.FormatInt(keep.MaxAge, 10))
	}
	if len(want.ACR) > 0 {
		set("acr_values", strings.Join(want.ACR, " "))
	}
	for name, value := range p.preset.request {
		set(name, value)
	}
	if want.LoginHint != "" && len(want.LoginHint) <= 256 {
		set("login_hint", want.LoginHint)
	}
	data, err := json.Marshal(keep)
	if err != nil {
		return idp.Redirect{}, nil, fmt.Errorf("oidc: pending sign-in: %w", err)
	}
	return idp.Redirect{URL: p.client(m).AuthCodeURL(want.Handle, options...)}, data, nil
}

// Finish judges what the browser brought back, redeems the code and judges the
// ID token.
func (p *Provider) Finish(ctx context.Context, data []byte, answer idp.Answer) (idp.Login, error) {
	var keep pending
	if err := json.Unmarshal(data, &keep); err != nil {
		return idp.Login{}, fmt.Errorf("oidc: pending sign-in: %w", err)
	}
	if keep.Issuer != p.config.Issuer.Value {
		return idp.Login{}, idp.Reject("issuer", "the sign-in began at %s, which is no longer this provider's issuer", keep.Issuer)
	}
	m, err := p.discover.get(ctx)
	if err != nil {
		return idp.Login{}, err
	}
	code, err := p.judgeAnswer(m, keep, answer)
	if err != nil {
		return idp.Login{}, err
	}
	raw, access, err := p.redeem(ctx, m, code, keep.Verifier)
	if err != nil {
		return idp.Login{}, err
	}
	t, err := judge(ctx, raw, p.keys, p.signInExpectation(keep, access), nil)
	if err != nil {
		return idp.Login{}, err
	}
	var more object
	if m.userinfo != "" && p.needsUserinfo(t) {
		if more, err = p.userinfo(ctx, m.userinfo, access, t.subject); err != nil {
			return idp.Login{}, err
		}
	}
	return p.login(ctx, raw, t, more, nil)
}

func (p *Provider) signInExpectation(keep pending, access string) expectation {
	want := p.expect(p.now())
	want.nonce, want.accessToken, want.acr, want.since = keep.Nonce, access, keep.ACR, keep.Since
	if keep.MaxAge > 0 {
		want.since = want.now.Add(-time.Duration(keep.MaxAge) * time.Second)
	}
	return want
}

// expect is what every token of this provider is judged by.
func (p *Provider) expect(now time.Time) expectation {
	return expectation{
		issuers: p.preset.issuers, preset: p.preset.judge, clientID: p.config.ClientID.Value, algorithms: p.algorithms, skew: p.skew, now: now,
		audiences: p.config.Audiences,
	}
}

// judgeAnswer takes the code from the redirect: the state is this sign-in's, the
// answer is this issuer's (RFC 9207), and nothing is there twice.
func (p *Provider) judgeAnswer(m *metadata, keep pending, answer idp.Answer) (string, error) {
	query := answer.Query
	if answer.Method != http.MethodGet || len(answer.Form) > 0 && !sameValues(answer.Form, query) {
		return "", idp.Reject("malformed", "the answer must come by redirect")
	}
	for _, name := range []string{"state", "iss", "code", "error"} {
		if len(query[name]) > 1 {
			return "", idp.Reject("malformed", "the answer has several values of %s", name)
		}
	}
	if subtle.ConstantTimeCompare([]byte(hashText(query.Get("state"))), []byte(keep.State)) != 1 {
		return "", idp.Reject("state", "the answer belongs to another sign-in")
	}
	issuer, there := query.Get("iss"), query.Has("iss")
	switch {
	case m.issuerParam && !there:
		return "", idp.Reject("iss", "the provider promises to name itself in its answer (RFC 9207) and did not")
	case there && !p.preset.accepts(issuer):
		return "", idp.Reject("iss", "the answer is of issuer %.128q, not %q", issuer, p.config.Issuer.Value)
	}
	switch fault := query.Get("error"); {
	case fault == "access_denied":
		return "", idp.Reject("access-denied", "the provider or the person refused")
	case query.Has("error"):
		return "", idp.Reject("idp-error", "the provider answered %s", errorCode(fault))
	case query.Get("code") == "" || len(query.Get("code")) > 4096:
		return "", idp.Reject("malformed", "the answer has no code, or one that is too long")
	}
	return query.Get("code"), nil
}

// redeem exchanges the code for the ID token and the access token.
func (p *Provider) redeem(ctx context.Context, m *metadata, code, verifier string) (raw, access string, err error) {
	ctx = goidc.ClientContext(ctx, p.fetch.HTTPClient())
	token, err := p.client(m).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var answer *oauth2.RetrieveError
	switch {
	case errors.As(err, &answer):
		// The text of this error holds the provider's whole answer.
		return "", "", p.judgeRefusal(answer)
	case err != nil:
		return "", "", fmt.Errorf("token endpoint: %w: %w", idp.ErrUnavailable, bare(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return "", "", idp.Reject("malformed", "the token answer has no id_token; the scope openid may be missing at the provider")
	}
	return raw, token.AccessToken, nil
}

// judgeRefusal tells a refused code from a provider that is broken, or that does
// not know us.
func (p *Provider) judgeRefusal(answer *oauth2.RetrieveError) error {
	status := 0
	if answer.Response != nil {
		status = answer.Response.StatusCode
	}
	switch {
	case answer.ErrorCode == "invalid_client" || answer.ErrorCode == "unauthorized_client":
		return fmt.Errorf("token endpoint: %w: the provider refuses client %q or its secret (%s)", idp.ErrUnavailable, p.config.ClientID.Value, errorCode(answer.ErrorCode))
	case answer.ErrorCode != "" && status < 500:
		return idp.Reject("code", "the provider refused the code: %s", errorCode(answer.ErrorCode))
	}
	return fmt.Errorf("token endpoint: %w: the answer is HTTP status %d", idp.ErrUnavailable, status)
}

func (p *Provider) client(m *metadata) *oauth2.Config {
	scopes := []string{goidc.ScopeOpenID, "profile", "email"}
	for _, scope := range p.config.Scopes {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return &oauth2.Config{
		ClientID: p.config.ClientID.Value, ClientSecret: p.config.ClientSecret.Reveal(), RedirectURL: p.redirectURI, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: m.authorize, TokenURL: m.token, AuthStyle: m.style},
	}
}

// errorCode makes an error code of the provider fit to be written down.
func errorCode(text string) string {
	if !printable(text, 64) || strings.ContainsAny(text, "\"'<>\\ ") {
		return "an unreadable error code"
	}
	return text
}

// bare takes the URL off an error of net/http.
func bare(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return errors.New("the answer is no token")
}

func hashText(text string) string {
	sum := sha256.Sum256([]byte(text))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// sameValues reports whether a form holds the query only, as net/http's Form does for a GET.
func sameValues(form, query url.Values) bool {
	for name, values := range form {
		if !slices.Equal(values, query[name]) {
			return false
		}
	}
	return true
}
