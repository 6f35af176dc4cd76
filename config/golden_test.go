package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite golden files")

const corpus = "../testdata/config"

// A case is one file: a sentence, the configuration, what stands beside it, and
// the faults and warnings that it must give.
func TestGoldenCases(t *testing.T) {
	t.Parallel()
	for _, path := range golden(t, "*.txtar") {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			c, faults := parseCase(t, archive)
			got := map[string]string{"faults": faults, "warnings": ""}
			if c != nil && faults == "" {
				got["warnings"] = linesOf(c.Warnings, filepath.Dir(c.File))
			}
			if strings.HasPrefix(filepath.Base(path), "valid-") && faults != "" {
				t.Errorf("a valid case has faults:\n%s", faults)
			}
			compareCase(t, path, archive, got)
		})
	}
}

func golden(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(corpus, pattern))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases %s in %s: %v", pattern, corpus, err)
	}
	return paths
}

// parseCase lays the files of a case out in a folder and parses rolecall.yaml.
func parseCase(t *testing.T, archive *txtar.Archive) (*Config, string) {
	t.Helper()
	dir := t.TempDir()
	env := map[string]string{}
	var data []byte
	for _, f := range archive.Files {
		switch f.Name {
		case "faults", "warnings":
		case "env":
			for line := range strings.Lines(string(f.Data)) {
				name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
				env[name] = value
			}
		case "rolecall.yaml":
			data = f.Data
		default:
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	c, err := Parse(filepath.Join(dir, "rolecall.yaml"), data, func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	})
	if err == nil {
		return c, ""
	}
	faults, ok := errors.AsType[Faults](err)
	if !ok {
		t.Fatalf("the error is %T, not Faults: %v", err, err)
	}
	return c, linesOf(faults, dir)
}

// linesOf shows faults as check does, without the folder of the test.
func linesOf(faults Faults, dir string) string {
	if len(faults) == 0 {
		return ""
	}
	return strings.ReplaceAll(faults.Error(), dir+string(filepath.Separator), "") + "\n"
}

func compareCase(t *testing.T, path string, archive *txtar.Archive, got map[string]string) {
	t.Helper()
	for i, f := range archive.Files {
		want, judged := got[f.Name]
		if !judged {
			continue
		}
		if *update {
			archive.Files[i].Data = []byte(want)
		} else if diff := cmp.Diff(string(f.Data), want); diff != "" {
			t.Errorf("%s (-want +got; -update accepts):\n%s", f.Name, diff)
		}
		delete(got, f.Name)
	}
	if len(got) > 0 {
		t.Fatalf("the case lacks its sections: %v", got)
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
