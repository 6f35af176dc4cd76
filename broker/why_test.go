package broker_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
)

// fates prints the rules of an answer that were not skipped, "grant:fate" in the order of the file.
func fates(w broker.Why) string {
	var out []string
	for _, r := range w.Rules {
		if r.Fate != broker.Skipped {
			out = append(out, r.Grant+":"+string(r.Fate))
		}
	}
	return strings.Join(out, " ")
}

func TestWhySaysWhichRuleGivesARoleAndWhatAWSWillSee(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	caller := b.caller(t)
	why, err := b.Why(t.Context(), origin, caller, "production/Admin")
	if err != nil {
		t.Fatal(err)
	}
	if !why.Granted || why.Grant != "admin" || why.Session != "arn:aws:sts::111122223333:assumed-role/Admin/alice" || why.SourceIdentity == "" {
		t.Errorf("got %+v", why)
	}
	if got, want := fates(why), "admin:held"; got != want {
		t.Errorf("rules %s, want %s", got, want)
	}
}

func TestWhyCrossesTheRuleThatWithholdsAndNoOther(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	why, err := b.Why(t.Context(), origin, b.caller(t), "production/Vault")
	if err != nil {
		t.Fatal(err)
	}
	if why.Granted || why.Grant != "mfa" || !why.StepUp || !strings.Contains(why.Reason, "second factor") || why.Session != "" {
		t.Errorf("got %+v", why)
	}
	if got, want := fates(why), "mfa:failed"; got != want {
		t.Errorf("rules %s, want %s", got, want)
	}
	i := slices.IndexFunc(why.Rules, func(r broker.Rule) bool { return r.Grant == "mfa" })
	for _, test := range why.Rules[i].Tests {
		want := broker.Held
		if test.Test == "require.mfa" {
			want = broker.Failed
		}
		if test.Fate != want {
			t.Errorf("test %s: %s", test.Test, test.Fate)
		}
	}
}

func TestWhyOfARoleThatNobodySpeaksOf(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	caller := b.caller(t)
	why, err := b.Why(t.Context(), origin, caller, "production/Nothing")
	if err != nil || why.Granted || why.Grant != "" {
		t.Errorf("got %+v, %v", why, err)
	}
	if fates(why) != "" {
		t.Errorf("rules %s", fates(why))
	}
	_, err = b.Why(t.Context(), origin, caller, "nonsense")
	refused(t, err, broker.InvalidRequest, "malformed_role")
}
