package revoke

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// sources shows a policy as "HH:MM who".
func shown(p policy) []string {
	var lines []string
	for _, e := range p.entries {
		lines = append(lines, e.before.Format("02 15:04 ")+e.source)
	}
	return lines
}

func parsed(t *testing.T, text string) policy {
	t.Helper()
	p, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMergingKeepsWhatStillDeniesAndDropsWhatIsOver(t *testing.T) {
	t.Parallel()
	old := []entry{
		{noon.Add(-13 * time.Hour), "corp=long-ago"},
		{noon.Add(-2 * time.Hour), "corp=a"},
		{noon.Add(-1 * time.Hour), "corp=b"},
	}
	for name, c := range map[string]struct {
		more []entry
		want []string
	}{
		"somebody new":                     {[]entry{{noon, "corp=c"}}, []string{"24 10:00 corp=a", "24 11:00 corp=b", "24 12:00 corp=c"}},
		"the same person later":            {[]entry{{noon, "corp=a"}}, []string{"24 11:00 corp=b", "24 12:00 corp=a"}},
		"the same person earlier":          {[]entry{{noon.Add(-3 * time.Hour), "corp=a"}}, []string{"24 10:00 corp=a", "24 11:00 corp=b"}},
		"everybody covers those before":    {[]entry{{noon.Add(-90 * time.Minute), ""}}, []string{"24 10:30 ", "24 11:00 corp=b"}},
		"everybody now covers all of them": {[]entry{{noon, ""}}, []string{"24 12:00 "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			merged := policy{entries: old}.merge(c.more, noon)
			if diff := cmp.Diff(c.want, shown(merged)); diff != "" {
				t.Error(diff)
			}
			if !merged.has(c.more) {
				t.Error("what was added is not denied")
			}
			again := parsed(t, merged.document(""))
			if diff := cmp.Diff(shown(merged), shown(again)); diff != "" {
				t.Errorf("written and read: %s", diff)
			}
			if twice := again.merge(c.more, noon); twice.document("") != merged.document("") {
				t.Errorf("the second time changes it: %s", twice.document(""))
			}
		})
	}
}

func TestAnEntryStaysUntilTheLastConsoleThatItDeniesHasEnded(t *testing.T) {
	t.Parallel()
	for age, kept := range map[time.Duration]bool{12 * time.Hour: true, 12*time.Hour + 16*time.Minute: false} {
		p := policy{entries: []entry{{noon.Add(-age), "corp=a"}}}.merge([]entry{{noon, "corp=b"}}, noon)
		if got := len(p.entries) == 2; got != kept {
			t.Errorf("after %s: %v", age, shown(p))
		}
	}
}

func TestStatementsOfOthersStayWordForWord(t *testing.T) {
	t.Parallel()
	for _, foreign := range []string{
		`{"Sid":"Mine","Effect":"Deny","Action":"s3:*","Resource":"*"}`,
		`{"Sid":"RolecallRevoke","Effect":"Allow","Action":"*","Resource":"*"}`,
		`{"Sid":"RolecallRevoke","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-24T10:00:00Z"},"Bool":{"aws:MultiFactorAuthPresent":"false"}}}`,
		`{"Sid":"RolecallRevoke","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"yesterday"}}}`,
		`{"Sid":"RolecallRevoke","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-24T10:00:00Z"},"StringEquals":{"aws:SourceIdentity":[]}}}`,
		`{"Sid":"RolecallRevoke","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-24T10:00:00Z"},"StringEquals":{"aws:PrincipalTag/a":["b"]}}}`,
	} {
		for _, text := range []string{`{"Version":"2012-10-17","Statement":[` + foreign + `]}`, `{"Version":"2012-10-17","Statement":` + foreign + `}`} {
			p := parsed(t, text).merge([]entry{{noon, "corp=a"}}, noon)
			if len(p.entries) != 1 || !strings.Contains(p.document(""), foreign) {
				t.Errorf("%s became %s", text, p.document(""))
			}
		}
	}
}

func TestADocumentThatCannotBeReadIsNotOurs(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"x", "[]", `{"Version":"2008-10-17","Statement":[]}`, `{"Version":"2012-10-17","Id":"x","Statement":[]}`, `{"Version":"2012-10-17","Statement":[],"More":1}`} {
		if p, err := parse(text); err == nil {
			t.Errorf("%s: %+v", text, p)
		}
	}
	if p, err := parse(""); err != nil || len(p.entries) != 0 || p.document("") != "" {
		t.Errorf("nothing: %+v, %v", p, err)
	}
}

// Whatever somebody wrote into the policy, reading and writing it again changes
// nothing of what it denies.
func FuzzParse(f *testing.F) {
	f.Add(Deny{Before: noon, SourceIdentities: []string{"corp=a", "corp=b"}}.Document())
	f.Add(`{"Version":"2012-10-17","Statement":{"Sid":"RolecallRevoke","Effect":"Deny","Action":"*","Resource":"*","Condition":{"DateLessThan":{"aws:TokenIssueTime":"2026-11-24T10:00:00Z"}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parse(text)
		if err != nil || len(p.entries)+len(p.foreign) == 0 {
			return
		}
		p.sort()
		again, err := parse(p.document(""))
		if err != nil || len(again.foreign) != len(p.foreign) || fmt.Sprint(shown(again)) != fmt.Sprint(shown(p)) {
			t.Fatalf("%q became %q: %v", text, p.document(""), err)
		}
		if !json.Valid([]byte(p.document("  "))) {
			t.Fatalf("%q", p.document("  "))
		}
	})
}

func TestUndoingPutsBackWhatWasThere(t *testing.T) {
	t.Parallel()
	r := role("1", "A")
	if got := restore(r, ""); !strings.HasPrefix(got, "aws iam delete-role-policy --role-name A --policy-name rolecall-revoke ") {
		t.Error(got)
	}
	if got := restore(r, `{"a":"it's"}`); !strings.Contains(got, `--policy-document '{"a":"it'\''s"}'`) {
		t.Error(got)
	}
}
