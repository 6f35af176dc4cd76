package oauth

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
)

// maxRequest bounds an authorization request: it must fit, escaped, into the
// return address of a sign-in.
const maxRequest = 1200

// parameters are those of an authorization request that count. Others are
// ignored, as RFC 6749 section 3.1 says.
var parameters = []string{ // never written
	"response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "code_challenge", "code_challenge_method",
	"prompt", "max_age", "dpop_jkt", "response_mode", "request", "request_uri", "registration", "signin_after",
}

// authRequest is a judged authorization request.
type authRequest struct {
	client      client
	redirectURI string
	state       string
	scope       []string
	nonce       string
	challenge   string
	keyBound    string // dpop_jkt
	prompt      []string
	maxAge      time.Duration // -1: none
	// signinAfter is ours, not the client's: the sign-in that prompt=login or
	// max_age demanded must be later than this.
	signinAfter time.Time
	params      url.Values // as they came, those that count
}

// parseRequest reads an authorization request. Where client or redirect URI are
// not right the error is a *broker.Error, shown as a page and never sent to the
// address; every other fault is an *Error that goes to the client, and the
// request is there as far as it must be for that.
func (s *Server) parseRequest(params url.Values) (authRequest, error) {
	r := authRequest{params: url.Values{}, maxAge: -1}
	for _, name := range parameters {
		if values := params[name]; len(values) > 0 {
			r.params[name] = values
		}
	}
	if len(r.params.Encode()) > maxRequest {
		return r, broker.Fail(broker.InvalidRequest, "too_large", "The sign-in request is too long. Start again from the command line.")
	}
	var known bool
	if r.client, known = s.clientOf(one(r.params, "client_id")); !known {
		return r, broker.Fail(broker.InvalidRequest, "unknown_client", "The program that sent you here is not registered with this broker. Use the rolecall command line.")
	}
	if r.redirectURI = one(r.params, "redirect_uri"); !r.client.redirects(r.redirectURI) {
		return r, broker.Fail(broker.InvalidRequest, "bad_redirect_uri",
			"The answer would go to an address that is not one of the program that sent you here. Nothing was sent there.")
	}
	r.state = one(r.params, "state")
	for name, values := range r.params {
		if len(values) > 1 {
			return r, refuse(errInvalidRequest, "the parameter %s is there more than once", name)
		}
	}
	return r, r.judge()
}

// one is the value of a parameter that is there once, "" otherwise.
func one(params url.Values, name string) string {
	if values := params[name]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// judge checks everything but client, redirect URI and repetition.
func (r *authRequest) judge() error {
	get := r.params.Get
	r.scope, r.nonce = strings.Fields(get("scope")), get("nonce")
	r.challenge, r.keyBound = get("code_challenge"), get("dpop_jkt")
	r.prompt = strings.Fields(get("prompt"))
	switch {
	case get("request") != "":
		return refuse(errRequestNotSupported, "request objects are not supported")
	case get("request_uri") != "":
		return refuse(errURINotSupported, "request_uri is not supported")
	case get("response_type") == "":
		return refuse(errInvalidRequest, "response_type is missing")
	case get("response_type") != "code":
		return refuse(errUnsupportedResponse, "the only response_type is code")
	case get("response_mode") != "" && get("response_mode") != "query":
		return refuse(errInvalidRequest, "the only response_mode is query")
	case r.challenge == "":
		return refuse(errInvalidRequest, "code_challenge is missing: PKCE with S256 is required (RFC 7636)")
	case get("code_challenge_method") != "S256":
		return refuse(errInvalidRequest, "code_challenge_method must be S256")
	case !isChallenge(r.challenge):
		return refuse(errInvalidRequest, "code_challenge is not the base64url of a SHA-256 sum")
	case r.keyBound != "" && !isChallenge(r.keyBound):
		return refuse(errInvalidRequest, "dpop_jkt is not the base64url of a SHA-256 sum")
	case len(r.nonce) > 256:
		return refuse(errInvalidRequest, "nonce has more than 256 bytes")
	}
	if err := r.judgePrompt(); err != nil {
		return err
	}
	return r.judgeTimes()
}

func (r *authRequest) judgePrompt() error {
	for _, p := range r.prompt {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, p) {
			return refuse(errInvalidRequest, "prompt knows none, login, consent and select_account only")
		}
	}
	if r.asks("none") && len(r.prompt) > 1 {
		return refuse(errInvalidRequest, "prompt=none goes with no other value")
	}
	return nil
}

func (r *authRequest) judgeTimes() error {
	if text := r.params.Get("max_age"); text != "" {
		seconds, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			return refuse(errInvalidRequest, "max_age is not a number of seconds")
		}
		r.maxAge = time.Duration(seconds) * time.Second
	}
	if seconds, err := strconv.ParseInt(r.params.Get("signin_after"), 10, 64); err == nil {
		r.signinAfter = time.Unix(seconds, 0)
	}
	return nil
}

// asks reports whether prompt has the value.
func (r *authRequest) asks(prompt string) bool { return slices.Contains(r.prompt, prompt) }

// granted is the part of the asked scope that exists, in the order asked, once each.
func (r *authRequest) granted() []string {
	var scope []string
	for _, s := range r.scope {
		if (s == scopeOpenID || s == scopeOffline) && !slices.Contains(scope, s) {
			scope = append(scope, s)
		}
	}
	return scope
}

// The scopes. An access token without any is good for the API too: the API is
// what this client is for, and policy decides what it gives.
const (
	scopeOpenID  = "openid"
	scopeOffline = "offline_access"
)

// answer is the redirect back to the client with iss (RFC 9207) and state.
func (r *authRequest) answer(issuer string, params url.Values) string {
	params.Set("iss", issuer)
	if r.state != "" {
		params.Set("state", r.state)
	}
	separator := "?"
	if strings.Contains(r.redirectURI, "?") { // an app's may have a query
		separator = "&"
	}
	return r.redirectURI + separator + params.Encode()
}
