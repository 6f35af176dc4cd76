package oidc

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// How a client proves itself (OpenID Connect Core 1.0 section 9).
const (
	authBasic = "client_secret_basic"
	authPost  = "client_secret_post"
	authKey   = "private_key_jwt"
	authNone  = "none"
)

// proofLife is how long a proof that we sign is good. It is made for one request.
const proofLife = 2 * time.Minute

// clientAuth proves ourselves at the token endpoint and where requests are pushed.
type clientAuth struct {
	method     string // of the configuration; empty lets discovery choose
	issuer, id string
	secret     secret.String
	key        crypto.Signer // of private_key_jwt, or Apple's
	keyID      string
	toEndpoint bool   // the proof is for the token endpoint, not for the issuer
	team       string // Apple's; then key makes secrets
	now        func() time.Time
}

// proof is what one request carries: a style and secret as of x/oauth2, and more
// parameters.
type proof struct {
	style  oauth2.AuthStyle
	id     string
	secret string
	more   url.Values
}

func newClientAuth(c config.Provider, issuer string, now func() time.Time, faults *config.Faults) *clientAuth {
	a := &clientAuth{
		method: c.ClientAuth.Value, issuer: issuer, id: c.ClientID.Value, secret: c.ClientSecret,
		keyID: c.ClientKey.ID.Value, toEndpoint: c.ClientKey.Audience.Value == "token_endpoint", now: now,
	}
	var err error
	switch key, apple := c.ClientKey.Key, c.Apple.Key; {
	case !key.IsZero():
		if a.key, err = readPrivateKey(key); err != nil {
			faults.Add(c.Pos, "client_key.key: %v", err)
		}
	case !apple.IsZero():
		a.team, a.keyID = c.Apple.TeamID.Value, c.Apple.KeyID.Value
		if a.key, err = readPrivateKey(apple); err == nil && !fits(a.key.Public(), "ES256") {
			err = errors.New("it is no P-256 key; Apple's are")
		}
		if err != nil {
			faults.Add(c.Pos, "apple.key: %v", err)
		}
	}
	return a
}

// prove makes what one request carries.
func (a *clientAuth) prove(m *metadata) (proof, error) {
	method, err := a.choose(m)
	if err != nil {
		return proof{}, err
	}
	made := proof{style: oauth2.AuthStyleInParams, id: a.id}
	switch {
	case method == authKey:
		assertion, err := a.assertion(m)
		if err != nil {
			return proof{}, err
		}
		made.more = url.Values{
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
		}
	case a.team != "":
		made.secret, err = a.appleSecret()
	case method == authBasic:
		made.style, made.secret = oauth2.AuthStyleInHeader, a.secret.Reveal()
	case method == authPost:
		made.secret = a.secret.Reveal()
	}
	return made, err
}

// choose is the configured method, or the safest of those that the provider takes
// and we have what it needs for.
func (a *clientAuth) choose(m *metadata) (string, error) {
	switch {
	case a.method != "":
		return a.method, nil
	case a.team != "":
		return authPost, nil
	case a.key != nil:
		return authKey, nil
	case a.secret.IsZero():
		return authNone, nil
	case m.authMethods == nil || slices.Contains(m.authMethods, authBasic):
		return authBasic, nil
	case slices.Contains(m.authMethods, authPost):
		return authPost, nil
	}
	return "", fmt.Errorf("token endpoint: %w: the provider takes no client secret, neither as %s nor as %s; set client_key, or client_auth if its discovery document is wrong",
		idp.ErrUnavailable, authBasic, authPost)
}

// assertion is a JWT by which we prove ourselves (RFC 7523 section 3).
func (a *clientAuth) assertion(m *metadata) (string, error) {
	audience := a.issuer
	if a.toEndpoint {
		audience = m.token
	}
	now := a.now()
	return a.sign(a.algorithm(m), map[string]any{
		"iss": a.id, "sub": a.id, "aud": audience, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(proofLife).Unix(),
	})
}

// appleSecret is a client secret as Apple wants it. Apple would take one of six
// months; one that is made for a request cannot be stolen for long.
func (a *clientAuth) appleSecret() (string, error) {
	now := a.now()
	return a.sign(jose.ES256, map[string]any{
		"iss": a.team, "sub": a.id, "aud": a.issuer, "iat": now.Unix(), "exp": now.Add(proofLife).Unix(),
	})
}

func (a *clientAuth) sign(alg jose.SignatureAlgorithm, claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: a.key, KeyID: a.keyID}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("oidc: sign a client assertion: %w", err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("oidc: sign a client assertion: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("oidc: sign a client assertion: %w", err)
	}
	return signed.CompactSerialize()
}

// algorithm is that of the key; of the two for RSA one that the provider takes.
func (a *clientAuth) algorithm(m *metadata) jose.SignatureAlgorithm {
	var first jose.SignatureAlgorithm
	for _, alg := range []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "PS256"} {
		if !fits(a.key.Public(), alg) {
			continue
		}
		if m.authAlgorithms == nil || slices.Contains(m.authAlgorithms, alg) {
			return jose.SignatureAlgorithm(alg)
		}
		first = cmp.Or(first, jose.SignatureAlgorithm(alg))
	}
	return first
}

// on puts a proof on a form that is about to be posted.
func (made proof) on(r *http.Request, form url.Values) {
	if made.style == oauth2.AuthStyleInHeader {
		r.SetBasicAuth(url.QueryEscape(made.id), url.QueryEscape(made.secret))
		return
	}
	form.Set("client_id", made.id)
	if made.secret != "" {
		form.Set("client_secret", made.secret)
	}
	for name, values := range made.more {
		form[name] = values
	}
}

// readPrivateKey reads one PEM key. No error shows any of it.
func readPrivateKey(text secret.String) (crypto.Signer, error) {
	block, rest := pem.Decode([]byte(text.Reveal()))
	if block == nil {
		return nil, errors.New("no PEM block is in it")
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, errors.New("more than one PEM block is in it")
	}
	var key any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("the PEM block is a %.32q, no private key without a passphrase", block.Type)
	}
	if err != nil {
		return nil, errors.New("the private key cannot be read")
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 {
			return nil, fmt.Errorf("the RSA key has %d bits; 2048 is the least", k.N.BitLen())
		}
		return k, nil
	case *ecdsa.PrivateKey:
		if fits(k.Public(), "ES256") || fits(k.Public(), "ES384") || fits(k.Public(), "ES512") {
			return k, nil
		}
	case ed25519.PrivateKey:
		return k, nil
	}
	return nil, errors.New("the key is neither RSA nor P-256, P-384, P-521 or Ed25519")
}
