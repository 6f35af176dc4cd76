// Package portal is what a signed-in person uses in the browser:
//
//	GET  /          accounts and roles, ?q= searches; without a session -> /login
//	GET  /console   the page of a role: ?role=ACCOUNT/ROLE[&service=s3][&region=eu-west-1]
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
	"net/url"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
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

// Pages renders what this endpoint shows.
type Pages interface {
	Home(w http.ResponseWriter, r *http.Request, view page.Home) error
	NoRole(w http.ResponseWriter, r *http.Request, view page.NoRole) error
	Console(w http.ResponseWriter, r *http.Request, view page.Console) error
	Keys(w http.ResponseWriter, r *http.Request, view page.Keys) error
	Why(w http.ResponseWriter, r *http.Request, view page.Why) error
}

// Endpoint serves the portal.
type Endpoint struct {
	Service Service
	Explain Explainer
	Pages   Pages
	Cookies endpoint.Cookies
	// URL is the public address of the broker, for links to share.
	URL string
	// Region is the region offered first, aws.region.
	Region string
	// ConsoleOrigins are all origins that opening a console passes through: AWSOrigins, or a
	// stand-in's. Browsers check form-action at every redirect, AWS's own included.
	ConsoleOrigins []string
	Now            func() time.Time
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

// handler answers somebody who is signed in.
type handler func(w http.ResponseWriter, r *http.Request, caller broker.Caller) error

// signedIn finds the caller. Without a session a page leads to the sign-in and
// back; a form that was posted fails, so that nothing happens unasked after it.
func (e Endpoint) signedIn(h handler) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		endpoint.NoStore(w)
		posted := r.Method == http.MethodPost
		if posted {
			if err := endpoint.ParseForm(r); err != nil {
				return err
			}
		}
		caller, err := e.Service.Session(r.Context(), endpoint.Origin(r), e.Cookies.Session(r))
		switch {
		case broker.CodeOf(err) == broker.Unauthenticated && !posted:
			http.Redirect(w, r, "/login?return_to="+url.QueryEscape(endpoint.LocalPath(r.URL.RequestURI())), http.StatusSeeOther)
			return nil
		case err != nil:
			return err
		}
		if posted {
			if err := e.Cookies.CheckCSRF(r); err != nil {
				return err
			}
		}
		return h(w, r, caller)
	}
}

func (e Endpoint) home(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	roles, err := e.Service.Roles(r.Context(), endpoint.Origin(r), caller)
	if err != nil {
		return err
	}
	who := e.person(caller)
	if len(roles) == 0 {
		return e.Pages.NoRole(w, r, page.NoRole{
			Person: who, ProviderName: caller.Identity.Provider, Groups: caller.Identity.Groups, Checked: e.Now(),
		})
	}
	query := bounded(r.URL.Query().Get("q"))
	endpoint.AllowFormAction(w, e.ConsoleOrigins...)
	return e.Pages.Home(w, r, page.Home{Person: who, Query: query, Accounts: search(query, accounts(roles))})
}

// bounded keeps what the page repeats short.
func bounded(q string) string {
	if runes := []rune(q); len(runes) > 200 {
		return string(runes[:200])
	}
	return q
}

// person is the caller as the bar of every page shows them.
func (e Endpoint) person(caller broker.Caller) page.Person {
	who := caller.Identity
	p := page.Person{Username: who.Username, Provider: who.Provider, MFA: who.MFA(), Until: caller.NotAfter}
	for _, info := range e.Service.SignInProviders() {
		if info.Name == who.Provider && info.Label != "" {
			p.Provider = info.Label
		}
	}
	for _, attribute := range []string{"name", "displayName", "urn:oid:2.16.840.1.113730.3.1.241"} {
		if values := who.Attributes[attribute]; len(values) == 1 && values[0] != who.Username && len(values[0]) <= 200 {
			p.Name = values[0]
			break
		}
	}
	return p
}
