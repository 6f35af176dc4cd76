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
	host := ""
	if u, err := url.Parse(to.URL); err == nil {
		host = u.Host
	}
	w.Header().Set("Refresh", "0; url="+to.URL)
	return p.render(w, r, look{name: "leave", title: "Signing out"}, struct{ URL, Host string }{to.URL, host})
}
