package idptest

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// TestOPIsAGoodProviderUnlessTold signs in with go-oidc and x/oauth2 as they come.
func TestOPIsAGoodProviderUnlessTold(t *testing.T) {
	t.Parallel()
	op := StartOP(t, time.Now)
	provider, err := oidc.NewProvider(t.Context(), op.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	client := oauth2.Config{ClientID: op.ClientID, ClientSecret: op.ClientSecret, RedirectURL: "https://broker.example/cb", Endpoint: provider.Endpoint(), Scopes: []string{"openid"}}
	exchange := func(verifier string) (*oauth2.Token, error) {
		address := client.AuthCodeURL("st", oauth2.S256ChallengeOption("verifier"), oidc.Nonce("n"))
		return client.Exchange(t.Context(), op.Visit(address).Get("code"), oauth2.VerifierOption(verifier))
	}
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.ES256, jose.PS256} {
		op.SetKeys(NewOPKey(t, alg))
		token, err := exchange("verifier")
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := token.Extra("id_token").(string)
		// go-oidc may hand a fetch that has just ended to whoever asks next: each key has
		// a set of its own here.
		verifier := oidc.NewVerifier(op.Issuer, oidc.NewRemoteKeySet(t.Context(), op.Issuer+"/jwks"), &oidc.Config{ClientID: op.ClientID, SupportedSigningAlgs: []string{string(alg)}})
		id, err := verifier.Verify(t.Context(), raw)
		if err != nil || id.Nonce != "n" || id.Subject != "subject-1" || id.VerifyAccessToken(token.AccessToken) != nil {
			t.Errorf("%s: %+v, %v", alg, id, err)
		}
	}
	if _, err := exchange("another"); err == nil {
		t.Error("a wrong verifier was accepted")
	}
	if op.Hits("/token") == 0 || op.Hits("/jwks") == 0 {
		t.Error("requests are not counted")
	}
}

func TestOPMisbehavesAsTold(t *testing.T) {
	t.Parallel()
	op := StartOP(t, time.Now)
	op.Behave(Behaviour{
		Claims:    func(c map[string]any) { c["nonce"] = "other" },
		Answer:    func(q url.Values) { q.Set("iss", "https://evil.example") },
		Discovery: func(d map[string]any) { delete(d, "jwks_uri") },
		Serve:     map[string]http.HandlerFunc{"/jwks": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }},
	})
	got := op.Visit(op.Issuer + "/authorize?state=s&nonce=n&code_challenge=c&code_challenge_method=S256")
	if got.Get("iss") != "https://evil.example" || got.Get("state") != "s" || got.Get("code") == "" {
		t.Errorf("answer %v", got)
	}
	resp, err := http.Get(op.Issuer + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway || op.Hits("/jwks") != 1 {
		t.Errorf("status %d after %d requests", resp.StatusCode, op.Hits("/jwks"))
	}
}
