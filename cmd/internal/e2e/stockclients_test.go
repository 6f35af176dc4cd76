package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// callback is a native program's listener on loopback (RFC 8252 section 7.3): the
// first answer that comes, as the browser brings it.
func callback(t *testing.T) (address string, answers chan url.Values) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answers = make(chan url.Values, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/callback" {
			answers <- r.URL.Query()
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + l.Addr().String() + "/callback", answers
}

// A stock client signs in by code and PKCE on a loopback port, calls the API,
// refreshes, and loses everything by a refresh token that is used twice.
func TestAStockClientSignsInByCodeAndRefreshes(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	redirect, answers := callback(t)
	client := oauth2.Config{
		ClientID: "rolecall-cli", RedirectURL: redirect, Scopes: []string{"openid", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: w.URL + "/oauth2/authorize", TokenURL: w.URL + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier := oauth2.GenerateVerifier()
	// The browser signs in and presses the first button of each form: also that of consent.
	b := signedInFor(t, w, client.AuthCodeURL("state-1", oauth2.S256ChallengeOption(verifier)), "alice")
	var answer url.Values
	select {
	case answer = <-answers:
	case <-time.After(10 * time.Second):
		t.Fatalf("the browser brought nothing; it is at %s:\n%.1500s", b.Page.URL, b.Page.Text)
	}
	if answer.Get("state") != "state-1" || answer.Get("iss") != w.URL || answer.Get("error") != "" {
		t.Fatalf("the answer is %v", answer)
	}
	if _, err := client.Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier())); code(err) != "invalid_grant" {
		t.Errorf("the code with another verifier: %v", err)
	}
	if _, err := client.Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier)); code(err) != "invalid_grant" {
		t.Errorf("a code that was tried with a wrong verifier is spent: %v", err)
	}

	token := codeAgain(t, &client, b, answers)
	status := func(token *oauth2.Token) int {
		resp, err := oauth2.NewClient(t.Context(), oauth2.StaticTokenSource(token)).Get(w.URL + "/api/v1/roles")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := status(token); got != http.StatusOK {
		t.Errorf("the API answers %d", got)
	}
	old := *token
	old.Expiry = time.Now().Add(-time.Hour)
	fresh, err := client.TokenSource(t.Context(), &old).Token()
	if err != nil || fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken || fresh.RefreshToken == "" {
		t.Fatalf("refresh: %+v, %v", fresh, err)
	}
	if got := status(fresh); got != http.StatusOK {
		t.Errorf("after the refresh the API answers %d", got)
	}
	if _, err := client.TokenSource(t.Context(), &old).Token(); code(err) != "invalid_grant" {
		t.Errorf("a refresh token used twice: %v", err)
	}
	if got := status(fresh); got != http.StatusUnauthorized {
		t.Errorf("after the reuse the newest access token is answered with %d", got)
	}
	fresh.Expiry = old.Expiry
	if _, err := client.TokenSource(t.Context(), fresh).Token(); code(err) != "invalid_grant" {
		t.Errorf("after the reuse the newest refresh token: %v", err)
	}
}

// codeAgain is a second sign-in of the same browser: consent was given already.
func codeAgain(t *testing.T, client *oauth2.Config, b *scripted.Browser, answers chan url.Values) *oauth2.Token {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	if err := b.Get(client.AuthCodeURL("state-2", oauth2.S256ChallengeOption(verifier))); err != nil {
		t.Fatal(err)
	}
	select {
	case answer := <-answers:
		token, err := client.Exchange(t.Context(), answer.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil || token.RefreshToken == "" || token.TokenType != "Bearer" {
			t.Fatalf("%+v, %v", token, err)
		}
		return token
	case <-time.After(10 * time.Second):
		t.Fatalf("no answer; the browser is at %s:\n%.1500s", b.Page.URL, b.Page.Text)
		return nil
	}
}

// code is the OAuth error of a refusal.
func code(err error) string {
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok {
		return refused.ErrorCode
	}
	return ""
}

// openid-client (npm, certified) connects as a device, with its tokens bound to a key.
func TestOpenIDClientConnectsAsADeviceWithDPoP(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, "node", "device.mjs", w.URL, w.URL+"/api/v1/identity")
	run.Dir, run.Stderr = openIDClient(t, ctx), os.Stderr
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Start(); err != nil {
		t.Fatalf("openid-client needs node: %v", err)
	}
	lines := bufio.NewScanner(out)
	read := func(into any) {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("openid-client said nothing: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), into); err != nil {
			t.Fatalf("%v: %s", err, lines.Bytes())
		}
	}
	var asked struct {
		UserCode string `json:"user_code"`
		Complete string
	}
	read(&asked)
	b := signedInFor(t, w, asked.Complete, "alice")
	for range 2 { // the code, then the answer
		if err := b.Submit(formWith(t, b.Page, "/device"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if !strings.Contains(b.Page.Text, "connected") {
		t.Fatalf("at %s:\n%.1500s", b.Page.URL, b.Page.Text)
	}
	var got struct {
		Type, Sub, Refreshed, Foreign, Error string
		Stolen                               int
		Identity                             struct{ Username string }
	}
	read(&got)
	if err := run.Wait(); err != nil {
		t.Error(err)
	}
	if got.Error != "" || got.Type != "dpop" || got.Refreshed != "dpop" || got.Identity.Username != "alice" || !strings.HasPrefix(got.Sub, w.OIDCProvider+"=") {
		t.Errorf("%+v", got)
	}
	if got.Stolen != http.StatusUnauthorized || got.Foreign != "invalid_dpop_proof" {
		t.Errorf("without the key: the access token %d, the refresh token %q", got.Stolen, got.Foreign)
	}
}

// openIDClient installs the peer in a folder of its own.
func openIDClient(t *testing.T, ctx context.Context) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "device.mjs"} {
		text, err := os.ReadFile(filepath.Join("..", "..", "..", "testdata", "peers", "openid-client", name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(folder, name), string(text))
	}
	install := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = folder
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci of openid-client: %v\n%s", err, output)
	}
	return folder
}
