package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const inspectConfig = `
server: {url: "https://sso.example.com", listen: "127.0.0.1:8443"}
providers: [{name: corp, type: saml, metadata_file: idp.xml, groups: {attribute: groups}}]
accounts: [{id: "111122223333", name: production}]
grants: [{name: admin, groups: [platform], role: production/Admin}]
`

// inspecting is a command line that judges a document as the corpus demands.
func inspecting(t *testing.T, document string, more ...string) (code int, out map[string]any, stderr string) {
	t.Helper()
	dir := t.TempDir()
	metadata, err := os.ReadFile("../../testdata/saml/metadata/idp.xml")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"idp.xml": string(metadata), "rolecall.yaml": inspectConfig} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var stdout, said bytes.Buffer
	d := &daemon{getenv: os.LookupEnv, stdin: strings.NewReader(document), stdout: &stdout, stderr: &said, now: time.Now}
	args := append([]string{"saml", "inspect", "--config", filepath.Join(dir, "rolecall.yaml"), "--provider", "corp", "--at", "2026-11-24T10:00:00Z", "-"}, more...)
	code = d.run(t.Context(), args)
	if stdout.Len() > 0 {
		if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
			t.Fatalf("stdout is not JSON: %v in %s", err, stdout.String())
		}
	}
	return code, out, said.String()
}

func TestEachDocumentOfTheCorpusIsInspectedAsItsNameSays(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("../../testdata/saml/*/*.xml")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d documents: %v", len(paths), err)
	}
	for _, path := range paths {
		folder := filepath.Base(filepath.Dir(path))
		if folder == "metadata" { // no documents of the standard case
			continue
		}
		document, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code, out, stderr := inspecting(t, string(document), "--request-id", "_request-1", "--json")
		reason, word := out["reason"], strings.TrimSuffix(filepath.Base(path), ".xml")
		_, known := out["identity"]
		_, steps := out["steps"].([]any)
		switch {
		case stderr != "" || !steps:
			t.Errorf("%s: stderr %q, steps %v", path, stderr, out["steps"])
		case folder == "accepted" && (code != 0 || reason != nil || !known):
			t.Errorf("%s: exit code %d, reason %v", path, code, reason)
		case folder == "weak" && (code != 1 || reason != word || !known):
			t.Errorf("%s: exit code %d, reason %v, identity there %t", path, code, reason, known)
		case folder == "refused" && (code != 1 || reason != word || known):
			t.Errorf("%s: exit code %d, reason %v, identity there %t", path, code, reason, known)
		}
	}
}

func TestADocumentCannotWriteToTheTerminalOfWhoInspectsIt(t *testing.T) {
	t.Parallel()
	evil := `<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_1" Version="&#x9b;31m&#x202e;2.0" IssueInstant="x"/>`
	code, out, stderr := inspecting(t, evil)
	if code != 1 || out["reason"] != "version" || strings.ContainsAny(stderr, "\u009b\u202e") {
		t.Errorf("exit code %d, %v, stderr %q", code, out["reason"], stderr)
	}
}

func TestADocumentThatNoResponseCouldBeIsWrongUsage(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]string{"nothing": " \n", "far too much": strings.Repeat("x", maxDocument+1)} {
		if code, out, stderr := inspecting(t, document); code != 2 || out != nil || stderr == "" {
			t.Errorf("%s: exit code %d, %v, stderr %q", name, code, out, stderr)
		}
	}
	if code, out, _ := inspecting(t, strings.Repeat("A", 500<<10)); code != 1 || out["reason"] != "too-large" {
		t.Errorf("half a megabyte: exit code %d, %v", code, out)
	}
}
