// Package visitor finds out who is at the door of a page: the caller of the
// session cookie, or the way to the sign-in and back. A form that is posted has
// its token checked before anything else happens.
package visitor

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
)

// Sessions knows people by their cookie; broker.Broker does.
type Sessions interface {
	Session(ctx context.Context, origin broker.Origin, token string) (broker.Caller, error)
	SignInProviders() []broker.ProviderInfo
}

// Handler answers somebody who is signed in.
type Handler func(w http.ResponseWriter, r *http.Request, caller broker.Caller) error

// Door is what pages of people who are signed in stand behind.
type Door struct {
	Sessions Sessions
	Cookies  endpoint.Cookies
	// Admin says whether the bar shows administration; nil is nobody. It opens
	// nothing: the pages there ask themselves.
	Admin func(ctx context.Context, caller broker.Caller) bool
}

// In lets people in who are signed in. Without a session a page leads to the
// sign-in and back; a form that was posted fails, so that nothing happens unasked
// after it.
func (d Door) In(h Handler) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		endpoint.NoStore(w)
		posted := r.Method == http.MethodPost
		if posted {
			if err := endpoint.ParseForm(r); err != nil {
				return err
			}
		}
		caller, err := d.Sessions.Session(r.Context(), endpoint.Origin(r), d.Cookies.Session(r))
		switch {
		case broker.CodeOf(err) == broker.Unauthenticated && !posted:
			http.Redirect(w, r, "/login?return_to="+url.QueryEscape(endpoint.LocalPath(r.URL.RequestURI())), http.StatusSeeOther)
			return nil
		case err != nil:
			return err
		}
		if posted {
			if err := d.Cookies.CheckCSRF(r); err != nil {
				return err
			}
		}
		return h(w, r, caller)
	}
}

// Person is somebody as the bar of every page shows them: it converts to page.Person.
type Person struct {
	Username, Name, Provider string
	MFA                      bool
	Until                    time.Time
	Sessions, Admin          bool
}

// Person is the caller as the bar of every page shows them.
func (d Door) Person(ctx context.Context, caller broker.Caller) Person {
	who := caller.Identity
	p := Person{Username: who.Username, Provider: who.Provider, MFA: who.MFA(), Until: caller.NotAfter, Sessions: true}
	p.Admin = d.Admin != nil && d.Admin(ctx, caller)
	for _, info := range d.Sessions.SignInProviders() {
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
