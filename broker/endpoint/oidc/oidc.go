// Package oidc is the browser's way through an OpenID Connect provider
// (authorization code flow, OpenID Connect Core 1.0 section 3.1), and through one
// that is OAuth 2.0 only:
//
//	GET  /oidc/{provider}/login      begin: redirect with state, nonce and PKCE challenge
//	GET  /oidc/{provider}/callback   end: code and state become a session
//	POST /oidc/{provider}/callback   the same for response_mode=form_post
//	GET  /oidc/{provider}/logout     back from the provider after signing out here (RP-Initiated Logout 1.0)
//	POST /oidc/{provider}/backchannel-logout   the provider says who has signed out there
//
//	GET  /oauth/{provider}/login     the same two for OAuth 2.0 alone: state and PKCE challenge
//	GET  /oauth/{provider}/callback
package oidc

import (
	"net/http"

	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/idp"
)

// Endpoint serves /oidc/ and /oauth/.
type Endpoint struct {
	SignIn endpoint.SignIn
	Logout LogoutService
}

const kind, oauthKind = "oidc", "oauth2"

// Mount implements endpoint.Mounter.
func (e Endpoint) Mount(mux *endpoint.Mux) {
	back := func(w http.ResponseWriter, r *http.Request) error { return e.SignIn.Back(w, r, kind) }
	mux.Page("GET /oidc/{provider}/login", func(w http.ResponseWriter, r *http.Request) error { return e.SignIn.Out(w, r, kind) })
	mux.Page("GET /oidc/{provider}/callback", back)
	mux.Page("POST /oidc/{provider}/callback", back)
	mux.Page("GET /oidc/{provider}/logout", e.returned)
	mux.Handle("/oidc/{provider}/backchannel-logout", problem, e.logout)
	mux.Page("GET /oauth/{provider}/login", func(w http.ResponseWriter, r *http.Request) error { return e.SignIn.Out(w, r, oauthKind) })
	mux.Page("GET /oauth/{provider}/callback", func(w http.ResponseWriter, r *http.Request) error { return e.SignIn.Back(w, r, oauthKind) })
}

// returned takes the browser back from a logout at the provider.
func (e Endpoint) returned(w http.ResponseWriter, r *http.Request) error {
	return e.SignIn.Leave(w, r, e.Logout, kind, func(idp.Answer) bool { return true })
}
