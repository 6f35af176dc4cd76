package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// proofFor runs `rolecall dpop`.
func proofFor(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	tool := &tool{getenv: func(string) string { return "" }, environ: os.Environ, stdin: strings.NewReader(""), stdout: &out, stderr: io.Discard, now: time.Now}
	err := tool.root(append([]string{"dpop"}, args...)).ExecuteContext(t.Context())
	return strings.TrimSpace(out.String()), err
}

func send(t *testing.T, ctx context.Context, method, address, token, proof, body string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("DPoP", proof)
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "DPoP "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// What `rolecalld dev` prints to try works: two proofs, and credentials.
func TestProofsForCurlAreTaken(t *testing.T) {
	t.Parallel()
	dev := startDev(t)
	key := filepath.Join(t.TempDir(), "phone.pem")
	devices, credentials := dev.URL+"/tvm/v1/devices", dev.URL+"/tvm/v1/credentials"
	proof, err := proofFor(t, "--key", key, "POST", devices)
	if err != nil {
		t.Fatal(err)
	}
	status, device := send(t, t.Context(), "POST", devices, "", proof, `{"app":"notes"}`)
	if status != 201 {
		t.Fatalf("%d %v", status, device)
	}
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v %v", info, err)
	}
	token, _ := device["access_token"].(string)
	if proof, err = proofFor(t, "--key", key, "--token", token, "post", credentials); err != nil {
		t.Fatal(err)
	}
	if status, got := send(t, t.Context(), "POST", credentials, token, proof, `{}`); status != 200 || got["Version"] != 1.0 {
		t.Errorf("%d %v", status, got)
	}
	if proof, err = proofFor(t, "--key", key, "POST", devices); err != nil {
		t.Fatal(err)
	}
	if status, again := send(t, t.Context(), "POST", devices, "", proof, `{"app":"notes"}`); status != 200 || again["device_id"] != device["device_id"] {
		t.Errorf("the same key: %d %v", status, again)
	}
}

func TestWhatIsNoProofForCurl(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := filepath.Join(dir, "other.pem")
	if err := os.WriteFile(other, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, args := range map[string][]string{
		"no key":           {"--nonce", "n", "POST", "http://127.0.0.1:1/"},
		"a file of others": {"--nonce", "n", "--key", other, "POST", "http://127.0.0.1:1/"},
		"no address":       {"--nonce", "n", "--key", filepath.Join(dir, "a.pem"), "POST", "here"},
		"no URL":           {"--nonce", "n", "--key", filepath.Join(dir, "a.pem"), "POST"},
		"nobody there":     {"--key", filepath.Join(dir, "a.pem"), "POST", "http://127.0.0.1:1/tvm/v1/devices"},
	} {
		if out, err := proofFor(t, args...); err == nil || out != "" {
			t.Errorf("%s: %q, %v", what, out, err)
		}
	}
}
