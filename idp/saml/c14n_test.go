package saml

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The canonical forms that libxml2 gives of random documents: another
// implementation, in another language.
func TestCanonicalFormsAreThoseOfLibxml2(t *testing.T) {
	t.Parallel()
	file, err := os.Open(filepath.Join(corpus, "c14n", "libxml2.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	count := 0
	for ; lines.Scan(); count++ {
		var row struct {
			XML       string `json:"xml"`
			Element   int    `json:"element"` // in document order
			Exclusive string `json:"exclusive"`
			Inclusive string `json:"inclusive"`
			Prefixes  string `json:"prefixes_a_c"`
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		root, fault := gate([]byte(row.XML), messageLimits)
		if fault != nil {
			t.Fatalf("line %d: %v", count+1, fault)
		}
		var all []*node
		root.walk(func(n *node) bool { all = append(all, n); return true })
		for _, form := range []struct {
			method method
			want   string
		}{{method{}, row.Exclusive}, {method{inclusive: true}, row.Inclusive}, {method{prefixes: []string{"a", "c"}}, row.Prefixes}} {
			if got := string(canonical(all[row.Element], nil, form.method)); got != form.want {
				t.Errorf("line %d, %+v:\ngot  %s\nwant %s", count+1, form.method, got, form.want)
			}
		}
	}
	if err := lines.Err(); err != nil || count < 100 {
		t.Errorf("%d lines: %v", count, err)
	}
}
