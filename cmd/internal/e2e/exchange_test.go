package e2e

import (
	"bytes"
	"encoding/json"
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

const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	idTokenType     = "urn:ietf:params:oauth:token-type:id_token"
	credentialsType = "urn:rolecall:params:oauth:token-type:aws-credentials"
)

// idToken is an ID token of somebody by a sign-in at dev's provider that the
// broker knows nothing of: its callback refuses the answer and leaves the code.
func idToken(t testing.TB, w world, name string) string {
	t.Helper()
	op := issuerOf(t, w)
	client := oauth2.Config{
		ClientID: "rolecall", RedirectURL: w.URL + "/oidc/" + w.OIDCProvider + "/callback", Scopes: []string{"openid", "profile"},
		Endpoint: oauth2.Endpoint{AuthURL: op.Authorize, TokenURL: op.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
	verifier := oauth2.GenerateVerifier()
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SignIn(client.AuthCodeURL("a-state", oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("nonce", "n")), "", w.person(t, name)); err != nil {
		t.Fatal(err)
	}
	token, err := client.Exchange(t.Context(), b.Page.URL.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatalf("at %s: %v", b.Page.URL, err)
	}
	raw, _ := token.Extra("id_token").(string)
	return raw
}

type opMetadata struct {
	Issuer    string `json:"issuer"`
	Authorize string `json:"authorization_endpoint"`
	Token     string `json:"token_endpoint"`
}

// issuerOf finds dev's OpenID Connect provider by where the broker sends people.
func issuerOf(t testing.TB, w world) opMetadata {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(w.URL + "/oidc/" + w.OIDCProvider + "/login")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		t.Fatal(err)
	}
	var found opMetadata
	getJSON(t, to.Scheme+"://"+to.Host+"/oidc/.well-known/openid-configuration", &found)
	return found
}

func getJSON(t testing.TB, address string, into any) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// exchanged posts a token exchange.
func exchanged(t testing.TB, w world, form url.Values) (status int, answer map[string]any) {
	t.Helper()
	whole := url.Values{"grant_type": {exchangeGrant}, "subject_token_type": {idTokenType}, "requested_token_type": {credentialsType}}
	for name, values := range form {
		whole[name] = values
	}
	resp, err := http.PostForm(w.URL+"/oauth2/token", whole)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

func TestAnIDTokenBecomesCredentialsInOneRequest(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	token := idToken(t, w, "alice")
	status, answer := exchanged(t, w, url.Values{"subject_token": {token}, "resource": {"production/Admin"}, "duration": {"900"}})
	if status != http.StatusOK || answer["token_type"] != "N_A" || answer["issued_token_type"] != credentialsType {
		t.Fatalf("%d %v", status, answer)
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(answer["access_token"].(string)), &document); err != nil || document["AccountId"] != "111122223333" {
		t.Errorf("%v: %v", document, err)
	}
	if left := answer["expires_in"].(float64); left < 800 || left > 900 {
		t.Errorf("expires_in %v", left)
	}
	for name, c := range map[string]struct {
		form   url.Values
		status int
		code   string
	}{
		"a role of nobody here":     {url.Values{"resource": {"production/Nothing"}}, 400, "invalid_target"},
		"no role where several are": {url.Values{}, 400, "invalid_request"},
		"too long":                  {url.Values{"resource": {"production/Admin"}, "duration": {"40h"}}, 400, "invalid_request"},
		"an unknown audience":       {url.Values{"resource": {"production/Admin"}, "audience": {"https://evil.example.com"}}, 400, "invalid_target"},
		"a changed token":           {url.Values{"resource": {"production/Admin"}, "subject_token": {changed(token)}}, 400, "invalid_grant"},
		"an oversized token":        {url.Values{"resource": {"production/Admin"}, "subject_token": {token + strings.Repeat("A", 20<<10)}}, 413, "too_large"},
		"the token as an assertion": {url.Values{"resource": {"production/Admin"}, "subject_token_type": {"urn:ietf:params:oauth:token-type:saml2"}}, 400, "invalid_request"},
	} {
		if !c.form.Has("subject_token") {
			c.form.Set("subject_token", token)
		}
		if status, answer := exchanged(t, w, c.form); status != c.status || answer["error"] != c.code || answer["access_token"] != nil {
			t.Errorf("%s: %d %v, want %d %s", name, status, answer, c.status, c.code)
		}
	}
	record := readAudit(t, w)
	if strings.Contains(record, token) || !strings.Contains(record, `"via":"exchange"`) {
		t.Error("the record holds the token, or does not say how it came")
	}
}

// changed turns one bit of a token's payload.
func changed(token string) string {
	b := []byte(token)
	at := bytes.IndexByte(b, '.') + 40
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}

func TestAnIDTokenBecomesAnAccessTokenOfOurs(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	status, answer := exchanged(t, w, url.Values{"subject_token": {idToken(t, w, "bob")}, "requested_token_type": {""}})
	if status != http.StatusOK || answer["token_type"] != "Bearer" {
		t.Fatalf("%d %v", status, answer)
	}
	ours, _ := answer["access_token"].(string)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/api/v1/identity", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+ours)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var who struct{ Username string }
	if err := json.NewDecoder(resp.Body).Decode(&who); err != nil || who.Username != "bob" && !strings.Contains(who.Username, "bob") {
		t.Errorf("%d %+v %v", resp.StatusCode, who, err)
	}
	if status, answer := exchanged(t, w, url.Values{"subject_token": {ours}}); status != http.StatusBadRequest || answer["error"] != "invalid_grant" {
		t.Errorf("a token of our own as subject: %d %v", status, answer)
	}
}

func TestAStockClientSignsInAsADevice(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	var metadata struct {
		Device string `json:"device_authorization_endpoint"`
		Token  string `json:"token_endpoint"`
	}
	getJSON(t, w.URL+"/.well-known/openid-configuration", &metadata)
	client := oauth2.Config{ClientID: "rolecall-cli", Scopes: []string{"openid", "offline_access"}, Endpoint: oauth2.Endpoint{
		DeviceAuthURL: metadata.Device, TokenURL: metadata.Token, AuthStyle: oauth2.AuthStyleInParams,
	}}
	started, err := client.DeviceAuth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := signedInFor(t, w, started.VerificationURIComplete, "alice")
	form := formWith(t, b.Page, "/device")
	if form.Values.Get("user_code") != started.UserCode || form.Values.Has("decision") {
		t.Fatalf("the complete address fills in and no more: %v", form.Values)
	}
	if err := b.Submit(form, nil); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{started.UserCode, "rolecall CLI", "127.0.0.1", "your 3 roles", "alice"} {
		if !strings.Contains(b.Page.Text, text) {
			t.Errorf("the question does not say %q:\n%.3000s", text, b.Page.Text)
		}
	}
	if err := b.Submit(formWith(t, b.Page, "/device"), nil); err != nil {
		t.Fatal(err)
	}
	started.Interval = 1
	token, err := client.DeviceAccessToken(t.Context(), started)
	if err != nil || token.RefreshToken == "" {
		t.Fatalf("%v at %d:\n%.2000s", err, b.Page.Status, b.Page.Text)
	}
	resp, err := client.Client(t.Context(), token).Get(w.URL + "/api/v1/roles")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var roles struct{ Roles []map[string]any }
	if err := json.NewDecoder(resp.Body).Decode(&roles); err != nil || len(roles.Roles) != 3 {
		t.Errorf("%d %+v %v", resp.StatusCode, roles, err)
	}
}

// signedInFor opens an address of ours and signs in where it says so.
func signedInFor(t testing.TB, w world, address, name string) *scripted.Browser {
	t.Helper()
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SignIn(address, w.OIDCProvider, w.person(t, name)); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusOK {
		t.Fatalf("%d at %s:\n%.2000s", b.Page.Status, b.Page.URL, b.Page.Text)
	}
	return b
}

func TestOIDCInspectAcceptsWhatExchangeAccepts(t *testing.T) {
	t.Parallel()
	w := startWorld(t)
	token := idToken(t, w, "alice")
	config := filepath.Join(t.TempDir(), "rolecall.yaml")
	text := `{"server": {"url": "` + w.URL + `"}, "providers": [{"name": "staff", "type": "oidc", "issuer": "` + issuerOf(t, w).Issuer +
		`", "client_id": "rolecall", "allow_private": true, "groups": {"claim": "groups"}}]}`
	writeFile(t, config, text)
	for at, code := range map[time.Duration]int{0: 0, 48 * time.Hour: 1} {
		cmd := exec.Command(filepath.Join(bin, "rolecalld"), "oidc", "inspect", "--config", config, "--provider", "staff", "--json",
			"--at", time.Now().Add(at).UTC().Format(time.RFC3339), "-")
		cmd.Stdin = strings.NewReader(token)
		out, err := cmd.Output()
		if cmd.ProcessState.ExitCode() != code || !json.Valid(out) {
			t.Errorf("in %s: exit %d, %s, %v", at, cmd.ProcessState.ExitCode(), out, err)
		}
	}
}

func writeFile(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
