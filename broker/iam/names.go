package iam

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Bounds of STS, in characters and durations.
const (
	MinDuration        = 15 * time.Minute
	MaxDuration        = 12 * time.Hour
	MaxChainedDuration = time.Hour
	MaxPolicy          = 2048
	MaxTags            = 50
	maxName            = 64
)

// ErrBadTag marks a session tag that STS would refuse.
var ErrBadTag = errors.New("not a session tag that STS accepts")

// ValidName reports whether s can be a RoleSessionName or a SourceIdentity as it is.
func ValidName(s string) bool {
	return len(s) >= 2 && len(s) <= maxName && allNameBytes(s)
}

func allNameBytes(s string) bool {
	for i := range len(s) {
		if !nameByte(s[i]) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_+=,.@-", c) >= 0
}

// FitName gives want where it is a name that STS accepts and taken is false;
// otherwise a readable head, "-" and 12 base32 characters of SHA-256 over
// provider and subject, at most limit characters, so that two subjects never
// share a name. limit is 64, or 32 for GetFederationToken.
//
// A want that itself ends like such a name is not given as it is either: whoever
// picks a user name could pick the name made for somebody else.
func FitName(want, provider, subject string, limit int, taken bool) string {
	limit = min(max(limit, 16), maxName)
	if !taken && len(want) <= limit && ValidName(want) && !looksDerived(want) {
		return want
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(provider), provider, subject))
	tail := "-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:12])
	head := dashed(norm.NFC.String(want[:min(len(want), 4*maxName)]))
	head = strings.Trim(head[:min(len(head), limit-len(tail))], "-")
	if head == "" {
		head = "x"
	}
	return head + tail
}

// dashed puts one "-" for each run of what a name cannot hold.
func dashed(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch {
		case nameByte(s[i]):
			b.WriteByte(s[i])
		case i == 0 || nameByte(s[i-1]):
			b.WriteByte('-')
		}
	}
	return b.String()
}

// looksDerived reports whether a name ends like one that FitName makes.
func looksDerived(name string) bool {
	const tail = 13
	return len(name) >= tail && name[len(name)-tail] == '-' &&
		strings.Trim(strings.ToLower(name[len(name)-tail+1:]), "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// CheckTag refuses a session tag that STS would refuse.
func CheckTag(key, value string) error {
	switch {
	case key == "" || utf8.RuneCountInString(key) > 128:
		return fmt.Errorf("%w: key %q: a key has 1 to 128 characters", ErrBadTag, clip(key))
	case strings.HasPrefix(strings.ToLower(key), "aws:"):
		return fmt.Errorf("%w: key %q: the prefix aws: is AWS's own", ErrBadTag, key)
	case !tagText(key):
		return fmt.Errorf("%w: key %q: letters, digits, space and _.:/=+-@ only", ErrBadTag, key)
	case utf8.RuneCountInString(value) > 256:
		return fmt.Errorf("%w: %q: a value has at most 256 characters", ErrBadTag, key)
	case !tagText(value):
		return fmt.Errorf("%w: %q: the value has a character other than letters, digits, space and _.:/=+-@", ErrBadTag, key)
	}
	return nil
}

// tagText reports whether s holds only what STS takes in a tag: [\p{L}\p{Z}\p{N}_.:/=+\-@].
func tagText(s string) bool {
	for _, r := range s {
		if !unicode.In(r, unicode.L, unicode.Z, unicode.N) && !strings.ContainsRune("_.:/=+-@", r) {
			return false
		}
	}
	return true
}
