// Package device is where a person answers for a program elsewhere (RFC 8628
// section 3.3):
//
//	GET  /device                        the form for the short one; user_code fills it in and no more
//	POST /device                        the code: the question. With decision: the answer
//
// A person must have signed in after the program asked. The answer is taken only
// with the proof that its question was shown in this browser, so that posting
// answers is no way to try codes.
package device

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/oauth"
)

// Service is the authorization server, oauth.Server.
type Service interface {
	FindDevice(ctx context.Context, origin broker.Origin, caller broker.Caller, user string) (oauth.DeviceAsk, error)
	AnswerDevice(ctx context.Context, origin broker.Origin, caller broker.Caller, user string, approve bool) error
}

// Sessions knows whose session a browser has, and what they may have.
type Sessions interface {
	Session(ctx context.Context, origin broker.Origin, token string) (broker.Caller, error)
	Roles(ctx context.Context, origin broker.Origin, caller broker.Caller) ([]broker.Role, error)
}

// Pages draws what a person sees.
type Pages interface {
	Device(w http.ResponseWriter, r *http.Request, view View) error
}

// View is one state of the page: the form for a code, the question (Ask), or how
// it ended (Outcome).
type View struct {
	Username string
	UserCode string
	Ask      *oauth.DeviceAsk
	Here     string   // the browser's address
	Roles    int      // that the device will get
	Closed   []string // that it will not get, because it is a device
	Proof    string
	Outcome  string // "approved", "denied"
}

// Endpoint serves /device.
type Endpoint struct {
	Service  Service
	Sessions Sessions
	Pages    Pages
	Cookies  endpoint.Cookies
}

// Mount implements endpoint.Mounter.
func (e Endpoint) Mount(mux *endpoint.Mux) {
	mux.Page("GET /device", e.form)
	mux.Page("POST /device", e.post)
}

// form asks for the code. It tells nothing about the one in the address.
func (e Endpoint) form(w http.ResponseWriter, r *http.Request) error {
	endpoint.NoStore(w)
	code := bounded(r.URL.Query().Get("user_code"))
	caller, err := e.caller(r)
	if broker.CodeOf(err) == broker.Unauthenticated && err != nil {
		signIn(w, oauth.SignIn{ReturnTo: here(code), Fresh: true})
		return nil
	}
	if err != nil {
		return err
	}
	return e.Pages.Device(w, r, View{Username: caller.Identity.Username, UserCode: code})
}

// post takes the code, or the answer.
func (e Endpoint) post(w http.ResponseWriter, r *http.Request) error {
	endpoint.NoStore(w)
	if err := endpoint.ParseForm(r); err != nil {
		return err
	}
	if err := e.Cookies.CheckCSRF(r); err != nil {
		return err
	}
	caller, err := e.caller(r)
	if err != nil {
		return err
	}
	code := bounded(r.PostForm.Get("user_code"))
	switch answer := r.PostForm["decision"]; {
	case len(answer) == 0:
		return e.ask(w, r, caller, code)
	case len(answer) == 1 && (answer[0] == "approve" || answer[0] == "deny") && len(r.PostForm["user_code"]) == 1:
		return e.answer(w, r, caller, code, answer[0] == "approve")
	}
	return broker.Fail(broker.InvalidRequest, "malformed_form", "The form could not be read. Go back, load the page again and repeat.")
}

// ask shows what the code stands for.
func (e Endpoint) ask(w http.ResponseWriter, r *http.Request, caller broker.Caller, code string) error {
	origin := endpoint.Origin(r)
	ask, err := e.Service.FindDevice(r.Context(), origin, caller, code)
	if err != nil {
		return err
	}
	if ask.SignIn != nil {
		signIn(w, *ask.SignIn)
		return nil
	}
	view := View{Username: caller.Identity.Username, UserCode: ask.UserCode, Ask: &ask, Proof: e.proof(r, ask.UserCode)}
	if origin.Address.IsValid() {
		view.Here = origin.Address.Unmap().String()
	}
	if view.Roles, view.Closed, err = e.roles(r, caller, ask.As); err != nil {
		return err
	}
	return e.Pages.Device(w, r, view)
}

// roles counts what the device will get, and names what it will not get although
// the person has it.
func (e Endpoint) roles(r *http.Request, person, device broker.Caller) (given int, closed []string, err error) {
	mine, err := e.Sessions.Roles(r.Context(), endpoint.Origin(r), person)
	if err != nil {
		return 0, nil, err
	}
	its, err := e.Sessions.Roles(r.Context(), endpoint.Origin(r), device)
	if err != nil {
		return 0, nil, err
	}
	has := map[string]bool{}
	for _, role := range its {
		if role.Withheld == "" {
			has[role.ARN.String()] = true
		}
	}
	for _, role := range mine {
		if role.Withheld == "" && !has[role.ARN.String()] && len(closed) < 20 {
			closed = append(closed, role.AccountName+"/"+role.ARN.Name)
		}
	}
	return len(has), closed, nil
}

func (e Endpoint) answer(w http.ResponseWriter, r *http.Request, caller broker.Caller, code string, approve bool) error {
	if !hmac.Equal([]byte(e.proof(r, code)), []byte(r.PostForm.Get("proof"))) {
		return broker.Fail(broker.AccessDenied, "csrf", "This form has expired or came from another page. Go back, load the page again and repeat.")
	}
	if err := e.Service.AnswerDevice(r.Context(), endpoint.Origin(r), caller, code, approve); err != nil {
		return err
	}
	view := View{Username: caller.Identity.Username, Outcome: "denied"}
	if approve {
		view.Outcome = "approved"
	}
	return e.Pages.Device(w, r, view)
}

// proof says that the question of this code was shown in this browser session.
func (e Endpoint) proof(r *http.Request, code string) string {
	mac := hmac.New(sha256.New, []byte(e.Cookies.Session(r)))
	mac.Write([]byte("rolecall device 1 " + code))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// caller is the browser's session; without one the code is Unauthenticated.
func (e Endpoint) caller(r *http.Request) (broker.Caller, error) {
	token := e.Cookies.Session(r)
	if token == "" {
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "no_session", "Your session has ended. Sign in again.")
	}
	return e.Sessions.Session(r.Context(), endpoint.Origin(r), token)
}

// signIn sends the browser to sign in and back.
func signIn(w http.ResponseWriter, to oauth.SignIn) {
	query := url.Values{"return_to": {to.ReturnTo}}
	if to.Fresh {
		query.Set("fresh", "1")
	}
	w.Header().Set("Location", "/login?"+query.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

func here(code string) string {
	if code == "" {
		return "/device"
	}
	return "/device?" + url.Values{"user_code": {code}}.Encode()
}

func bounded(code string) string { return code[:min(len(code), 64)] }
