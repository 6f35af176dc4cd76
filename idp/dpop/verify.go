package dpop

import (
	"crypto"
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
	// Nonces says which nonces are good; nil asks for none. Where a proof has a good
	// one its iat does not count. NonceOptional lets iat count where it has none.
	Nonces        *Nonces
	NonceOptional bool
	// P256 takes no other keys than those of ES256.
	P256 bool
}

// Proof is a proof that holds.
type Proof struct {
	// Thumbprint names the key: base64url of its RFC 7638 SHA-256 thumbprint.
	Thumbprint string
	// JTI is the proof's identifier, unique per key, chosen by the client.
	JTI string
	// Until is when the proof would be refused for its age.
	Until time.Time
	// Key is the public key: *ecdsa.PublicKey, *rsa.PublicKey or ed25519.PublicKey.
	Key crypto.PublicKey
}

// ReasonNonce is the reason of a Rejection where another nonce would help (RFC 9449
// section 8, use_dpop_nonce).
const ReasonNonce = "nonce"

// Verify judges the value of one DPoP header (RFC 9449 section 4.3, checks 2 to
// 12). The error is an *idp.Rejection. The nonce is judged first: that costs less
// than a signature.
func Verify(proof string, want Want) (Proof, error) {
	parts, err := split(proof)
	if err != nil {
		return Proof{}, err
	}
	fresh, err := readNonce(parts[1], want)
	if err != nil {
		return Proof{}, err
	}
	key, alg, err := readHeader(parts[0])
	if err != nil {
		return Proof{}, err
	}
	if want.P256 && alg != jose.ES256 {
		return Proof{}, idp.Reject("algorithm", "the algorithm must be ES256, with a P-256 key")
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
	judged, err := found.judge(print, want, fresh)
	if err != nil {
		return Proof{}, err
	}
	judged.Key = key.Key
	return judged, nil
}

// readNonce judges the nonce of what may not be signed at all: until when it is
// good, a zero time where iat is to count.
func readNonce(payload []byte, want Want) (time.Time, error) {
	if want.Nonces == nil {
		return time.Time{}, nil
	}
	members, err := object(payload)
	if err != nil {
		return time.Time{}, idp.Reject("malformed", "the proof's claims: %v", err)
	}
	nonce, err := members.text("nonce")
	switch {
	case err != nil:
		return time.Time{}, idp.Reject("malformed", "the proof's claims: %v", err)
	case nonce == "" && want.NonceOptional:
		return time.Time{}, nil
	case nonce == "":
		return time.Time{}, idp.Reject(ReasonNonce, "the proof must have the nonce of the header DPoP-Nonce")
	}
	until := want.Nonces.Until(nonce)
	if until.IsZero() {
		return time.Time{}, idp.Reject(ReasonNonce, "the proof's nonce is not one of this server, or too old")
	}
	return until, nil
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
// Where fresh is set, it is until when the proof's nonce is good.
func (c claims) judge(print string, want Want, fresh time.Time) (Proof, error) {
	window := want.Window
	if window == 0 {
		window = DefaultWindow
	}
	switch {
	case c.jti == "" || len(c.jti) > maxJTI:
		return Proof{}, idp.Reject("jti", "jti must have 1 to %d bytes", maxJTI)
	case c.htm != want.Method:
		return Proof{}, idp.Reject("htm", "the proof was made for another method")
	case !fresh.IsZero():
	case want.Nonces != nil && (c.iat.Before(want.Now.Add(-window)) || c.iat.After(want.Now.Add(window))):
		return Proof{}, idp.Reject(ReasonNonce, "the clock of the client is wrong: the proof must have the nonce of the header DPoP-Nonce")
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
	until := c.iat.Add(window)
	if !fresh.IsZero() {
		until = fresh
	}
	return Proof{Thumbprint: print, JTI: c.jti, Until: until}, nil
}
