package dpop_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/rolecall/rolecall/idp/dpop"
)

func TestWhatAProverMakesVerifies(t *testing.T) {
	t.Parallel()
	prover, err := dpop.NewProver(p256(t), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	const address = "https://sso.example.com/api/v1/roles"
	seen := map[string]bool{}
	for range 3 {
		proof, err := prover.Prove("GET", address+"?page=2#top", rfcToken)
		if err != nil {
			t.Fatal(err)
		}
		got, err := dpop.Verify(proof, dpop.Want{Method: "GET", URL: address, AccessToken: rfcToken, Thumbprint: prover.Thumbprint(), Now: now})
		if err != nil {
			t.Fatal(err)
		}
		if seen[got.JTI] {
			t.Errorf("jti %s was used twice", got.JTI)
		}
		seen[got.JTI] = true
		refused(t, proof, dpop.Want{Method: "GET", URL: address, AccessToken: "another", Now: now}, "ath")
	}
}

func TestAProofForTheTokenEndpointNamesNoToken(t *testing.T) {
	t.Parallel()
	prover, err := dpop.NewProver(p256(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := prover.Prove("POST", "https://sso.example.com/oauth2/token", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dpop.Verify(proof, dpop.Want{Method: "POST", URL: "https://sso.example.com/oauth2/token", Now: time.Now()}); err != nil {
		t.Error(err)
	}
}

func TestAProverNeedsAP256KeyAndAnAddress(t *testing.T) {
	t.Parallel()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []*ecdsa.PrivateKey{nil, p384} {
		if _, err := dpop.NewProver(key, nil); err == nil {
			t.Error("a key that is no P-256 key was taken")
		}
	}
	prover, err := dpop.NewProver(p256(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"", "/oauth2/token", "://"} {
		if _, err := prover.Prove("POST", address, ""); err == nil {
			t.Errorf("a proof was made for %q", address)
		}
	}
}
