package page

import (
	"net/http"
	"net/url"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/idp"
)

// ConfirmSignIn asks whether somebody whom a provider sent unasked is who they are
// about to be signed in as. It implements endpoint.SignInPages.
func (p *Pages) ConfirmSignIn(w http.ResponseWriter, r *http.Request, asked broker.Confirmation) error {
	return p.render(w, r, look{name: "confirm", title: "Is this you?"}, asked)
}

// Leave says that somebody is signed out here, and sends the browser on to the
// provider to sign out there. By an address that is no redirect: the page before
// had a form, and form-action holds for every hop behind one.
func (p *Pages) Leave(w http.ResponseWriter, r *http.Request, to idp.Redirect) error {
	if to.Form != nil {
		endpoint.AllowFormAction(w, to.Form.Action)
		return p.AutoPost(w, r, *to.Form)
	}
	return p.onward(w, r, look{name: "leave", title: "Signing out"}, onward{URL: to.URL})
}

// onward is a page that leads to another site by itself.
type onward struct {
	URL, Title, Text string
	Host             string // of URL, filled in by the page
}

// GoOn sends the browser on to another site, by an address that is no redirect:
// see Leave. The address may sign somebody in; the page is not kept, and no
// Referer tells of it.
func (p *Pages) GoOn(w http.ResponseWriter, r *http.Request, to, title, text string) error {
	return p.onward(w, r, look{name: "goon", title: title}, onward{URL: to, Title: title, Text: text})
}

func (p *Pages) onward(w http.ResponseWriter, r *http.Request, l look, view onward) error {
	if u, err := url.Parse(view.URL); err == nil {
		view.Host = u.Host
	}
	w.Header().Set("Refresh", "0; url="+view.URL)
	return p.render(w, r, l, view)
}
