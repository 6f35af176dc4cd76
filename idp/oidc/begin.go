package oidc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

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
	Mode     string    `json:"mode,omitempty"` // response_mode; empty is the query
	Since    time.Time `json:"since,omitzero"` // auth_time must not be before this
	MaxAge   int64     `json:"max_age,omitempty"`
	ACR      []string  `json:"acr,omitempty"`
}

const formPost = "form_post"

// Begin sends the browser to the provider's authorization endpoint, with the
// request or with the name of one that was pushed.
func (p *Provider) Begin(ctx context.Context, want idp.Want) (idp.Redirect, []byte, error) {
	m, err := p.discover.get(ctx)
	if err != nil {
		return idp.Redirect{}, nil, err
	}
	keep, request := p.request(want)
	data, err := json.Marshal(keep)
	if err != nil {
		return idp.Redirect{}, nil, fmt.Errorf("oidc: pending sign-in: %w", err)
	}
	if request, err = p.pushed(ctx, m, request); err != nil {
		return idp.Redirect{}, nil, err
	}
	to, err := withQuery(m.authorize, request)
	return idp.Redirect{URL: to}, data, err
}

// request is the authorization request (OpenID Connect Core 1.0 section 3.1.2.1).
func (p *Provider) request(want idp.Want) (pending, url.Values) {
	keep := pending{
		Issuer: p.config.Issuer.Value, State: hashText(want.Handle), Nonce: rand.Text() + rand.Text(), Verifier: oauth2.GenerateVerifier(),
		MaxAge: int64(p.maxAge(want) / time.Second),
	}
	var contexts []string
	contexts, keep.ACR = p.contexts(want)
	request := url.Values{
		"response_type": {"code"}, "client_id": {p.config.ClientID.Value}, "redirect_uri": {p.redirectURI}, "scope": {strings.Join(p.scopes(), " ")},
		"state": {want.Handle}, "nonce": {keep.Nonce}, "code_challenge": {oauth2.S256ChallengeFromVerifier(keep.Verifier)}, "code_challenge_method": {"S256"},
	}
	prompt := p.config.Prompt.Value
	if want.Fresh {
		prompt = "login"
	}
	if prompt != "" {
		request.Set("prompt", prompt)
	}
	switch {
	case prompt == "login":
		keep.Since, keep.MaxAge = p.now().UTC(), 0
		request.Set("max_age", "0")
	case p.maxAge(want) > 0:
		keep.MaxAge = max(1, keep.MaxAge)
		request.Set("max_age", strconv.FormatInt(keep.MaxAge, 10))
	}
	if len(contexts) > 0 {
		request.Set("acr_values", strings.Join(contexts, " "))
	}
	if want.LoginHint != "" && len(want.LoginHint) <= 256 {
		request.Set("login_hint", want.LoginHint)
	}
	for name, value := range p.preset.request {
		request.Set(name, value)
	}
	if p.config.ResponseMode.Value == formPost {
		keep.Mode = formPost
		request.Set("response_mode", formPost)
	}
	return keep, request
}

// contexts are those that the provider is asked for, and those of which one must
// come; none is any. A fresh sign-in asks for a second factor, and does without:
// what needs one looks at identity.mfa.
func (p *Provider) contexts(want idp.Want) (ask, demand []string) {
	if demand = want.ACR; len(demand) == 0 {
		demand = values(p.config.ACRValues)
	}
	if !want.Fresh || len(want.ACR) > 0 {
		return demand, demand
	}
	ask = values(p.config.MFAACRValues)
	for _, context := range demand {
		if !slices.Contains(ask, context) {
			ask = append(ask, context)
		}
	}
	if len(demand) > 0 {
		demand = ask
	}
	return ask, demand
}

// maxAge is the shorter of what is wanted now and what is configured.
func (p *Provider) maxAge(want idp.Want) time.Duration {
	if own := p.config.MaxAge; own > 0 && (want.MaxAge <= 0 || own < want.MaxAge) {
		return own
	}
	return want.MaxAge
}

func (p *Provider) scopes() []string {
	scopes := []string{"openid", "profile", "email"}
	for _, scope := range p.config.Scopes {
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes
}

// withQuery adds parameters to an address, which may have some of its own.
func withQuery(address string, parameters url.Values) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("discovery: %w: an endpoint is no URL", idp.ErrUnavailable)
	}
	query := u.Query()
	maps.Copy(query, parameters)
	u.RawQuery = query.Encode()
	return u.String(), nil
}
