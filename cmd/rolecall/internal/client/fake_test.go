package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
	"github.com/rolecall/rolecall/idp/dpop"
)

// fakeBroker is a broker on loopback as far as the client speaks to it. It
// demands a right DPoP proof of the same key everywhere, and refresh tokens work
// once: a second use ends the sign-in, as a real broker does it.
type fakeBroker struct {
	*httptest.Server
	t        *testing.T
	mu       sync.Mutex
	document map[string]any // the metadata, to spoil
	life     time.Duration  // of access tokens
	key      string         // thumbprint that the tokens are bound to
	refresh  string         // the one refresh token that works
	turns    int            // how often it was rotated
	revoked  []string
	answer   func(w http.ResponseWriter, r *http.Request) // of the API, "" is an identity
	ahead    time.Duration                                // of its clock
	pending  int                                          // polls of the device flow before it is approved
}

func newFakeBroker(t *testing.T) *fakeBroker {
	t.Helper()
	f := &fakeBroker{t: t, life: 10 * time.Minute}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) { f.json(w, 200, f.document) })
	mux.HandleFunc("POST /oauth2/token", f.token)
	mux.HandleFunc("POST /oauth2/revoke", func(_ http.ResponseWriter, r *http.Request) { f.revoked = append(f.revoked, r.PostFormValue("token")) })
	mux.HandleFunc("POST /oauth2/device", func(w http.ResponseWriter, _ *http.Request) {
		f.json(w, 200, map[string]any{"device_code": "dc", "user_code": "BCDF-GHJK", "verification_uri": f.URL + "/device", "expires_in": 60, "interval": 1})
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
	})
	mux.HandleFunc("/api/v1/", f.api)
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	f.document = map[string]any{
		"issuer": f.URL, "authorization_endpoint": f.URL + "/oauth2/authorize", "token_endpoint": f.URL + "/oauth2/token",
		"revocation_endpoint": f.URL + "/oauth2/revoke",
	}
	return f
}

func (f *fakeBroker) json(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		f.t.Error(err)
	}
}

func (f *fakeBroker) proof(r *http.Request, token string) string {
	p, err := dpop.Verify(r.Header.Get("DPoP"), dpop.Want{Method: r.Method, URL: f.URL + r.URL.Path, AccessToken: token, Now: time.Now()})
	if err != nil {
		f.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return p.Thumbprint
}

func (f *fakeBroker) token(w http.ResponseWriter, r *http.Request) {
	print := f.proof(r, "")
	f.mu.Lock()
	defer f.mu.Unlock()
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		if r.PostFormValue("code") != "the-code" || r.PostFormValue("code_verifier") == "" || r.PostFormValue("client_id") != "rolecall-cli" {
			f.json(w, 400, map[string]string{"error": "invalid_grant", "error_description": "the code is not valid"})
			return
		}
		f.key = print
	case "refresh_token":
		if r.PostFormValue("refresh_token") != f.refresh || print != f.key {
			f.refresh = "ended"
			f.json(w, 400, map[string]string{"error": "invalid_grant", "error_description": "the refresh token was used already"})
			return
		}
		f.turns++
	case "urn:ietf:params:oauth:grant-type:device_code":
		if f.pending--; f.pending >= 0 {
			f.json(w, 400, map[string]string{"error": "authorization_pending"})
			return
		}
		f.key = print
	}
	f.refresh = fmt.Sprintf("refresh-%d", f.turns)
	f.json(w, 200, map[string]any{
		"access_token": fmt.Sprintf("access-%d", f.turns), "token_type": "DPoP", "refresh_token": f.refresh, "expires_in": int(f.life.Seconds()),
	})
}

func (f *fakeBroker) api(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "DPoP ")
	if print := f.proof(r, token); print != f.key {
		f.t.Errorf("a proof of the key %s, want %s", print, f.key)
	}
	if f.answer != nil {
		f.answer(w, r)
		return
	}
	f.json(w, 200, map[string]any{"provider": "corp", "subject": "1", "username": "alice"})
}

// person is a profile of a person on a machine without a keyring.
func (f *fakeBroker) person(pairs ...string) *Client {
	return f.in(f.t.TempDir(), pairs...)
}

func (f *fakeBroker) in(dir string, pairs ...string) *Client {
	env := map[string]string{"ROLECALL_KEYRING": "file"}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return New(Config{
		Settings: settings.Settings{Dir: dir, Profile: "default", URL: f.URL},
		Getenv:   func(name string) string { return env[name] }, Stderr: io.Discard, Now: time.Now,
	})
}

// visit is a browser that comes back with an answer.
func visit(t *testing.T, address string, change func(url.Values)) {
	t.Helper()
	asked, err := url.Parse(address)
	if err != nil {
		t.Error(err)
		return
	}
	q := url.Values{"code": {"the-code"}, "state": {asked.Query().Get("state")}, "iss": {asked.Scheme + "://" + asked.Host}}
	if change != nil {
		change(q)
	}
	go func() {
		resp, err := http.Get(asked.Query().Get("redirect_uri") + "?" + q.Encode())
		if err != nil {
			t.Error(err)
			return
		}
		_ = resp.Body.Close()
	}()
}

func signIn(t *testing.T, c *Client) {
	t.Helper()
	if err := c.Login(context.Background(), false, func(address string) { visit(t, address, nil) }); err != nil {
		t.Fatal(err)
	}
}
