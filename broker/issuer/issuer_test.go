package issuer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/issuer"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// keys is the smallest honest key store.
type keys struct {
	private *rsa.PrivateKey
	public  jose.JSONWebKeySet
	err     error
}

func newKeys(t *testing.T) *keys {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &keys{private: private, public: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: private.Public(), KeyID: "k1", Algorithm: "RS256", Use: "sig"},
	}}}
}

func (k *keys) SignJWT(_ context.Context, algorithm string, claims []byte) (string, error) {
	if k.err != nil {
		return "", k.err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: jose.JSONWebKey{Key: k.private, KeyID: "k1"}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}

func (k *keys) Public(context.Context) (jose.JSONWebKeySet, error) { return k.public, k.err }

func newIssuer(t *testing.T, config issuer.Config) *issuer.Issuer {
	t.Helper()
	config.Now = func() time.Time { return now }
	i, err := issuer.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAStockRelyingPartyAcceptsTheTokenByDiscovery(t *testing.T) {
	t.Parallel()
	var i *issuer.Issuer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		document := map[string]func(context.Context) ([]byte, error){
			"/.well-known/openid-configuration": i.Discovery, "/.well-known/jwks.json": i.JWKS,
		}[r.URL.Path]
		if document == nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		body, err := document(r.Context())
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	i = newIssuer(t, issuer.Config{URL: server.URL, Keys: newKeys(t)})

	token, err := i.MintIDToken(t.Context(), issuer.IDToken{
		Audience: "rolecall-cli", Provider: "corp", Subject: "alice@example.com", Username: "alice",
		Nonce: "n-1", AccessToken: "access", AuthTime: now.Add(-time.Minute), Methods: []string{"pwd", "mfa"},
	})
	if err != nil {
		t.Fatal(err)
	}
	provider, err := oidc.NewProvider(t.Context(), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := provider.VerifierContext(t.Context(), &oidc.Config{ClientID: "rolecall-cli", Now: func() time.Time { return now }}).Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if err := verified.VerifyAccessToken("access"); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	if err := verified.VerifyAccessToken("another"); err == nil {
		t.Error("at_hash fits any access token")
	}
	got := map[string]any{}
	if err := verified.Claims(&got); err != nil {
		t.Fatal(err)
	}
	delete(got, "at_hash")
	want := map[string]any{
		"iss": server.URL, "aud": "rolecall-cli", "sub": "corp=alice@example.com", "preferred_username": "alice", "nonce": "n-1",
		"amr": []any{"pwd", "mfa"}, "iat": float64(now.Unix()), "exp": float64(now.Add(10 * time.Minute).Unix()), "auth_time": float64(now.Add(-time.Minute).Unix()),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDiscoveryNamesWhatThereIsAndNothingElse(t *testing.T) {
	t.Parallel()
	document, err := newIssuer(t, issuer.Config{URL: "https://issuer.example.com", Server: "https://sso.example.com", Keys: newKeys(t)}).Discovery(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]any{}
	if err := json.Unmarshal(document, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"issuer":                 "https://issuer.example.com",
		"jwks_uri":               "https://issuer.example.com/.well-known/jwks.json",
		"authorization_endpoint": "https://sso.example.com/oauth2/authorize",
		"token_endpoint":         "https://sso.example.com/oauth2/token",
		"revocation_endpoint":    "https://sso.example.com/oauth2/revoke",
		"introspection_endpoint": "https://sso.example.com/oauth2/introspect",
		"introspection_endpoint_auth_methods_supported":  []any{"none"},
		"response_types_supported":                       []any{"code"},
		"grant_types_supported":                          []any{"authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:token-exchange"},
		"code_challenge_methods_supported":               []any{"S256"},
		"token_endpoint_auth_methods_supported":          []any{"none"},
		"id_token_signing_alg_values_supported":          []any{"RS256"},
		"subject_types_supported":                        []any{"public"},
		"dpop_signing_alg_values_supported":              []any{"ES256", "EdDSA", "RS256"},
		"authorization_response_iss_parameter_supported": true,
		"request_uri_parameter_supported":                false,
	} {
		if diff := cmp.Diff(want, got[name]); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, absent := range []string{"userinfo_endpoint", "registration_endpoint", "device_authorization_endpoint"} {
		if _, there := got[absent]; there {
			t.Errorf("%s is published, but there is none", absent)
		}
	}
}

func TestTwoPeopleNeverShareASubject(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, issuer.Config{URL: "https://sso.example.com", Keys: newKeys(t)})
	long := strings.Repeat("a", 300)
	seen := map[string]string{}
	for _, who := range [][2]string{
		{"corp", "alice"}, {"corp2", "alice"}, {"corp", "2=alice"}, {"corp", "Alice"}, {"corp", long}, {"corp", long + "a"},
		{"corp", "ålice"}, {"corp", "a\u030alice"}, {"corp", "alice\n"}, {"corp", ""}, {"google", "corp=alice"},
	} {
		sub := claimsOf(t, i, issuer.IDToken{Audience: "rolecall-cli", Provider: who[0], Subject: who[1]})["sub"].(string)
		if len(sub) > 255 || strings.ContainsFunc(sub, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%q is no subject of at most 255 ASCII characters", sub)
		}
		if other, there := seen[sub]; there {
			t.Errorf("%q and %q are both %q", who, other, sub)
		}
		seen[sub] = who[0] + " " + who[1]
	}
}

func TestWhatIsNotKnownIsNotClaimed(t *testing.T) {
	t.Parallel()
	i := newIssuer(t, issuer.Config{URL: "https://sso.example.com", Keys: newKeys(t)})
	got := claimsOf(t, i, issuer.IDToken{Audience: "rolecall-cli", Provider: "corp", Subject: "alice"})
	for _, absent := range []string{"nonce", "auth_time", "amr", "at_hash", "preferred_username", "groups", "email"} {
		if _, there := got[absent]; there {
			t.Errorf("the token claims %s = %v", absent, got[absent])
		}
	}
}

func TestAPrivateKeyIsNeverPublished(t *testing.T) {
	t.Parallel()
	k := newKeys(t)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{"RSA": k.private, "EC": ec, "symmetric": []byte("secret")} {
		k.public = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "oops"}}}
		if document, err := newIssuer(t, issuer.Config{URL: "https://sso.example.com", Keys: k}).JWKS(t.Context()); err == nil {
			t.Errorf("%s: published %d bytes", name, len(document))
		}
	}
}

func TestAKeyStoreThatFailsGivesNoTokenAndNoKeys(t *testing.T) {
	t.Parallel()
	k := newKeys(t)
	k.err = errors.New("the store is closed")
	i := newIssuer(t, issuer.Config{URL: "https://sso.example.com", Keys: k})
	if token, err := i.MintIDToken(t.Context(), issuer.IDToken{}); !errors.Is(err, k.err) || token != "" {
		t.Errorf("got %q, %v", token, err)
	}
	if _, err := i.JWKS(t.Context()); !errors.Is(err, k.err) {
		t.Errorf("got %v", err)
	}
}

func claimsOf(t *testing.T, i *issuer.Issuer, token issuer.IDToken) map[string]any {
	t.Helper()
	text, err := i.MintIDToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(signed.UnsafePayloadWithoutVerification(), &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}
