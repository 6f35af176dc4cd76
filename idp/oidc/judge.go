package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	goidc "github.com/coreos/go-oidc/v3/oidc"

	"github.com/rolecall/rolecall/idp"
)

// maxLifetime bounds exp - iat.
const maxLifetime = 24 * time.Hour

// expectation is everything that a token is judged by, apart from the keys.
type expectation struct {
	issuers    []string
	clientID   string
	algorithms []string
	skew       time.Duration
	now        time.Time
	preset     func(*idToken) error // nil asks nothing

	// exchange judges a bearer token that a program brings; otherwise it is the
	// ID token of a sign-in. The fields below each belong to one of the two.
	exchange  bool
	audiences []string // exchange: accepted beside clientID

	nonce       string    // sign-in: must be the token's
	accessToken string    // sign-in: what at_hash is of; empty where it is not known
	code        string    // sign-in: what c_hash is of; empty where it is not known
	since       time.Time // sign-in: auth_time must not be before this; zero is no bound
	acr         []string  // sign-in: one of these, if any
}

// Step is one thing that was looked at when a token was judged.
type Step struct {
	Step   string `json:"step"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// steps records what was looked at; a nil *steps records nothing.
type steps struct{ list []Step }

func (s *steps) add(step, detail string, err error) error {
	if s == nil {
		return err
	}
	if err != nil {
		detail = err.Error()
	}
	s.list = append(s.list, Step{step, err == nil, detail})
	return err
}

// judge is the one way from a raw token to claims that may be believed: sign-in,
// exchange and inspect differ in the expectation only. The signature is checked
// before a claim is believed; go-oidc is asked last, and must say the same.
func judge(ctx context.Context, raw string, keys *keySet, want expectation, s *steps) (*idToken, error) {
	token, err := split(raw)
	if s.add("form", token.alg, err) != nil {
		return nil, err
	}
	return judgeSplit(ctx, token, keys, want, s)
}

// judgeSplit is judge after the form.
func judgeSplit(ctx context.Context, token jws, keys *keySet, want expectation, s *steps) (*idToken, error) {
	err := want.judgeAlgorithm(token)
	if err == nil {
		err = keys.verify(ctx, token)
	}
	if s.add("signature", "key "+token.kid, err) != nil {
		return nil, err
	}
	t, err := readClaims(token)
	if err != nil {
		err = idp.Reject("malformed", "the token's claims: %v", err)
	}
	if s.add("claims", "well formed", err) != nil {
		return nil, err
	}
	for _, check := range []struct {
		step string
		of   func(*idToken) error
	}{
		{"issuer", want.judgeIssuer}, {"subject", want.judgeSubject}, {"kind", want.judgeKind}, {"audience", want.judgeAudience}, {"preset", want.preset},
		{"time", want.judgeTime}, {"nonce", want.judgeNonce}, {"authentication", want.judgeAuthentication},
	} {
		if check.of == nil {
			continue
		}
		err := check.of(t)
		if s.add(check.step, "", err) != nil {
			return nil, err
		}
	}
	err = want.secondOpinion(ctx, token, t)
	if s.add("go-oidc", "says the same", err) != nil {
		return nil, err
	}
	return t, nil
}

func (want *expectation) judgeAlgorithm(token jws) error {
	if !slices.Contains(want.algorithms, token.alg) {
		return idp.Reject("algorithm", "the token's algorithm %s is not one of %s", token.alg, strings.Join(want.algorithms, ", "))
	}
	return nil
}

func (want *expectation) judgeIssuer(t *idToken) error {
	if !slices.Contains(want.issuers, t.issuer) {
		return idp.Reject("issuer", "the token is of issuer %.128q, not %s", t.issuer, strings.Join(want.issuers, ", "))
	}
	return nil
}

func (want *expectation) judgeSubject(t *idToken) error {
	if !printable(t.subject, 255) {
		return idp.Reject("subject", "sub must be 1 to 255 printable ASCII characters")
	}
	return nil
}

// judgeKind refuses logout tokens, security events and access tokens.
func (want *expectation) judgeKind(t *idToken) error {
	if t.hasEvents {
		return idp.Reject("typ", "the token has events: it is a logout token or security event")
	}
	if t.tokenUse != "" && t.tokenUse != "id" {
		return idp.Reject("typ", "the token's token_use is %.32q, not id", t.tokenUse)
	}
	return nil
}

// judgeAudience demands that the token is for us. Others may be named beside us
// only if azp says that we asked for it.
func (want *expectation) judgeAudience(t *idToken) error {
	ours := func(aud string) bool {
		return aud == want.clientID || want.exchange && slices.Contains(want.audiences, aud)
	}
	if !slices.ContainsFunc(t.audience, ours) {
		return idp.Reject("audience", "the token is for %.200q, not for %q", t.audience, want.clientID)
	}
	others := slices.ContainsFunc(t.audience, func(aud string) bool { return !ours(aud) })
	switch {
	case others && t.azp != want.clientID:
		return idp.Reject("azp", "the token is for others too, and azp does not name %q", want.clientID)
	case !want.exchange && t.hasAzp && t.azp != want.clientID:
		return idp.Reject("azp", "the token was asked for by %.128q, not by %q", t.azp, want.clientID)
	}
	return nil
}

func (want *expectation) judgeTime(t *idToken) error {
	now, skew := want.now, want.skew
	at := func(at time.Time) string { return at.UTC().Format(time.RFC3339) }
	switch {
	case t.expires.IsZero():
		return idp.Reject("expired", "the token has no exp")
	case t.issued.IsZero():
		return idp.Reject("issued-at", "the token has no iat")
	case !now.Before(t.expires.Add(skew)):
		return idp.Reject("expired", "the token expired at %s; it is %s", at(t.expires), at(now))
	case t.issued.After(now.Add(skew)):
		return idp.Reject("issued-at", "the token is from the future: iat is %s; it is %s", at(t.issued), at(now))
	case t.expires.Sub(t.issued) > maxLifetime || !t.expires.After(t.issued):
		return idp.Reject("lifetime", "the token lives from %s to %s; more than 24 h or nothing is refused", at(t.issued), at(t.expires))
	case t.notBefore.After(now.Add(skew)):
		return idp.Reject("not-yet-valid", "the token is not valid before %s; it is %s", at(t.notBefore), at(now))
	}
	return nil
}

// judgeNonce binds the token to the sign-in that asked for it.
func (want *expectation) judgeNonce(t *idToken) error {
	if want.exchange {
		return nil
	}
	if want.nonce == "" || subtle.ConstantTimeCompare([]byte(t.nonce), []byte(want.nonce)) != 1 {
		return idp.Reject("nonce", "the token's nonce is not that of this sign-in")
	}
	return nil
}

// judgeAuthentication demands how and when the person proved themselves, as far
// as the sign-in asked for it.
func (want *expectation) judgeAuthentication(t *idToken) error {
	switch {
	case t.authTime.After(want.now.Add(want.skew)):
		return idp.Reject("auth-time", "auth_time is in the future")
	case !want.since.IsZero() && t.authTime.IsZero():
		return idp.Reject("auth-time", "a fresh authentication was asked for, and the token has no auth_time")
	case !want.since.IsZero() && t.authTime.Add(want.skew).Before(want.since):
		return idp.Reject("auth-time", "a fresh authentication was asked for; this one is of %s", t.authTime.UTC().Format(time.RFC3339))
	case len(want.acr) > 0 && !slices.Contains(want.acr, t.acr):
		return idp.Reject("acr", "the authentication context is %.128q, not one of %s", t.acr, strings.Join(want.acr, ", "))
	}
	return nil
}

// verified hands go-oidc a payload whose signature judge has checked.
type verified struct {
	raw     string
	payload []byte
}

// VerifySignature implements go-oidc's KeySet.
func (v verified) VerifySignature(_ context.Context, raw string) ([]byte, error) {
	if raw != v.raw {
		return nil, idp.Reject("signature", "another token than the one that was verified")
	}
	return v.payload, nil
}

// secondOpinion asks go-oidc, by a clock that allows for the skew, and demands
// that it read the same token.
func (want *expectation) secondOpinion(ctx context.Context, token jws, t *idToken) error {
	verifier := goidc.NewVerifier(t.issuer, verified{token.raw, token.payload}, &goidc.Config{
		ClientID:             want.clientID,
		SkipClientIDCheck:    want.exchange, // judgeAudience knows the further audiences
		SupportedSigningAlgs: want.algorithms,
		Now:                  func() time.Time { return want.now.Add(-want.skew) },
	})
	other, err := verifier.Verify(ctx, token.raw)
	if err != nil {
		return &idp.Rejection{Reason: "malformed", Detail: "go-oidc refuses the token", Cause: err}
	}
	if other.Issuer != t.issuer || other.Subject != t.subject || other.Nonce != t.nonce || !slices.Equal(other.Audience, t.audience) ||
		other.Expiry.Unix() != t.expires.Unix() || other.AccessTokenHash != t.atHash {
		return idp.Reject("malformed", "go-oidc reads another token")
	}
	if t.atHash != "" && want.accessToken != "" && !halfHash(token.alg, want.accessToken, t.atHash) {
		return idp.Reject("at-hash", "at_hash is not that of the access token")
	}
	if t.codeHash != "" && want.code != "" && !halfHash(token.alg, want.code, t.codeHash) {
		return idp.Reject("c-hash", "c_hash is not that of the code")
	}
	return nil
}

// halfHash reports whether claim is the left half of the hash of text (at_hash, c_hash).
func halfHash(alg, text, claim string) bool {
	h := hashOf(alg).New()
	h.Write([]byte(text))
	sum := h.Sum(nil)
	half := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
	return subtle.ConstantTimeCompare([]byte(half), []byte(claim)) == 1
}
