package saml

import (
	"os"
	"path/filepath"
	"testing"
)

// corpus is shared with others; its README says where each document is from.
const corpus = "../../testdata/saml"

// seeds are the documents of the corpus.
func seeds(f testing.TB) [][]byte {
	f.Helper()
	paths, err := filepath.Glob(filepath.Join(corpus, "*", "*.xml"))
	if err != nil || len(paths) == 0 {
		f.Fatalf("no corpus in %s: %v", corpus, err)
	}
	var all [][]byte
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}
