package token_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/idp/dpop"
)

// redemption is the form that turns the code of a redirect into tokens.
func redemption(t *testing.T, redirect string) url.Values {
	t.Helper()
	back, err := url.Parse(redirect)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"rolecall-cli"}, "code": {back.Query().Get("code")},
		"redirect_uri": {redirectURI}, "code_verifier": {verifier},
	}
}

func TestTheTokenAnswerIsWhatRFC6749Says(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	a := b.post("/oauth2/token", redemption(t, b.approve(ask())))
	if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Pragma") != "no-cache" {
		t.Errorf("got %d %v", a.StatusCode, a.Header)
	}
	got := a.decoded(t)
	for _, secret := range []string{"access_token", "refresh_token", "id_token"} {
		if text, _ := got[secret].(string); len(text) < 43 {
			t.Errorf("%s is %q", secret, text)
		}
		delete(got, secret)
	}
	if diff := cmp.Diff(map[string]any{"token_type": "Bearer", "expires_in": got["expires_in"], "scope": "openid offline_access"}, got); diff != "" {
		t.Error(diff)
	}
	if n, _ := got["expires_in"].(float64); n < 590 || n > 600 {
		t.Errorf("expires_in is %v", got["expires_in"])
	}
}

func TestErrorsOfTheTokenEndpoint(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	good := url.Values{"grant_type": {"authorization_code"}, "client_id": {"rolecall-cli"}, "code": {strings.Repeat("A", 43)}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}}
	with := func(name, value string) url.Values {
		v := url.Values{}
		for k, values := range good {
			v[k] = values
		}
		v.Set(name, value)
		return v
	}
	plain := func(v url.Values) *http.Request { return b.request(http.MethodPost, "/oauth2/token", v) }
	raw := func(body string) *http.Request {
		r := plain(url.Values{})
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		return r
	}
	header := func(r *http.Request, name, value string) *http.Request {
		r.Header.Set(name, value)
		return r
	}
	for name, c := range map[string]struct {
		request *http.Request
		status  int
		code    string
	}{
		"an unknown code":           {plain(good), 400, "invalid_grant"},
		"an unknown client":         {plain(with("client_id", "x")), 401, "invalid_client"},
		"a bare token exchange":     {plain(with("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")), 400, "invalid_request"},
		"the device grant":          {plain(with("grant_type", "urn:ietf:params:oauth:grant-type:device_code")), 400, "unsupported_grant_type"},
		"a bad proof":               {header(plain(good), "DPoP", "x.y.z"), 400, "invalid_dpop_proof"},
		"parameters in the address": {b.request(http.MethodPost, "/oauth2/token?"+good.Encode(), url.Values{}), 401, "invalid_client"},
		"JSON":                      {header(plain(good), "Content-Type", "application/json"), 400, "invalid_request"},
		"no content type":           {header(plain(good), "Content-Type", ""), 400, "invalid_request"},
		"a form in parts":           {header(plain(good), "Content-Type", "multipart/form-data; boundary=x"), 400, "invalid_request"},
		"an empty form":             {plain(url.Values{}), 401, "invalid_client"},
		"a bad escape":              {raw("grant_type=%zz"), 400, "invalid_request"},
		"a body over the limit":     {plain(with("code", strings.Repeat("A", 600<<10))), 413, "too_large"},
		"GET":                       {b.request(http.MethodGet, "/oauth2/token?"+good.Encode(), nil), 405, "invalid_request"},
		"PUT to revoke":             {b.request(http.MethodPut, "/oauth2/revoke", good), 405, "invalid_request"},
		"revoking nothing":          {b.request(http.MethodPost, "/oauth2/revoke", url.Values{"client_id": {"rolecall-cli"}}), 400, "invalid_request"},
	} {
		a := b.send(c.request)
		got := a.decoded(t)
		if a.StatusCode != c.status || got["error"] != c.code || got["error_description"] == "" || got["request_id"] != a.Header.Get("X-Request-Id") {
			t.Errorf("%s: got %d %s", name, a.StatusCode, a.text)
		}
		if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", name, a.Header)
		}
		if (a.Header.Get("WWW-Authenticate") != "") != (c.status == 401) || (a.Header.Get("Allow") == "POST") != (c.status == 405) {
			t.Errorf("%s: %v", name, a.Header)
		}
	}
}

func TestABoundTokenIsNoBearerToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	prover, err := dpop.NewProver(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	prove := func(method, path, token string) string {
		proof, err := prover.Prove(method, s.url+path, token)
		if err != nil {
			t.Fatal(err)
		}
		return proof
	}
	r := b.request(http.MethodPost, "/oauth2/token", redemption(t, b.approve(ask())))
	r.Header.Set("DPoP", prove(http.MethodPost, "/oauth2/token", ""))
	got := b.send(r).decoded(t)
	token, _ := got["access_token"].(string)
	if got["token_type"] != "DPoP" || token == "" {
		t.Fatalf("got %v", got)
	}
	for name, c := range map[string]struct {
		scheme, proof string
		status        int
	}{
		"DPoP with its proof":      {"DPoP", prove(http.MethodGet, "/me", token), http.StatusOK},
		"DPoP without a proof":     {"DPoP", "", http.StatusUnauthorized},
		"Bearer with its proof":    {"Bearer", prove(http.MethodGet, "/me", token), http.StatusUnauthorized},
		"Bearer":                   {"Bearer", "", http.StatusUnauthorized},
		"DPoP for another address": {"DPoP", prove(http.MethodGet, "/you", token), http.StatusUnauthorized},
	} {
		r := b.request(http.MethodGet, "/me", nil)
		r.Header.Set("Authorization", c.scheme+" "+token)
		if c.proof != "" {
			r.Header.Set("DPoP", c.proof)
		}
		if a := b.send(r); a.StatusCode != c.status {
			t.Errorf("%s: got %d %s", name, a.StatusCode, a.text)
		}
	}
}

func TestRevocationAnswersAndEndsTheTokens(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	got := b.post("/oauth2/token", redemption(t, b.approve(ask()))).decoded(t)
	refresh, _ := got["refresh_token"].(string)
	a := b.post("/oauth2/revoke", url.Values{"client_id": {"rolecall-cli"}, "token": {refresh}})
	if a.StatusCode != http.StatusOK || a.text != "" || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %q %v", a.StatusCode, a.text, a.Header)
	}
	a = b.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"rolecall-cli"}, "refresh_token": {refresh}})
	if a.StatusCode != http.StatusBadRequest || a.decoded(t)["error"] != "invalid_grant" {
		t.Errorf("got %d %s", a.StatusCode, a.text)
	}
}

func TestASignOutEndsTheCommandLineToo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	got := b.post("/oauth2/token", redemption(t, b.approve(ask()))).decoded(t)
	token, _ := got["access_token"].(string)
	r := b.request(http.MethodGet, "/me", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	if a := b.send(r); a.StatusCode != http.StatusOK {
		t.Fatalf("got %d", a.StatusCode)
	}
	if err := s.sessions.End(t.Context(), s.events[len(s.events)-1].Session); err != nil {
		t.Fatal(err)
	}
	if a := b.send(r.Clone(t.Context())); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d", a.StatusCode)
	}
}

func TestDiscoveryAndKeysMayBeKeptForAWhile(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	openid, server := b.get("/.well-known/openid-configuration"), b.get("/.well-known/oauth-authorization-server")
	if openid.text != server.text || openid.decoded(t)["issuer"] != s.url {
		t.Errorf("got %s and %s", openid.text, server.text)
	}
	keys := b.get("/.well-known/jwks.json")
	for _, a := range []answer{openid, server, keys} {
		if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("got %d %v", a.StatusCode, a.Header)
		}
	}
	if set, _ := keys.decoded(t)["keys"].([]any); len(set) != 1 || strings.Contains(keys.text, `"d"`) {
		t.Errorf("got %s", keys.text)
	}
}
