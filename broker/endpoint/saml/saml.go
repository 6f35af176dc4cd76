// Package saml is the browser's way through a SAML 2.0 identity provider
// (Web Browser SSO profile, saml-profiles-2.0-os section 4.1):
//
//	GET  /saml/{provider}/login      begin: redirect or auto-post form (AuthnRequest)
//	POST /saml/{provider}/acs        end: SAMLResponse and RelayState become a session
//	POST /saml/{provider}/confirm    or, where nobody here had asked, the person says that it is them
//	GET  /saml/{provider}/slo        somebody signs out there, or comes back from there after
//	POST /saml/{provider}/slo        signing out here (Single Logout profile, section 4.4)
//	GET  /saml/{provider}/metadata   what to import at the provider
package saml

import (
	"context"
	"net/http"

	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/idp"
)

// Metadata gives the service provider metadata of one provider's configuration.
type Metadata interface {
	SAMLMetadata(ctx context.Context, provider string) ([]byte, error)
}

// Endpoint serves /saml/.
type Endpoint struct {
	SignIn   endpoint.SignIn
	Metadata Metadata
	Logout   endpoint.LogoutService
}

const kind = "saml"

// Mount implements endpoint.Mounter.
func (e Endpoint) Mount(mux *endpoint.Mux) {
	mux.Page("GET /saml/{provider}/login", func(w http.ResponseWriter, r *http.Request) error { return e.SignIn.Out(w, r, kind) })
	mux.Page("POST /saml/{provider}/acs", func(w http.ResponseWriter, r *http.Request) error { return e.SignIn.Back(w, r, kind) })
	mux.Page("POST /saml/{provider}/confirm", func(w http.ResponseWriter, r *http.Request) error { return e.SignIn.Confirmed(w, r, kind) })
	mux.Page("GET /saml/{provider}/slo", e.slo)
	mux.Page("POST /saml/{provider}/slo", e.slo)
	mux.Page("GET /saml/{provider}/metadata", e.metadata)
}

func (e Endpoint) slo(w http.ResponseWriter, r *http.Request) error {
	return e.SignIn.Leave(w, r, e.Logout, kind, func(answer idp.Answer) bool {
		return answer.Query.Has("SAMLResponse") || answer.Form.Has("SAMLResponse")
	})
}

func (e Endpoint) metadata(w http.ResponseWriter, r *http.Request) error {
	document, err := e.Metadata.SAMLMetadata(r.Context(), r.PathValue("provider"))
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	w.Header().Set("Cache-Control", "public, max-age=300")
	_, _ = w.Write(document)
	return nil
}
