package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
	"github.com/rolecall/rolecall/idp/idptest"
)

func pemOf(t testing.TB, kind string, der []byte) secret.String {
	t.Helper()
	return secret.New(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
}

func pkcs8(t testing.TB, key any) secret.String {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, "PRIVATE KEY", der)
}

func curveKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// redeemed is what the token endpoint was sent in a sign-in that it then refuses.
func (p party) redeemed(discovery func(map[string]any)) (http.Header, url.Values) {
	p.t.Helper()
	var header http.Header
	var form url.Values
	p.op.Behave(idptest.Behaviour{Discovery: discovery, Serve: map[string]http.HandlerFunc{"/token": func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		header, form = r.Header, r.PostForm
		http.Error(w, "", 500)
	}}})
	_, err := p.signIn(idp.Want{})
	unavailable(p.t, err)
	return header, form
}

func takes(methods any) func(map[string]any) {
	return func(d map[string]any) {
		delete(d, "token_endpoint_auth_methods_supported")
		if methods != nil {
			d["token_endpoint_auth_methods_supported"] = methods
		}
	}
}

func TestASecretGoesTheWayThatTheProviderTakes(t *testing.T) {
	t.Parallel()
	const value = "canary+/&"
	for name, c := range map[string]struct {
		methods        any
		method, secret string
		want           string // basic, post, none, or nothing for refused
	}{
		"basic where nothing is said":            {nil, "", value, "basic"},
		"basic where it is offered":              {[]string{"client_secret_post", "client_secret_basic"}, "", value, "basic"},
		"post where basic is not":                {[]string{"client_secret_post"}, "", value, "post"},
		"post by configuration":                  {[]string{"client_secret_basic"}, authPost, value, "post"},
		"basic by configuration":                 {[]string{"client_secret_post"}, authBasic, value, "basic"},
		"none without a secret":                  {[]string{"none", "client_secret_basic"}, "", "", "none"},
		"none where something else is offered":   {[]string{"private_key_jwt"}, "", "", "none"},
		"none by configuration":                  {nil, authNone, "", "none"},
		"nowhere where the provider takes none":  {[]string{"private_key_jwt", "tls_client_auth"}, "", value, ""},
		"nowhere where the list is an empty one": {[]string{}, "", value, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, func(s *config.Provider) { s.ClientSecret, s.ClientAuth = secret.New(c.secret), text(c.method) })
			header, form := p.redeemed(takes(c.methods))
			got := ""
			r := http.Request{Header: header}
			switch id, given, basic := r.BasicAuth(); {
			case header == nil:
			case basic:
				got = "basic"
				if id != p.op.ClientID || given != url.QueryEscape(value) || form.Has("client_secret") {
					t.Errorf("basic with %q, %q and %v", id, given, form)
				}
			case form.Get("client_secret") == value:
				got = "post"
			case !form.Has("client_secret") && form.Get("client_id") == p.op.ClientID:
				got = "none"
			}
			if got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestSignInWithAPrivateKey(t *testing.T) {
	t.Parallel()
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(curveKey(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key  secret.String
		algs []string // of the provider
		want string
	}{
		"RSA":                               {pkcs8(t, old), nil, "RS256"},
		"RSA in a form of its own":          {pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(old)), []string{"ES256", "RS256", "PS256"}, "RS256"},
		"RSA where only PSS is taken":       {pkcs8(t, old), []string{"PS256", "ES256"}, "PS256"},
		"RSA where the list has none of it": {pkcs8(t, old), []string{"HS256"}, "RS256"},
		"P-256":                             {pkcs8(t, curveKey(t, elliptic.P256())), []string{"RS256", "ES256"}, "ES256"},
		"P-256 in a form of its own":        {pemOf(t, "EC PRIVATE KEY", sec1), nil, "ES256"},
		"P-384":                             {pkcs8(t, curveKey(t, elliptic.P384())), nil, "ES384"},
		"Ed25519":                           {pkcs8(t, edwards), nil, "EdDSA"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, func(s *config.Provider) {
				s.ClientSecret, s.ClientKey = secret.String{}, config.ClientKey{Key: c.key, ID: text("k1")}
			})
			p.op.ClientKey = p.client.key.Public()
			p.op.Behave(idptest.Behaviour{Discovery: func(d map[string]any) {
				takes([]string{authKey})(d)
				if c.algs != nil {
					d["token_endpoint_auth_signing_alg_values_supported"] = c.algs
				}
			}})
			for range 2 { // a proof counts once: each sign-in makes its own
				if _, err := p.signIn(idp.Want{}); err != nil {
					t.Fatal(err)
				}
			}
			_, form := p.redeemed(nil)
			header, claims := opened(t, form.Get("client_assertion"), p.client.key.Public())
			if header.KeyID != "k1" || form.Has("client_secret") {
				t.Errorf("kid %q, form %v", header.KeyID, form)
			}
			if claims["iss"] != p.op.ClientID || claims["sub"] != p.op.ClientID || claims["aud"] != p.op.Issuer {
				t.Errorf("claims %v", claims)
			}
			if life := claims["exp"].(float64) - claims["iat"].(float64); life > 300 || life < 30 {
				t.Errorf("it lives %v s", life)
			}
			m, err := p.discover.get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got := string(p.client.algorithm(m)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// opened verifies a JWT that we made.
func opened(t *testing.T, raw string, key crypto.PublicKey) (jose.Header, map[string]any) {
	t.Helper()
	token, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.RS256, jose.PS256, jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := token.Verify(key)
	if err != nil {
		t.Fatal(err)
	}
	claims := map[string]any{}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return token.Signatures[0].Header, claims
}

func TestAProofMayBeForTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	p := start(t, func(s *config.Provider) {
		s.ClientSecret = secret.String{}
		s.ClientKey = config.ClientKey{Key: pkcs8(t, curveKey(t, elliptic.P256())), Audience: text("token_endpoint")}
	})
	_, form := p.redeemed(nil)
	header, claims := opened(t, form.Get("client_assertion"), p.client.key.Public())
	if claims["aud"] != p.op.Issuer+"/token" || header.KeyID != "" {
		t.Errorf("aud %v, kid %q", claims["aud"], header.KeyID)
	}
}

func TestAForgedOrForeignProofIsOurFaultNotThePersons(t *testing.T) {
	t.Parallel()
	p := start(t, func(s *config.Provider) {
		s.ClientSecret, s.ClientKey = secret.String{}, config.ClientKey{Key: pkcs8(t, curveKey(t, elliptic.P256()))}
	})
	p.op.ClientKey = curveKey(t, elliptic.P256()).Public() // the provider knows another key
	_, err := p.signIn(idp.Want{})
	unavailable(t, err)
	if !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("the error does not say what to look at: %v", err)
	}
}

func TestAppleSecretsAreMadeForEachRequest(t *testing.T) {
	t.Parallel()
	p := start(t, func(s *config.Provider) {
		s.ClientSecret = secret.String{}
		s.Apple = config.Apple{TeamID: text("TEAM123456"), KeyID: text("KEY1234567"), Key: pkcs8(t, curveKey(t, elliptic.P256()))}
	})
	var secrets []string
	for range 2 {
		header, form := p.redeemed(takes([]string{"client_secret_post"}))
		if header.Get("Authorization") != "" || form.Has("client_assertion") {
			t.Errorf("%v %v", header, form)
		}
		secrets = append(secrets, form.Get("client_secret"))
		made, claims := opened(t, form.Get("client_secret"), p.client.key.Public())
		if made.KeyID != "KEY1234567" || made.Algorithm != "ES256" {
			t.Errorf("header %+v", made)
		}
		if claims["iss"] != "TEAM123456" || claims["sub"] != p.op.ClientID || claims["aud"] != p.op.Issuer ||
			claims["iat"] != float64(p.clock.now().Unix()) || claims["exp"].(float64)-claims["iat"].(float64) > 600 {
			t.Errorf("claims %v", claims)
		}
		p.clock.add(time.Hour)
	}
	if secrets[0] == secrets[1] {
		t.Error("the secret of an hour ago")
	}
}

func TestKeysThatCannotProveAnything(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p256 := pkcs8(t, curveKey(t, elliptic.P256()))
	apple := func(key secret.String) func(*config.Provider) {
		return func(s *config.Provider) {
			s.ClientSecret, s.Apple = secret.String{}, config.Apple{TeamID: text("T"), KeyID: text("K"), Key: key}
		}
	}
	ours := func(key secret.String) func(*config.Provider) {
		return func(s *config.Provider) {
			s.ClientSecret, s.ClientKey = secret.String{}, config.ClientKey{Key: key}
		}
	}
	for name, c := range map[string]struct {
		change func(*config.Provider)
		want   string
	}{
		"no PEM":               {ours(secret.New("canary")), "client_key.key: no PEM"},
		"two":                  {ours(secret.New(p256.Reveal() + p256.Reveal())), "client_key.key: more than one"},
		"a certificate":        {ours(pemOf(t, "CERTIFICATE", []byte("canary"))), "client_key.key: the PEM block is"},
		"a locked one":         {ours(pemOf(t, "ENCRYPTED PRIVATE KEY", []byte("canary"))), "client_key.key: the PEM block is"},
		"bytes that are none":  {ours(pemOf(t, "PRIVATE KEY", []byte("canary"))), "client_key.key: the private key cannot be read"},
		"an RSA key too short": {ours(pkcs8(t, short)), "client_key.key: the RSA key has 1024 bits"},
		"a curve of no use":    {ours(pkcs8(t, curveKey(t, elliptic.P224()))), "client_key.key: the key is neither"},
		"Apple's on P-384":     {apple(pkcs8(t, curveKey(t, elliptic.P384()))), "apple.key: it is no P-256 key"},
		"Apple's that is none": {apple(secret.New("canary")), "apple.key: no PEM"},
	} {
		s := section(idptest.StartOP(t, time.Now))
		c.change(&s)
		f, err := fetch.New(fetch.Config{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(Config{Provider: s, URL: "https://broker.example", Fetch: f})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
