package config

import (
	"bytes"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

func compiledSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource(schemaURL, document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(schemaURL)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func judgeBySchema(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(quoteReferences(text)))
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(document)
}

// What Load accepts an editor must not underline.
func TestTheSchemaAcceptsWhatLoadAccepts(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	for _, pattern := range []string{"valid-*.txtar", "warnings.txtar", "server-open-http.txtar"} {
		for _, path := range golden(t, pattern) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := judgeBySchema(t, s, caseFile(t, archive)); err != nil {
				t.Errorf("%s: %v", filepath.Base(path), err)
			}
		}
	}
}

func caseFile(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	for _, f := range archive.Files {
		if f.Name == "rolecall.yaml" {
			return string(f.Data)
		}
	}
	t.Fatal("the case has no rolecall.yaml")
	return ""
}

func TestTheSchemaRefusesWhatAnEditorCanSee(t *testing.T) {
	t.Parallel()
	s := compiledSchema(t)
	const server = "server: {url: https://sso.example.com}\n"
	for name, text := range map[string]string{
		"a file without server":                  "aws: {}\n",
		"server without url":                     "server: {}\n",
		"an unknown section":                     server + "plugins: []\n",
		"an unknown key":                         server + "aws: {regoin: eu-west-1}\n",
		"a key of a later version":               "server: {url: https://sso.example.com, trusted_proxies: [10.0.0.0/8], tls: {acme: x}}\n",
		"a bad duration":                         server + "session: {max: 1d}\n",
		"a bad rate":                             server + "limits: {per_address: 300}\n",
		"text for true or false":                 server + "aws: {outlive_session: \"true\"}\n",
		"an unknown mode":                        server + "aws: {mode: magic}\n",
		"one value where a list is wanted":       server + "grants: [{name: a, role: b, groups: c}]\n",
		"a grant without role":                   server + "grants: [{name: a}]\n",
		"an unknown type of provider":            server + "providers: [{name: a, type: ldap}]\n",
		"a saml provider without metadata":       server + "providers: [{name: a, type: saml}]\n",
		"a saml provider with an oidc key":       server + "providers: [{name: a, type: saml, metadata_file: x, issuer: y}]\n",
		"a saml provider with a claim":           server + "providers: [{name: a, type: saml, metadata_file: x, groups: {claim: y}}]\n",
		"an oidc provider without client_id":     server + "providers: [{name: a, type: oidc, issuer: x}]\n",
		"an oidc provider with an attribute":     server + "providers: [{name: a, type: oidc, issuer: x, client_id: y, username: {attribute: z}}]\n",
		"an oidc provider with a SAML-only word": server + "providers: [{name: a, type: oidc, issuer: x, client_id: y, allow: [cbc]}]\n",
		"an oauth2 provider without preset":      server + "providers: [{name: a, type: oauth2, client_id: y, client_secret: z}]\n",
		"an oauth2 provider without a secret":    server + "providers: [{name: a, type: oauth2, preset: github, client_id: y}]\n",
		"an oauth2 provider with an issuer":      server + "providers: [{name: a, type: oauth2, preset: github, client_id: y, client_secret: z, issuer: x}]\n",
		"an oauth2 provider with groups":         server + "providers: [{name: a, type: oauth2, preset: github, client_id: y, client_secret: z, groups: {claim: x}}]\n",
		"an unknown word of allow":               server + "providers: [{name: a, type: saml, metadata_file: x, allow: [sha1]}]\n",
		"a secret that is a mapping":             server + "providers: [{name: a, type: oidc, issuer: x, client_id: y, client_secret: {env: X}}]\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if judgeBySchema(t, s, text) == nil {
				t.Error("the schema accepts it")
			}
			if _, err := Parse("rolecall.yaml", []byte(text), nil); err == nil {
				t.Error("Parse accepts it")
			}
		})
	}
}

// Each key that an operator may write has a sentence and is set in the case that
// sets everything, so that no key is forgotten by the decoder or by the tests.
func TestEveryKeyHasASentenceAndACase(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile(filepath.Join(corpus, "valid-everything.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	text := caseFile(t, archive)
	var walk func(section reflect.Type, path string)
	walk = func(section reflect.Type, path string) {
		for _, f := range fieldsOf(section) {
			at := under(path, f.key)
			inner := f.typ
			if shapeOf(inner) == isList {
				inner = inner.Elem()
			}
			switch {
			case shapeOf(inner) == isSection && !f.unbuilt():
				walk(inner, at)
			case f.documented() && (f.doc == "" || !strings.HasSuffix(f.doc, ".")):
				t.Errorf("%s has no sentence for the operator: %q", at, f.doc)
			}
			optional := f.unbuilt() || f.key == "tls" || path == "server.tls"
			if !optional && !strings.Contains(text, f.key+":") {
				t.Errorf("%s is not set in valid-everything.txtar", at)
			}
		}
	}
	walk(reflect.TypeFor[Config](), "")
}

// The zero value of a field and its default must both be of the field's type:
// setDefault panics on a tag that is not.
func TestEveryDefaultParses(t *testing.T) {
	t.Parallel()
	var c Config
	d := &decoder{at: map[string]Pos{}}
	v := reflect.ValueOf(&c).Elem()
	d.missing(v, fieldsOf(v.Type()), "", Pos{})
	for _, section := range []any{&Provider{}, &Account{}, &Grant{}, &App{}} {
		v := reflect.ValueOf(section).Elem()
		d.missing(v, fieldsOf(v.Type()), "", Pos{})
	}
}
