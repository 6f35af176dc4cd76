package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/idp/idptest"
)

// inspectToken judges a token by the command line, with the OP's keys as a file.
func inspectToken(t *testing.T, op *idptest.OP, token string, more ...string) (code int, out map[string]any, stderr string) {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`
server: {url: "https://sso.example.com", listen: "127.0.0.1:8443"}
providers:
  - {name: staff, type: oidc, issuer: %q, client_id: rolecall, allow_private: true, audiences: [ci], groups: {claim: groups}}
  - {name: corp, type: saml, metadata_url: "https://idp.example.com/metadata", subject: {attribute: uid}}
`, op.Claims()["iss"])
	if err := os.WriteFile(filepath.Join(dir, "rolecall.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, said bytes.Buffer
	d := &daemon{getenv: os.LookupEnv, stdin: strings.NewReader(token), stdout: &stdout, stderr: &said, now: time.Now}
	code = d.run(t.Context(), append([]string{"oidc", "inspect", "--config", filepath.Join(dir, "rolecall.yaml"), "-"}, more...))
	if stdout.Len() > 0 {
		if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
			t.Fatalf("stdout is not JSON: %v in %s", err, stdout.String())
		}
	}
	return code, out, said.String()
}

func TestATokenIsInspectedAsSignInAndExchangeJudgeIt(t *testing.T) {
	t.Parallel()
	op := idptest.StartOP(t, time.Now)
	key := idptest.NewOPKey(t, jose.ES256)
	op.SetKeys(key)
	with := func(change map[string]any) string {
		claims := op.Claims()
		claims["aud"] = "rolecall"
		delete(claims, "azp")
		for name, value := range change {
			claims[name] = value
		}
		return op.Sign(key, claims, nil)
	}
	for name, test := range map[string]struct {
		token  string
		more   []string
		code   int
		reason any
	}{
		"a good token, as at exchange":          {with(nil), nil, 0, nil},
		"a further audience":                    {with(map[string]any{"aud": "ci"}), nil, 0, nil},
		"as at sign-in":                         {with(map[string]any{"nonce": "n-1"}), []string{"--nonce", "n-1"}, 0, nil},
		"a further audience at sign-in":         {with(map[string]any{"aud": "ci", "nonce": "n-1"}), []string{"--nonce", "n-1"}, 1, "audience"},
		"another nonce":                         {with(map[string]any{"nonce": "n-1"}), []string{"--nonce", "n-2"}, 1, "nonce"},
		"another audience":                      {with(map[string]any{"aud": "somebody"}), nil, 1, "audience"},
		"another issuer":                        {with(map[string]any{"iss": "https://evil.example.com"}), nil, 1, "issuer"},
		"too late":                              {with(nil), []string{"--at", time.Now().Add(48 * time.Hour).Format(time.RFC3339)}, 1, "expired"},
		"no token":                              {"hello", nil, 1, "malformed"},
		"a changed signature":                   {with(nil)[:40] + "A" + with(nil)[41:], nil, 1, nil},
		"a time that is none":                   {with(nil), []string{"--at", "yesterday"}, 2, nil},
		"a provider of another type":            {with(nil), []string{"--provider", "corp"}, 2, nil},
		"a provider that there is not":          {with(nil), []string{"--provider", "nobody"}, 2, nil},
		"an empty document":                     {" \n", nil, 2, nil},
		"a token with blanks around it":         {"\n" + with(nil) + "\n", nil, 0, nil},
		"a lifetime that is far too long":       {with(map[string]any{"exp": time.Now().Add(100 * time.Hour).Unix()}), nil, 1, "lifetime"},
		"a logout token instead of an ID token": {with(map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}}), nil, 1, "typ"},
	} {
		more := append([]string{"--provider", "staff"}, test.more...)
		code, out, stderr := inspectToken(t, op, test.token, more...)
		if code != test.code || test.reason != nil && out["reason"] != test.reason {
			t.Errorf("%s: exit %d %v, want %d %v\n%s", name, code, out["reason"], test.code, test.reason, stderr)
		}
		switch identity := out["identity"]; {
		case code == 0 && (identity == nil || out["steps"] == nil || out["reason"] != nil):
			t.Errorf("%s: %v", name, out)
		case code == 1 && (identity != nil || out["detail"] == "" || out["findings"] == nil):
			t.Errorf("%s: %v", name, out)
		case code == 2 && out != nil:
			t.Errorf("%s: wrong usage printed %v", name, out)
		}
		if stderr == "" {
			t.Errorf("%s: nothing for people", name)
		}
	}
	if _, _, stderr := inspectToken(t, op, with(nil), "--provider", "staff", "--json"); stderr != "" {
		t.Errorf("--json also said %s", stderr)
	}
}
