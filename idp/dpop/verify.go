package dpop

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/idp"
)

// maxProof bounds a proof: one with an RSA key of 4,096 bits has about 2,200 bytes.
const maxProof = 8 << 10

// maxJTI bounds the identifier of a proof, which the replay cache must keep.
const maxJTI = 256

// DefaultWindow is how far a proof's iat may be off, either way.
const DefaultWindow = 2 * time.Minute

// Algorithms are the signature algorithms accepted, in the order of preference.
func Algorithms() []string {
	return []string{string(jose.ES256), string(jose.EdDSA), string(jose.RS256)}
}

// Want is the request that a proof must be made for.
type Want struct {
	Method string
	// URL is the request's address as the client knows it; query and fragment do not count.
	URL string
	// AccessToken is the token that came with the proof, "" at the token endpoint.
	AccessToken string
	// Thumbprint is the key that the proof must be made with, "" for any.
	Thumbprint string
	Now        time.Time
	// Window is how far iat may be from Now; zero is DefaultWindow.
	Window time.Duration
}

// Proof is a proof that holds.
type Proof struct {
	// Thumbprint names the key: base64url of its RFC 7638 SHA-256 thumbprint.
	Thumbprint string
	// JTI is the proof's identifier, unique per key, chosen by the client.
	JTI string
	// Until is when the proof would be refused for its age.
	Until time.Time
}

// Verify judges the value of one DPoP header (RFC 9449 section 4.3, checks 2 to
// 12 without the server's nonce). The error is an *idp.Rejection.
func Verify(proof string, want Want) (Proof, error) {
	parts, err := split(proof)
	if err != nil {
		return Proof{}, err
	}
	key, alg, err := readHeader(parts[0])
	if err != nil {
		return Proof{}, err
	}
	signed, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{alg})
	if err != nil {
		return Proof{}, idp.Reject("malformed", "the proof is not a signed JWT")
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return Proof{}, idp.Reject("signature", "the proof is not signed by the key in its header")
	}
	print, err := thumbprint(key)
	if err != nil {
		return Proof{}, err
	}
	if want.Thumbprint != "" && subtle.ConstantTimeCompare([]byte(want.Thumbprint), []byte(print)) != 1 {
		return Proof{}, idp.Reject("key", "the proof was made with another key than the token is bound to")
	}
	found, err := readClaims(payload)
	if err != nil {
		return Proof{}, err
	}
	return found.judge(print, want)
}

// thumbprint is the RFC 7638 name of a key.
func thumbprint(key *jose.JSONWebKey) (string, error) {
	sum, err := key.Thumbprint(hashOfThumbprint)
	if err != nil {
		return "", idp.Reject("key", "the key in the proof's header has no thumbprint")
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// claims are the members of a proof that count.
type claims struct {
	jti, htm, htu, ath string
	iat                time.Time
}

func readClaims(payload []byte) (claims, error) {
	members, err := object(payload)
	if err != nil {
		return claims{}, idp.Reject("malformed", "the proof's claims: %v", err)
	}
	var c claims
	for name, into := range map[string]*string{"jti": &c.jti, "htm": &c.htm, "htu": &c.htu, "ath": &c.ath} {
		if *into, err = members.text(name); err != nil {
			return claims{}, idp.Reject("malformed", "the proof's claims: %v", err)
		}
	}
	if c.iat, err = members.instant("iat"); err != nil {
		return claims{}, idp.Reject("malformed", "the proof's claims: %v", err)
	}
	return c, nil
}

// judge compares what the proof says with the request it came in.
func (c claims) judge(print string, want Want) (Proof, error) {
	window := want.Window
	if window == 0 {
		window = DefaultWindow
	}
	switch {
	case c.jti == "" || len(c.jti) > maxJTI:
		return Proof{}, idp.Reject("jti", "jti must have 1 to %d bytes", maxJTI)
	case c.htm != want.Method:
		return Proof{}, idp.Reject("htm", "the proof was made for another method")
	case c.iat.Before(want.Now.Add(-window)):
		return Proof{}, idp.Reject("expired", "the proof is %s old; the clock of the client may be wrong", want.Now.Sub(c.iat).Truncate(time.Second))
	case c.iat.After(want.Now.Add(window)):
		return Proof{}, idp.Reject("future", "the proof is from the future; the clock of the client may be wrong")
	}
	here, err := normalise(want.URL)
	if err != nil {
		return Proof{}, err
	}
	if there, err := normalise(c.htu); err != nil || there != here {
		return Proof{}, idp.Reject("htu", "the proof was made for another address")
	}
	if want.AccessToken != "" {
		sum := sha256.Sum256([]byte(want.AccessToken))
		if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(c.ath)) != 1 {
			return Proof{}, idp.Reject("ath", "the proof was not made for this access token")
		}
	}
	return Proof{Thumbprint: print, JTI: c.jti, Until: c.iat.Add(window)}, nil
}
