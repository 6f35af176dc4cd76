package token

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/oauth"
)

// answer is a successful answer of the token endpoint (RFC 6749 section 5.1).
type answer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope"`
	// Of an app's device on which somebody has logged in.
	DeviceID   string `json:"device_id,omitempty"`
	IdentityID string `json:"identity_id,omitempty"`
	Alias      string `json:"alias,omitempty"`
}

func (e Endpoint) token(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodOptions {
		return e.Origins.Preflight(http.MethodPost)(w, r)
	}
	e.Origins.Allow(w, r)
	request, err := read(r)
	if err != nil {
		return err
	}
	if e.Nonce != nil {
		if nonce := e.Nonce(request.Form.Get("client_id")); nonce != "" {
			w.Header().Set("DPoP-Nonce", nonce)
		}
	}
	if request.Form.Get("grant_type") == grantExchange {
		return e.exchange(w, r, request)
	}
	issued, err := e.Service.Token(r.Context(), endpoint.Origin(r), request)
	if err != nil {
		return err
	}
	w.Header().Set("Pragma", "no-cache")
	return endpoint.WriteJSON(w, http.StatusOK, answer{
		AccessToken: issued.AccessToken.Reveal(), TokenType: issued.Type, ExpiresIn: int64(issued.ExpiresIn.Seconds()),
		RefreshToken: issued.RefreshToken.Reveal(), IDToken: issued.IDToken.Reveal(), Scope: strings.Join(issued.Scope, " "),
		DeviceID: issued.Device, IdentityID: issued.IdentityID, Alias: issued.Alias,
	})
}

func (e Endpoint) revoke(w http.ResponseWriter, r *http.Request) error {
	request, err := read(r)
	if err != nil {
		return err
	}
	if err := e.Service.Revoke(r.Context(), endpoint.Origin(r), request); err != nil {
		return err
	}
	endpoint.NoStore(w)
	w.WriteHeader(http.StatusOK)
	return nil
}

// errMethod is any method but POST.
var errMethod = errors.New("the method must be POST")

// read takes parameters from the body only: an address ends in logs.
func read(r *http.Request) (oauth.TokenRequest, error) {
	if r.Method != http.MethodPost {
		return oauth.TokenRequest{}, errMethod
	}
	if err := endpoint.ParseForm(r); err != nil {
		return oauth.TokenRequest{}, err
	}
	return oauth.TokenRequest{
		Form: r.PostForm, DPoP: r.Header.Values("DPoP"), Authorization: r.Header.Values("Authorization"),
	}, nil
}

// fault is an error on the wire (RFC 6749 section 5.2).
type fault struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	RequestID   string `json:"request_id"`
}

// problem is the error adapter of the JSON routes here.
func problem(w http.ResponseWriter, r *http.Request, err error) {
	status, f := faultOf(err)
	f.RequestID = endpoint.Origin(r).RequestID
	switch status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", challenge(err))
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	}
	if e, ok := errors.AsType[*broker.Error](err); ok {
		endpoint.SetRetryAfter(w, e)
	}
	w.Header().Set("Pragma", "no-cache")
	_ = endpoint.WriteJSON(w, status, f) // a struct of strings always encodes
}

func faultOf(err error) (int, fault) {
	if errors.Is(err, errMethod) {
		return http.StatusMethodNotAllowed, fault{Error: "invalid_request", Description: "the method must be POST"}
	}
	if refusal, ok := errors.AsType[*oauth.Error](err); ok {
		status := http.StatusBadRequest
		if refusal.ClientFailed() {
			status = http.StatusUnauthorized
		}
		return status, fault{Error: string(refusal.Code), Description: refusal.Description}
	}
	shown := broker.Shown(err)
	f := fault{Error: string(shown.Code), Description: shown.Message}
	switch shown.Code {
	case broker.Unauthenticated: // what was brought proves nobody
		f.Error = "invalid_grant"
		return http.StatusBadRequest, f
	case broker.AccessDenied: // RFC 8693 section 2.2.2
		f.Error = "invalid_target"
		return http.StatusBadRequest, f
	case broker.StepUp: // RFC 9470 section 3
		f.Error = "insufficient_user_authentication"
	}
	return endpoint.Status(shown), f
}

// challenge says what is missing with a status of 401.
func challenge(err error) string {
	shown := broker.Shown(err)
	if shown.Code != broker.StepUp {
		return `Basic realm="rolecall"`
	}
	step := `Bearer realm="rolecall", error="insufficient_user_authentication"`
	if shown.MaxAge > 0 {
		step += fmt.Sprintf(`, max_age="%d"`, int(shown.MaxAge.Seconds()))
	}
	if shown.ACR != "" {
		step += fmt.Sprintf(`, acr_values=%q`, shown.ACR)
	}
	return step
}
