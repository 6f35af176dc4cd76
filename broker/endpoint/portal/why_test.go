package portal

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/iam"
)

func TestWhyAnswersFirstAndThenRuleByRule(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.why = broker.Why{Granted: true, Grant: "of-Admin", Session: "arn:aws:sts::111122223333:assumed-role/Admin/alice", Tags: []iam.Tag{{Key: "team", Value: "core"}},
		Rules: []broker.Rule{
			{Grant: "of-Admin", Fate: broker.Held, Tests: []broker.RuleTest{{Test: "groups", Fate: broker.Held, Detail: `in "platform"`}}},
			{Grant: "of-others", Fate: broker.Skipped, Tests: []broker.RuleTest{{Test: "groups", Fate: broker.Skipped, Detail: `in none of the-secret-project`}}},
		}}
	w := visit(site(t, fake), "/why?role=production/Admin")
	html := w.Body.String()
	for _, want := range []string{"<strong>Yes.</strong>", "you are in <code>platform</code>", "assumed-role/Admin/alice", "team=core", "One other rule of the policy does not concern you", `aria-current="page">Why you have it`} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(html, "the-secret-project") || strings.Contains(html, "of-others") {
		t.Error("the page shows whom else the policy trusts")
	}
	if w.Code != http.StatusOK || len(fake.asked) != 1 || fake.asked[0] != "arn:aws:iam::111122223333:role/Admin" {
		t.Errorf("answered %d, asked for %v", w.Code, fake.asked)
	}
}

func TestWhyNotNamesTheRuleAndWhatElseThereIs(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.why = broker.Why{Grant: "of-Billing", Reason: "its condition does not hold: false", Rules: []broker.Rule{
		{Grant: "of-Billing", Fate: broker.Failed, Tests: []broker.RuleTest{{Test: "when", Fate: broker.Failed, When: `request.ip == "10.0.0.1"`}}},
	}}
	w := visit(site(t, fake), "/why?role=production/Billing")
	html := w.Body.String()
	for _, want := range []string{"Withheld now.", "of-Billing", `<code>request.ip == &#34;10.0.0.1&#34;</code>`, "comes from <span class=\"code\">192.0.2.1</span>", `href="/console?role=production/ReadOnly"`, "cloud-access@example.com"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if w.Code != http.StatusOK || strings.Contains(html, "of-others") {
		t.Errorf("answered %d", w.Code)
	}
}

func TestWhyOffersAFreshSignInWhereThatHelps(t *testing.T) {
	t.Parallel()
	fake := demo()
	fake.why = broker.Why{Grant: "of-Breakglass", Reason: "needs a second factor", StepUp: true}
	html := visit(site(t, fake), "/why?role=production/Breakglass").Body.String()
	if want := `href="/login?fresh=1&amp;provider=corp&amp;return_to=%2Fwhy%3Frole%3Dproduction%2FBreakglass"`; !strings.Contains(html, want) {
		t.Errorf("the page lacks %s", want)
	}
}
