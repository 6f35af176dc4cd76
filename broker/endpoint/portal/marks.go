package portal

import (
	"net/http"
	"slices"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

// labelsFrom is how many accounts there must be before labels filter them.
const labelsFrom = 12

// usedBefore is the place of a role among those used last; behind all of them for
// others, and for roles that are withheld.
func usedBefore(role broker.Role, kept account.Marks) int {
	if role.Withheld == "" {
		arn := role.ARN.String()
		for i, r := range kept.Recent {
			if r.Role == arn {
				return i
			}
		}
	}
	return len(kept.Recent)
}

// recent are the roles used last that the person still has.
func recent(roles []broker.Role, kept account.Marks) []page.RecentRole {
	names := referencesOf(roles)
	var found []page.RecentRole
	for _, r := range kept.Recent {
		i := slices.IndexFunc(roles, func(role broker.Role) bool { return role.Withheld == "" && role.ARN.String() == r.Role })
		if i < 0 {
			continue
		}
		role := roles[i]
		found = append(found, page.RecentRole{
			ListedRole: page.ListedRole{Name: role.ARN.Name, Ref: names.ref(role), Console: role.Console},
			Account:    accountName(role), Colour: kept.Marks[role.AccountID].Colour,
		})
	}
	return found
}

// labelled keeps the accounts that carry a label, and gives the labels to choose
// from: none where there are few accounts or no labels. A label that no account
// carries filters nothing.
func labelled(lines []page.Account, label string) ([]page.Account, []page.Option) {
	var labels []string
	for _, line := range lines {
		if line.Label != "" && !slices.Contains(labels, line.Label) {
			labels = append(labels, line.Label)
		}
	}
	if len(lines) < labelsFrom || len(labels) == 0 {
		return lines, nil
	}
	slices.Sort(labels)
	known := slices.Contains(labels, label)
	options := []page.Option{{Text: "All", Chosen: !known}}
	for _, l := range labels {
		options = append(options, page.Option{Value: l, Text: l, Chosen: known && l == label})
	}
	if !known {
		return lines, options
	}
	return slices.DeleteFunc(slices.Clone(lines), func(line page.Account) bool { return line.Label != label }), options
}

// used remembers a role for the list of recent ones. That list is a convenience:
// where it cannot be kept, what the person asked for happens all the same.
func (e Endpoint) used(r *http.Request, caller broker.Caller, role broker.Role, found bool) {
	if found {
		_ = e.Own.Use(r.Context(), caller, role.ARN.String())
	}
}
