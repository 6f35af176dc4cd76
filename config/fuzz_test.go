package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Any bytes give a configuration or Faults, each with its file, and no secret
// of the environment in them; the same bytes give the same answer.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(corpus, "*.txtar"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if file.Name == "rolecall.yaml" {
				f.Add(file.Data)
			}
		}
	}
	for _, text := range []string{"", "\ufeff", "[", "{a: ", "- - -", "a:\n- b\n - c", "? a\n: b", "a: |\n\n", "a: >-2\n  b", "\"\\", "'", "%", "---\n---", "&a *a", "a: !!binary x", "\"\\ud800\": 1"} {
		f.Add([]byte(text))
	}
	const hidden = "e7b1-hidden-secret"
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			return
		}
		env := func(string) (string, bool) { return hidden, true }
		c, err := Parse("rolecall.yaml", data, env)
		if err == nil {
			if c == nil || c.Server.URL.Value == "" {
				t.Fatal("a configuration without server.url")
			}
			return
		}
		faults, ok := errors.AsType[Faults](err)
		if !ok || len(faults) == 0 {
			t.Fatalf("the error is %T", err)
		}
		for _, fault := range faults {
			if fault.Pos.File != "rolecall.yaml" || fault.Message == "" {
				t.Errorf("a fault without place or text: %#v", fault)
			}
			if strings.Contains(fault.Message, hidden) {
				t.Errorf("a fault shows a secret: %v", fault)
			}
			if strings.Contains(fault.Message, "gave up") {
				t.Logf("the parser panicked: %v", fault)
			}
		}
		if _, again := Parse("rolecall.yaml", data, env); again == nil || again.Error() != err.Error() {
			t.Errorf("the same bytes gave\n%v\nand\n%v", err, again)
		}
	})
}
