package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
)

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
	want := p.signInExpectation(keep, access)
	want.code = code
	t, err := judge(ctx, raw, p.keys, want, nil)
	if err != nil {
		return idp.Login{}, err
	}
	more, err := p.userinfo(ctx, m, access, t)
	if err != nil {
		return idp.Login{}, err
	}
	login, err := p.login(ctx, t, more, nil)
	if err == nil && p.leaves(m) {
		login.Upstream.IDToken = secret.New(raw)
	}
	return login, err
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

// The parameters of an answer that mean something here.
var answerParameters = []string{"state", "iss", "code", "error"}

// parameters are those of the answer, which must have come the way that this
// sign-in asked for (OAuth 2.0 Form Post Response Mode).
func (keep pending) parameters(answer idp.Answer) (url.Values, error) {
	if keep.Mode == formPost {
		inAddress := slices.ContainsFunc(answerParameters, answer.Query.Has)
		if answer.Method != http.MethodPost || inAddress {
			return nil, idp.Reject("response-mode", "the answer was asked for by a form; it came by the address")
		}
		return answer.Form, nil
	}
	if answer.Method != http.MethodGet || len(answer.Form) > 0 && !sameValues(answer.Form, answer.Query) {
		return nil, idp.Reject("response-mode", "the answer was asked for by the address; it came by a form")
	}
	return answer.Query, nil
}

// judgeAnswer takes the code from the answer: the state is this sign-in's, the
// answer is this issuer's (RFC 9207), and nothing is there twice.
func (p *Provider) judgeAnswer(m *metadata, keep pending, answer idp.Answer) (string, error) {
	query, err := keep.parameters(answer)
	if err != nil {
		return "", err
	}
	for _, name := range answerParameters {
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
	made, err := p.client.prove(m)
	if err != nil {
		return "", "", err
	}
	options := []oauth2.AuthCodeOption{oauth2.VerifierOption(verifier)}
	for name := range made.more {
		options = append(options, oauth2.SetAuthURLParam(name, made.more.Get(name)))
	}
	client := oauth2.Config{
		ClientID: made.id, ClientSecret: made.secret, RedirectURL: p.redirectURI,
		Endpoint: oauth2.Endpoint{TokenURL: m.token, AuthStyle: made.style},
	}
	token, err := client.Exchange(goidc.ClientContext(fetch.For(ctx, "token"), p.fetch.HTTPClient()), code, options...)
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
		return fmt.Errorf("token endpoint: %w: the provider refuses client %q or its proof (%s)", idp.ErrUnavailable, p.config.ClientID.Value, errorCode(answer.ErrorCode))
	case answer.ErrorCode != "" && status < 500:
		return idp.Reject("code", "the provider refused the code: %s", errorCode(answer.ErrorCode))
	}
	return fmt.Errorf("token endpoint: %w: the answer is HTTP status %d", idp.ErrUnavailable, status)
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
