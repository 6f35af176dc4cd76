package portal

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

func marked() account.Marks {
	kept := account.Marks{Marks: map[string]account.Mark{
		"111122223333": {Account: "111122223333", Label: "prod", Colour: "red", Favourite: true},
		"444455556666": {Account: "444455556666", Colour: "green"},
	}}
	return kept
}

func TestMarksPaintTheListAndTheRole(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.kept = marked()
	h := site(t, fake)
	html := visit(h, "/").Body.String()
	for _, want := range []string{
		`data-group="favourites"`, `data-label="prod" data-colour="red"`, `name="off" value="111122223333" aria-pressed="true"`,
		`name="on" value="444455556666" aria-pressed="false"`, `href="/accounts/444455556666"`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the list lacks %s", want)
		}
	}
	if strings.Index(html, `id="a-111122223333"`) > strings.Index(html, `id="h-accounts"`) {
		t.Error("a favourite stands among the others")
	}
	if strings.Contains(html, `class="labels"`) {
		t.Error("two accounts are filtered by label")
	}
	if html := visit(h, "/console?role=production/Admin").Body.String(); !strings.Contains(html, `data-colour="red"`) || !strings.Contains(html, `<bdi class="tag">prod</bdi>`) {
		t.Error("the page of the role has no colour or no label")
	}
	if html := visit(h, "/?q=prod+admin").Body.String(); !strings.Contains(html, "1 role in 1 account") {
		t.Error("a label is not found")
	}
}

func TestTheRoleUsedLastComesFirst(t *testing.T) {
	t.Parallel()
	fake := demo()
	for _, role := range []string{"arn:aws:iam::111122223333:role/Admin", "arn:aws:iam::111122223333:role/Billing", "arn:aws:iam::999999999999:role/Gone", "arn:aws:iam::444455556666:role/ci/Deploy"} {
		fake.kept.Recent = append(fake.kept.Recent, account.Recent{Role: role})
	}
	if got := shape(accounts(fake.roles, fake.kept)); !strings.Contains(got, "production:") || strings.Index(got, "Admin") > strings.Index(got, "ReadOnly") {
		t.Errorf("got %s", got)
	}
	var names []string
	for _, r := range recent(fake.roles, fake.kept) {
		names = append(names, r.Ref)
	}
	if got := strings.Join(names, " "); got != "production/Admin development/Deploy" {
		t.Errorf("recent: %s: what is withheld or gone is not among them", got)
	}
	html := visit(site(t, fake), "/").Body.String()
	if !strings.Contains(html, `id="h-recent"`) || !strings.Contains(html, `<bdi class="from">development/</bdi>Deploy`) {
		t.Error("the page has no recent roles")
	}
}

func TestAnOrderIsRememberedAndARefusalIsNot(t *testing.T) {
	t.Parallel()
	fake := demo()
	h := site(t, fake)
	post(h, "/", "/keys", url.Values{"role": {"production/Admin"}})
	post(h, "/", "/console", url.Values{"role": {"development/Developer"}})
	fake.err = broker.Fail(broker.AWSRefused, "aws_refused", "No.")
	post(h, "/", "/keys", url.Values{"role": {"production/ReadOnly"}})
	if got := strings.Join(fake.used, " "); got != "arn:aws:iam::111122223333:role/Admin arn:aws:iam::444455556666:role/Developer" {
		t.Errorf("remembered %s", got)
	}
}

func TestLabelsFilterWhereThereAreManyAccounts(t *testing.T) {
	t.Parallel()
	var lines []page.Account
	for i := range 12 {
		line := page.Account{ID: fmt.Sprintf("%012d", i), Name: fmt.Sprint("account-", i)}
		if i%3 == 0 {
			line.Label = []string{"prod", "dev & test"}[i%2]
		}
		lines = append(lines, line)
	}
	for label, want := range map[string]string{"": "12 of All* dev & test prod", "prod": "2 of All dev & test prod*", "dev & test": "2 of All dev & test* prod", "nothing": "12 of All* dev & test prod"} {
		shown, options := labelled(lines, label)
		got := fmt.Sprint(len(shown), " of")
		for _, o := range options {
			got += " " + o.Text
			if o.Chosen {
				got += "*"
			}
		}
		if got != want {
			t.Errorf("%q: %s, want %s", label, got, want)
		}
	}
	if shown, options := labelled(lines[:11], "prod"); len(shown) != 11 || options != nil {
		t.Error("eleven accounts are filtered")
	}
	for i := range lines {
		lines[i].Label = ""
	}
	if _, options := labelled(lines, ""); options != nil {
		t.Error("there are labels to choose, and none is given")
	}
}
