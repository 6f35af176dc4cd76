package directory_test

import (
	"testing"

	"github.com/rolecall/rolecall/idp/directory"
)

func FuzzCleanCode(f *testing.F) {
	for _, seed := range []string{"ABCD-EFGH", "abcd efgh", "0O1I8B", "\u00a0", "ß", string(make([]byte, 200))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		clean := directory.CleanCode(typed)
		if again := directory.CleanCode(clean); again != clean && len(clean) <= 128 {
			t.Errorf("%q becomes %q, and that %q", typed, clean, again)
		}
	})
}
