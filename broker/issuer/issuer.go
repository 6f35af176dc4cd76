// Package issuer is the broker as an OpenID Connect issuer: what it publishes
// about itself (discovery, keys) and the tokens that it signs.
package issuer

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// tokenLife is how long an ID token is good for. It is read once, right after it was made.
const tokenLife = 10 * time.Minute

// Algorithm signs ID tokens. OpenID Connect Core 1.0 section 2 makes RS256 what a
// client may expect that has registered nothing else.
const Algorithm = string(jose.RS256)

// Keys are the signing keys of the broker.
type Keys interface {
	// SignJWT makes a compact JWS over claims with the current key of the
	// algorithm; its header has typ JWT and the key's kid.
	SignJWT(ctx context.Context, algorithm string, claims []byte) (string, error)
	// Public gives the public halves of the keys that tokens in use may be signed
	// with, and of the one that comes next.
	Public(ctx context.Context) (jose.JSONWebKeySet, error)
}

// Config is what an Issuer is made of.
type Config struct {
	// URL is the issuer, exactly as in the tokens.
	URL string
	// Server is the address of the endpoints; empty is URL.
	Server string
	Keys   Keys
	// AWSKeys sign tokens for AWS and nothing else; nil where there are none.
	AWSKeys Keys
	// DeviceFlow publishes the device authorization endpoint.
	DeviceFlow bool
	Now        func() time.Time
}

// Issuer publishes and signs. It is safe for concurrent use.
type Issuer struct {
	config    Config
	discovery []byte
}

// New makes an Issuer.
func New(config Config) (*Issuer, error) {
	if config.Server == "" {
		config.Server = config.URL
	}
	document, err := json.Marshal(discover(config))
	if err != nil {
		return nil, fmt.Errorf("discovery document: %w", err)
	}
	return &Issuer{config: config, discovery: document}, nil
}

// URL is the issuer, as in the tokens' iss and in the iss parameter of RFC 9207.
func (i *Issuer) URL() string { return i.config.URL }

// Discovery is the discovery document: OpenID Connect Discovery 1.0 section 3
// and RFC 8414 section 2 in one.
func (i *Issuer) Discovery(context.Context) ([]byte, error) { return i.discovery, nil }

// JWKS is the JSON Web Key Set (RFC 7517) of the public keys.
func (i *Issuer) JWKS(ctx context.Context) ([]byte, error) {
	var set jose.JSONWebKeySet
	for _, keys := range []Keys{i.config.Keys, i.config.AWSKeys} {
		if keys == nil {
			continue
		}
		public, err := keys.Public(ctx)
		if err != nil {
			return nil, fmt.Errorf("public keys: %w", err)
		}
		set.Keys = append(set.Keys, public.Keys...)
	}
	for _, key := range set.Keys {
		if !key.IsPublic() {
			return nil, fmt.Errorf("key %q is not a public key and is not published", key.KeyID)
		}
	}
	document, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("public keys: %w", err)
	}
	return document, nil
}

// IDToken says what an ID token is to contain.
type IDToken struct {
	Audience string // the client
	Provider string // with Subject: who
	Subject  string
	Username string
	Nonce    string
	// AccessToken is the token given together with this one, for at_hash.
	AccessToken string
	AuthTime    time.Time
	Methods     []string // amr
}

// idClaims are the claims on the wire (OpenID Connect Core 1.0 section 2).
type idClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	Expires  int64    `json:"exp"`
	IssuedAt int64    `json:"iat"`
	AuthTime int64    `json:"auth_time,omitempty"`
	Nonce    string   `json:"nonce,omitempty"`
	Methods  []string `json:"amr,omitempty"`
	AtHash   string   `json:"at_hash,omitempty"`
	Username string   `json:"preferred_username,omitempty"`
}

// MintIDToken signs an ID token.
func (i *Issuer) MintIDToken(ctx context.Context, t IDToken) (string, error) {
	now := i.config.Now()
	claims := idClaims{
		Issuer: i.config.URL, Subject: subject(t.Provider, t.Subject), Audience: t.Audience,
		IssuedAt: now.Unix(), Expires: now.Add(tokenLife).Unix(),
		Nonce: t.Nonce, Methods: t.Methods, Username: t.Username,
	}
	if !t.AuthTime.IsZero() {
		claims.AuthTime = t.AuthTime.Unix()
	}
	if t.AccessToken != "" { // Core section 3.1.3.6
		sum := sha256.Sum256([]byte(t.AccessToken))
		claims.AtHash = base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("ID token: %w", err)
	}
	token, err := i.config.Keys.SignJWT(ctx, Algorithm, payload)
	if err != nil {
		return "", fmt.Errorf("sign an ID token: %w", err)
	}
	return token, nil
}

// subject is one person under one name of at most 255 ASCII characters (Core
// section 2): PROVIDER=SUBJECT, or PROVIDER~HASH where the subject does not fit.
// A provider's name has neither = nor ~, so two people never share one.
func subject(provider, subject string) string {
	fits := len(provider)+1+len(subject) <= 255
	for _, c := range []byte(subject) {
		fits = fits && c >= ' ' && c < 0x7f
	}
	if fits {
		return provider + "=" + subject
	}
	sum := sha256.Sum256([]byte(subject))
	return provider + "~" + base64.RawURLEncoding.EncodeToString(sum[:])
}
