package token_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
)

// peerFolder holds openid-client's recipe.
const peerFolder = "../../../testdata/peers/openid-client"

func TestXOAuth2AndGoOIDCSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	provider, err := oidc.NewProvider(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	client := oauth2.Config{
		ClientID: "rolecall-cli", Endpoint: provider.Endpoint(), RedirectURL: redirectURI, Scopes: []string{oidc.ScopeOpenID, oidc.ScopeOfflineAccess},
	}
	verifier := oauth2.GenerateVerifier()
	back, err := url.Parse(s.browser(t).approve(client.AuthCodeURL("state-1", oidc.Nonce("nonce-1"), oauth2.S256ChallengeOption(verifier))))
	if err != nil {
		t.Fatal(err)
	}
	if back.Query().Get("state") != "state-1" || back.Query().Get("iss") != s.url {
		t.Errorf("came back with %v", back.Query())
	}
	tokens, err := client.Exchange(t.Context(), back.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if tokens.Type() != "Bearer" || tokens.RefreshToken == "" || time.Until(tokens.Expiry) > 10*time.Minute || time.Until(tokens.Expiry) < 9*time.Minute {
		t.Errorf("got type %s, expiry %s", tokens.Type(), tokens.Expiry)
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := provider.VerifierContext(t.Context(), &oidc.Config{ClientID: "rolecall-cli"}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(tokens.AccessToken); err != nil || id.Nonce != "nonce-1" || id.Subject != "corp=alice-id" {
		t.Errorf("ID token %+v: %v", id, err)
	}
	callMe(t, s, client.Client(t.Context(), tokens))

	tokens.Expiry = time.Now().Add(-time.Minute) // the client refreshes by itself
	source := client.TokenSource(t.Context(), tokens)
	next, err := source.Token()
	if err != nil || next.RefreshToken == tokens.RefreshToken || next.AccessToken == tokens.AccessToken {
		t.Fatalf("refresh: %v", err)
	}
	callMe(t, s, client.Client(t.Context(), next))
	_, err = client.TokenSource(t.Context(), tokens).Token()
	if refused, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || refused.ErrorCode != "invalid_grant" {
		t.Errorf("a spent refresh token: %v", err)
	}
	if _, err = client.TokenSource(t.Context(), &oauth2.Token{RefreshToken: next.RefreshToken}).Token(); err == nil {
		t.Error("the family outlived the second use of a refresh token")
	}
}

func TestXOAuth2IsRefusedWithoutThePKCEVerifier(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := oauth2.Config{ClientID: "rolecall-cli", RedirectURL: redirectURI, Endpoint: oauth2.Endpoint{AuthURL: s.url + "/oauth2/authorize", TokenURL: s.url + "/oauth2/token"}}
	back, err := url.Parse(s.browser(t).approve(client.AuthCodeURL("state-1", oauth2.S256ChallengeOption(oauth2.GenerateVerifier()))))
	if err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]oauth2.AuthCodeOption{nil, {oauth2.VerifierOption(oauth2.GenerateVerifier())}} {
		_, err := client.Exchange(t.Context(), back.Query().Get("code"), options...)
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); !ok || refused.ErrorCode == "" || refused.ErrorDescription == "" {
			t.Errorf("got %v", err)
		}
	}
}

func callMe(t *testing.T, s *site, client *http.Client) {
	t.Helper()
	response, err := client.Get(s.url + "/me")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var identity struct{ Username string }
	if err := json.NewDecoder(response.Body).Decode(&identity); err != nil || response.StatusCode != http.StatusOK || identity.Username != "alice" {
		t.Errorf("got %d %+v: %v", response.StatusCode, identity, err)
	}
}

// login is what login.mjs prints of one sign-in.
type login struct {
	Type, Refreshed, Spent string
	Dead                   any
	Claims                 struct{ Iss, Sub, Aud, Nonce string }
	Identity               struct{ Username string }
}

func TestOpenIDClientSignsInWithBearerAndDPoP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	output := runPeer(t, s.url, s.url+"/me")
	var got struct{ Bearer, Bound, RSA login }
	if err := json.Unmarshal(output, &got); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	for name, c := range map[string]struct {
		kind string
		got  login
	}{"bearer": {"bearer", got.Bearer}, "DPoP ES256": {"dpop", got.Bound}, "DPoP RS256": {"dpop", got.RSA}} {
		want := login{Type: c.kind, Refreshed: c.kind, Spent: "invalid_grant", Dead: float64(http.StatusUnauthorized)}
		want.Claims.Iss, want.Claims.Aud, want.Claims.Sub, want.Claims.Nonce = s.url, "rolecall-cli", "corp=alice-id", c.got.Claims.Nonce
		want.Identity.Username = "alice"
		if diff := cmp.Diff(want, c.got); diff != "" || c.got.Claims.Nonce == "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// runPeer installs openid-client in a temporary folder and runs login.mjs there.
func runPeer(t *testing.T, arguments ...string) []byte {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is needed to run openid-client against the authorization server: install Node.js 20 or newer with npm (%v)", program, err)
		}
	}
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "login.mjs"} {
		text, err := os.ReadFile(filepath.Join(peerFolder, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = folder
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci of openid-client: %v\n%s", err, output)
	}
	run := exec.CommandContext(t.Context(), "node", append([]string{"login.mjs"}, arguments...)...)
	run.Dir = folder
	output, err := run.Output()
	if err != nil {
		failed, _ := errors.AsType[*exec.ExitError](err)
		t.Fatalf("openid-client: %v\n%s%s", err, output, failed.Stderr)
	}
	return output
}
