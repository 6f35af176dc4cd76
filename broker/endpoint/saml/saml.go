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

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/idp"
)

// Metadata gives the service provider metadata of one provider's configuration.
type Metadata interface {
	SAMLMetadata(ctx context.Context, provider string) ([]byte, error)
}

// Logout is the part of broker.Broker that signs people out with their provider.
type Logout interface {
	Leave(ctx context.Context, req broker.LeaveRequest) (broker.Left, error)
}

// Endpoint serves /saml/.
type Endpoint struct {
	SignIn   endpoint.SignIn
	Metadata Metadata
	Logout   Logout
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
	endpoint.NoStore(w)
	if r.Method == http.MethodPost {
		if err := endpoint.ParseForm(r); err != nil {
			return err
		}
	}
	answer := idp.Answer{Method: r.Method, Query: r.URL.Query(), RawQuery: r.URL.RawQuery, Form: r.PostForm}
	left, err := e.Logout.Leave(r.Context(), broker.LeaveRequest{
		Origin: endpoint.Origin(r), Provider: r.PathValue("provider"), Type: kind,
		Browser: e.SignIn.Cookies.State(r), Answer: answer,
		Returned: answer.Query.Has("SAMLResponse") || answer.Form.Has("SAMLResponse"),
	})
	switch {
	case err != nil:
		return err
	case left.To == nil:
		http.Redirect(w, r, "/logout", http.StatusSeeOther)
		return nil
	case left.To.Form != nil:
		endpoint.AllowFormAction(w, left.To.Form.Action)
		return e.SignIn.Pages.AutoPost(w, r, *left.To.Form)
	}
	http.Redirect(w, r, left.To.URL, http.StatusSeeOther)
	return nil
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
