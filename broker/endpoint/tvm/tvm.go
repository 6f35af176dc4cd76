// Package tvm is the Token Vending Machine for apps on phones and in browsers:
//
//	POST   /tvm/v1/devices              {"app"} with a proof -> the device and its tokens; 201, or 200 where it was there
//	GET    /tvm/v1/devices              the person's devices
//	DELETE /tvm/v1/devices/{id}         a device ends: 204
//	POST   /tvm/v1/devices/{id}/key     {"proof", "signature"} -> another key, other tokens
//	POST   /tvm/v1/credentials          {"role"?, "duration"?} -> the credential_process document
//	POST   /tvm/v1/users                {"app", "email", "password"} -> 202, and a code by mail; .../confirm, .../reset, .../reset/confirm
//	POST   /tvm/v1/login                {"email", "password", "code"?} or {"provider", "token"} -> the device, with tokens of the person
//	POST   /tvm/v1/login/passkey/begin  the options; .../finish {"credential"} -> as login
//	POST   /tvm/v1/logout               the tokens end
//	GET    /tvm/v1/users/me             the person; DELETE ends the account; .../export is all of it; .../password, .../email, .../totp, .../passkeys
//	GET    /tvm/v1/openapi.json         all of this, for machines
//
// Every request but the last carries a DPoP proof with a nonce of ours, which every
// answer brings in DPoP-Nonce. Errors are {"error", "error_description", "request_id"}.
// Tokens are refreshed at /oauth2/token.
package tvm

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/apps"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/cors"
	"github.com/rolecall/rolecall/idp"
)

// maxBody bounds a request's JSON.
const maxBody = 16 << 10

// Devices is the part of apps.Service that registers devices and ends them.
type Devices interface {
	Register(ctx context.Context, origin broker.Origin, req apps.RegisterRequest) (apps.Identified, error)
	Rotate(ctx context.Context, origin broker.Origin, req apps.RotateRequest) (apps.Identified, error)
	Devices(ctx context.Context, caller broker.Caller) ([]apps.Listed, error)
	Revoke(ctx context.Context, origin broker.Origin, caller broker.Caller, id string) error
	// LogIn makes the device that of somebody who has just proved who they are.
	LogIn(ctx context.Context, origin broker.Origin, caller broker.Caller, login idp.Login) (apps.Identified, error)
}

// Door knows which device calls: apps.Service.
type Door interface {
	Nonce() string
	Authenticate(ctx context.Context, origin broker.Origin, what string, r apps.Request) (broker.Caller, error)
}

// Vendor is the part of broker.Broker that hands out credentials.
type Vendor interface {
	Vend(ctx context.Context, origin broker.Origin, caller broker.Caller, order broker.Order) (broker.Vended, error)
}

// Endpoint serves /tvm/v1/.
type Endpoint struct {
	Devices Devices
	Door    Door
	Vendor  Vendor
	People  People
	// Origins are the pages that are apps.
	Origins cors.Origins
	// URL is the public address of the broker, for the OpenAPI document.
	URL string
}

// Mount implements endpoint.Mounter.
func (e Endpoint) Mount(mux *endpoint.Mux) {
	e.route(mux, "/tvm/v1/devices", map[string]endpoint.Handler{"POST": e.register, "GET": e.devices})
	e.route(mux, "/tvm/v1/devices/{id}", map[string]endpoint.Handler{"DELETE": e.revoke})
	e.route(mux, "/tvm/v1/devices/{id}/key", map[string]endpoint.Handler{"POST": e.rotate})
	e.route(mux, "/tvm/v1/credentials", map[string]endpoint.Handler{"POST": e.credentials})
	e.mountPeople(mux)
	mux.Handle("GET /tvm/v1/openapi.json", e.problem, e.openAPI)
	mux.Handle("/tvm/", e.problem, func(http.ResponseWriter, *http.Request) error {
		return broker.Fail(broker.InvalidRequest, "no_such_call", "There is no such call. /tvm/v1/openapi.json lists them.").Because(endpoint.ErrNoPage)
	})
}

// route mounts the methods of one path, with what browsers ask before them.
func (e Endpoint) route(mux *endpoint.Mux, path string, methods map[string]endpoint.Handler) {
	var names []string
	for method, handler := range methods {
		names = append(names, method)
		mux.Handle(method+" "+path, e.problem, func(w http.ResponseWriter, r *http.Request) error {
			e.greet(w, r)
			return handler(w, r)
		})
	}
	mux.Handle("OPTIONS "+path, e.problem, e.Origins.Preflight(names...))
}

// greet gives the nonce for the next proof, and lets pages of apps read the answer.
func (e Endpoint) greet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("DPoP-Nonce", e.Door.Nonce())
	e.Origins.Allow(w, r)
}

// caller is the device that calls, and whoever is logged in on it.
func (e Endpoint) caller(r *http.Request, what string) (broker.Caller, error) {
	return e.Door.Authenticate(r.Context(), endpoint.Origin(r), what, apps.RequestOf(r))
}

// problem is the error adapter of all routes here.
func (e Endpoint) problem(w http.ResponseWriter, r *http.Request, err error) {
	shown := broker.Shown(err)
	code := string(shown.Code)
	endpoint.SetRetryAfter(w, shown)
	switch shown.Code {
	case broker.Unauthenticated:
		challenge := []string{`algs="ES256"`}
		switch shown.Reason {
		case "invalid_token", "invalid_dpop_proof", "use_dpop_nonce":
			challenge = []string{`error="` + shown.Reason + `"`, `algs="ES256"`}
		}
		w.Header().Set("WWW-Authenticate", "DPoP "+strings.Join(challenge, ", "))
	case broker.StepUp: // RFC 9470 section 3
		code = "insufficient_user_authentication"
		challenge := `DPoP error="insufficient_user_authentication", algs="ES256"`
		if shown.MaxAge > 0 {
			challenge += fmt.Sprintf(`, max_age="%d"`, int(shown.MaxAge.Seconds()))
		}
		if shown.ACR != "" {
			challenge += fmt.Sprintf(`, acr_values=%q`, shown.ACR)
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	_ = endpoint.WriteJSON(w, endpoint.Status(shown), struct { // strings always encode
		Error       string `json:"error"`
		Description string `json:"error_description"`
		RequestID   string `json:"request_id"`
	}{code, shown.Message, endpoint.Origin(r).RequestID})
}
