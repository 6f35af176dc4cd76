package iam

import (
	"errors"
	"strings"
	"testing"
)

// The text of a refusal goes to whoever sent the policy.
func TestAPolicyOfTheWrongTypeIsSaidWithoutTypesOfGo(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		`[1]`:                      "array stands where an object belongs",
		`"a"`:                      "string stands where an object belongs",
		`{"Version":1}`:            "Version must not be a number",
		`{"Statement":"s3:*"}`:     "string",
		`{"Statement":[7]}`:        "number",
		`{"Statement":{"Sid":[]}}`: "Sid must not be a array",
	} {
		err := CheckSessionPolicy(text)
		if !errors.Is(err, ErrBadPolicy) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", text, err, says)
			continue
		}
		for _, word := range []string{"Go ", "struct", "iam.", "json:"} {
			if strings.Contains(err.Error(), word) {
				t.Errorf("%s: %v holds %q", text, err, word)
			}
		}
	}
}
