package insight_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/operate/insight"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/idp"
)

var alice = idp.Identity{Provider: "corp", Subject: "1", Username: "alice@example.com", Groups: []string{"platform", "AWS-444455556666-Audit"}, Methods: []string{"pwd", "mfa"}}

func TestAnExplanationIsTheDecisionOfTheCommandLine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	got, err := w.Explain(t.Context(), origin, admin, insight.Question{Identity: alice, Address: "10.1.2.3"})
	check(t, err)
	ask := policy.Ask{Time: nine, Via: "browser"}
	ask.Address, _ = insight.AddressOf("10.1.2.3")
	want, err := json.MarshalIndent(w.running.Policy.Explain(alice, ask), "", "  ")
	check(t, err)
	if diff := cmp.Diff(string(want), got.JSON); diff != "" {
		t.Errorf("(-command line +page):\n%s", diff)
	}
	var refs, fates []string
	for _, o := range got.Orders {
		refs = append(refs, o.Ref+" by "+o.Grant)
	}
	for _, r := range got.Rules {
		fates = append(fates, r.Grant+" "+string(r.Fate))
	}
	if got := strings.Join(refs, ", "); got != "production/Admin by platform-admin, development/Developer by developers, sandbox/Developer by developers, development/Audit by by-convention" {
		t.Errorf("granted %s", got)
	}
	if got := strings.Join(fates, ", "); got != "deny-leavers skipped, platform-admin held, developers held, by-convention held, root skipped" {
		t.Errorf("fared %s", got)
	}
}

func TestAnOrderNamesEveryParameterAndNoSecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	got, err := w.Explain(t.Context(), origin, admin, insight.Question{Identity: alice, Address: "10.1.2.3"})
	check(t, err)
	want := []insight.Parameter{
		{Name: "RoleArn", Value: "arn:aws:iam::111122223333:role/Admin"}, {Name: "RoleSessionName", Value: "alice@example.com"},
		{Name: "ExternalId", Value: "the secret of the account, not shown"}, {Name: "SourceIdentity", Value: "corp=1"}, {Name: "Tags", Value: "team = platform"},
		{Name: "TransitiveTagKeys", Value: "team"}, {Name: "DurationSeconds", Value: "3600"},
	}
	first, second := got.Orders[0], got.Orders[1]
	if diff := cmp.Diff(want, first.Parameters); diff != "" || first.Call != "AssumeRole" || first.First != "AssumeRole arn:aws:iam::999988887777:role/hub" {
		t.Errorf("%s after %q (-want +got):\n%s", first.Call, first.First, diff)
	}
	if second.Call != "AssumeRoleWithWebIdentity" || second.Console || len(second.Proof) != 1 || second.Proof[0].Name != "SourceIdentity" {
		t.Errorf("a federated call: %+v", second)
	}
	text, err := json.Marshal(got)
	check(t, err)
	if strings.Contains(string(text), "canary") {
		t.Errorf("a secret is in it: %s", text)
	}
}

func TestOneRoleIsAnsweredWithWhatWithholdsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	got, err := w.Explain(t.Context(), origin, admin, insight.Question{Identity: alice, Role: "production/Admin", Address: "198.51.100.24", At: nine.Add(time.Hour), Via: "cli"})
	check(t, err)
	if got.Role == nil || got.Role.Granted || got.Role.Grant != "platform-admin" || got.Ref != "production/Admin" || !got.At.Equal(nine.Add(time.Hour)) {
		t.Fatalf("%+v", got.Role)
	}
	if len(got.Withheld) != 1 || got.Withheld[0].Ref != "production/Admin" || got.Withheld[0].Grant != "platform-admin" {
		t.Errorf("withheld %+v", got.Withheld)
	}
	var failed []string
	for _, r := range got.Rules {
		for _, test := range r.Tests {
			if test.Fate == broker.Failed {
				failed = append(failed, r.Grant+" "+test.Test+" "+test.When)
			}
		}
	}
	if len(failed) != 1 || failed[0] != `platform-admin when cidr("10.0.0.0/8").containsIP(request.ip)` {
		t.Errorf("failed %v", failed)
	}
}

func TestSomebodyWhoHasSignedInIsExplainedAsTheyWereThen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	w.signIn(t, alice)
	got, err := w.Explain(t.Context(), origin, admin, insight.Question{Person: "corp=1", Identity: idp.Identity{Provider: "corp", Subject: "2"}, Address: "10.0.0.1"})
	check(t, err)
	if got.Identity.Username != "alice@example.com" || len(got.Identity.Groups) != 2 || !got.Seen.Equal(nine) || len(got.Orders) != 4 {
		t.Errorf("%+v", got)
	}
	if named, err := w.Explain(t.Context(), origin, admin, insight.Question{Person: "alice@example.com"}); err != nil || named.Identity.Subject != "1" {
		t.Errorf("by the user name: %+v, %v", named.Identity, err)
	}
	w.signIn(t, idp.Identity{Provider: "corp", Subject: "1b", Username: "alice@example.com"})
	if _, err := w.Explain(t.Context(), origin, admin, insight.Question{Person: "alice@example.com"}); broker.Shown(err).Reason != "ambiguous_person" || !strings.Contains(broker.Shown(err).Message, "corp=1b") {
		t.Errorf("a name that two have: %v", err)
	}
	for _, person := range []string{"corp=2", "google=1", "corp", "=", "corp=", "=1"} {
		if _, err := w.Explain(t.Context(), origin, admin, insight.Question{Person: person}); broker.CodeOf(err) != broker.InvalidRequest {
			t.Errorf("%q: %v", person, err)
		}
	}
}

func TestAnExplanationClaimsNoNameAndIsARecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	_, err := w.Explain(t.Context(), origin, admin, insight.Question{Identity: alice, Role: "production/Admin"})
	check(t, err)
	if taken, err := w.sessions.ClaimName(t.Context(), "corp", "2", "alice@example.com"); err != nil || taken {
		t.Errorf("explaining claimed the name: %t, %v", taken, err)
	}
	again, err := w.Explain(t.Context(), origin, admin, insight.Question{Identity: alice, Address: "10.0.0.1"})
	check(t, err)
	if !again.NameTaken || again.Orders[0].Parameters[1].Value == "alice@example.com" {
		t.Errorf("a name of somebody else: %+v", again.Orders[0])
	}
	records := w.records(t, "admin.explain")
	if len(records) != 2 || records[1].Username != "ops" || records[1].Address != "192.0.2.1" || records[1].RequestID != "REQUEST" || !strings.Contains(records[1].Detail, "corp=1 (alice@example.com), role production/Admin, by browser, at 2026-") {
		t.Errorf("recorded %+v", records)
	}
	deaf := newWorld(t, true)
	if _, err := deaf.Explain(t.Context(), origin, admin, insight.Question{Identity: alice}); broker.CodeOf(err) != broker.Unavailable {
		t.Errorf("without a record: %v", err)
	}
}

func TestAQuestionThatCannotBeReadIsRefusedWithWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	for want, q := range map[string]insight.Question{
		"no_identity":       {},
		"malformed_role":    {Identity: alice, Role: "Admin"},
		"malformed_address": {Identity: alice, Address: "10.0.0.0/8"},
		"malformed_via":     {Identity: alice, Via: "carrier pigeon"},
		"no_such_person":    {Person: "corp=nobody"},
	} {
		_, err := w.Explain(t.Context(), origin, admin, q)
		if shown := broker.Shown(err); shown.Code != broker.InvalidRequest || shown.Reason != want {
			t.Errorf("%s: %v", want, err)
		}
	}
	if n := len(w.records(t, "admin.explain")); n != 0 {
		t.Errorf("%d records of questions that were not answered", n)
	}
}

func TestNobodyElseLooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, false)
	other := broker.Caller{Via: broker.ViaBrowser, Identity: alice}
	_, explained := w.Explain(t.Context(), origin, other, insight.Question{Identity: alice})
	_, _, people := w.People(t.Context(), other, "")
	_, access := w.Access(t.Context(), other)
	_, health := w.Health(t.Context(), other, true)
	_, configuration := w.Configuration(t.Context(), other)
	for name, err := range map[string]error{"explain": explained, "people": people, "access": access, "health": health, "configuration": configuration} {
		if broker.CodeOf(err) != broker.AccessDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(w.records(t, "admin.explain")); n != 0 {
		t.Errorf("%d records", n)
	}
}
