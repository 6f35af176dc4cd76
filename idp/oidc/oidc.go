// Package oidc is the OpenID Connect relying party: it signs people in by the
// authorization code flow and judges tokens that programs bring. go-oidc and
// x/oauth2 do their part; what they leave open is here:
//
//	json.go       strict reading: names are bytes, nothing is there twice
//	header.go     the form of a token, before anything is parsed
//	jwks.go       which keys count        keyset.go   how often they are fetched
//	signature.go  which key fits which algorithm
//	token.go      claims by type          judge.go    claims by what is right
//	begin.go      Begin                   push.go     requests that do not go through the browser
//	signin.go     Finish                  clientauth.go  how we prove ourselves
//	userinfo.go   further claims          identity.go claims become a Login
//	leave.go      signing out there too   logout.go   who has signed out there
//
// A sign-in: Begin (state, nonce, PKCE; pushed where offered) -> the browser ->
// Finish: answer judged (mode, state, iss, error) -> code exchanged -> ID token
// judged -> userinfo if needed -> Login.
//
// The reasons of a *idp.Rejection are a stable interface; docs/oidc-security.md
// lists them.
package oidc

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/fetch"
)

// Config is what a Provider is made of.
type Config struct {
	Provider config.Provider
	// URL is the broker's own address (server.url), without a slash at the end.
	URL string
	// Fetch is the client for discovery, keys, tokens and userinfo.
	Fetch *fetch.Client
	// Now defaults to time.Now, Log to silence.
	Now func() time.Time
	Log *slog.Logger
}

// Provider is one configured OpenID Connect provider.
type Provider struct {
	config      config.Provider
	name        string
	redirectURI string
	logoutURI   string // where the provider sends the browser back after a logout
	client      *clientAuth
	algorithms  []string
	skew        time.Duration
	preset      preset
	mapping     mapping
	require     *condition
	warnings    config.Faults
	discover    *discoverer
	graph       *graph
	keys        *keySet
	fetch       *fetch.Client
	now         func() time.Time
	log         *slog.Logger
}

// New judges the configuration and makes a Provider. It fetches nothing; its
// errors are config.Faults.
func New(c Config) (*Provider, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	section := c.Provider
	home := strings.TrimSuffix(c.URL, "/") + "/oidc/" + section.Name.Value
	p := &Provider{
		config: section, name: section.Name.Value, fetch: c.Fetch, now: c.Now, log: c.Log,
		redirectURI: home + "/callback", logoutURI: home + "/logout",
		preset: newPreset(section),
		skew:   section.ClockSkew,
	}
	if p.skew == 0 {
		p.skew = time.Minute
	}
	var faults config.Faults
	judgeSection(section, &faults)
	p.mapping = readMapping(section, &faults, &p.warnings)
	p.algorithms = readAlgorithms(section, &faults)
	p.require = compileRequire(section.Require, &faults)
	judgeStrangers(section, p.require, &faults)
	warnOfPatterns(section, p.require, &p.warnings)
	p.client = newClientAuth(section, p.preset.discovery, c.Now, &faults)
	p.discover = &discoverer{
		issuer: p.preset.issuer, at: p.preset.discovery, private: section.AllowPrivate, fetch: c.Fetch, now: c.Now, log: c.Log,
	}
	p.graph = newGraph(c, p.client, p.discover)
	source := p.discover.jwks
	if file := section.JWKSFile; file.Value != "" {
		source = readJWKSFile(file, p.preset.keys, &faults)
	}
	p.keys = newKeySet(source, section.JWKSMaxAge, c.Now, c.Log)
	p.keys.rule = p.preset.keys
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// Warnings are what New found strange and let pass.
func (p *Provider) Warnings() config.Faults { return p.warnings }

// judgeSection finds what is missing or cannot be. Ranges, and keys of other types
// of provider, are found by package config.
func judgeSection(c config.Provider, faults *config.Faults) {
	at := func(t config.Text) config.Pos {
		if t.Pos.Line == 0 {
			return c.Pos
		}
		return t.Pos
	}
	if err := judgeURL(c.Issuer.Value, c.AllowPrivate); err != nil {
		faults.Add(at(c.Issuer), "issuer %q %v", c.Issuer.Value, err)
	} else if strings.Contains(c.Issuer.Value, "?") {
		faults.Add(at(c.Issuer), "issuer %q has a query; an issuer has none", c.Issuer.Value)
	}
	if c.ClientID.Value == "" {
		faults.Add(at(c.ClientID), "client_id is missing: the id under which the provider knows rolecall")
	}
	if slices.Contains(c.Audiences, "") {
		faults.Add(c.Pos, "audiences holds an empty value")
	}
	for _, scope := range c.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n\"\\") {
			faults.Add(c.Pos, "scope %q is not one scope", scope)
		}
	}
}

func readAlgorithms(c config.Provider, faults *config.Faults) []string {
	var list []string
	for _, alg := range c.Algorithms {
		if !slices.Contains(knownAlgorithms(), alg.Value) {
			faults.Add(alg.Pos, "algorithm %q is not one of %s", alg.Value, strings.Join(knownAlgorithms(), ", "))
		}
		list = append(list, alg.Value)
	}
	if len(list) == 0 {
		return []string{"RS256", "ES256"}
	}
	return list
}

// readJWKSFile reads keys that are configured as a file, once.
func readJWKSFile(file config.Text, rule keyRule, faults *config.Faults) func(context.Context) ([]byte, http.Header, error) {
	data, err := fetch.ReadFile(file.Value)
	if err == nil {
		_, err = readRing(data, rule)
	}
	if err != nil {
		faults.Add(file.Pos, "jwks_file: %v", err)
	}
	return func(context.Context) ([]byte, http.Header, error) { return data, nil, nil }
}
