package portal

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

// shape writes a list as "account: Role Role; account: ...", withheld roles in brackets.
func shape(lines []page.Account) string {
	var parts []string
	for _, l := range lines {
		part := l.Name + ":"
		for _, r := range l.Roles {
			if r.Withheld {
				part += " (" + r.Name + ")"
			} else {
				part += " " + r.Name
			}
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, "; ")
}

func TestTheLeastPowerfulRoleComesFirstAndTheWithheldLast(t *testing.T) {
	t.Parallel()
	want := "development: Developer Deploy; production: ReadOnly Admin (Billing) (Breakglass)"
	if got := shape(accounts(demo().roles, account.Marks{})); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnAccountWhoseNameCannotBeALinkIsNamedByItsNumber(t *testing.T) {
	t.Parallel()
	roles := []broker.Role{
		role("100000000001", "plain", "/", "R"), role("100000000002", "two words", "/", "R"), role("100000000003", "", "/", "R"),
		role("100000000004", "same", "/", "R"), role("100000000005", "Same", "/", "R"), role("100000000006", "sl/ash", "/", "R"),
	}
	var got []string
	for _, line := range accounts(roles, account.Marks{}) {
		got = append(got, line.Roles[0].Ref)
	}
	want := []string{"100000000003/R", "plain/R", "100000000004/R", "100000000005/R", "100000000006/R", "100000000002/R"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSearchFindsAsTheScriptDoes(t *testing.T) {
	t.Parallel()
	lines := accounts(demo().roles, account.Marks{})
	for query, want := range map[string]string{
		"":                 shape(lines),
		"  ":               shape(lines),
		"prod":             "production: ReadOnly Admin (Billing) (Breakglass)",
		"production/admin": "production: Admin",
		"ADMIN":            "production: Admin",
		"4444 dev":         "development: Developer Deploy",
		"dev developer":    "development: Developer",
		"prodadm":          "production: Admin",
		"dvdev":            "development: Developer",
		"nothing at all":   "",
		"é":                "",
		"<script>":         "",
	} {
		if got := shape(search(query, lines)); got != want {
			t.Errorf("%q\n got %s\nwant %s", query, got, want)
		}
	}
}

// 500 accounts with 20 roles each: the list, and a search that finds nothing in
// the strict way and must look at every letter.
func BenchmarkTenThousandRoles(b *testing.B) {
	var roles []broker.Role
	for i := range 500 {
		for j := range 20 {
			roles = append(roles, role(fmt.Sprintf("%012d", i), fmt.Sprintf("team-%d-production", i), "/", fmt.Sprintf("Role%d", j)))
		}
	}
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			accounts(roles, account.Marks{})
		}
	})
	lines := accounts(roles, account.Marks{})
	b.Run("search", func(b *testing.B) {
		for b.Loop() {
			search("tmpdrlzq", lines)
		}
	})
}

func FuzzSearchNeverPanicsAndOnlyNarrows(f *testing.F) {
	for _, seed := range []string{"prod admin", "p", "////", "\xff\xfe", "éé", strings.Repeat("a", 300)} {
		f.Add(seed)
	}
	lines := accounts(demo().roles, account.Marks{})
	f.Fuzz(func(t *testing.T, query string) {
		for _, line := range search(query, lines) {
			if !strings.Contains(shape(lines), line.Name+":") {
				t.Errorf("%q gave the account %q, which was not there", query, line.Name)
			}
		}
	})
}
