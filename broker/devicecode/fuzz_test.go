package devicecode

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzUserCode: what people type is one code or none, however they write it, and
// what is shown of it is typed back to the same.
func FuzzUserCode(f *testing.F) {
	for _, seed := range []string{"WDJB-MJHT", "wdjb mjht", "wdjbmjht", "W-D-J-B-M-J-H-T", "WDJB\u2011MJHT", "WDJB-MJH", "WDJB-MJHTT", "AEIO-UAEI", "ſdjb-mjht", "WDJB-MJHT\x00", strings.Repeat("-", 70)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		code, ok := normal(typed)
		shown := Shown(typed)
		if !ok {
			if shown != "" {
				t.Errorf("%q is no code, and is shown as %q", typed, shown)
			}
			return
		}
		if len(code) != codeLen || strings.Trim(code, letters) != "" {
			t.Errorf("%q is %q", typed, code)
		}
		if again, ok := normal(shown); !ok || again != code || hashUser(again) != hashUser(code) {
			t.Errorf("%q is shown as %q, which is %q", typed, shown, again)
		}
		kept := strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) {
				return unicode.ToUpper(r)
			}
			return -1
		}, typed)
		if kept != code {
			t.Errorf("%q is %q: a letter was dropped or changed", typed, code)
		}
	})
}
