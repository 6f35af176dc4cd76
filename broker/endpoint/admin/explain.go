package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/operate/insight"
	"github.com/rolecall/rolecall/idp"
)

type explainView struct {
	// The form as it was sent.
	Person                    string
	Providers, Ways           []page.Option
	Subject, Username, Groups string
	Methods, Attributes       string
	Role, Address, At, Device string
	Described                 bool // the identity is described, not a person named
	Fault                     string
	Names                     []nameOption
	Answer                    *answerView
	Asked                     bool
}

// nameOption is a person to pick.
type nameOption struct{ Value, Label string }

type answerView struct {
	insight.Explanation
	Who, Provider  string
	When, SeenAt   moment
	Granted        int
	Shown          int // of the granted roles
	Speaks, Others []ruleRow
	IdentityJSON   string
}

type ruleRow struct {
	Number int
	Grant  string
	Fate   broker.Fate
	Deny   bool
	Tests  []testRow
}

type testRow struct {
	Fate               broker.Fate
	Name, Detail, Code string
}

// maxOrders is how many granted roles one explanation spells out.
const maxOrders = 50

func (e *Endpoint) explain(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	query := r.URL.Query()
	people, _, err := e.cfg.Insight.People(r.Context(), caller, "") // admits
	if err != nil {
		return err
	}
	view := e.explainForm(query, people)
	if !view.Asked {
		return e.show(w, r, caller, "explain", "Explain", view)
	}
	question, fault := view.question(query)
	if view.Fault = fault; fault == "" {
		found, err := e.cfg.Insight.Explain(r.Context(), endpoint.Origin(r), caller, question)
		switch {
		case err == nil:
			view.Answer = e.answerView(found)
		case broker.CodeOf(err) == broker.InvalidRequest:
			view.Fault = broker.Shown(err).Message
		default:
			return err
		}
	}
	return e.show(w, r, caller, "explain", "Explain", view)
}

// explainForm reads the form, to be shown again.
func (e *Endpoint) explainForm(query url.Values, people []insight.Person) explainView {
	field := func(name string, most int) string {
		text := strings.TrimSpace(query.Get(name))
		return text[:min(len(text), most)]
	}
	view := explainView{
		Person: field("person", 300), Subject: field("subject", 300), Username: field("username", 300), Groups: field("groups", 40_000), Methods: field("methods", 200),
		Attributes: field("attributes", 8000), Role: field("role", 2048), Address: field("address", 64), At: field("at", 40), Device: field("device", 200),
	}
	view.Described = view.Person == "" && view.Subject+view.Username+view.Groups != ""
	view.Asked = view.Person != "" || view.Described
	provider := query.Get("provider")
	for _, p := range e.cfg.Door.Sessions.SignInProviders() {
		view.Providers = append(view.Providers, page.Option{Value: p.Name, Text: cmp.Or(p.Label, p.Name), Chosen: p.Name == provider})
	}
	_, view.Ways = pick(wayChoices, query.Get("via"))
	count := map[string]int{}
	for _, p := range people {
		count[p.Username]++
	}
	for _, p := range people[:min(len(people), 200)] {
		option := nameOption{p.Username, cmp.Or(p.Name, e.providerLabel(p.Provider))}
		if count[p.Username] > 1 || p.Username == "" {
			option = nameOption{p.Key(), p.Username + ", " + e.providerLabel(p.Provider)}
		}
		view.Names = append(view.Names, option)
	}
	return view
}

var wayChoices = []page.Option{{Value: "browser", Text: "Browser"}, {Value: "cli", Text: "Command line"}, {Value: "device", Text: "Device code"}, {Value: "exchange", Text: "Token exchange"}, {Value: "tvm", Text: "App"}}

// question is what the form asks; fault is what is wrong with it.
func (v *explainView) question(query url.Values) (q insight.Question, fault string) {
	q = insight.Question{Person: v.Person, Role: v.Role, Address: v.Address, Device: v.Device}
	for _, way := range v.Ways {
		if way.Chosen {
			q.Via = way.Value
		}
	}
	var err error
	if q.At, err = instant(v.At); err != nil {
		return q, "The time cannot be read; write it like 2026-11-24T09:00."
	}
	if v.Person != "" {
		return q, ""
	}
	q.Identity = idp.Identity{
		Provider: query.Get("provider"), Subject: cmp.Or(v.Subject, v.Username), Username: cmp.Or(v.Username, v.Subject),
		Groups: lines(v.Groups), Methods: strings.FieldsFunc(v.Methods, func(c rune) bool { return c == ',' || c == ' ' }), Attributes: map[string][]string{},
	}
	for _, line := range lines(v.Attributes) {
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return q, "Write each attribute as NAME = VALUE, a line each."
		}
		name = strings.TrimSpace(name)
		q.Identity.Attributes[name] = append(q.Identity.Attributes[name], strings.TrimSpace(value))
	}
	return q, ""
}

// lines are the lines of a text that hold something.
func lines(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, line)
		}
	}
	return found
}

func (e *Endpoint) answerView(x insight.Explanation) *answerView {
	view := &answerView{
		Explanation: x, Who: cmp.Or(x.Identity.Username, x.Identity.Subject), Provider: e.providerLabel(x.Identity.Provider),
		When: e.moment(x.At), SeenAt: e.moment(x.Seen), Granted: len(x.Orders), Shown: min(len(x.Orders), maxOrders),
	}
	view.Orders = x.Orders[:view.Shown]
	for _, rule := range x.Rules {
		row := ruleRow{Number: rule.Number, Grant: rule.Grant, Fate: rule.Fate, Deny: rule.Deny}
		for _, t := range rule.Tests {
			row.Tests = append(row.Tests, testRow{t.Fate, cmp.Or(testNames[t.Test], t.Test), t.Detail, t.When})
		}
		if rule.Selects {
			view.Speaks = append(view.Speaks, row)
		} else {
			view.Others = append(view.Others, row)
		}
	}
	return view
}

var testNames = map[string]string{
	"providers": "Provider", "groups": "Groups", "groups_matching": "Group pattern", "users": "Users", "everyone": "Everyone", "guests": "Guests", "when": "Condition",
	"require.mfa": "Two factors", "require.max_auth_age": "Age of the sign-in", "device_flow": "Device code", "role": "Role", "first": "First to give it", "deny": "Refusal", "apps": "App",
}
