package token

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/oauth"
)

// authorize is where a client sends the browser.
func (e Endpoint) authorize(w http.ResponseWriter, r *http.Request) error {
	endpoint.NoStore(w)
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return broker.Fail(broker.InvalidRequest, "malformed_query", "The address could not be read. Start again from the program that sent you here.").Because(err)
	}
	caller, err := e.caller(r)
	if err != nil {
		return err
	}
	next, err := e.Service.Authorize(r.Context(), endpoint.Origin(r), params, caller)
	if err != nil {
		return err
	}
	return e.follow(w, r, next)
}

// decide takes the answer to the consent page. A form without a decision is an
// authorization request that came by POST (OpenID Connect Core 1.0 section
// 3.1.2.1): it continues as a GET, which the session cookie comes along with.
func (e Endpoint) decide(w http.ResponseWriter, r *http.Request) error {
	endpoint.NoStore(w)
	if err := endpoint.ParseForm(r); err != nil {
		return err
	}
	params := url.Values{}
	for name, values := range r.PostForm {
		if name != "csrf" && name != "decision" {
			params[name] = values
		}
	}
	answer := r.PostForm["decision"]
	if len(answer) == 0 {
		seeOther(w, "/oauth2/authorize?"+params.Encode())
		return nil
	}
	if err := e.Cookies.CheckCSRF(r); err != nil {
		return err
	}
	if len(answer) != 1 || answer[0] != "approve" && answer[0] != "deny" {
		return broker.Fail(broker.InvalidRequest, "malformed_form", "The form could not be read. Go back, load the page again and repeat.")
	}
	caller, err := e.caller(r)
	if err != nil {
		return err
	}
	next, err := e.Service.Decide(r.Context(), endpoint.Origin(r), params, caller, answer[0] == "approve")
	if err != nil {
		return err
	}
	return e.follow(w, r, next)
}

// caller is the browser's session, nil without a live one.
func (e Endpoint) caller(r *http.Request) (*broker.Caller, error) {
	token := e.Cookies.Session(r)
	if token == "" {
		return nil, nil
	}
	caller, err := e.Sessions.Session(r.Context(), endpoint.Origin(r), token)
	if broker.CodeOf(err) == broker.Unauthenticated && err != nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &caller, nil
}

// follow sends the browser where the service says.
func (e Endpoint) follow(w http.ResponseWriter, r *http.Request, next oauth.Next) error {
	switch {
	case next.SignIn != nil:
		query := url.Values{"return_to": {next.SignIn.ReturnTo}}
		if next.SignIn.Fresh {
			query.Set("fresh", "1")
		}
		seeOther(w, "/login?"+query.Encode())
	case next.Consent != nil:
		// Browsers check form-action on the redirect that follows the form, too.
		endpoint.AllowFormAction(w, next.Consent.RedirectURI)
		return e.Pages.Consent(w, r, view(next.Consent, e.Cookies.CSRF(r)))
	default:
		seeOther(w, next.Redirect)
	}
	return nil
}

func view(c *oauth.Consent, csrf string) ConsentView {
	v := ConsentView{Client: c.Client, RedirectURI: c.RedirectURI, Username: c.Username, Abilities: c.Abilities, CSRF: csrf}
	for name, values := range c.Params {
		for _, value := range values {
			v.Fields = append(v.Fields, Field{name, value})
		}
	}
	slices.SortFunc(v.Fields, func(a, b Field) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return v
}

// seeOther redirects without a body: http.Redirect would repeat the address in one.
func seeOther(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}
