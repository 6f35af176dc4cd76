package page

import (
	"net/http"

	"github.com/rolecall/rolecall/broker"
)

// ConfirmSignIn asks whether somebody whom a provider sent unasked is who they are
// about to be signed in as. It implements endpoint.SignInPages.
func (p *Pages) ConfirmSignIn(w http.ResponseWriter, r *http.Request, asked broker.Confirmation) error {
	return p.render(w, r, look{name: "confirm", title: "Is this you?"}, asked)
}
