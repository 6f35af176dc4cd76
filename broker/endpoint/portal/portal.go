// Package portal is what a signed-in person uses in the browser:
//
//	GET  /          accounts and roles, ?q= searches; without a session -> /login
//	GET  /console   the page of a role: ?role=ACCOUNT/ROLE[&region=eu-west-1]; with &service=s3 the
//	                page that posts itself by script, or by its button; &choose=1 shows the choice
//	POST /console   the AWS console opens: 303 to an address that signs in, once
//	GET  /keys      the form that asks for access keys of a role
//	POST /keys      access keys, shown once
//	GET  /why       why the person has a role, or not: rule by rule
//
// A GET never issues anything. A POST carries the CSRF token. Links of a role are
// stable: they survive signing in and can be shared. A role that is withheld keeps
// its page, which says why; what is not granted and what does not exist answer alike.
package portal

import (
	"context"
	"net/http"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
)

// Service is the part of broker.Broker that the portal shows.
type Service interface {
	Session(ctx context.Context, origin broker.Origin, token string) (broker.Caller, error)
	Roles(ctx context.Context, origin broker.Origin, caller broker.Caller) ([]broker.Role, error)
	Vend(ctx context.Context, origin broker.Origin, caller broker.Caller, order broker.Order) (broker.Vended, error)
	Console(ctx context.Context, origin broker.Origin, caller broker.Caller, order broker.ConsoleOrder) (broker.ConsoleURL, error)
	SignInProviders() []broker.ProviderInfo
}

// Explainer says why somebody has a role or not; broker.Broker is one.
type Explainer interface {
	Why(ctx context.Context, origin broker.Origin, caller broker.Caller, role string) (broker.Why, error)
}

// Own is what a person has marked; account.Service keeps it.
type Own interface {
	Marks(ctx context.Context, caller broker.Caller) (account.Marks, error)
	Use(ctx context.Context, caller broker.Caller, role string) error
}

// Pages renders what this endpoint shows.
type Pages interface {
	Home(w http.ResponseWriter, r *http.Request, view page.Home) error
	NoRole(w http.ResponseWriter, r *http.Request, view page.NoRole) error
	GoOn(w http.ResponseWriter, r *http.Request, to, title, text string) error
	endpoint.AutoPostPage
}

// Endpoint serves the portal.
type Endpoint struct {
	Service Service
	Explain Explainer
	// Chooser opens roles with the person's own assertion.
	Chooser Chooser
	Own     Own
	Pages   Pages
	Role    *RolePages
	Cookies endpoint.Cookies
	// URL is the public address of the broker, for links to share.
	URL string
	// Region is the region offered first, aws.region.
	Region string
	// ConsoleOrigins are all origins that opening a console passes through: AWSOrigins, or a
	// stand-in's. Browsers check form-action at every redirect, AWS's own included.
	ConsoleOrigins []string
	// Admin says whether somebody sees the way to administration; nil is nobody.
	Admin func(ctx context.Context, caller broker.Caller) bool
	Now   func() time.Time
}

// AWSOrigins are the origins through which AWS's own consoles open, in every
// partition: the federation endpoint redirects to the console, which redirects
// to the console of a region.
func AWSOrigins() []string {
	var origins []string
	for _, domain := range []string{"aws.amazon.com", "amazonaws-us-gov.com", "amazonaws.cn"} {
		for _, host := range []string{"signin.", "*.signin.", "console.", "*.console."} {
			origins = append(origins, "https://"+host+domain)
		}
	}
	return origins
}

// Mount implements endpoint.Mounter.
func (e Endpoint) Mount(mux *endpoint.Mux) {
	mux.Page("GET /{$}", e.signedIn(e.home))
	mux.Page("GET /console", e.signedIn(e.consolePage))
	mux.Page("POST /console", e.signedIn(e.openConsole))
	mux.Page("GET /keys", e.signedIn(e.keysPage))
	mux.Page("POST /keys", e.signedIn(e.makeKeys))
	mux.Page("GET /why", e.signedIn(e.whyPage))
}

// door is where callers come in.
func (e Endpoint) door() visitor.Door {
	return visitor.Door{Sessions: e.Service, Cookies: e.Cookies, Admin: e.Admin}
}

func (e Endpoint) person(r *http.Request, caller broker.Caller) page.Person {
	return page.Person(e.door().Person(r.Context(), caller))
}

func (e Endpoint) signedIn(h visitor.Handler) endpoint.Handler { return e.door().In(h) }

func (e Endpoint) home(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	roles, err := e.Service.Roles(r.Context(), endpoint.Origin(r), caller)
	if err != nil {
		return err
	}
	who := e.person(r, caller)
	if len(roles) == 0 {
		return e.Pages.NoRole(w, r, page.NoRole{
			Person: who, ProviderName: caller.Identity.Provider, Groups: caller.Identity.Groups, Checked: e.Now(),
		})
	}
	kept, err := e.Own.Marks(r.Context(), caller)
	if err != nil {
		return err
	}
	query := bounded(r.URL.Query().Get("q"))
	lines := accounts(roles, kept)
	shown, labels := labelled(lines, r.URL.Query().Get("label"))
	endpoint.AllowFormAction(w, e.ConsoleOrigins...)
	return e.Pages.Home(w, r, page.Home{
		Person: who, Query: query, Accounts: search(query, shown), Labels: labels, Recent: recent(roles, kept),
	})
}

// bounded keeps what the page repeats short.
func bounded(q string) string {
	if runes := []rune(q); len(runes) > 200 {
		return string(runes[:200])
	}
	return q
}
