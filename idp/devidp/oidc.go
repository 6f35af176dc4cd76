package devidp

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// grant is what a code or an access token stands for.
type grant struct {
	client    string
	redirect  string
	challenge string
	nonce     string
	scope     string
	session   session
	// used marks a code that was redeemed; tokens lists what it gave, so that its
	// reuse takes that back.
	used   bool
	tokens []string
}

// authRequest is an authorization request whose client and redirect URI are known.
type authRequest struct {
	grant
	state   string
	prompt  []string
	maxAge  time.Duration
	bounded bool
}

// oauthError is an error of the protocol (RFC 6749).
type oauthError struct{ code, text string }

// Error implements error.
func (e *oauthError) Error() string { return e.code + ": " + e.text }

func (p *IDP) issuer() string { return p.config.URL + "/oidc" }

// discovery is the provider's configuration document.
func (p *IDP) discovery(w http.ResponseWriter, _ *http.Request) {
	issuer := p.issuer()
	p.json(w, http.StatusOK, map[string]any{
		"issuer":                                issuer,
		"authorization_endpoint":                issuer + "/authorize",
		"token_endpoint":                        issuer + "/token",
		"userinfo_endpoint":                     issuer + "/userinfo",
		"jwks_uri":                              issuer + "/jwks",
		"end_session_endpoint":                  issuer + "/logout",
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 []string{"authorization_code"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "profile", "email"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":      []string{"S256"},
		"claims_supported": []string{"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "at_hash", "sid", "amr",
			"email", "email_verified", "name", "preferred_username", "groups", "team"},
		"prompt_values_supported":                        []string{"none", "login"},
		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	})
}

// jwks publishes the public key.
func (p *IDP) jwks(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "public, max-age=300")
	p.json(w, http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: p.config.Key.Public(), KeyID: p.kid, Algorithm: string(jose.RS256), Use: "sig"},
	}})
}

// authorize judges an authorization request and asks for the person. A fault in
// client or redirect URI is a page; every other goes back to the client.
func (p *IDP) authorize(w http.ResponseWriter, r *http.Request) {
	if !p.parseForm(w, r) {
		return
	}
	var request authRequest
	if fault := p.addressee(&request, r.Form); fault != nil {
		p.config.Log.WarnContext(r.Context(), "devidp: authorization request refused", "error", fault)
		p.fail(w, http.StatusBadRequest, "This sign-in request cannot be answered", "The application sent something that this provider does not accept: "+fault.text+".")
		return
	}
	if fault := request.read(r.Form); fault != nil {
		p.sendBack(w, request, url.Values{"error": {fault.code}, "error_description": {fault.text}})
		return
	}
	enough := func(s session) bool {
		fresh := !request.bounded || (request.maxAge > 0 && p.config.Now().Sub(s.since) <= request.maxAge)
		return fresh && !slices.Contains(request.prompt, "login")
	}
	if slices.Contains(request.prompt, "none") {
		if s, ok := p.current(r); ok && enough(s) {
			p.sendCode(w, request, s)
			return
		}
		p.sendBack(w, request, url.Values{"error": {"login_required"}, "error_description": {"nobody is signed in here"}})
		return
	}
	p.ask(w, r, asked{
		origin: originOf(request.redirect),
		answer: func(w http.ResponseWriter, s session) { p.sendCode(w, request, s) },
	}, enough)
}

// addressee finds the client and its redirect URI, compared byte by byte.
func (p *IDP) addressee(request *authRequest, form url.Values) *oauthError {
	for _, name := range []string{"client_id", "redirect_uri", "state"} {
		if len(form[name]) > 1 {
			return &oauthError{"invalid_request", name + " is there twice"}
		}
	}
	client, ok := p.client(form.Get("client_id"))
	if !ok {
		return &oauthError{"unauthorized_client", "the client_id is not known here"}
	}
	request.client, request.redirect, request.state = client.ID, form.Get("redirect_uri"), form.Get("state")
	if !slices.Contains(client.RedirectURIs, request.redirect) {
		return &oauthError{"invalid_request", "the redirect_uri is not registered for this client"}
	}
	return nil
}

// read takes the rest of an authorization request.
func (request *authRequest) read(form url.Values) *oauthError {
	for name, values := range form {
		if len(values) > 1 {
			return &oauthError{"invalid_request", name + " is there twice"}
		}
	}
	request.scope, request.nonce, request.challenge = form.Get("scope"), form.Get("nonce"), form.Get("code_challenge")
	request.prompt = strings.Fields(form.Get("prompt"))
	switch {
	case form.Has("request"):
		return &oauthError{"request_not_supported", "request objects are not supported"}
	case form.Has("request_uri"):
		return &oauthError{"request_uri_not_supported", "request_uri is not supported"}
	case form.Get("response_type") != "code":
		return &oauthError{"unsupported_response_type", "response_type must be code"}
	case form.Has("response_mode") && form.Get("response_mode") != "query":
		return &oauthError{"invalid_request", "response_mode must be query"}
	case !slices.Contains(strings.Fields(request.scope), "openid"):
		return &oauthError{"invalid_scope", "scope must hold openid"}
	case form.Get("code_challenge_method") != "S256" || len(request.challenge) != 43:
		return &oauthError{"invalid_request", "PKCE with S256 is required"}
	case slices.Contains(request.prompt, "none") && len(request.prompt) > 1:
		return &oauthError{"invalid_request", "prompt none stands alone"}
	case len(request.nonce) > 512 || len(request.state) > 2048:
		return &oauthError{"invalid_request", "nonce or state is too long"}
	}
	if text := form.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return &oauthError{"invalid_request", "max_age is not a number of seconds"}
		}
		request.maxAge, request.bounded = time.Duration(seconds)*time.Second, true
	}
	return nil
}

// sendCode makes a code and sends the browser back with it.
func (p *IDP) sendCode(w http.ResponseWriter, request authRequest, s session) {
	g := request.grant
	g.session = s
	p.sendBack(w, request, url.Values{"code": {p.codes.put(g, codeLife)}})
}

// sendBack redirects to the client with state and the issuer (RFC 9207).
func (p *IDP) sendBack(w http.ResponseWriter, request authRequest, answer url.Values) {
	target, err := url.Parse(request.redirect)
	if err != nil {
		p.fail(w, http.StatusBadRequest, "This sign-in request cannot be answered", "The redirect_uri is not a URL.")
		return
	}
	query := target.Query()
	for name, values := range answer {
		query[name] = values
	}
	query.Set("iss", p.issuer())
	if request.state != "" {
		query.Set("state", request.state)
	}
	target.RawQuery = query.Encode()
	w.Header().Set("Location", target.String())
	w.WriteHeader(http.StatusSeeOther)
}

// endSession is RP-initiated logout, by the address or by a form: it ends the
// session here and goes back, with the state, only to an origin that some client
// registered.
func (p *IDP) endSession(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	if r.Method == http.MethodPost {
		if !p.parseForm(w, r) {
			return
		}
		values = r.PostForm
	}
	p.forget(w, r)
	back := values.Get("post_logout_redirect_uri")
	to, err := url.Parse(back)
	for _, client := range p.config.Clients {
		for _, uri := range client.RedirectURIs {
			if back == "" || err != nil || originOf(uri) != originOf(back) {
				continue
			}
			if state := values.Get("state"); state != "" {
				query := to.Query()
				query.Set("state", state)
				to.RawQuery = query.Encode()
			}
			http.Redirect(w, r, to.String(), http.StatusSeeOther)
			return
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *IDP) client(id string) (Client, bool) {
	for _, client := range p.config.Clients {
		if client.ID == id && id != "" {
			return client, true
		}
	}
	return Client{}, false
}

func (p *IDP) json(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		http.Error(w, "The document could not be made.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// jsonFault answers an error of the protocol as JSON.
func (p *IDP) jsonFault(w http.ResponseWriter, err error) {
	fault := &oauthError{"server_error", "the request could not be answered"}
	errors.As(err, &fault)
	status := http.StatusBadRequest
	switch fault.code {
	case "invalid_client", "invalid_token":
		status = http.StatusUnauthorized
		scheme := map[string]string{"invalid_client": `Basic realm="devidp"`, "invalid_token": `Bearer error="invalid_token"`}[fault.code]
		w.Header().Set("WWW-Authenticate", scheme)
	case "server_error":
		status = http.StatusInternalServerError
	}
	p.json(w, status, map[string]string{"error": fault.code, "error_description": fault.text})
}
