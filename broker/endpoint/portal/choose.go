package portal

import (
	"context"
	"net/http"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
)

// Chooser begins the sign-in that a role with the person's own assertion needs;
// broker.Broker is one.
type Chooser interface {
	Choose(ctx context.Context, origin broker.Origin, caller broker.Caller, browser string, choice broker.Choice) (broker.Begun, error)
}

// choose sends the browser to its identity provider for an assertion. By a page and
// not by a redirect: this answers a form, and form-action holds for redirects too.
func (e Endpoint) choose(w http.ResponseWriter, r *http.Request, caller broker.Caller, choice broker.Choice) error {
	begun, err := e.Chooser.Choose(r.Context(), endpoint.Origin(r), caller, e.Cookies.State(r), choice)
	if err != nil {
		return err
	}
	e.Cookies.SetState(w, begun.Browser)
	if begun.To.Form != nil {
		endpoint.AllowFormAction(w, begun.To.Form.Action)
		return e.Pages.AutoPost(w, r, *begun.To.Form)
	}
	return e.Pages.GoOn(w, r, begun.To.URL, "Going on to your identity provider", "AWS wants its word for this role.")
}

// Deliver shows what a sign-in has opened: it goes on to the console, or shows the
// keys. It answers the request that brought the assertion.
func (e Endpoint) Deliver(w http.ResponseWriter, r *http.Request, opened broker.Opened) error {
	roles, err := e.Service.Roles(r.Context(), endpoint.Origin(r), opened.Caller)
	if err != nil {
		return err
	}
	names := referencesOf(roles)
	for _, role := range roles {
		if role.ARN.String() != opened.Role {
			continue
		}
		e.used(r, opened.Caller, role, true)
		if opened.Choice.Console {
			return e.Pages.GoOn(w, r, opened.Console.URL.Reveal(), "Opening the AWS console", "You are signed in as "+names.ref(role)+".")
		}
		return e.showKeys(w, r, opened.Caller, headOf(role, names), e.issued(role, opened.Vended, opened.Duration))
	}
	return broker.Fail(broker.Unavailable, "policy_changed", "The policy changed just now. Try again.")
}

// issued is a set of keys for its page; asked is how long they were asked for.
func (e Endpoint) issued(role broker.Role, vended broker.Vended, asked string) *Issued {
	whole := role.Duration
	if seconds, err := time.ParseDuration(asked + "s"); err == nil && seconds > 0 {
		whole = seconds
	}
	left := vended.Credentials.Expires.Sub(e.Now())
	return &Issued{Credentials: vended.Credentials, Left: left, Of: max(left, whole), Region: e.Region, Stale: vended.Stale}
}
