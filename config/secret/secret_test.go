package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/rolecall/rolecall/config/secret"
)

const text = "hunter2"

// section is a secret as configuration and core types hold it.
type section struct {
	ID     string
	Secret secret.String
	Maybe  *secret.String
	Many   []secret.String
	Named  map[string]secret.String
	Any    any
	hidden secret.String
}

type element struct{ V any }

func sample() section {
	s := secret.New(text)
	return section{"id", s, &s, []secret.String{s}, map[string]secret.String{"a": s}, s, s}
}

// reveals reports whether out holds the text in a form that an encoder gives it.
func reveals(out string) bool {
	for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text), "aHVudGVyMg", "104 117 110", "0x68, 0x75", "68 75 6e"} {
		if strings.Contains(out, form) {
			return true
		}
	}
	return false
}

func TestNoVerbReveals(t *testing.T) {
	t.Parallel()
	whole := sample()
	for _, verb := range "vTtbcdoOqxXUeEfFgGspw" {
		for _, flag := range []string{"", "+", "#", " ", "-20", "020", ".3", "[1]"} {
			format := "%" + flag + string(verb)
			// The pointer in a struct prints as an address, which is not the text either.
			for _, value := range []any{whole.Secret, whole.Maybe, whole.Many, whole.Named, whole, &whole} {
				if out := fmt.Sprintf(format, value); reveals(out) {
					t.Errorf("%s of %T: %s", format, value, out)
				}
			}
		}
	}
	if out := fmt.Sprint(whole.Secret) + fmt.Sprintln(whole) + whole.hidden.String() + whole.Secret.GoString(); reveals(out) {
		t.Error(out)
	}
	if err := fmt.Errorf("refused: %v: %w", whole, errors.New("x")); reveals(err.Error()) {
		t.Error(err)
	}
}

func TestNoLoggerReveals(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		whole := sample()
		log := slog.New(handler).With("with", whole.Secret)
		log.Info("test", "secret", whole.Secret, "pointer", whole.Maybe, "whole", whole, "list", whole.Many, "map", whole.Named,
			slog.Group("group", "secret", whole.Secret), "error", fmt.Errorf("%v", whole.Secret))
	}
	if reveals(b.String()) {
		t.Error(b.String())
	}
	if got := strings.Count(b.String(), "[secret]"); got < 10 {
		t.Errorf("the placeholder appears %d times only:\n%s", got, b.String())
	}
}

func TestNoEncoderReveals(t *testing.T) {
	t.Parallel()
	whole := sample()
	for name, encode := range map[string]func(any) ([]byte, error){
		"json": json.Marshal,
		"yaml": yaml.Marshal,
		"xml":  func(v any) ([]byte, error) { return xml.Marshal(element{v}) },
		"html": func(v any) ([]byte, error) {
			var b bytes.Buffer
			err := template.Must(template.New("").Parse(`<a title="{{.}}">{{.}}<script>x = {{.}}</script></a>`)).Execute(&b, v)
			return b.Bytes(), err
		},
	} {
		values := []any{whole.Secret, whole.Maybe}
		if name != "xml" { // which has no maps
			values = append(values, whole.Many, whole.Named, whole, &whole)
		}
		for _, value := range values {
			out, err := encode(value)
			if err != nil {
				t.Errorf("%s of %T: %v", name, value, err)
			}
			if reveals(string(out)) || !strings.Contains(string(out), "secret]") {
				t.Errorf("%s of %T gives %s", name, value, out)
			}
		}
	}
	asKey, err := json.Marshal(map[secret.String]int{whole.Secret: 1})
	if err != nil || reveals(string(asKey)) {
		t.Errorf("as a key of JSON: %s, %v", asKey, err)
	}
}

func TestRevealAndEqual(t *testing.T) {
	t.Parallel()
	a, b := secret.New(text), secret.New(text)
	if a.Reveal() != text || a != b || !a.Equal(b) || a.IsZero() {
		t.Error("a secret is not itself")
	}
	for _, other := range []string{"", "hunter", "hunter3", "hunter22"} {
		if a.Equal(secret.New(other)) {
			t.Errorf("%q equals %q", text, other)
		}
	}
	var zero secret.String
	if !zero.IsZero() || zero.Reveal() != "" || !zero.Equal(secret.New("")) || zero.String() != a.String() {
		t.Error("the zero value is not the empty secret, shown like any other")
	}
}
