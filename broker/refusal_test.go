package broker

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/vend"
)

// What STS says is turned into what a person can do about it; its own text, which may
// name our principal, is not.
func TestARefusalSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:iam::999988887777:role/broker"
	tags := []iam.Tag{{Key: "team", Value: rand.Text()}, {Key: "cost", Value: rand.Text()}}
	for name, c := range map[string]struct {
		code, message, want string
	}{
		"packed":          {"PackedPolicyTooLarge", "Packed size of session tags consumes 138% of allotted space.", "and 2 tags "},
		"chained":         {"ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.", "one hour at most"},
		"role's maximum":  {"ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.", "2h is longer than the role itself allows"},
		"another invalid": {"ValidationError", "something about " + arn, "AWS refused the role"},
		"denied":          {"AccessDenied", "User: " + arn + " is not authorized", "trust policy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shown := vendError(fmt.Errorf("order: %w", &vend.Refused{Code: c.code, Message: c.message}), vend.Spec{Duration: 2 * time.Hour, Tags: tags})
			if shown.Code != AWSRefused || shown.Reason != "aws_"+c.code || !strings.Contains(shown.Message, c.want) || strings.Contains(shown.Message, "arn:") {
				t.Errorf("%s: %q", shown.Reason, shown.Message)
			}
		})
	}
}

func TestWhatIsSurelyTooLargeIsNotSent(t *testing.T) {
	t.Parallel()
	large := vend.Spec{Policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`}
	for i := range iam.MaxTags {
		large.Tags = append(large.Tags, iam.Tag{Key: fmt.Sprint("key", i), Value: rand.Text() + rand.Text() + rand.Text() + rand.Text()})
	}
	for own, want := range map[bool]Code{false: AWSRefused, true: TooLarge} {
		err := fits(large, own)
		if CodeOf(err) != want || Shown(err).Reason != "packed_too_large" || !strings.Contains(Shown(err).Message, "50 tags") {
			t.Errorf("%v", err)
		}
	}
	repeating := large
	repeating.Tags = nil
	for i := range iam.MaxTags {
		repeating.Tags = append(repeating.Tags, iam.Tag{Key: fmt.Sprint("key", i), Value: strings.Repeat("x", 256)})
	}
	if err := fits(repeating, true); err != nil {
		t.Errorf("what packs well is refused: %v", err)
	}
}

//nolint:paralleltest // it counts allocations
func TestASmallOrderIsNotPackedToSeeIt(t *testing.T) {
	spec := vend.Spec{Policy: `{"Version":"2012-10-17"}`, Tags: []iam.Tag{{Key: "team", Value: "core"}}}
	if allocs := testing.AllocsPerRun(100, func() { _ = fits(spec, false) }); allocs > 0 {
		t.Errorf("it allocates %v times", allocs)
	}
}
