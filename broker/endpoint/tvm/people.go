package tvm

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/strict"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// People is account.People.
type People interface {
	Registrar
	Logins
	Own
	Ways
	Passkeys
}

// Registrar lets people in and helps those who have lost their password.
type Registrar interface {
	Register(ctx context.Context, origin broker.Origin, caller broker.Caller, app, email string, password secret.String) error
	Confirm(ctx context.Context, origin broker.Origin, caller broker.Caller, app, email, code string) error
	AskReset(ctx context.Context, origin broker.Origin, caller broker.Caller, app, email string) error
	Reset(ctx context.Context, origin broker.Origin, caller broker.Caller, app, email, code string, password secret.String) error
}

// Logins proves who somebody is.
type Logins interface {
	Login(ctx context.Context, origin broker.Origin, caller broker.Caller, shown account.Credentials) (idp.Login, error)
	BeginPasskeyLogin(ctx context.Context, origin broker.Origin, caller broker.Caller, app string) (json.RawMessage, error)
	PasskeyLogin(ctx context.Context, origin broker.Origin, caller broker.Caller, credential json.RawMessage) (idp.Login, error)
	Logout(ctx context.Context, origin broker.Origin, caller broker.Caller) error
}

// Own is what people do with their own entry.
type Own interface {
	Me(ctx context.Context, origin broker.Origin, caller broker.Caller) (account.Person, error)
	Export(ctx context.Context, origin broker.Origin, caller broker.Caller) (account.Export, error)
	Delete(ctx context.Context, origin broker.Origin, caller broker.Caller) error
	ChangePassword(ctx context.Context, origin broker.Origin, caller broker.Caller, current, next secret.String) error
}

// Ways changes the address and the second factor.
type Ways interface {
	AskEmail(ctx context.Context, origin broker.Origin, caller broker.Caller, email string) error
	ConfirmEmail(ctx context.Context, origin broker.Origin, caller broker.Caller, email, code string) error
	BeginTOTP(ctx context.Context, origin broker.Origin, caller broker.Caller) (account.Enrolment, error)
	ConfirmTOTP(ctx context.Context, origin broker.Origin, caller broker.Caller, code string) ([]string, error)
	RemoveTOTP(ctx context.Context, origin broker.Origin, caller broker.Caller) error
}

// Passkeys adds and removes passkeys.
type Passkeys interface {
	BeginPasskey(ctx context.Context, origin broker.Origin, caller broker.Caller) (json.RawMessage, error)
	AddPasskey(ctx context.Context, origin broker.Origin, caller broker.Caller, label string, credential json.RawMessage) (account.Passkey, error)
	RemovePasskey(ctx context.Context, origin broker.Origin, caller broker.Caller, id string) error
}

// mountPeople adds the routes of people.
func (e Endpoint) mountPeople(mux *endpoint.Mux) {
	for path, methods := range map[string]map[string]endpoint.Handler{
		"/tvm/v1/users":                       {"POST": asked(e, http.StatusAccepted, e.registerPerson)},
		"/tvm/v1/users/confirm":               {"POST": asked(e, http.StatusOK, e.confirmPerson)},
		"/tvm/v1/users/reset":                 {"POST": asked(e, http.StatusAccepted, e.askReset)},
		"/tvm/v1/users/reset/confirm":         {"POST": asked(e, http.StatusOK, e.reset)},
		"/tvm/v1/login":                       {"POST": asked(e, http.StatusOK, e.login)},
		"/tvm/v1/login/passkey/begin":         {"POST": asked(e, http.StatusOK, e.beginPasskeyLogin)},
		"/tvm/v1/login/passkey/finish":        {"POST": asked(e, http.StatusOK, e.passkeyLogin)},
		"/tvm/v1/logout":                      {"POST": told(e, http.StatusOK, e.logout)},
		"/tvm/v1/users/me":                    {"GET": told(e, http.StatusOK, e.me), "DELETE": told(e, http.StatusOK, e.deletePerson)},
		"/tvm/v1/users/me/export":             {"GET": told(e, http.StatusOK, e.export)},
		"/tvm/v1/users/me/password":           {"PUT": asked(e, http.StatusOK, e.changePassword)},
		"/tvm/v1/users/me/email":              {"POST": asked(e, http.StatusAccepted, e.askEmail)},
		"/tvm/v1/users/me/email/confirm":      {"POST": asked(e, http.StatusOK, e.confirmEmail)},
		"/tvm/v1/users/me/totp":               {"POST": told(e, http.StatusOK, e.beginTOTP), "DELETE": told(e, http.StatusOK, e.removeTOTP)},
		"/tvm/v1/users/me/totp/confirm":       {"POST": asked(e, http.StatusOK, e.confirmTOTP)},
		"/tvm/v1/users/me/passkey/begin":      {"POST": told(e, http.StatusOK, e.beginPasskey)},
		"/tvm/v1/users/me/passkey/finish":     {"POST": asked(e, http.StatusOK, e.addPasskey)},
		"/tvm/v1/users/me/passkeys/{passkey}": {"DELETE": told(e, http.StatusOK, e.removePasskey)},
	} {
		e.route(mux, path, methods)
	}
}

// did is the answer to what has nothing more to say, the same whoever it is about.
func did(what string, err error) (any, error) {
	return struct {
		Status string `json:"status"`
	}{what}, err
}

// asked reads a body, finds out which device calls, and answers with a document.
func asked[T any](e Endpoint, status int, do func(ctx context.Context, o broker.Origin, c broker.Caller, ask T) (any, error)) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var ask T
		if err := strict.JSON(w, r, maxBody, &ask); err != nil {
			return err
		}
		return e.answer(w, r, status, func(ctx context.Context, o broker.Origin, c broker.Caller) (any, error) { return do(ctx, o, c, ask) })
	}
}

// told is asked for requests without a body.
func told(e Endpoint, status int, do func(ctx context.Context, o broker.Origin, c broker.Caller, r *http.Request) (any, error)) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return e.answer(w, r, status, func(ctx context.Context, o broker.Origin, c broker.Caller) (any, error) { return do(ctx, o, c, r) })
	}
}

func (e Endpoint) answer(w http.ResponseWriter, r *http.Request, status int, do func(ctx context.Context, o broker.Origin, c broker.Caller) (any, error)) error {
	caller, err := e.caller(r, "people")
	if err != nil {
		return err
	}
	document, err := do(r.Context(), endpoint.Origin(r), caller)
	if err != nil {
		return err
	}
	return endpoint.WriteJSON(w, status, document)
}

type registration struct {
	App      string `json:"app"`
	Email    string `json:"email"`
	Password string `json:"password"`
}

func (e Endpoint) registerPerson(ctx context.Context, o broker.Origin, c broker.Caller, ask registration) (any, error) {
	return did("accepted", e.People.Register(ctx, o, c, ask.App, ask.Email, secret.New(ask.Password)))
}

type confirmation struct {
	App   string `json:"app"`
	Email string `json:"email"`
	Code  string `json:"code"`
}

func (e Endpoint) confirmPerson(ctx context.Context, o broker.Origin, c broker.Caller, ask confirmation) (any, error) {
	return did("confirmed", e.People.Confirm(ctx, o, c, ask.App, ask.Email, ask.Code))
}

type resetAsk struct {
	App   string `json:"app"`
	Email string `json:"email"`
}

func (e Endpoint) askReset(ctx context.Context, o broker.Origin, c broker.Caller, ask resetAsk) (any, error) {
	return did("accepted", e.People.AskReset(ctx, o, c, ask.App, ask.Email))
}

type resetConfirmation struct {
	App      string `json:"app"`
	Email    string `json:"email"`
	Code     string `json:"code"`
	Password string `json:"password"`
}

func (e Endpoint) reset(ctx context.Context, o broker.Origin, c broker.Caller, ask resetConfirmation) (any, error) {
	return did("password_set", e.People.Reset(ctx, o, c, ask.App, ask.Email, ask.Code, secret.New(ask.Password)))
}

type loginAsk struct {
	App      string `json:"app"`
	Email    string `json:"email"`
	Password string `json:"password"`
	Code     string `json:"code"`
	Provider string `json:"provider"`
	Token    string `json:"token"`
}

func (e Endpoint) login(ctx context.Context, o broker.Origin, c broker.Caller, ask loginAsk) (any, error) {
	if (ask.Provider == "") == (ask.Email == "") || (ask.Provider == "") != (ask.Token == "") {
		return nil, broker.Fail(broker.InvalidRequest, "login_form", "Send email and password, or provider and token.")
	}
	login, err := e.People.Login(ctx, o, c, account.Credentials{
		App: ask.App, Email: ask.Email, Password: secret.New(ask.Password), Code: secret.New(ask.Code), Provider: ask.Provider, Token: secret.New(ask.Token),
	})
	return e.loggedIn(ctx, o, c, login, err)
}

// loggedIn makes the device that of whoever has logged in.
func (e Endpoint) loggedIn(ctx context.Context, o broker.Origin, c broker.Caller, login idp.Login, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	got, err := e.Devices.LogIn(ctx, o, c, login)
	return identifiedOf(got), err
}

type passkeyBegin struct {
	App string `json:"app"`
}

func (e Endpoint) beginPasskeyLogin(ctx context.Context, o broker.Origin, c broker.Caller, ask passkeyBegin) (any, error) {
	return e.People.BeginPasskeyLogin(ctx, o, c, ask.App)
}

type passkeyAnswer struct {
	Label      string          `json:"label"`
	Credential json.RawMessage `json:"credential"`
}

func (e Endpoint) passkeyLogin(ctx context.Context, o broker.Origin, c broker.Caller, ask passkeyAnswer) (any, error) {
	login, err := e.People.PasskeyLogin(ctx, o, c, ask.Credential)
	return e.loggedIn(ctx, o, c, login, err)
}

func (e Endpoint) logout(ctx context.Context, o broker.Origin, c broker.Caller, _ *http.Request) (any, error) {
	return did("logged_out", e.People.Logout(ctx, o, c))
}

func (e Endpoint) me(ctx context.Context, o broker.Origin, c broker.Caller, _ *http.Request) (any, error) {
	return e.People.Me(ctx, o, c)
}

func (e Endpoint) deletePerson(ctx context.Context, o broker.Origin, c broker.Caller, _ *http.Request) (any, error) {
	return did("deleted", e.People.Delete(ctx, o, c))
}

func (e Endpoint) export(ctx context.Context, o broker.Origin, c broker.Caller, _ *http.Request) (any, error) {
	return e.People.Export(ctx, o, c)
}

type passwordChange struct {
	Current  string `json:"current"`
	Password string `json:"password"`
}

func (e Endpoint) changePassword(ctx context.Context, o broker.Origin, c broker.Caller, ask passwordChange) (any, error) {
	return did("password_set", e.People.ChangePassword(ctx, o, c, secret.New(ask.Current), secret.New(ask.Password)))
}

type emailAsk struct {
	Email string `json:"email"`
}

func (e Endpoint) askEmail(ctx context.Context, o broker.Origin, c broker.Caller, ask emailAsk) (any, error) {
	return did("accepted", e.People.AskEmail(ctx, o, c, ask.Email))
}

type emailConfirmation struct {
	Email string `json:"email"`
	Code  string `json:"code"`
}

func (e Endpoint) confirmEmail(ctx context.Context, o broker.Origin, c broker.Caller, ask emailConfirmation) (any, error) {
	return did("email_set", e.People.ConfirmEmail(ctx, o, c, ask.Email, ask.Code))
}

func (e Endpoint) beginTOTP(ctx context.Context, o broker.Origin, c broker.Caller, _ *http.Request) (any, error) {
	return e.People.BeginTOTP(ctx, o, c)
}

type totpConfirmation struct {
	Code string `json:"code"`
}

func (e Endpoint) confirmTOTP(ctx context.Context, o broker.Origin, c broker.Caller, ask totpConfirmation) (any, error) {
	codes, err := e.People.ConfirmTOTP(ctx, o, c, ask.Code)
	return struct {
		RecoveryCodes []string `json:"recovery_codes"`
	}{codes}, err
}

func (e Endpoint) removeTOTP(ctx context.Context, o broker.Origin, c broker.Caller, _ *http.Request) (any, error) {
	return did("removed", e.People.RemoveTOTP(ctx, o, c))
}

func (e Endpoint) beginPasskey(ctx context.Context, o broker.Origin, c broker.Caller, _ *http.Request) (any, error) {
	return e.People.BeginPasskey(ctx, o, c)
}

func (e Endpoint) addPasskey(ctx context.Context, o broker.Origin, c broker.Caller, ask passkeyAnswer) (any, error) {
	return e.People.AddPasskey(ctx, o, c, ask.Label, ask.Credential)
}

func (e Endpoint) removePasskey(ctx context.Context, o broker.Origin, c broker.Caller, r *http.Request) (any, error) {
	return did("removed", e.People.RemovePasskey(ctx, o, c, r.PathValue("passkey")))
}
