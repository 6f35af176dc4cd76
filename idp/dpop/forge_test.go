package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// sign makes a compact JWS over any header and payload, without the judgement
// of a JOSE library.
func sign(t *testing.T, alg jose.SignatureAlgorithm, key crypto.Signer, header, payload string) string {
	t.Helper()
	b64 := base64.RawURLEncoding.EncodeToString
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		sum, size := digest[:], 32
		if alg == jose.ES384 {
			long := sha512.Sum384([]byte(input))
			sum, size = long[:], 48
		}
		r, s, failed := ecdsa.Sign(rand.Reader, key, sum)
		err, signature = failed, make([]byte, 2*size)
		r.FillBytes(signature[:size])
		s.FillBytes(signature[size:])
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	}
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + b64(signature)
}

// header is a good one for the key.
func header(t *testing.T, key crypto.Signer) string {
	t.Helper()
	alg := jose.ES256
	switch key := key.(type) {
	case *rsa.PrivateKey:
		alg = jose.RS256
	case ed25519.PrivateKey:
		alg = jose.EdDSA
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P384() {
			alg = jose.ES384
		}
	}
	text, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": alg, "jwk": publicJWK(t, key)})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func publicJWK(t *testing.T, key crypto.Signer) map[string]any {
	t.Helper()
	text, err := jose.JSONWebKey{Key: key.Public()}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]any{}
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func p256(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// rsaHeader holds an RSA public key of any size. Go makes no weak keys, but the
// header is judged before the signature.
func rsaHeader(t *testing.T, bits int) string {
	t.Helper()
	n := make([]byte, bits/8)
	n[0], n[len(n)-1] = 0x80, 1
	text, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": "RS256", "jwk": map[string]string{
		"kty": "RSA", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(n),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
