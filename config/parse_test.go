package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const server = "server: {url: https://sso.example.com, trusted_proxies: [10.0.0.0/8]}\n"

func none(string) (string, bool) { return "", false }

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("conf/rolecall.yaml", []byte(text), none)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// faultOf is the one fault of a text.
func faultOf(t *testing.T, data []byte) Fault {
	t.Helper()
	_, err := Parse("rolecall.yaml", data, none)
	faults, ok := errors.AsType[Faults](err)
	if !ok || len(faults) != 1 {
		t.Fatalf("want one fault, got %v", err)
	}
	return faults[0]
}

func TestBytesThatAreNoText(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		data []byte
		line int
		says string
	}{
		"an empty file":                  {nil, 1, "empty"},
		"white space only":               {[]byte(" \n\n\t\n"), 1, "empty"},
		"a byte order mark only":         {[]byte("\ufeff"), 1, "empty"},
		"UTF-16, little end first":       {[]byte{0xff, 0xfe, 's', 0}, 1, "UTF-16"},
		"UTF-16, big end first":          {[]byte{0xfe, 0xff, 0, 's'}, 1, "UTF-16"},
		"Latin-1 in the second line":     {[]byte(server + "audit: {file: caf\xe9}\n"), 2, "0xe9 is not UTF-8"},
		"a truncated character":          {[]byte(server + "# \xe2\x82"), 2, "is not UTF-8"},
		"an encoded surrogate":           {[]byte("a: \xed\xa0\x80\n"), 1, "is not UTF-8"},
		"NUL":                            {[]byte(server + "\n\x00"), 3, "control character 0x00"},
		"an escape sequence of terminal": {[]byte("\x1b[31m"), 1, "control character 0x1b"},
		"one byte over the limit":        {[]byte(server + strings.Repeat("#", maxFile+1-len(server))), 1, "larger than 4 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault := faultOf(t, test.data)
			if fault.Pos.Line != test.line || !strings.Contains(fault.Message, test.says) {
				t.Errorf("got %v; want line %d and %q", fault, test.line, test.says)
			}
		})
	}
}

func TestAFileOfExactlyTheLimitIsRead(t *testing.T) {
	t.Parallel()
	parse(t, server+strings.Repeat("#", maxFile-len(server)))
}

func TestByteOrderMarkAndCarriageReturnsAreRead(t *testing.T) {
	t.Parallel()
	c := parse(t, "\ufeff"+strings.ReplaceAll(server+"aws:\n  region: eu-west-1\n", "\n", "\r\n"))
	if c.AWS.Region != "eu-west-1" {
		t.Errorf("region %q", c.AWS.Region)
	}
}

// The parser recurses; a file that nests without end must not end the process.
func TestNestingIsBounded(t *testing.T) {
	t.Parallel()
	keys := &strings.Builder{}
	for range maxKeys + 2 {
		keys.WriteString("k: v\n")
	}
	deep := &strings.Builder{}
	for i := range maxDepth + 2 {
		deep.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	for name, text := range map[string]string{
		"lists in a line":    strings.Repeat("[", 100_000),
		"mappings in a line": strings.Repeat("{a: ", 50_000),
		"entries in a line":  strings.Repeat("- ", 50_000),
		"indented mappings":  deep.String(),
		"keys in a mapping":  keys.String(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fault := faultOf(t, []byte(text))
			if !strings.HasPrefix(fault.Message, "more than ") {
				t.Errorf("got %v", fault)
			}
		})
	}
}

func TestManyEntriesAreNotDepth(t *testing.T) {
	t.Parallel()
	b := &strings.Builder{}
	b.WriteString(server + "grants:\n")
	for i := range maxKeys + 100 {
		b.WriteString("- name: g" + strings.Repeat("x", i%7) + string(rune('a'+i%26)) + time.Duration(i).String() + "\n  everyone: true\n  role: production/Admin\n")
	}
	if c := parse(t, b.String()); len(c.Grants) != maxKeys+100 {
		t.Errorf("%d grants", len(c.Grants))
	}
}

func TestPlacesOfTextsAndElements(t *testing.T) {
	t.Parallel()
	c := parse(t, `# a comment
server:
  url: https://sso.example.com
  trusted_proxies:

    - 10.0.0.0/8
providers:
- name: corp
  type: saml
  metadata_file: idp.xml
- {name: staff, type: oidc,
   issuer: https://op.example.com, client_id: x,
   require: "claims.hd == 'x'"}
accounts:
  - id: 111122223333
    name: production
grants:
  - name: folded
    groups: [a,
      b]
    providers: [corp]
    when: >-
      identity.mfa &&
      true
    role: production/Admin
`)
	at := func(line, column int) Pos { return Pos{File: "conf/rolecall.yaml", Line: line, Column: column} }
	got := map[string]Pos{
		"server.url":      c.Server.URL.Pos,
		"trusted_proxies": c.Server.TrustedProxies[0].Pos,
		"provider":        c.Providers[0].Pos,
		"provider.name":   c.Providers[0].Name.Pos,
		"flow provider":   c.Providers[1].Pos,
		"require":         c.Providers[1].Require.Pos,
		"account":         c.Accounts[0].Pos,
		"grant":           c.Grants[0].Pos,
		"second group":    c.Grants[0].Groups[1].Pos,
		"when":            c.Grants[0].When.Pos,
		"role":            c.Grants[0].Role.Pos,
	}
	want := map[string]Pos{
		"server.url": at(3, 8), "trusted_proxies": at(6, 7), "provider": at(8, 3), "provider.name": at(8, 9),
		"flow provider": at(11, 3), "require": at(13, 13), "account": at(15, 5), "grant": at(18, 5),
		"second group": at(20, 7), "when": at(22, 11), "role": at(25, 11),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Grants[0].When.Value != "identity.mfa && true" {
		t.Errorf("when %q", c.Grants[0].When.Value)
	}
}

func TestScalarsAreTextAsWritten(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"111122223333", "011122223333", "000000000000", "001234567890", "077777777777"} {
		c := parse(t, server+"accounts: [{id: "+id+", name: n}]\n")
		if c.Accounts[0].ID.Value != id {
			t.Errorf("id %s became %s", id, c.Accounts[0].ID.Value)
		}
	}
	c := parse(t, server+"grants: [{name: a, role: b, groups: [1001, 0x1F, 1e3, 1_000, yes, true, 2026-11-24, .5, 'q', \"d\\u00e9\", ~x]}]\n")
	var got []string
	for _, g := range c.Grants[0].Groups {
		got = append(got, g.Value)
	}
	want := []string{"1001", "0x1F", "1e3", "1_000", "yes", "true", "2026-11-24", ".5", "q", "dé", "~x"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPolicyMayBeAMapping(t *testing.T) {
	t.Parallel()
	c := parse(t, server+`grants:
  - name: a
    everyone: true
    role: production/Home
    policy:
      Version: 2012-10-17
      Statement:
        - Effect: Allow
          Action: [s3:GetObject, "s3:List*"]
          Resource: "arn:aws:s3:::home/${aws:username}/<{{ identity.username }}>&"
          Condition:
            Bool: {"aws:SecureTransport": true}
            NumericLessThan:
              s3:max-keys: 10
              x: 1.5
              hex: 0x10
            StringEquals: {"aws:PrincipalAccount": 011122223333, quoted: "5", none: null}
  - name: b
    everyone: true
    role: production/Home
    policy: '{"Version": "2012-10-17"}'
`)
	want := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:List*"],` +
		`"Resource":"arn:aws:s3:::home/${aws:username}/<{{ identity.username }}>&",` +
		`"Condition":{"Bool":{"aws:SecureTransport":true},"NumericLessThan":{"s3:max-keys":10,"x":1.5,"hex":"0x10"},` +
		`"StringEquals":{"aws:PrincipalAccount":"011122223333","quoted":"5","none":null}}}]}`
	if diff := cmp.Diff(want, c.Grants[0].Policy.Value); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if at := c.Grants[0].Policy.Pos; at.Line != 7 {
		t.Errorf("the policy is at %v", at)
	}
	if c.Grants[1].Policy.Value != `{"Version": "2012-10-17"}` {
		t.Errorf("JSON text became %s", c.Grants[1].Policy.Value)
	}
}

// The lexer ends a word at a colon inside { }, where YAML does not: a condition
// would get another key. Such words need quotes.
func TestAColonInsideAFlowKeyIsRefused(t *testing.T) {
	t.Parallel()
	for _, flow := range []string{"{aws:SecureTransport: true}", "{a: 1, aws:SecureTransport: true}", "[aws:x: 1]", "{a: [arn:aws:s3:::b]}", "{a:1}", "{a:\"x\"}", "{a:'x'}", "{b: {\"c\":1, d:2}}"} {
		_, err := Parse("rolecall.yaml", []byte(server+"grants:\n  - {name: a, everyone: true, role: b, policy: {Bool: "+flow+"}}\n"), none)
		if err == nil || !strings.Contains(err.Error(), "must be in quotes") || !strings.HasPrefix(err.Error(), "rolecall.yaml:3:") {
			t.Errorf("%s gives %v", flow, err)
		}
	}
	for flow, want := range map[string]string{
		`{"aws:x":true}`: `{"aws:x":true}`, `{'aws:x': true}`: `{"aws:x":true}`, `{a:{b:[1]}}`: `{"a":{"b":[1]}}`, `{a: x:y}`: `{"a":"x:y"}`,
		"{a:\n 1}": `{"a":1}`, `{a: arn:aws:s3:::b/*}`: `{"a":"arn:aws:s3:::b/*"}`, `{a: ["arn:aws:s3:::b", "c:d"]}`: `{"a":["arn:aws:s3:::b","c:d"]}`,
	} {
		c := parse(t, server+"grants:\n  - {name: a, everyone: true, role: b, policy: {Bool: "+flow+"}}\n")
		if got := c.Grants[0].Policy.Value; got != `{"Bool":`+want+`}` {
			t.Errorf("%s became %s", flow, got)
		}
	}
}

func TestPathsCountFromTheFolderOfTheFile(t *testing.T) {
	t.Parallel()
	c := parse(t, server+`audit: {file: audit.jsonl}
egress: {ca_file: /etc/ca.pem}
providers:
  - {name: corp, type: saml, metadata_file: ../idp.xml, metadata_cert: "", subject: {attribute: uid}}
grants:
  - {name: a, everyone: true, role: b, policy_file: policies/a.json}
`)
	got := []string{c.Audit.File, c.Egress.CAFile, c.Providers[0].MetadataFile.Value, c.Providers[0].MetadataCert.Value, c.Grants[0].PolicyFile.Value}
	want := []string{"conf/audit.jsonl", "/etc/ca.pem", "idp.xml", "", "conf/policies/a.json"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Store.Value != "sqlite:rolecall.db" {
		t.Errorf("the store is left to assemble, but is %q", c.Store.Value)
	}
}

func TestParseReturnsWhatItCouldReadBesideFaults(t *testing.T) {
	t.Parallel()
	c, err := Parse("rolecall.yaml", []byte(server+"plugins: []\ngrants: [{name: a, everyone: true, role: b, when: 'broken('}]\n"), none)
	if err == nil || c == nil || c.Grants[0].When.Value != "broken(" {
		t.Errorf("got %v and %v", c, err)
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "rolecall.yaml")
	if err := os.WriteFile(path, []byte(server), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if c.File != path || len(c.Digest) != 64 {
		t.Errorf("file %q, digest %q", c.File, c.Digest)
	}
	for name, path := range map[string]string{"a file that is not there": filepath.Join(dir, "absent.yaml"), "a folder": dir} {
		_, err := Load(path)
		faults, ok := errors.AsType[Faults](err)
		if !ok || len(faults) != 1 || strings.Count(err.Error(), path) != 1 {
			t.Errorf("%s: got %v; want one fault that names the path once", name, err)
		}
	}
}

func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{"unix": "line 1\nline 2\n", "dos": "s3cret\r\n", "bare": "s3cret", "big": strings.Repeat("x", maxSecret+1)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(reference string) (*Config, error) {
		return Parse(filepath.Join(dir, "rolecall.yaml"), []byte(server+"providers:\n  - name: op\n    type: oidc\n    issuer: https://op.example.com\n    client_id: x\n    client_secret: "+reference+"\n"), none)
	}
	for reference, want := range map[string]string{
		"${file:unix}": "line 1\nline 2", "${file:dos}": "s3cret", "${file:./bare}": "s3cret",
		"${file:" + filepath.Join(dir, "bare") + "}": "s3cret", "p@ss$word": "p@ss$word", "12345": "12345",
	} {
		c, err := read(reference)
		if err != nil {
			t.Errorf("%s: %v", reference, err)
		} else if got := c.Providers[0].ClientSecret.Reveal(); got != want {
			t.Errorf("%s gives %q, want %q", reference, got, want)
		}
	}
	for _, reference := range []string{"${file:big}", "${file:.}", "${file:" + dir + "}"} {
		if _, err := read(reference); err == nil {
			t.Errorf("%s was read", reference)
		}
	}
}

// Whatever is wrong with a file, its faults show no secret of it.
func TestFaultsShowNoSecret(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"client_secret: hunter2\n  x: [\n",
		"client_secret: \"hunter2\n",
		"client_secret: [hunter2]\n",
		"client_secret: {hunter2: x}\n",
		"client_secret: hunter2${env:X}\n",
		"client_secret: ${hunter2:X}\n",
		"client_secret: !secret hunter2\n",
		"client_secret: &a hunter2\n",
		"client_secret: 'hunter2' x\n",
		"client_secret: hunter2: x\n",
		"client_secret: aws-ssm:hunter2\n",
		"\tclient_secret: hunter2\n",
	} {
		_, err := Parse("rolecall.yaml", []byte(server+"providers:\n  - name: op\n    type: oidc\n    issuer: https://op.example.com\n    client_id: x\n    "+text), none)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q gives %v", text, err)
		}
	}
}
