package oidc

import (
	"context"
	"crypto"
	"fmt"
	"testing"

	goidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/idp/idptest"
)

// BenchmarkVerify compares our whole judgement with go-oidc and one decode of the
// claims, as a caller needs it.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256} {
		for _, groups := range []int{10, 200} {
			p := start(b, nil)
			key := idptest.NewOPKey(b, alg)
			p.op.SetKeys(key)
			claims := p.op.Claims()
			var list []string
			for i := range groups {
				list = append(list, fmt.Sprint("group-", i))
			}
			claims["groups"] = list
			raw := p.op.Sign(key, claims, nil)
			name := fmt.Sprintf("%s/%d", alg, groups)
			b.Run(name+"/rolecall", func(b *testing.B) { benchOurs(b, p, raw) })
			b.Run(name+"/go-oidc", func(b *testing.B) { benchGoOIDC(b, p, key, raw) })
		}
	}
}

func benchOurs(b *testing.B, p party, raw string) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := p.Verify(context.Background(), raw); err != nil {
			b.Fatal(err)
		}
	}
}

func benchGoOIDC(b *testing.B, p party, key idptest.OPKey, raw string) {
	keys := &goidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key.Private.Public()}}
	verifier := goidc.NewVerifier(p.op.Issuer, keys, &goidc.Config{ClientID: p.op.ClientID, SupportedSigningAlgs: []string{"RS256", "ES256"}, Now: p.clock.now})
	b.ReportAllocs()
	for b.Loop() {
		token, err := verifier.Verify(context.Background(), raw)
		if err != nil {
			b.Fatal(err)
		}
		var claims struct {
			Groups   []string `json:"groups"`
			Email    string   `json:"email"`
			AMR      []string `json:"amr"`
			AuthTime int64    `json:"auth_time"`
		}
		if err := token.Claims(&claims); err != nil {
			b.Fatal(err)
		}
	}
}
