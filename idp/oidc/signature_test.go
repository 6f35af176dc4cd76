package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// TestSignaturesOfGoJose signs with go-jose by every algorithm and verifies here.
func TestSignaturesOfGoJose(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]crypto.Signer{"RS": rsaKey, "PS": rsaKey}
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		if keys[name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if _, keys["EdDSA"], err = edKey(); err != nil {
		t.Fatal(err)
	}
	for _, alg := range knownAlgorithms() {
		key := keys[alg]
		if key == nil {
			key = keys[alg[:2]]
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := signer.Sign([]byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		token, err := split(raw)
		if err != nil {
			t.Fatal(err)
		}
		if !verifySignature(key.Public(), alg, token.input, token.signature) {
			t.Errorf("%s: a good signature is refused", alg)
		}
		for _, other := range knownAlgorithms() {
			if other != alg && verifySignature(key.Public(), other, token.input, token.signature) {
				t.Errorf("a signature by %s counts as %s", alg, other)
			}
		}
		token.signature[len(token.signature)/2] ^= 1
		if verifySignature(key.Public(), alg, token.input, token.signature) || verifySignature(key.Public(), alg, token.input, nil) {
			t.Errorf("%s: a bad signature is accepted", alg)
		}
		if strings.HasPrefix(alg, "ES") && verifySignature(key.Public(), alg, token.input, make([]byte, len(token.signature))) {
			t.Errorf("%s: a signature of zeroes is accepted", alg)
		}
	}
	if verifySignature([]byte("secret"), "HS256", "", nil) {
		t.Error("a shared secret verifies")
	}
}

func edKey() (ed25519.PublicKey, crypto.Signer, error) { return ed25519.GenerateKey(rand.Reader) }
