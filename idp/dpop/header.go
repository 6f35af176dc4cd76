package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/idp"
)

const hashOfThumbprint = crypto.SHA256

// RSA keys outside these sizes are weak, or slow on purpose.
const minRSA, maxRSA = 2048, 4096

// split checks the shape of a compact JWS before anything is parsed: three
// parts of canonical base64url.
func split(proof string) ([][]byte, error) {
	if len(proof) > maxProof {
		return nil, idp.Reject("too-large", "the proof is larger than %d bytes", maxProof)
	}
	texts := strings.SplitN(proof, ".", 4)
	if len(texts) != 3 {
		return nil, idp.Reject("malformed", "the proof does not have three parts")
	}
	parts := make([][]byte, len(texts))
	for i, text := range texts {
		part, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil || len(part) == 0 || strings.ContainsAny(text, "\r\n") { // the decoder skips line breaks
			return nil, idp.Reject("malformed", "part %d of the proof is not base64url", i+1)
		}
		parts[i] = part
	}
	return parts, nil
}

// readHeader judges a JOSE header and gives the key and the algorithm in it.
func readHeader(header []byte) (*jose.JSONWebKey, jose.SignatureAlgorithm, error) {
	members, err := object(header)
	if err != nil {
		return nil, "", idp.Reject("malformed", "the proof's header: %v", err)
	}
	for _, refused := range []string{"crit", "b64", "jku", "x5u", "x5c"} {
		if _, there := members[refused]; there {
			return nil, "", idp.Reject("header", "the proof's header must not have the member %s", refused)
		}
	}
	if typ, err := members.text("typ"); err != nil || typ != "dpop+jwt" {
		return nil, "", idp.Reject("typ", "the proof's typ must be dpop+jwt")
	}
	alg, err := members.text("alg")
	if err != nil {
		return nil, "", idp.Reject("malformed", "the proof's header: %v", err)
	}
	key, err := readKey(members["jwk"], alg)
	return key, jose.SignatureAlgorithm(alg), err
}

// readKey takes a public key that fits the algorithm, and nothing else.
func readKey(raw []byte, alg string) (*jose.JSONWebKey, error) {
	members, err := object(raw)
	if err != nil {
		return nil, idp.Reject("key", "the proof's header has no public key in jwk")
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, there := members[private]; there {
			return nil, idp.Reject("private-key", "the proof holds a private or symmetric key: that key is compromised, make a new one")
		}
	}
	use, err := members.text("use")
	if err != nil || use != "" && use != "sig" {
		return nil, idp.Reject("key", "the key in the proof's header is not for signatures")
	}
	if own, err := members.text("alg"); err != nil || own != "" && own != alg {
		return nil, idp.Reject("key", "the key in the proof's header is for another algorithm")
	}
	key := new(jose.JSONWebKey)
	if err := key.UnmarshalJSON(raw); err != nil || !key.Valid() || !key.IsPublic() {
		return nil, idp.Reject("key", "the key in the proof's header cannot be read")
	}
	if !fits(key.Key, jose.SignatureAlgorithm(alg)) {
		return nil, idp.Reject("algorithm", "the algorithm must be ES256 with a P-256 key, EdDSA with an Ed25519 key, or RS256 with an RSA key of %d to %d bits", minRSA, maxRSA)
	}
	return key, nil
}

// fits is the allow-list of algorithms and their keys.
func fits(key any, alg jose.SignatureAlgorithm) bool {
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return alg == jose.ES256 && key.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return alg == jose.EdDSA
	case *rsa.PublicKey:
		return alg == jose.RS256 && key.N.BitLen() >= minRSA && key.N.BitLen() <= maxRSA
	}
	return false
}
