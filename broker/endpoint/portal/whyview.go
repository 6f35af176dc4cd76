package portal

import (
	"fmt"
	"html/template"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

// Why is the page that says why the person has a role, or not.
type Why struct {
	Person page.Person
	Role   Role
	Why    broker.Why
	// Address is where the request came from, "" if that is not known.
	Address string
	// Others are roles of the same account that the person has now.
	Others    []page.ListedRole
	SignInURL string
}

// Rules are those that speak of the person and the role. Those that select other
// people or give other roles are counted only: whom the policy trusts with what
// is not everybody's to read.
func (w Why) Rules() []broker.Rule {
	var shown []broker.Rule
	for _, r := range w.Why.Rules {
		if r.Fate != broker.Skipped {
			shown = append(shown, r)
		}
	}
	return shown
}

// told is a rule with its tests in words.
type told struct {
	Grant string
	Fate  broker.Fate
	Tests []toldTest
}

type toldTest struct {
	Fate broker.Fate
	Text template.HTML
}

// Told are the Rules as the page says them.
func (w Why) Told() []told {
	var all []told
	for _, r := range w.Rules() {
		one := told{Grant: r.Grant, Fate: r.Fate}
		for _, t := range r.Tests {
			one.Tests = append(one.Tests, toldTest{t.Fate, testText(t)})
		}
		all = append(all, one)
	}
	return all
}

// Beside is how many rules Rules leaves out, as text.
func (w Why) Beside() string {
	switch n := len(w.Why.Rules) - len(w.Rules()); n {
	case 0:
		return ""
	case 1:
		return "One other rule of the policy does not concern you and this role."
	default:
		return fmt.Sprintf("%d other rules of the policy do not concern you and this role.", n)
	}
}

// Refused reports whether a rule that refuses withholds the role.
func (w Why) Refused() bool {
	for _, r := range w.Rules() {
		if r.Deny {
			return true
		}
	}
	return false
}

// Condition reports whether a condition withholds the role.
func (w Why) Condition() bool {
	for _, r := range w.Rules() {
		for _, t := range r.Tests {
			if t.Test == "when" && t.Fate == broker.Failed {
				return true
			}
		}
	}
	return false
}

// testText puts one test of a rule into words, in the second person.
func testText(t broker.RuleTest) template.HTML {
	code := func(s string) string { return "<code>" + template.HTMLEscapeString(s) + "</code>" }
	plain := template.HTMLEscapeString(t.Detail)
	held := t.Fate == broker.Held
	var text string
	switch t.Test {
	case "providers":
		text = either(held, "your identity provider fits", "your identity provider is none of those it names")
	case "groups":
		text = "you are " + plain
		if name, ok := strings.CutPrefix(t.Detail, "in \""); ok && held {
			text = "you are in " + code(strings.TrimSuffix(name, `"`))
		}
	case "groups_matching":
		text = either(held, "one of your groups fits its pattern", "none of your groups fits its pattern")
	case "users":
		text = either(held, "you are named in it", "you are not named in it")
	case "everyone":
		text = either(held, "it is for everyone", "it is not for guests")
	case "when":
		text = "its condition " + either(held, "holds", "does not hold")
		if t.When != "" {
			text += ": " + code(t.When)
		}
		if plain != "" && !strings.HasPrefix(t.Detail, "for ") {
			text += " (" + plain + ")"
		}
	case "require.mfa":
		text = either(held, "you signed in with two factors", "it wants a sign-in with two factors") + ": " + plain
	case "require.max_auth_age":
		text = either(held, "your sign-in is fresh enough", "it wants a fresher sign-in") + ": " + plain
	case "device_flow":
		text = either(held, "you did not come by a device code", "it refuses sessions that came by a device code")
	case "role":
		text = plain
	default:
		text = template.HTMLEscapeString(t.Test) + ": " + plain
	}
	return template.HTML(text) //nolint:gosec // every part is escaped above
}

func either(held bool, yes, no string) string {
	if held {
		return yes
	}
	return no
}
