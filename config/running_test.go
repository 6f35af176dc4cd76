package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config/secret"
)

// printed joins lines as a page does.
func printed(lines []Line) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(strings.Repeat("  ", l.Depth) + l.Text)
		if l.Secret != "" {
			b.WriteString("<" + l.Secret + ">")
		}
		if l.Default {
			b.WriteString("  # default")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// plant puts a canary into every secret below v, and one element into every list
// and map on the way. It gives how many there are.
func plant(v reflect.Value) int {
	switch {
	case v.Type() == secretType:
		v.Set(reflect.ValueOf(secret.New(fmt.Sprintf("canary-%p", v.Addr().Interface()))))
		return 1
	case v.Kind() == reflect.Struct && v.Type() != textType && v.Type() != posType:
		n := 0
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n += plant(v.Field(i))
			}
		}
		return n
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && v.Type() != reflect.TypeFor[Faults]():
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		return plant(v.Index(0))
	case v.Kind() == reflect.Map && v.Type().Elem() == secretType:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), reflect.ValueOf(secret.New("canary-in-a-map")))
		return 1
	}
	return 0
}

func TestNoSecretIsInTheRunningConfiguration(t *testing.T) {
	t.Parallel()
	var c Config
	planted := plant(reflect.ValueOf(&c).Elem())
	got := printed(c.Running())
	if strings.Contains(got, "canary") || strings.Contains(got, "[secret]") {
		t.Errorf("a secret is in it:\n%s", got)
	}
	if shown := strings.Count(got, "<secret, "); planted < 3 || shown != planted {
		t.Errorf("%d secrets were planted, %d are shown as such:\n%s", planted, shown, got)
	}
}

func TestTheRunningConfigurationSaysWhatHoldsAndWhereSecretsComeFrom(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "external"), []byte("canary-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `server: {url: "https://sso.example.com"}
providers:
  - {name: staff, type: oidc, issuer: "https://idp.example.com", client_id: rolecall, client_secret: "${env:STAFF_SECRET}", require: 'claims.hd == "example.com"'}
  - name: other
    type: oidc
    issuer: https://other.example.com
    client_id: "0815"
    client_secret: canary-literal
accounts:
  - {id: "011122223333", name: production, external_id: "${file:external}", tags: {env: prod}}
grants:
  - {name: a, groups: [platform, "a,b"], role: production/Admin, duration: 90m}
`
	c, err := Parse(filepath.Join(dir, "rolecall.yaml"), []byte(text), func(name string) (string, bool) { return "canary-env", name == "STAFF_SECRET" })
	if err != nil {
		t.Fatal(err)
	}
	got := printed(c.Running())
	if strings.Contains(got, "canary") {
		t.Errorf("a secret is in it:\n%s", got)
	}
	for _, want := range []string{
		"server:\n  url: https://sso.example.com\n  listen: \":8443\"  # default\n",
		"providers:\n  - name: staff\n    type: oidc\n",
		"    client_secret: <secret, from ${env:STAFF_SECRET}, set>\n",
		"    require: \"claims.hd == \\\"example.com\\\"\"\n",
		"    client_id: \"0815\"\n    client_secret: <secret, written in the file>\n",
		"    algorithms: [RS256, ES256]  # default\n",
		"  - id: \"011122223333\"\n    name: production\n    tags:\n      env: prod\n    external_id: <secret, from ${file:external}, set>\n",
		"    groups: [platform, \"a,b\"]\n", "    duration: 1h30m\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q", want)
		}
	}
	for _, other := range []string{"metadata_url", "deny:", "label: \"\""} {
		if strings.Contains(got, other) {
			t.Errorf("it holds %s, which is not set", other)
		}
	}
	if t.Failed() {
		t.Log("\n" + got)
	}
}

func TestARunningConfigurationIsReadBackAsItIs(t *testing.T) {
	t.Parallel()
	c := parse(t, server+`grants:
  - name: a
    everyone: true
    role: production/Admin
    session_name: "{{identity.username}}"
    tags: {team: "yes", n: "007", t: "10:30"}
    when: 'identity.groups.exists(g, g == "x") # no comment'
`)
	var written []Line
	for _, l := range c.Running() {
		if !l.Default {
			written = append(written, l)
		}
	}
	again, err := Parse("again.yaml", []byte(printed(written)), nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, printed(written))
	}
	if diff := cmp.Diff(printed(c.Running()), printed(again.Running())); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
}

func TestAnAddressIsShownWithoutItsPassword(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"postgres://rolecall:canary@db.internal/rolecall": "postgres://secret@db.internal/rolecall",
		"http://canary@proxy.example.com:3128":            "http://secret@proxy.example.com:3128",
		"https://idp.example.com/metadata?entity=a@b":     "https://idp.example.com/metadata?entity=a@b",
		"https://canary:%zz@broken":                       "(an address that cannot be read)",
		"alice@example.com":                               "alice@example.com",
		"identity.email == \"a@b\" && x == \"https://y\"": "identity.email == \"a@b\" && x == \"https://y\"",
	} {
		if got := withoutPassword(text); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}
