// Package api is the JSON API of the CLI and of programs:
//
//	GET  /api/v1/identity      who am I: the identity document
//	GET  /api/v1/roles         {"roles": [{"role_arn", "account", "grant", "console"}]}
//	POST /api/v1/credentials   {"role", "duration"?, "policy"?} -> credential_process document
//	POST /api/v1/console-url   {"role", "service"?, "region"?} -> {"url"}
//
// A caller brings an access token (Bearer or DPoP). The two GETs also take the
// session cookie, from our own pages only: Sec-Fetch-Site same-origin, none or absent.
package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/strict"
	"github.com/rolecall/rolecall/broker/iam"
)

// maxBody bounds a request's JSON: a role, a duration and a policy of 2,048 characters.
const maxBody = 16 << 10

// Service is the part of broker.Broker that the API serves.
type Service interface {
	Session(ctx context.Context, origin broker.Origin, token string) (broker.Caller, error)
	Roles(ctx context.Context, origin broker.Origin, caller broker.Caller) ([]broker.Role, error)
	Vend(ctx context.Context, origin broker.Origin, caller broker.Caller, order broker.Order) (broker.Vended, error)
	Console(ctx context.Context, origin broker.Origin, caller broker.Caller, order broker.ConsoleOrder) (broker.ConsoleURL, error)
}

// Tokens knows who an access token stands for.
type Tokens interface {
	AuthenticateRequest(ctx context.Context, origin broker.Origin, r *http.Request) (broker.Caller, error)
}

// Endpoint serves /api/v1/.
type Endpoint struct {
	Service Service
	Tokens  Tokens
	Cookies endpoint.Cookies
	// Used remembers a role that a person got here among their recent ones; nil does not.
	Used func(ctx context.Context, caller broker.Caller, role string) error
}

// remember is a convenience of the portal: where it fails, what was asked for has
// happened all the same. The caller has the answer by then and need not wait.
func (e Endpoint) remember(r *http.Request, caller broker.Caller, role iam.RoleARN) {
	if e.Used == nil || caller.Via == broker.ViaExchange || caller.Via == broker.ViaTVM {
		return // programs have no portal
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), rememberMost)
	defer cancel()
	_ = e.Used(ctx, caller, role.String())
}

const rememberMost = 5 * time.Second

// Mount implements endpoint.Mounter.
func (e Endpoint) Mount(mux *endpoint.Mux) {
	mux.API("GET /api/v1/identity", e.identity)
	mux.API("GET /api/v1/roles", e.roles)
	mux.API("POST /api/v1/credentials", e.credentials)
	mux.API("POST /api/v1/console-url", e.consoleURL)
	mux.API("/api/", func(http.ResponseWriter, *http.Request) error {
		return broker.Fail(broker.InvalidRequest, "no_such_call", "There is no such call. docs/api.md lists them.").Because(endpoint.ErrNoPage)
	})
}

// caller reads the access token or, for a GET from our own pages, the session cookie.
func (e Endpoint) caller(r *http.Request) (broker.Caller, error) {
	if r.Header.Get("Authorization") == "" && r.Method == http.MethodGet && endpoint.SameSite(r) {
		if token := e.Cookies.Session(r); token != "" {
			return e.Service.Session(r.Context(), endpoint.Origin(r), token)
		}
	}
	return e.Tokens.AuthenticateRequest(r.Context(), endpoint.Origin(r), r)
}

func (e Endpoint) identity(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.caller(r)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, http.StatusOK, caller.Identity)
}

type account struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type role struct {
	RoleARN string  `json:"role_arn"`
	Account account `json:"account"`
	Grant   string  `json:"grant"`
	Console bool    `json:"console"`
	// StepUp is there where the role needs a fresh sign-in first.
	StepUp bool `json:"step_up,omitempty"`
}

func (e Endpoint) roles(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.caller(r)
	if err != nil {
		return err
	}
	found, err := e.Service.Roles(r.Context(), endpoint.Origin(r), caller)
	if err != nil {
		return err
	}
	roles := []role{}
	for _, f := range found {
		if f.Withheld == "" || f.StepUp {
			roles = append(roles, role{f.ARN.String(), account{f.AccountID, f.AccountName}, f.Grant, f.Console, f.StepUp})
		}
	}
	return endpoint.WriteJSON(w, http.StatusOK, struct {
		Roles []role `json:"roles"`
	}{roles})
}

func (e Endpoint) credentials(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.Tokens.AuthenticateRequest(r.Context(), endpoint.Origin(r), r)
	if err != nil {
		return err
	}
	var ask struct {
		Role     string          `json:"role"`
		Duration string          `json:"duration"`
		Policy   json.RawMessage `json:"policy"`
	}
	if err := strict.JSON(w, r, maxBody, &ask); err != nil {
		return err
	}
	vended, err := e.Service.Vend(r.Context(), endpoint.Origin(r), caller,
		broker.Order{Role: ask.Role, Duration: ask.Duration, Policy: policyText(ask.Policy)})
	if err != nil {
		return err
	}
	if vended.Stale {
		w.Header().Set("X-Rolecall-Stale", "1")
	}
	if err := endpoint.WriteJSON(w, http.StatusOK, vended.Credentials.Document()); err != nil {
		return err
	}
	e.remember(r, caller, vended.Role)
	return nil
}

// policyText takes a policy as a JSON object or as text that holds one.
func policyText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

func (e Endpoint) consoleURL(w http.ResponseWriter, r *http.Request) error {
	caller, err := e.Tokens.AuthenticateRequest(r.Context(), endpoint.Origin(r), r)
	if err != nil {
		return err
	}
	var ask struct {
		Role    string `json:"role"`
		Service string `json:"service"`
		Region  string `json:"region"`
	}
	if err := strict.JSON(w, r, maxBody, &ask); err != nil {
		return err
	}
	console, err := e.Service.Console(r.Context(), endpoint.Origin(r), caller,
		broker.ConsoleOrder{Role: ask.Role, Service: ask.Service, Region: ask.Region})
	if err != nil {
		return err
	}
	err = endpoint.WriteJSON(w, http.StatusOK, struct {
		URL string `json:"url"`
	}{console.URL.Reveal()})
	if err == nil {
		e.remember(r, caller, console.Role)
	}
	return err
}
