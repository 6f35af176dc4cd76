package oidc

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	rejection  = regexp.MustCompile(`(?:Reject\(|Reason: )"([^"]+)"`)
	documented = regexp.MustCompile("`([a-z0-9-]+)`")
	spelling   = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
)

// The reasons are an interface: whoever adds one writes it into the table.
func TestEveryReasonIsSpelledWithHyphensAndDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/oidc-security.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			for _, found := range documented.FindAllStringSubmatch(cells[2], -1) {
				listed[found[1]] = true
			}
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, pattern := range []string{"../claims/*.go", "../idp.go", "../oauth2/*.go"} {
		more, err := filepath.Glob(pattern)
		if err != nil || len(more) == 0 {
			t.Fatalf("%s: %d files: %v", pattern, len(more), err)
		}
		files = append(files, more...)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range rejection.FindAllStringSubmatch(string(text), -1) {
			if reason := found[1]; !spelling.MatchString(reason) || !listed[reason] {
				t.Errorf("%s refuses for %q, which is not a word of docs/oidc-security.md", name, reason)
			}
		}
	}
}
