package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
)

const fingerprinted = `server: {url: https://sso.example.com}
providers:
  - {name: corp, type: saml, metadata_file: metadata.xml, encryption: {key: "${env:KEY}"}}
accounts:
  - {id: "111122223333", name: production, tags: {a: "1", b: "2"}}
grants:
  - {name: g, groups: [x, y], providers: [corp], role: production/Admin, console: false, tags: {t: v}}
`

func parsed(t *testing.T, dir, text, key string) *config.Config {
	t.Helper()
	c, err := config.Parse(filepath.Join(dir, "rolecall.yaml"), []byte(text), func(string) (string, bool) { return key, true })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAFingerprintIsOfWhatIsSaidAndNotOfWhereItStands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	metadata := filepath.Join(dir, "metadata.xml")
	if err := os.WriteFile(metadata, []byte("<one/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	all := func(c *config.Config) [32]byte { return config.Fingerprint(c.Providers, c.Accounts, c.Grants) }
	first := all(parsed(t, dir, fingerprinted, "key"))
	moved := strings.ReplaceAll(fingerprinted, "accounts:", "\n\n# a remark\naccounts:")
	if all(parsed(t, dir, moved, "key")) != first {
		t.Error("it changes with the line")
	}
	for name, change := range map[string][2]string{
		"a name":                   {"name: corp, type", "name: corp2, type"},
		"a group":                  {"[x, y]", "[x, z]"},
		"the order of groups":      {"[x, y]", "[y, x]"},
		"groups that run together": {"[x, y]", "[xy]"},
		"a group less":             {"[x, y]", "[x]"},
		"a switch":                 {"console: false", "console: true"},
		"a switch that is away":    {", console: false", ""},
		"a tag of an account":      {`b: "2"`, `b: "3"`},
		"a tag's key":              {`b: "2"`, `c: "2"`},
	} {
		text := strings.Replace(fingerprinted, change[0], change[1], 1)
		if name == "a name" {
			text = strings.ReplaceAll(text, "[corp]", "[corp2]")
		}
		if text == fingerprinted {
			t.Fatalf("%s: nothing changed", name)
		}
		if all(parsed(t, dir, text, "key")) == first {
			t.Errorf("%s makes no difference", name)
		}
	}
	if all(parsed(t, dir, fingerprinted, "another key")) == first {
		t.Error("a secret makes no difference")
	}
	if err := os.WriteFile(metadata, []byte("<two/>"), 0o600); err != nil {
		t.Fatal(err)
	}
	second := all(parsed(t, dir, fingerprinted, "key"))
	if second == first {
		t.Error("a file's bytes make no difference")
	}
	if err := os.Remove(metadata); err != nil {
		t.Fatal(err)
	}
	if gone := all(parsed(t, dir, fingerprinted, "key")); gone == second || gone == first {
		t.Error("a file that is gone makes no difference")
	}
}

// A field that the walk passes over would keep a provider as it was. So each
// exported field of every section is changed by itself.
func TestEveryFieldOfASectionCounts(t *testing.T) {
	t.Parallel()
	for _, section := range []any{
		config.Server{}, config.Issuer{}, config.AWS{}, config.Session{}, config.OAuth{}, config.Limits{}, config.Audit{}, config.Metrics{}, config.Egress{},
		config.Provider{}, config.Account{}, config.Grant{}, config.Admins{},
	} {
		zero := config.Fingerprint(section)
		typ := reflect.TypeOf(section)
		for i := range typ.NumField() {
			f := typ.Field(i)
			if !f.IsExported() || f.Type == reflect.TypeFor[config.Pos]() {
				continue
			}
			changed := reflect.New(typ).Elem()
			set(t, changed.Field(i))
			if config.Fingerprint(changed.Interface()) == zero {
				t.Errorf("%s.%s makes no difference", typ, f.Name)
			}
		}
	}
}

// set gives a value that is not the zero value.
func set(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Interface().(type) {
	case config.Text:
		v.Set(reflect.ValueOf(config.Text{Value: "x"}))
		return
	case secret.String:
		v.Set(reflect.ValueOf(secret.New("x")))
		return
	case time.Duration:
		v.SetInt(1)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), reflect.Zero(v.Type().Elem()))
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				set(t, v.Field(i))
				return
			}
		}
	default:
		t.Fatalf("no value of %s", v.Type())
	}
}
