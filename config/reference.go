package config

import (
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/rolecall/rolecall/config/secret"
)

// maxSecret bounds a file that a secret is read from.
const maxSecret = 1 << 20

// secret decodes a secret: ${env:NAME}, ${file:PATH}, or the text itself. No
// fault shows any of the text.
func (d *decoder) secret(n ast.Node, v reflect.Value, path string) {
	at := d.pos(n)
	text, ok := textOf(n)
	if !ok {
		d.faults.Add(at, "%s: want text or a reference such as ${env:NAME}, got %s", shown(path), kindOf(n))
		return
	}
	revealed, fault := d.resolve(text)
	if fault != "" {
		d.faults.Add(at, "%s: %s", shown(path), fault)
		return
	}
	if strings.HasPrefix(text, "${") { // resolve took it as a whole
		d.references[path] = text
	}
	v.Set(reflect.ValueOf(secret.New(revealed)))
}

// resolve follows a reference; other text is the secret itself. The second
// result is the fault, "" where there is none.
func (d *decoder) resolve(text string) (string, string) {
	for _, prefix := range []string{"aws-secretsmanager:", "aws-ssm:"} {
		if strings.HasPrefix(text, prefix) || strings.HasPrefix(text, "${"+prefix) {
			return "", prefix + " references are not built yet; use ${env:NAME} or ${file:PATH}"
		}
	}
	if text == "" {
		return "", "the secret is empty; remove the key if there is none"
	}
	if !strings.Contains(text, "${") {
		return text, ""
	}
	inner, opens := strings.CutPrefix(text, "${")
	inner, closes := strings.CutSuffix(inner, "}")
	if !opens || !closes || strings.ContainsAny(inner, "{}") {
		return "", "a reference must be the whole value, as ${env:NAME} or ${file:PATH}"
	}
	kind, name, _ := strings.Cut(inner, ":")
	switch {
	case kind == "env" && name != "":
		return d.fromEnv(name)
	case kind == "file" && name != "":
		return d.fromFile(name)
	default:
		return "", "a reference that is neither ${env:NAME} nor ${file:PATH}"
	}
}

func (d *decoder) fromEnv(name string) (string, string) {
	text, set := "", false
	if d.env != nil {
		text, set = d.env(name)
	}
	switch {
	case !set:
		return "", "the environment variable " + clip(name) + " is not set"
	case text == "":
		return "", "the environment variable " + clip(name) + " is empty"
	}
	return text, ""
}

func (d *decoder) fromFile(name string) (string, string) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(d.dir, path)
	}
	data, err := readBounded(path, maxSecret)
	switch {
	case err != nil:
		return "", "the file " + path + " cannot be read: " + err.Error()
	case len(data) > maxSecret:
		return "", "the file " + path + " is larger than 1 MiB, which no secret is"
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		return "", "the file " + path + " is empty"
	}
	return text, ""
}
