package assemble

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
)

// adminPages are all of them, with what each must show of this world.
func adminPages() map[string]string {
	return map[string]string{
		"/admin/": "Audit chain whole", "/admin/sessions": "alice", "/admin/people?q=alice": "alice", "/admin/audit?since=all": "sign-in", "/admin/audit/record?at=0": "verified",
		"/admin/explain": "Whom do you want to understand", "/admin/explain?person=alice": "sts:AssumeRole", "/admin/explain?person=alice&role=production/Admin": "gets",
		"/admin/access": "platform-admin", "/admin/access?focus=group:developers": "developer-production", "/admin/health": "works", "/admin/configuration": "grants:",
	}
}

func TestAnAdministratorSeesEveryPageAndNoSecretOnAny(t *testing.T) {
	t.Parallel()
	w := run(t, func(c *config.Config) {
		c.Accounts[0].ExternalID = secret.New("canary-external-id")
		for i := range c.Providers {
			if c.Providers[i].Type.Value == "oidc" {
				c.Providers[i].ClientSecret = secret.New("canary-client-secret")
			}
		}
	})
	b := w.signIn(t, "corp")
	order(t, b, w.URL, "development/Developer")
	secrets := []string{"canary", w.People[0].Password.Reveal()}
	for target, want := range adminPages() {
		if err := b.Get(w.URL + target); err != nil {
			t.Fatal(err)
		}
		if b.Page.Status != 200 || !strings.Contains(b.Page.Text, want) {
			t.Errorf("%s answers %d, without %q", target, b.Page.Status, want)
		}
		without(t, target, b.Page.Text, secrets...)
	}
	if err := b.Get(w.URL + "/admin/configuration"); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.Page.Text, "<b>secret, written in the file</b>"); n < 2 {
		t.Errorf("%d secrets are shown as such", n)
	}
	if err := b.Get(w.URL + "/admin/audit/records?since=all"); err != nil {
		t.Fatal(err)
	}
	without(t, "the export", b.Page.Text, secrets...)
	record := w.record(t)
	if first, _, _ := strings.Cut(record, "\n"); !strings.Contains(b.Page.Text, first+"\n") || strings.Index(b.Page.Text, first) == 0 {
		t.Error("the export is not the record, newest first")
	}
	for _, event := range []string{"admin.explain", "admin.audit", "admin.export"} {
		if !strings.Contains(record, `"event":"`+event+`"`) {
			t.Errorf("%s is no record", event)
		}
	}
}

func TestWhoIsNoAdministratorSeesNoPageOfIt(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SignIn(w.URL+"/", "corp", scripted.Person{Name: "bob", Password: w.People[1].Password.Reveal()}); err != nil {
		t.Fatal(err)
	}
	for target := range adminPages() {
		if err := b.Get(w.URL + target); err != nil {
			t.Fatal(err)
		}
		if b.Page.Status != 403 || strings.Contains(b.Page.Text, "platform-admin") {
			t.Errorf("%s answers %d", target, b.Page.Status)
		}
	}
	if record := w.record(t); strings.Contains(record, "admin.") {
		t.Error("what was not read is a record")
	}
}

func TestSomebodyWhoHasNotComeYetIsExplained(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	b := w.signIn(t, "corp")
	q := url.Values{"provider": {"corp"}, "subject": {"u-9"}, "username": {"zoe"}, "groups": {"developers"}, "at": {"2026-11-24T09:00"}}
	if err := b.Get(w.URL + "/admin/explain?" + q.Encode()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2 roles", "production/Developer", "development/Developer", "corp=u-9", "RoleSessionName", "zoe"} {
		if !strings.Contains(b.Page.Text, want) {
			t.Errorf("the explanation lacks %q", want)
		}
	}
	if text := scripted.ReadRecord(t, filepath.Join(w.options.Data, "audit.jsonl")); !strings.Contains(text, "corp=u-9 (zoe)") {
		t.Error("the record does not say whom it was about")
	}
}
