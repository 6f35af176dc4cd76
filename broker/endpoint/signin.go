package endpoint

import (
	"context"
	"net/http"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/idp"
)

// SignInService is the part of broker.Broker that signs people in by their browser.
type SignInService interface {
	Begin(ctx context.Context, req broker.BeginRequest) (broker.Begun, error)
	SignIn(ctx context.Context, req broker.SignInRequest) (broker.SignedIn, error)
	ConfirmSignIn(ctx context.Context, req broker.ConfirmRequest) (broker.SignedIn, error)
}

// AutoPostPage renders a form that posts itself, for bindings that need one.
type AutoPostPage interface {
	AutoPost(w http.ResponseWriter, r *http.Request, form idp.Form) error
}

// SignInPages renders what comes between leaving and arriving; ConfirmSignIn asks
// whether somebody really is who was sent here.
type SignInPages interface {
	AutoPostPage
	ConfirmSignIn(w http.ResponseWriter, r *http.Request, asked broker.Confirmation) error
}

// SignIn is what the SAML and OpenID Connect endpoints share: the way out to a
// provider and the way back, with the cookies of both.
type SignIn struct {
	Service SignInService
	Cookies Cookies
	Pages   SignInPages
	// Deliver shows what a sign-in has opened (broker.Opened); nil where none can.
	Deliver func(w http.ResponseWriter, r *http.Request, opened broker.Opened) error
}

// Out begins a sign-in at a provider of the given type. The query may hold
// return_to, a path of ours, and fresh=1.
func (s SignIn) Out(w http.ResponseWriter, r *http.Request, kind string) error {
	query := r.URL.Query()
	begun, err := s.Service.Begin(r.Context(), broker.BeginRequest{
		Origin:   Origin(r),
		Provider: r.PathValue("provider"),
		Type:     kind,
		ReturnTo: LocalPath(query.Get("return_to")),
		Browser:  s.Cookies.State(r),
		Fresh:    query.Get("fresh") == "1",
	})
	if err != nil {
		return err
	}
	s.Cookies.SetState(w, begun.Browser)
	NoStore(w)
	if begun.To.Form != nil {
		AllowFormAction(w, begun.To.Form.Action)
		return s.Pages.AutoPost(w, r, *begun.To.Form)
	}
	http.Redirect(w, r, begun.To.URL, http.StatusSeeOther)
	return nil
}

// Back judges what the browser brought from the provider; who is accepted gets
// a fresh session cookie and goes where the sign-in began.
func (s SignIn) Back(w http.ResponseWriter, r *http.Request, kind string) error {
	NoStore(w)
	if r.Method == http.MethodPost {
		if err := ParseForm(r); err != nil {
			return err
		}
	}
	in, err := s.Service.SignIn(r.Context(), broker.SignInRequest{
		Origin:   Origin(r),
		Provider: r.PathValue("provider"),
		Type:     kind,
		Browser:  s.Cookies.State(r),
		Answer:   idp.Answer{Method: r.Method, Query: r.URL.Query(), Form: r.PostForm},
	})
	if err != nil {
		return err
	}
	if in.Confirm != nil {
		s.Cookies.SetState(w, in.Confirm.Browser)
		return s.Pages.ConfirmSignIn(w, r, *in.Confirm)
	}
	return s.enter(w, r, in)
}

// Confirmed takes the person's answer to the page of Back.
func (s SignIn) Confirmed(w http.ResponseWriter, r *http.Request, kind string) error {
	NoStore(w)
	if err := ParseForm(r); err != nil {
		return err
	}
	if !SameSite(r) {
		return broker.Fail(broker.AccessDenied, "csrf", "This form came from another page. Sign in again.")
	}
	in, err := s.Service.ConfirmSignIn(r.Context(), broker.ConfirmRequest{
		Origin: Origin(r), Provider: r.PathValue("provider"), Type: kind, Browser: s.Cookies.State(r),
		Handle: r.PostForm.Get("csrf"), Refused: r.PostForm.Get("decision") != "approve",
	})
	if err != nil {
		return err
	}
	return s.enter(w, r, in)
}

// enter gives the browser its session and sends it on.
func (s SignIn) enter(w http.ResponseWriter, r *http.Request, in broker.SignedIn) error {
	s.Cookies.SetSession(w, in.Token, in.Expires)
	s.Cookies.SetLastProvider(w, r.PathValue("provider"))
	if in.Opened != nil && s.Deliver != nil {
		if in.Opened.Err != nil {
			return in.Opened.Err
		}
		return s.Deliver(w, s.Cookies.entered(r, in.Token), *in.Opened)
	}
	http.Redirect(w, r, LocalPath(in.ReturnTo), http.StatusSeeOther)
	return nil
}
