package portal

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

// asked finds the role that a request names among those of the caller. found is
// false where it is none of them.
func (e Endpoint) asked(r *http.Request, caller broker.Caller) (role broker.Role, shown Role, found bool, err error) {
	ref := r.FormValue("role")
	if ref == "" {
		return role, shown, false, broker.Fail(broker.InvalidRequest, "no_role_named", "The address names no role. Choose one from your roles.")
	}
	roles, err := e.Service.Roles(r.Context(), endpoint.Origin(r), caller)
	if err != nil {
		return role, shown, false, err
	}
	names := referencesOf(roles)
	for _, candidate := range roles {
		if names.means(ref, candidate) {
			kept, err := e.Own.Marks(r.Context(), caller)
			shown = headOf(candidate, names)
			mark := kept.Marks[candidate.AccountID]
			shown.Label, shown.Colour = mark.Label, mark.Colour
			return candidate, shown, true, err
		}
	}
	return role, shown, false, nil
}

func notGranted() error {
	return broker.Fail(broker.AccessDenied, "role_not_granted", "No role of that name is yours. Your roles are on the first page; a role that you expect there is missing from the policy.")
}

func headOf(role broker.Role, names references) Role {
	return Role{
		AccountID: role.AccountID, AccountName: accountName(role), Name: role.ARN.Name, Ref: names.ref(role),
		Grant: role.Grant, Duration: role.Duration, MaxDuration: role.MaxDuration, Console: role.Console,
		Withheld: role.Withheld, StepUp: role.StepUp,
	}
}

// signInAgain is where a fresh sign-in begins that comes back to a page of the role.
func signInAgain(caller broker.Caller, path, ref string) string {
	return "/login?" + url.Values{"fresh": {"1"}, "provider": {caller.Identity.Provider}, "return_to": {page.RoleURL(path, ref)}}.Encode()
}

func (e Endpoint) consolePage(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	role, shown, found, err := e.asked(r, caller)
	if err != nil {
		return err
	}
	if !found {
		return notGranted()
	}
	if serviceShape.MatchString(r.FormValue("service")) && r.FormValue("choose") == "" && shown.Withheld == "" && shown.Console {
		return e.showOpening(w, r, caller, role, shown)
	}
	return e.showConsole(w, r, caller, role, shown)
}

// showOpening answers a link that names a service. It issues nothing: the page
// posts, and a POST carries the token.
func (e Endpoint) showOpening(w http.ResponseWriter, r *http.Request, caller broker.Caller, role broker.Role, shown Role) error {
	service, region := r.FormValue("service"), r.FormValue("region")
	view := Opening{
		Person: e.person(r, caller), Role: shown, Service: chosen(services(service)), Region: chosen(regions(role.ARN.Partition, region, e.Region)),
		CancelURL: page.RoleURL("/console", shown.Ref) + "&service=" + url.QueryEscape(service) + "&choose=1",
	}
	if view.Region.Value != "" {
		view.CancelURL += "&region=" + url.QueryEscape(view.Region.Value)
	}
	endpoint.AllowFormAction(w, e.ConsoleOrigins...)
	return e.Role.Opening(w, r, view)
}

// chosen is the option that was chosen, or an empty one.
func chosen(options []page.Option) page.Option {
	for _, o := range options {
		if o.Chosen {
			return o
		}
	}
	return page.Option{}
}

func (e Endpoint) showConsole(w http.ResponseWriter, r *http.Request, caller broker.Caller, role broker.Role, shown Role) error {
	service, region := r.FormValue("service"), r.FormValue("region")
	link := e.URL + page.RoleURL("/console", shown.Ref)
	if serviceShape.MatchString(service) {
		link += "&service=" + url.QueryEscape(service)
	}
	if regionShape.MatchString(region) {
		link += "&region=" + url.QueryEscape(region)
	} else {
		region = ""
	}
	endpoint.AllowFormAction(w, e.ConsoleOrigins...)
	return e.Role.Console(w, r, Console{
		Person: e.person(r, caller), Role: shown, Link: link, SignInURL: signInAgain(caller, "/console", shown.Ref),
		Services: services(service), Regions: regions(role.ARN.Partition, region, e.Region),
	})
}

// openConsole sends the browser to an address that signs it in to the AWS
// console. It stands in the Location header only.
func (e Endpoint) openConsole(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	role, shown, found, err := e.asked(r, caller)
	if err != nil {
		return err
	}
	if found && role.OwnAssertion {
		return e.choose(w, r, caller, broker.Choice{
			Role: role.ARN.String(), Console: true, Service: r.PostFormValue("service"), Region: r.PostFormValue("region"),
		})
	}
	console, err := e.Service.Console(r.Context(), endpoint.Origin(r), caller, broker.ConsoleOrder{
		Role: orderRef(r, role, found), Service: r.PostFormValue("service"), Region: r.PostFormValue("region"),
	})
	if stepUp(err, &shown) && found {
		return e.showConsole(w, r, caller, role, shown)
	}
	if err != nil {
		return err
	}
	e.used(r, caller, role, found)
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, console.URL.Reveal(), http.StatusSeeOther)
	return nil
}

func (e Endpoint) keysPage(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	_, shown, found, err := e.asked(r, caller)
	if err != nil {
		return err
	}
	if !found {
		return notGranted()
	}
	return e.showKeys(w, r, caller, shown, nil)
}

func (e Endpoint) showKeys(w http.ResponseWriter, r *http.Request, caller broker.Caller, shown Role, issued *Issued) error {
	return e.Role.Keys(w, r, Keys{
		Person: e.person(r, caller), Role: shown, Durations: durations(shown.Duration, shown.MaxDuration),
		Issued: issued, SignInURL: signInAgain(caller, "/keys", shown.Ref),
	})
}

func (e Endpoint) makeKeys(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	role, shown, found, err := e.asked(r, caller)
	if err != nil {
		return err
	}
	asked := r.PostFormValue("duration")
	if found && role.OwnAssertion {
		return e.choose(w, r, caller, broker.Choice{Role: role.ARN.String(), Duration: asked})
	}
	vended, err := e.Service.Vend(r.Context(), endpoint.Origin(r), caller, broker.Order{Role: orderRef(r, role, found), Duration: asked})
	if stepUp(err, &shown) && found {
		return e.showKeys(w, r, caller, shown, nil)
	}
	if err != nil {
		return err
	}
	if !found { // granted between the two calls
		return broker.Fail(broker.Unavailable, "policy_changed", "The policy changed just now. Try again.")
	}
	e.used(r, caller, role, found)
	if vended.Stale {
		w.Header().Set("X-Rolecall-Stale", "1")
	}
	return e.showKeys(w, r, caller, shown, e.issued(role, vended, asked))
}

// orderRef is the role as the broker is asked for it: the ARN where the caller's
// list has it, else the text of the request, which the broker refuses and records.
func orderRef(r *http.Request, role broker.Role, found bool) string {
	if found {
		return role.ARN.String()
	}
	return r.PostFormValue("role")
}

// stepUp turns the refusal of an order into the state of its page.
func stepUp(err error, shown *Role) bool {
	if broker.CodeOf(err) != broker.StepUp {
		return false
	}
	shown.StepUp, shown.Withheld = true, broker.Shown(err).Message
	return true
}

// durations offers round lives of keys up to the most that the grant allows.
func durations(usual, most time.Duration) []page.Option {
	lives := []time.Duration{usual, most}
	for _, d := range []time.Duration{time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour} {
		if d < most {
			lives = append(lives, d)
		}
	}
	slices.Sort(lives)
	var options []page.Option
	for _, d := range slices.Compact(lives) {
		if d <= 0 || d > most {
			continue
		}
		text := inWords(d)
		if d == most && usual < most {
			text += ", the most"
		}
		options = append(options, page.Option{Value: strconv.Itoa(int(d.Seconds())), Text: text, Chosen: d == usual})
	}
	return options
}

func inWords(d time.Duration) string {
	number, unit := int(d.Minutes()), "minute"
	if d%time.Hour == 0 {
		number, unit = int(d.Hours()), "hour"
	}
	if number != 1 {
		unit += "s"
	}
	return fmt.Sprintf("%d %s", number, unit)
}
