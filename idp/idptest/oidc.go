package idptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// OP is an OpenID Connect provider on loopback that signs one person in without
// asking, and that misbehaves as its Behaviour says.
type OP struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	// ClientKey lets the client prove itself by private_key_jwt instead of the secret.
	ClientKey crypto.PublicKey

	t      testing.TB
	now    func() time.Time
	mu     sync.Mutex
	keys   []OPKey
	codes  map[string]url.Values
	pushed map[string]url.Values
	proofs map[string]bool // jti of client assertions
	hits   map[string]int
	b      Behaviour
}

// OPKey is a signing key of an OP.
type OPKey struct {
	ID      string
	Alg     jose.SignatureAlgorithm
	Private crypto.Signer
}

// Behaviour changes what an OP answers; the zero value is a good provider.
type Behaviour struct {
	// Claims changes the claims of ID tokens before they are signed.
	Claims func(map[string]any)
	// Mint makes the ID token itself from the claims.
	Mint func(claims map[string]any) string
	// Discovery changes the configuration document.
	Discovery func(map[string]any)
	// Answer changes what the redirect to the client holds.
	Answer func(url.Values)
	// Userinfo is the answer of the userinfo endpoint; without it there is no such endpoint.
	Userinfo map[string]any
	// Pushes offers pushed authorization requests (RFC 9126).
	Pushes bool
	// Serve takes over a path: "/jwks", "/token", "/userinfo", "/par", "/.well-known/openid-configuration".
	Serve map[string]http.HandlerFunc
}

// StartOP starts a provider that goes by the clock now and ends with the test.
func StartOP(t testing.TB, now func() time.Time) *OP {
	t.Helper()
	op := &OP{
		ClientID: "rolecall", ClientSecret: "canary-client-secret", t: t, now: now,
		codes: map[string]url.Values{}, pushed: map[string]url.Values{}, proofs: map[string]bool{}, hits: map[string]int{},
		keys: []OPKey{NewOPKey(t, jose.RS256)},
	}
	server := httptest.NewServer(http.HandlerFunc(op.serve))
	t.Cleanup(server.Close)
	op.Issuer = server.URL
	return op
}

// sharedRSA is made once a process: RSA keys are slow to make.
var sharedRSA = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

// NewOPKey makes a key for RS256, PS256 or ES256. RSA keys share their numbers,
// not their ids.
func NewOPKey(t testing.TB, alg jose.SignatureAlgorithm) OPKey {
	t.Helper()
	key := OPKey{ID: "key-" + rand.Text()[:8], Alg: alg}
	var err error
	if alg == jose.ES256 {
		key.Private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	} else {
		key.Private, err = sharedRSA()
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// Behave changes the behaviour from now on.
func (op *OP) Behave(b Behaviour) {
	op.mu.Lock()
	defer op.mu.Unlock()
	op.b = b
}

// SetKeys replaces the published keys; the first one signs.
func (op *OP) SetKeys(keys ...OPKey) {
	op.mu.Lock()
	defer op.mu.Unlock()
	op.keys = keys
}

// Key is the key that signs.
func (op *OP) Key() OPKey {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.keys[0]
}

// Hits counts the requests for a path.
func (op *OP) Hits(path string) int {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.hits[path]
}

// Claims are those of a good ID token for the person, without nonce.
func (op *OP) Claims() map[string]any {
	now := op.now()
	return map[string]any{
		"iss": op.Issuer, "sub": "subject-1", "aud": op.ClientID,
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(), "auth_time": now.Unix(),
		"email": "alice@example.com", "email_verified": true, "name": "Alice Ames", "preferred_username": "alice",
		"groups": []string{"platform", "developers"}, "amr": []string{"pwd"}, "sid": "upstream-session",
	}
}

// Sign makes a compact JWS of the claims with a key and further header members;
// a nil member takes one out.
func (op *OP) Sign(key OPKey, claims, header map[string]any) string {
	op.t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		op.t.Fatal(err)
	}
	return op.SignBytes(key, payload, header)
}

// SignBytes is Sign for a payload that need not be JSON.
func (op *OP) SignBytes(key OPKey, payload []byte, header map[string]any) string {
	op.t.Helper()
	full := map[string]any{"alg": string(key.Alg), "kid": key.ID, "typ": "JWT"}
	maps.Copy(full, header)
	maps.DeleteFunc(full, func(_ string, v any) bool { return v == nil })
	head, err := json.Marshal(full)
	if err != nil {
		op.t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := signInput(key, input)
	if err != nil {
		op.t.Fatal(err)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func signInput(key OPKey, input string) ([]byte, error) {
	sum := sha256.Sum256([]byte(input))
	switch private := key.Private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, sum[:])
		if err != nil {
			return nil, err
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), nil
	case *rsa.PrivateKey:
		if key.Alg == jose.PS256 {
			return rsa.SignPSS(rand.Reader, private, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return rsa.SignPKCS1v15(nil, private, crypto.SHA256, sum[:])
	}
	return nil, fmt.Errorf("no way to sign with %T", key.Private)
}

// Visit is the browser and the person: it follows an authorization URL and gives
// the parameters that the browser takes to the client.
func (op *OP) Visit(address string) url.Values {
	op.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		op.t.Fatal(err)
	}
	request := op.requested(u.Query())
	if request.Get("code_challenge_method") != "S256" || request.Get("code_challenge") == "" || request.Get("nonce") == "" || request.Get("state") == "" {
		op.t.Errorf("the authorization request lacks PKCE, nonce or state: %v", request)
	}
	code := rand.Text()
	op.mu.Lock()
	op.codes[code] = request
	change := op.b.Answer
	op.mu.Unlock()
	answer := url.Values{"code": {code}, "state": {request.Get("state")}, "iss": {op.Issuer}}
	if change != nil {
		change(answer)
	}
	return answer
}
