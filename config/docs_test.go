package config

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	schemaFile    = "../docs/config.schema.json"
	referenceFile = "../docs/configuration.md"
	generatedMark = "<!-- From here on generated from config/config.go: go test ./config -update -->\n"
)

func TestTheCommittedSchemaIsTheGeneratedOne(t *testing.T) {
	t.Parallel()
	compareFile(t, schemaFile, Schema())
}

// docs/configuration.md begins by hand and goes on with one table per section.
func TestTheReferenceIsGeneratedFromTheStructs(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	head, _, found := bytes.Cut(have, []byte(generatedMark))
	if !found {
		t.Fatalf("%s lacks the line %s", referenceFile, generatedMark)
	}
	compareFile(t, referenceFile, []byte(string(head)+generatedMark+reference()))
}

// The example of the guide is a configuration without a fault.
func TestTheExampleOfTheGuideIsValid(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(have), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("no example")
	}
	if !strings.Contains(example, schemaURL) {
		t.Errorf("the example does not point at %s", schemaURL)
	}
	example = strings.Replace(example, "tls: {cert: tls/cert.pem, key: tls/key.pem}", "trusted_proxies: [10.0.0.0/8]", 1)
	c, err := Parse("rolecall.yaml", []byte(example), func(string) (string, bool) { return "s3cret", true })
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("the example has warnings:\n%v", c.Warnings)
	}
}

func compareFile(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is out of date (-committed +generated); go test ./config -update:\n%s", path, diff)
	}
}

// reference writes a heading and a table for the top level and for each section.
func reference() string {
	var b strings.Builder
	b.WriteString("\n## Every key\n\nA key in **bold** must be there. *text or mapping* is JSON text, or the same as YAML. " +
		"An empty default is an empty value; where that means something, the last column says what.\n")
	var plain []field
	var sections []field
	for _, f := range fieldsOf(reflect.TypeFor[Config]()) {
		if f.unbuilt() {
			continue
		}
		if shapeOf(f.typ) == isSection || (shapeOf(f.typ) == isList && shapeOf(f.typ.Elem()) == isSection) {
			sections = append(sections, f)
		} else {
			plain = append(plain, f)
		}
	}
	table(&b, "Top level", "", "", plain)
	for _, f := range sections {
		section, name := f.typ, f.key
		if shapeOf(section) == isList {
			section, name = section.Elem(), name+"[]"
		}
		title := "`" + name + "`"
		if section != reflect.TypeFor[Provider]() {
			table(&b, title, "", f.doc, flatten(section, ""))
			continue
		}
		all := flatten(section, "")
		table(&b, title, "", f.doc, common(all))
		for _, kind := range providerTypes() {
			table(&b, title+" of type "+kind, kind, "", only(all, kind))
		}
		presetTable(&b)
	}
	return b.String()
}

// presetTable is the table of preset.go, as far as its types are built.
func presetTable(b *strings.Builder) {
	b.WriteString("\n### Presets\n\nA preset sets keys that the file leaves out; a key in the file wins. Machines do not sign in: their tokens come to token " +
		"exchange, for the audience `client_id`, which is server.url where the file gives none. A grant must name a provider whose word is that of a " +
		"consumer or machine (`providers`) to match anybody there.\n\n| preset | type | whose word | sets | needs | checks beside the usual |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, p := range presets() {
		if !slices.Contains(providerTypes(), p.kind) {
			continue
		}
		var sets []string
		for _, s := range p.sets {
			sets = append(sets, "`"+s.key+": "+s.shown()+"`")
		}
		word := string(p.trust)
		if p.trust == ofCompany {
			word = "the company"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s | %s |\n", p.name, p.kind, word, strings.Join(sets, ", "), p.needs, p.checks)
	}
}

// flatten lists the keys of a section and of the sections in it, as parent.key.
func flatten(section reflect.Type, parent string) []field {
	var all []field
	for _, f := range fieldsOf(section) {
		whole := f
		whole.key = under(parent, f.key)
		switch {
		case !f.documented():
		case shapeOf(f.typ) == isSection:
			for _, inner := range flatten(f.typ, whole.key) {
				switch {
				case len(inner.only) == 0:
					inner.only = f.only
				case len(f.only) > 0:
					inner.only = slices.DeleteFunc(slices.Clone(inner.only), func(kind string) bool { return !f.isFor(kind) })
					if len(inner.only) == 0 {
						continue
					}
				}
				if f.typ == reflect.TypeFor[From]() {
					inner.doc = strings.TrimSuffix(inner.doc, ".") + ". " + f.doc
				}
				all = append(all, inner)
			}
		default:
			all = append(all, whole)
		}
	}
	return all
}

// common are the keys of every type of provider.
func common(all []field) []field {
	return slices.DeleteFunc(slices.Clone(all), func(f field) bool { return len(f.only) > 0 })
}

// only are the keys of one type of provider.
func only(all []field, kind string) []field {
	var some []field
	for _, f := range all {
		if slices.Contains(f.only, kind) {
			some = append(some, f)
		}
	}
	return some
}

func table(b *strings.Builder, title, kind, doc string, fields []field) {
	fmt.Fprintf(b, "\n### %s\n\n", title)
	if doc != "" {
		b.WriteString(doc + "\n\n")
	}
	b.WriteString("| key | type | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, f := range fields {
		key, meaning, fallback := "`"+f.key+"`", f.doc, f.defaultShown()
		if f.always() || kind != "" && f.neededBy(kind) {
			key = "**" + key + "**"
		}
		if len(f.enum) > 0 {
			meaning += " One of `" + strings.Join(f.enum, "`, `") + "`."
		}
		if f.unbuilt() {
			meaning += " Not built yet: `false` only."
		}
		if fallback == "" && shapeOf(f.typ) == isBool {
			fallback = "false"
		}
		if fallback != "" {
			fallback = " `" + fallback + "`"
		}
		fmt.Fprintf(b, "| %s | %s |%s | %s |\n", key, typeShown(f.typ, f), fallback, strings.ReplaceAll(meaning, "|", "\\|"))
	}
}

func typeShown(t reflect.Type, f field) string {
	switch shapeOf(t) {
	case isSecret:
		return "secret"
	case isBool:
		return "true or false"
	case isDuration:
		return "duration"
	case isRate:
		return "rate"
	case isNumber:
		return "number"
	case isList:
		return "list of " + strings.Replace(typeShown(t.Elem(), f), "word", "words", 1)
	case isMap:
		return "mapping of text"
	}
	switch {
	case f.json:
		return "text or mapping"
	case f.path:
		return "path"
	case len(f.enum) > 0:
		return "word"
	default:
		return "text"
	}
}
