package peers

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/config"
)

const pages = "../../../docs/providers"

var (
	yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")
	link      = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
)

// What the pages tell people to paste is a configuration that rolecall takes.
func TestTheConfigurationsOfThePagesAreValid(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, cert := newKey(t, "rolecall")
	for name, text := range map[string][]byte{"saml-encryption.pem": append(key, cert...), "client.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := func(name string) (string, bool) { return "value of " + name, true }
	checked := 0
	for _, page := range providerPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
			section := block[1]
			switch {
			case strings.HasPrefix(section, "grants:"):
				section = "providers: [{name: entra, type: oidc, issuer: https://idp.example.com, client_id: x}]\n" + section
			case strings.HasPrefix(section, "  - name:"):
				section = "providers:\n" + section
			case strings.HasPrefix(section, "    ") && filepath.Base(page) == "oidc.md":
				section = "providers:\n  - name: staff\n    type: oidc\n    issuer: https://idp.example.com\n    client_id: x\n" + section
			case strings.HasPrefix(section, "    "):
				section = "providers:\n  - name: corp\n    type: saml\n    metadata_url: https://idp.example.com/metadata\n" + section
			}
			whole := fmt.Sprintf("server: {url: https://rolecall.example.com}\naccounts: [{id: \"111122223333\", name: production}]\n%s", section)
			if _, err := config.Parse(filepath.Join(dir, "rolecall.yaml"), []byte(whole), env); err != nil {
				t.Errorf("%s: %v\n%s", filepath.Base(page), err, whole)
			}
			checked++
		}
	}
	if checked < 12 {
		t.Errorf("only %d configurations were found", checked)
	}
}

func TestTheLinksOfThePagesLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, page := range providerPages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(pages, found[1])); err != nil {
				t.Errorf("%s: %v", filepath.Base(page), err)
			}
		}
	}
}

func providerPages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(pages, "*.md"))
	if err != nil || len(found) < 12 {
		t.Fatalf("%d pages in %s: %v", len(found), pages, err)
	}
	return found
}
