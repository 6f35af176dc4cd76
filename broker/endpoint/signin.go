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
}

// AutoPostPage renders a form that posts itself, for bindings that need one.
type AutoPostPage interface {
	AutoPost(w http.ResponseWriter, r *http.Request, form idp.Form) error
}

// SignIn is what the SAML and OpenID Connect endpoints share: the way out to a
// provider and the way back, with the cookies of both.
type SignIn struct {
	Service SignInService
	Cookies Cookies
	Pages   AutoPostPage
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
	s.Cookies.SetSession(w, in.Token, in.Expires)
	s.Cookies.SetLastProvider(w, r.PathValue("provider"))
	http.Redirect(w, r, LocalPath(in.ReturnTo), http.StatusSeeOther)
	return nil
}
