package iam

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
)

func TestTheRoomThatPoliciesAndTagsTakeIsEstimated(t *testing.T) {
	t.Parallel()
	var few, many []Tag
	for i := range MaxTags {
		few = append(few, Tag{fmt.Sprintf("key%d", i), "x"})
		many = append(many, Tag{fmt.Sprintf("key%d", i), rand.Text() + rand.Text() + rand.Text()})
	}
	for name, c := range map[string]struct {
		policy      string
		arns        []string
		tags        []Tag
		least, most int
	}{
		"nothing":                        {"", nil, nil, 0, 0},
		"one tag":                        {"", nil, []Tag{{"team", "core"}}, 1, 5},
		"a small policy":                 {`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`, nil, nil, 1, 10},
		"a long policy that repeats":     {strings.Repeat(`"s3:GetObject",`, 130), nil, nil, 1, 10},
		"fifty small tags":               {"", nil, few, 5, 40},
		"fifty tags of random text":      {"", nil, many, 150, 400},
		"ten managed policies":           {"", strings.Split(strings.Repeat("arn:aws:iam::aws:policy/ReadOnlyAccess,", 9)+"arn:aws:iam::aws:policy/x", ","), nil, 1, 10},
		"a policy of two thousand runes": {rand.Text() + strings.Repeat(rand.Text(), 75), nil, nil, 1, 20},
	} {
		policies, labels := Packed(c.policy, c.arns, c.tags)
		if sum := policies + labels; sum < c.least || sum > c.most {
			t.Errorf("%s: %d + %d %%, not %d to %d", name, policies, labels, c.least, c.most)
		}
	}
}
