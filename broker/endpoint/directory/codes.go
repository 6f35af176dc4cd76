package directory

import (
	"context"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
)

// Factors sets up one-time codes: account.People.
type Factors interface {
	Me(ctx context.Context, origin broker.Origin, caller broker.Caller) (account.Person, error)
	BeginTOTP(ctx context.Context, origin broker.Origin, caller broker.Caller) (account.Enrolment, error)
	ConfirmTOTP(ctx context.Context, origin broker.Origin, caller broker.Caller, code string) ([]string, error)
	RemoveTOTP(ctx context.Context, origin broker.Origin, caller broker.Caller) error
}

// codesView is what the page of one-time codes shows.
type codesView struct {
	Base, Label string
	On          bool // a second factor is in force
	Left        int  // recovery codes
	Begun       bool // a code is to be typed
	Secret      string
	URI         template.URL
	Recovery    []string
	Fault       string
}

func (e *Endpoint) codes(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	return e.showCodes(w, r, caller, codesView{}, nil)
}

// showCodes renders the page; a refusal that leaves the person on it is its fault.
func (e *Endpoint) showCodes(w http.ResponseWriter, r *http.Request, caller broker.Caller, v codesView, refused error) error {
	p, frame, err := e.provider(r)
	if err != nil || p.Name != caller.Identity.Provider {
		return endpoint.ErrNoPage
	}
	me, err := e.cfg.Factors.Me(r.Context(), endpoint.Origin(r), caller)
	if err != nil {
		return err
	}
	v.Base, v.Label, v.On, v.Left = frame.Base, frame.Label, me.TOTP, me.Recovery
	who := page.Person(e.cfg.Door.Person(r.Context(), caller))
	look := page.Look{Name: "directory-codes", Title: "One-time codes", Person: &who, Section: "sessions"}
	if refused != nil {
		shown := broker.Shown(refused)
		v.Fault, look.Status = shown.Message, endpoint.Status(shown)
	}
	return e.set.Render(w, r, look, v)
}

// changeCodes begins, confirms or removes. A sign-in that is too old is repeated first.
func (e *Endpoint) changeCodes(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	if r.PathValue("provider") != caller.Identity.Provider {
		return endpoint.ErrNoPage
	}
	v, err := e.change(r, caller)
	switch shown := broker.Shown(err); {
	case err == nil:
		return e.showCodes(w, r, caller, v, nil)
	case shown.Code == broker.StepUp:
		base := "/directory/" + caller.Identity.Provider
		http.Redirect(w, r, base+"/login?return_to="+url.QueryEscape(base+"/codes"), http.StatusSeeOther)
		return nil
	case shown.Reason == "wrong_code", shown.Reason == "already_there", shown.Reason == "no_totp":
		v.Begun = shown.Reason == "wrong_code"
		return e.showCodes(w, r, caller, v, err)
	}
	return err
}

func (e *Endpoint) change(r *http.Request, caller broker.Caller) (v codesView, err error) {
	ctx, origin := r.Context(), endpoint.Origin(r)
	switch r.PostFormValue("do") {
	case "begin":
		made, err := e.cfg.Factors.BeginTOTP(ctx, origin, caller)
		v.Begun, v.Secret = true, made.Secret
		if strings.HasPrefix(made.URI, "otpauth://totp/") {
			v.URI = template.URL(made.URI) //nolint:gosec // made by the directory, and looked at
		}
		return v, err
	case "confirm":
		v.Recovery, err = e.cfg.Factors.ConfirmTOTP(ctx, origin, caller, r.PostFormValue("code"))
		return v, err
	case "remove":
		return v, e.cfg.Factors.RemoveTOTP(ctx, origin, caller)
	}
	return v, broker.Fail(broker.InvalidRequest, "malformed_form", "The form could not be read.")
}
