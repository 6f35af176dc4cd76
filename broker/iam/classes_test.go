package iam

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// TestWhatIsTakenIsWhatTheRegularExpressionsOfIAMTake holds the hand-written loops
// against the expressions of the STS and IAM references.
func TestWhatIsTakenIsWhatTheRegularExpressionsOfIAMTake(t *testing.T) {
	t.Parallel()
	account := regexp.MustCompile(`^[0-9]{12}$`)
	name := regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)
	tag := regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	path := regexp.MustCompile(`^/([A-Za-z0-9_+=,.@-]+/)*$`)
	runs := regexp.MustCompile(`[^A-Za-z0-9_+=,.@-]+`)
	alphabet := []string{"a", "Z", "0", "9", "_", "+", "=", ",", ".", "@", "-", "/", "//", ":", " ", "\n", "\x00", "é", "\u2028", "\u212a", "Ⅷ", "😀", "\xff", "*", "$", "1234567890"}
	random := rand.New(rand.NewPCG(1, 2))
	agree := func(what, s string, got, want bool) {
		if got != want {
			t.Errorf("%s %q: taken %v, the expression says %v", what, s, got, want)
		}
	}
	for range 20_000 {
		var b strings.Builder
		for range random.IntN(14) {
			b.WriteString(alphabet[random.IntN(len(alphabet))])
		}
		s := b.String()
		agree("account", s, ValidAccountID(s), account.MatchString(s))
		agree("name", s, ValidName(s), name.MatchString(s))
		agree("tag", s, tagText(s), tag.MatchString(s))
		slashed := "/" + strings.Trim(s, "/") + "/"
		dots := strings.Contains(slashed, "/./") || strings.Contains(slashed, "/../")
		agree("path", slashed, validPath(slashed), path.MatchString(slashed) && !dots && len(slashed) <= 512)
		if want := runs.ReplaceAllString(s, "-"); dashed(s) != want {
			t.Errorf("%q became %q, not %q", s, dashed(s), want)
		}
	}
	for s, want := range map[string]bool{"/": true, "//": false, "/a/": true, "/a//b/": false, "/../": false, "/..a/": true} {
		agree("path", s, validPath(s), want)
	}
}
