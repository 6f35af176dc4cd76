package portal

import (
	"net/http"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

// maxOthers is how many other roles of the account the page names.
const maxOthers = 3

// whyPage answers 200 also for a role that is withheld: the answer is what was asked for.
func (e Endpoint) whyPage(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	role, shown, found, err := e.asked(r, caller)
	if err != nil {
		return err
	}
	if !found {
		return notGranted()
	}
	origin := endpoint.Origin(r)
	why, err := e.Explain.Why(r.Context(), origin, caller, role.ARN.String())
	if err != nil {
		return err
	}
	view := Why{Person: e.person(r, caller), Role: shown, Why: why, SignInURL: signInAgain(caller, "/why", shown.Ref)}
	if origin.Address.IsValid() {
		view.Address = origin.Address.String()
	}
	if !why.Granted {
		if view.Others, err = e.others(r, caller, role); err != nil {
			return err
		}
	}
	return e.Role.Why(w, r, view)
}

// others are roles of the same account that the person has now.
func (e Endpoint) others(r *http.Request, caller broker.Caller, role broker.Role) ([]page.ListedRole, error) {
	roles, err := e.Service.Roles(r.Context(), endpoint.Origin(r), caller)
	if err != nil {
		return nil, err
	}
	var found []page.ListedRole
	for _, line := range accounts(roles, account.Marks{}) {
		for _, other := range line.Roles {
			if line.ID == role.AccountID && !other.Withheld && len(found) < maxOthers {
				found = append(found, other)
			}
		}
	}
	return found, nil
}
