package oidc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

// bearer verifies a fresh token that key signed.
func (p party) bearer(key idptest.OPKey) error {
	_, err := p.Verify(p.t.Context(), p.op.Sign(key, p.op.Claims(), nil))
	return err
}

func (p party) fetches(t *testing.T, want int) {
	t.Helper()
	if got := p.op.Hits("/jwks"); got != want {
		t.Errorf("%d fetches of the keys, want %d", got, want)
	}
}

func TestKeysAreFetchedOnceForAll(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	token := p.op.Sign(p.op.Key(), p.op.Claims(), nil)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() {
			if _, err := p.Verify(t.Context(), token); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	p.fetches(t, 1)
	if got := p.op.Hits("/.well-known/openid-configuration"); got != 1 {
		t.Errorf("%d fetches of the configuration", got)
	}
}

func TestRotatedKeyIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	old, fresh := p.op.Key(), idptest.NewOPKey(t, jose.RS256)
	if err := p.bearer(old); err != nil {
		t.Fatal(err)
	}
	p.op.SetKeys(fresh, old)
	if err := p.bearer(fresh); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if err := p.bearer(old); err != nil {
		t.Errorf("the old key, still published: %v", err)
	}
	p.fetches(t, 2)
}

func TestFloodOfUnknownKeysCostsFewFetchesAndHonestTokensStillWork(t *testing.T) {
	t.Parallel()
	for name, kid := range map[string]func(int) string{
		"of one name":    func(int) string { return "unknown" },
		"of many names":  func(i int) string { return fmt.Sprint("unknown-", i) },
		"without a name": func(int) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			honest := p.op.Key()
			forger := idptest.NewOPKey(t, jose.ES256) // the set has no such key
			for i := range 50 {
				forger.ID = kid(i)
				header := map[string]any{}
				if forger.ID == "" {
					header["kid"] = nil
				}
				_, err := p.Verify(t.Context(), p.op.Sign(forger, p.op.Claims(), header))
				refused(t, err, "unknown-key")
			}
			if err := p.bearer(honest); err != nil {
				t.Errorf("an honest token: %v", err)
			}
			if got := p.op.Hits("/jwks"); got > 3 {
				t.Errorf("%d fetches", got)
			}
			p.clock.add(askEvery)
			fresh := idptest.NewOPKey(t, jose.RS256)
			p.op.SetKeys(fresh, honest)
			if err := p.bearer(fresh); err != nil {
				t.Errorf("a rotated key half a minute later: %v", err)
			}
		})
	}
}

func TestFloodOfBadSignaturesCostsNoFetch(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	forger := idptest.NewOPKey(t, jose.ES256)
	published := idptest.NewOPKey(t, jose.ES256)
	forger.ID = published.ID
	p.op.SetKeys(published)
	for range 50 {
		refused(t, p.bearer(forger), "signature")
	}
	p.fetches(t, 1)
}

func TestRemovedKeyIsRefusedWithinItsAge(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	stolen := p.op.Key()
	if err := p.bearer(stolen); err != nil {
		t.Fatal(err)
	}
	p.op.SetKeys(idptest.NewOPKey(t, jose.ES256))
	p.clock.add(7 * time.Minute)
	if err := p.bearer(stolen); err != nil {
		t.Errorf("within the age of the set: %v", err)
	}
	p.clock.add(3 * time.Minute)
	refused(t, p.bearer(stolen), "unknown-key")
}

func TestCacheControlShortensTheAgeOfKeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"": 10 * time.Minute, "max-age=300": 5 * time.Minute, "public, max-age=99999": 10 * time.Minute, "max-age=0": time.Minute,
		"no-store": time.Minute, "max-age=x": 10 * time.Minute, `max-age="120"`: 2 * time.Minute, "MAX-AGE=120": 2 * time.Minute, "max-age=-1": 10 * time.Minute,
	} {
		if got := lifetime(http.Header{"Cache-Control": {text}}, 10*time.Minute); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if got := lifetime(http.Header{"Cache-Control": {"max-age=300"}}, 10*time.Second); got != 10*time.Second {
		t.Errorf("above the bound: %v", got)
	}
}

func TestKeysAreRenewedInTheBackground(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	key := p.op.Key()
	if err := p.bearer(key); err != nil {
		t.Fatal(err)
	}
	asked, release := make(chan bool), make(chan bool)
	p.op.Behave(idptest.Behaviour{Serve: map[string]http.HandlerFunc{"/jwks": func(w http.ResponseWriter, _ *http.Request) {
		asked <- true
		<-release
		http.Error(w, "", 500)
	}}})
	p.clock.add(8 * time.Minute)
	if err := p.bearer(key); err != nil { // does not wait for the answer
		t.Error(err)
	}
	<-asked
	close(release)
}

func TestOutageOfTheKeys(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	key := p.op.Key()
	down := idptest.Behaviour{Serve: map[string]http.HandlerFunc{"/jwks": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", http.StatusServiceUnavailable) }}}
	p.op.Behave(down)
	unavailable(t, p.bearer(key))
	unavailable(t, p.bearer(key)) // within the pause: not asked again
	p.fetches(t, 1)
	p.op.Behave(idptest.Behaviour{})
	p.clock.add(retryPause)
	if err := p.bearer(key); err != nil {
		t.Fatalf("after the outage: %v", err)
	}
	p.op.Behave(down)
	p.clock.add(23 * time.Hour)
	if err := p.bearer(key); err != nil {
		t.Errorf("keys of an outage of 23 h: %v", err)
	}
	p.clock.add(time.Hour)
	unavailable(t, p.bearer(key))
}

func TestSetThatIsSpoiledLeavesTheOldKeys(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	key := p.op.Key()
	if err := p.bearer(key); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"", "{}", `{"keys":[]}`, `{"keys":[{"kty":"oct","k":"AAAA"}]}`} {
		p.op.Behave(idptest.Behaviour{Serve: map[string]http.HandlerFunc{"/jwks": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }}})
		p.clock.add(10 * time.Minute)
		if err := p.bearer(key); err != nil {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestSlowKeysEndWithTheRequest(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	release := make(chan bool)
	p.op.Behave(idptest.Behaviour{Serve: map[string]http.HandlerFunc{"/jwks": func(http.ResponseWriter, *http.Request) { <-release }}})
	defer close(release)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := p.Verify(ctx, p.op.Sign(p.op.Key(), p.op.Claims(), nil))
	unavailable(t, err)
}

func TestKeySetReading(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	good := map[string]any{}
	public, err := json.Marshal(jose.JSONWebKey{Key: p.op.Key().Private.Public(), KeyID: "k"})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(public, &good); err != nil {
		t.Fatal(err)
	}
	with := func(name string, value any) map[string]any {
		changed := map[string]any{name: value}
		for n, v := range good {
			if n != name {
				changed[n] = v
			}
		}
		return changed
	}
	for name, c := range map[string]struct {
		keys []any
		want int // usable keys; 0 is an error
	}{
		"one key":                       {[]any{good}, 1},
		"a key for encryption":          {[]any{with("use", "enc")}, 0},
		"a key to sign with":            {[]any{with("key_ops", []string{"sign"})}, 0},
		"a key to verify with":          {[]any{with("key_ops", []string{"verify"})}, 1},
		"a key for another algorithm":   {[]any{with("alg", "ES256")}, 0},
		"a key for an unknown one":      {[]any{with("alg", "ES256K")}, 0},
		"a key for a secret one":        {[]any{with("alg", "HS256")}, 0},
		"a short key":                   {[]any{with("n", weakModulus)}, 0},
		"a weak one beside a good one":  {[]any{with("n", weakModulus), with("kid", "other")}, 1},
		"an even exponent":              {[]any{with("e", "AQAC")}, 0},
		"a shared secret beside it":     {[]any{good, map[string]any{"kty": "oct", "k": "AAAA", "kid": "s"}}, 0},
		"a private key":                 {[]any{with("d", "AAAA")}, 0},
		"the same kid twice":            {[]any{good, good}, 0},
		"two keys without kid":          {[]any{with("kid", ""), with("kid", "")}, 2},
		"an unknown kind of key":        {[]any{good, map[string]any{"kty": "OKP", "crv": "Ed448", "x": "AAAA", "kid": "o"}}, 1},
		"a key that is no object":       {[]any{good, 7}, 0},
		"a point that is not the curve": {[]any{map[string]any{"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}}, 0},
		"too many keys":                 {make([]any, maxKeys+1), 0},
	} {
		data, err := json.Marshal(map[string]any{"keys": c.keys})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := readRing(data, keyRule{})
		if len(keys) != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
	}
	if _, err := readRing([]byte(`{"keys":[],"Keys":[]}`), keyRule{}); err == nil {
		t.Error("a set with two lists of keys was accepted")
	}
}

// weakModulus has 1,024 bits.
const weakModulus = "gA7fe4uVEif__IOu0z0mOW8w6KkB0DwnuQHvdsOqpbs9ST-DwgNmarIMdVeJnIz9CPdUgSOmzVgZVjtS7dCYd8RYbPDGFyuiRkXfrTiVKZ1suYK2lYz22ZpWNtPbOrhX65BXWKHCAO23X7qaWUvCyGRwQXR3AGh_ypOfwjsfeek"

func TestKeyIsUsedForItsOwnAlgorithmOnly(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	key := p.op.Key() // published with alg RS256
	key.Alg = jose.PS256
	p.algorithms = append(p.algorithms, "PS256")
	refused(t, p.bearer(key), "unknown-key")
}

func TestDiscovery(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(map[string]any){
		"another issuer":                  func(d map[string]any) { d["issuer"] = "https://evil.example" },
		"an issuer with a slash more":     func(d map[string]any) { d["issuer"] = d["issuer"].(string) + "/" },
		"no issuer":                       func(d map[string]any) { delete(d, "issuer") },
		"no keys":                         func(d map[string]any) { delete(d, "jwks_uri") },
		"no token endpoint":               func(d map[string]any) { delete(d, "token_endpoint") },
		"plain http":                      func(d map[string]any) { d["token_endpoint"] = "http://idp.example.com/token" },
		"a script as an endpoint":         func(d map[string]any) { d["authorization_endpoint"] = "javascript:alert(1)" },
		"a user in an endpoint":           func(d map[string]any) { d["authorization_endpoint"] = "https://a:b@evil.example/" },
		"a fragment in an endpoint":       func(d map[string]any) { d["authorization_endpoint"] = "https://idp.example.com/#x" },
		"an endpoint that is a number":    func(d map[string]any) { d["jwks_uri"] = 7 },
		"two issuers by case":             func(d map[string]any) { d["Issuer"] = "https://evil.example" },
		"userinfo over plain http":        func(d map[string]any) { d["userinfo_endpoint"] = "http://idp.example.com/userinfo" },
		"an endpoint that is not absolut": func(d map[string]any) { d["jwks_uri"] = "/jwks" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			p.op.Behave(idptest.Behaviour{Discovery: change})
			_, _, err := p.Begin(t.Context(), idp.Want{Handle: "h"})
			unavailable(t, err)
			p.op.Behave(idptest.Behaviour{})
			p.clock.add(retryPause)
			if _, err := p.signIn(idp.Want{}); err != nil {
				t.Errorf("after it was mended: %v", err)
			}
		})
	}
}
