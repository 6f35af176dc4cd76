package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/idp/dpop"
)

const (
	rolesURL = "https://sso.example.com/api/v1/roles"
	tokenURL = "https://sso.example.com/oauth2/token"
)

func bearer(token string) oauth.AuthInput {
	return oauth.AuthInput{Authorization: []string{"Bearer " + token}, Method: "GET", URL: rolesURL}
}

// prover holds a fresh key, by the world's clock.
func (w *world) prover(t *testing.T) *dpop.Prover {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, err := dpop.NewProver(key, func() time.Time { return w.clock })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func prove(t *testing.T, p *dpop.Prover, method, address, token string) string {
	t.Helper()
	proof, err := p.Prove(method, address, token)
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

func TestABoundTokenNeedsItsKeyAtEachCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, other := w.prover(t), w.prover(t)
	issued := w.tokens(t, prove(t, key, "POST", tokenURL, ""))
	token := issued.AccessToken.Reveal()
	if issued.Type != "DPoP" {
		t.Fatalf("got %+v", issued)
	}
	good := oauth.AuthInput{Authorization: []string{"DPoP " + token}, DPoP: []string{prove(t, key, "GET", rolesURL, token)}, Method: "GET", URL: rolesURL}
	if _, err := w.server.Authenticate(t.Context(), origin, good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		scheme, reason string
		proofs         []string
	}{
		"the scheme Bearer":             {"Bearer", "invalid_token", []string{prove(t, key, "GET", rolesURL, token)}},
		"the scheme Bearer, no proof":   {"Bearer", "invalid_token", nil},
		"no proof":                      {"DPoP", "invalid_dpop_proof", nil},
		"two proofs":                    {"DPoP", "invalid_dpop_proof", []string{prove(t, key, "GET", rolesURL, token), prove(t, key, "GET", rolesURL, token)}},
		"the same proof again":          {"DPoP", "invalid_dpop_proof", good.DPoP},
		"a proof of another key":        {"DPoP", "invalid_dpop_proof", []string{prove(t, other, "GET", rolesURL, token)}},
		"a proof for another method":    {"DPoP", "invalid_dpop_proof", []string{prove(t, key, "POST", rolesURL, token)}},
		"a proof for another address":   {"DPoP", "invalid_dpop_proof", []string{prove(t, key, "GET", tokenURL, token)}},
		"a proof for another token":     {"DPoP", "invalid_dpop_proof", []string{prove(t, key, "GET", rolesURL, token+"x")}},
		"a proof of the token endpoint": {"DPoP", "invalid_dpop_proof", []string{prove(t, key, "GET", rolesURL, "")}},
	} {
		in := oauth.AuthInput{Authorization: []string{c.scheme + " " + token}, DPoP: c.proofs, Method: "GET", URL: rolesURL}
		caller, err := w.server.Authenticate(t.Context(), origin, in)
		shown, ok := errors.AsType[*broker.Error](err)
		if !ok || shown.Code != broker.Unauthenticated || shown.Reason != c.reason || caller.Session != "" {
			t.Errorf("%s: got %+v, %v", name, caller, err)
		}
		if e := w.last(t); e.Event != "authenticate" || e.Outcome != audit.Refused || e.Reason != c.reason || e.Username != "alice" {
			t.Errorf("%s: recorded %+v", name, e)
		}
	}
	late := prove(t, key, "GET", rolesURL, token)
	w.clock = w.clock.Add(3 * time.Minute)
	good.DPoP = []string{late}
	if _, err := w.server.Authenticate(t.Context(), origin, good); broker.CodeOf(err) != broker.Unauthenticated {
		t.Errorf("an old proof: %v", err)
	}
}

func TestARefreshTokenStaysBoundToItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, other := w.prover(t), w.prover(t)
	issued := w.tokens(t, prove(t, key, "POST", tokenURL, ""))
	request := refreshment(issued.RefreshToken.Reveal())
	w.refuses(t, request, "invalid_dpop_proof")
	request.DPoP = []string{prove(t, other, "POST", tokenURL, "")}
	w.refuses(t, request, "invalid_dpop_proof")
	used := prove(t, key, "POST", tokenURL, "")
	request.DPoP = []string{used}
	next, err := w.server.Token(t.Context(), origin, request)
	if err != nil || next.Type != "DPoP" {
		t.Fatalf("got %+v, %v", next, err)
	}
	again := refreshment(next.RefreshToken.Reveal())
	again.DPoP = []string{used}
	w.refuses(t, again, "invalid_dpop_proof")
	again.DPoP = []string{prove(t, key, "POST", tokenURL, "")}
	if _, err := w.server.Token(t.Context(), origin, again); err != nil {
		t.Errorf("a refused proof spent the token: %v", err)
	}
}

func TestAProofAtRefreshBindsWhatIsIssuedFromThenOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.prover(t)
	request := refreshment(w.tokens(t).RefreshToken.Reveal())
	request.DPoP = []string{prove(t, key, "POST", tokenURL, "")}
	issued, err := w.server.Token(t.Context(), origin, request)
	if err != nil || issued.Type != "DPoP" {
		t.Fatalf("got %+v, %v", issued, err)
	}
	if _, err := w.server.Authenticate(t.Context(), origin, bearer(issued.AccessToken.Reveal())); broker.CodeOf(err) != broker.Unauthenticated {
		t.Errorf("as Bearer: %v", err)
	}
	w.refuses(t, refreshment(issued.RefreshToken.Reveal()), "invalid_dpop_proof")
}

func TestABadProofDoesNotSpendTheCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.prover(t)
	request := redemption(w.code(t))
	for name, proofs := range map[string][]string{
		"no JWT": {"x"}, "for the API": {prove(t, key, "POST", rolesURL, "")}, "for GET": {prove(t, key, "GET", tokenURL, "")},
		"two": {prove(t, key, "POST", tokenURL, ""), prove(t, key, "POST", tokenURL, "")}, "empty": {""}, "endless": {strings.Repeat("a", 1<<20)},
	} {
		request.DPoP = proofs
		t.Log(name)
		w.refuses(t, request, "invalid_dpop_proof")
	}
	request.DPoP = []string{prove(t, key, "POST", tokenURL, "")}
	if _, err := w.server.Token(t.Context(), origin, request); err != nil {
		t.Error(err)
	}
}

func TestACodeBoundToAKeyIsOfNoUseToAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, other := w.prover(t), w.prover(t)
	w.refuses(t, redemption(w.code(t, "dpop_jkt", key.Thumbprint())), "invalid_dpop_proof")
	request := redemption(w.code(t, "dpop_jkt", key.Thumbprint()))
	request.DPoP = []string{prove(t, other, "POST", tokenURL, "")}
	w.refuses(t, request, "invalid_dpop_proof")
	request = redemption(w.code(t, "dpop_jkt", key.Thumbprint()))
	request.DPoP = []string{prove(t, key, "POST", tokenURL, "")}
	if _, err := w.server.Token(t.Context(), origin, request); err != nil {
		t.Error(err)
	}
}

func TestHeadersThatNameNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issued := w.tokens(t)
	token := issued.AccessToken.Reveal()
	for name, c := range map[string]struct {
		values []string
		reason string
	}{
		"none":                         {nil, "no_token"},
		"an empty one":                 {[]string{""}, "invalid_token"},
		"the scheme alone":             {[]string{"Bearer"}, "invalid_token"},
		"the scheme and a space":       {[]string{"Bearer "}, "invalid_token"},
		"the token alone":              {[]string{token}, "invalid_token"},
		"Basic":                        {[]string{"Basic " + token}, "invalid_token"},
		"two headers":                  {[]string{"Bearer " + token, "Bearer " + token}, "invalid_token"},
		"two tokens":                   {[]string{"Bearer " + token + ", Bearer " + token}, "invalid_token"},
		"a parameter":                  {[]string{"Bearer token=" + token}, "invalid_token"},
		"an endless token":             {[]string{"Bearer " + strings.Repeat("a", 1<<20)}, "invalid_token"},
		"an unknown token":             {[]string{"Bearer " + strings.Repeat("a", 43)}, "invalid_token"},
		"the refresh token":            {[]string{"Bearer " + issued.RefreshToken.Reveal()}, "invalid_token"},
		"the scheme DPoP when unbound": {[]string{"DPoP " + token}, "invalid_token"},
	} {
		caller, err := w.server.Authenticate(t.Context(), origin, oauth.AuthInput{Authorization: c.values, Method: "GET", URL: rolesURL})
		shown, ok := errors.AsType[*broker.Error](err)
		if !ok || shown.Code != broker.Unauthenticated || shown.Reason != c.reason || caller.Session != "" {
			t.Errorf("%s: got %+v, %v", name, caller, err)
		}
	}
	if _, err := w.server.Authenticate(t.Context(), origin, oauth.AuthInput{Authorization: []string{"bEARER " + token}}); err != nil {
		t.Errorf("the scheme in another case: %v", err)
	}
}

func TestATokenInTheQueryOrBodyIsNeverRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.tokens(t).AccessToken.Reveal()
	r := httptest.NewRequest("POST", "/api/v1/roles?access_token="+token, strings.NewReader("access_token="+token))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if caller, err := w.server.AuthenticateRequest(t.Context(), origin, r); broker.CodeOf(err) != broker.Unauthenticated {
		t.Errorf("got %+v, %v", caller, err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if _, err := w.server.AuthenticateRequest(t.Context(), origin, r); err != nil {
		t.Error(err)
	}
}

func TestAProofNamesThePublicAddressWhateverTheHostHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.prover(t)
	token := w.tokens(t, prove(t, key, "POST", tokenURL, "")).AccessToken.Reveal()
	for address, ok := range map[string]bool{rolesURL: true, "https://evil.example/api/v1/roles": false} {
		r := httptest.NewRequest(http.MethodGet, "http://evil.example/api/v1/roles?page=2", nil)
		r.Header.Set("Authorization", "DPoP "+token)
		r.Header.Set("DPoP", prove(t, key, "GET", address, token))
		if _, err := w.server.AuthenticateRequest(t.Context(), origin, r); (err == nil) != ok {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestAnAccessTokenLivesTenMinutes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := bearer(w.tokens(t).AccessToken.Reveal())
	w.clock = w.clock.Add(10*time.Minute - time.Second)
	if _, err := w.server.Authenticate(t.Context(), origin, in); err != nil {
		t.Error(err)
	}
	w.clock = w.clock.Add(time.Second)
	if _, err := w.server.Authenticate(t.Context(), origin, in); broker.CodeOf(err) != broker.Unauthenticated {
		t.Errorf("got %v", err)
	}
}

func TestGuessingTokensIsTurnedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := bearer(w.tokens(t).AccessToken.Reveal())
	before := len(w.events)
	w.limited["address authenticate"] = true
	if _, err := w.server.Authenticate(t.Context(), origin, bearer(strings.Repeat("a", 43))); broker.CodeOf(err) != broker.RateLimited {
		t.Errorf("got %v", err)
	}
	if len(w.events) != before {
		t.Errorf("recorded %+v", w.last(t))
	}
	if _, err := w.server.Authenticate(t.Context(), origin, good); err != nil {
		t.Errorf("an honest token from the same address: %v", err)
	}
}

func TestAStoreThatFailsAuthenticatesNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	in := bearer(w.tokens(t).AccessToken.Reveal())
	w.fails = errors.New("disk broken")
	if caller, err := w.server.Authenticate(t.Context(), origin, in); !errors.Is(err, w.fails) || broker.CodeOf(err) != broker.Internal || caller.Session != "" {
		t.Errorf("got %+v, %v", caller, err)
	}
}
