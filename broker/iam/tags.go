package iam

import (
	"fmt"
	"strings"
)

// Tag is one session tag.
type Tag struct{ Key, Value string }

// CheckTags refuses a set of session tags that STS would refuse: a bad tag, more
// than MaxTags, or two keys that differ in case only, which AWS holds for one key.
func CheckTags(tags []Tag) error {
	if len(tags) > MaxTags {
		return fmt.Errorf("%w: %d tags; a session has at most %d", ErrBadTag, len(tags), MaxTags)
	}
	seen := make(map[string]string, len(tags))
	for _, tag := range tags {
		if err := CheckTag(tag.Key, tag.Value); err != nil {
			return err
		}
		folded := strings.ToLower(tag.Key)
		if first, ok := seen[folded]; ok {
			return fmt.Errorf("%w: the keys %q and %q are the same key to AWS", ErrBadTag, first, tag.Key)
		}
		seen[folded] = tag.Key
	}
	return nil
}
