// Package login is where people choose how to sign in, and where they sign out:
//
//	GET  /login    choose a provider; ?provider= fills one button, ?return_to= is where to go
//	               on to, ?fresh=1 asks the provider to see the person again
//	POST /login    e-mail -> the provider of its domain, as a filled button; the address is in no URL
//	GET  /logout   signed out; or, with a session, the question whether to
//	POST /logout   the session ends on the server, the cookie goes; where the provider takes
//	               that, the browser goes on to sign out there, and comes back to GET /logout
//
// States of the sign-in page: all providers alike -> one filled button (the only
// one, the one asked for, the one used last) with the others folded away; a
// provider that is not here is one line above the choice.
package login

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/idp"
)

// Service is the part of broker.Broker that signing in and out needs.
type Service interface {
	SignInProviders() []broker.ProviderInfo
	SignOut(ctx context.Context, origin broker.Origin, token, browser string) (broker.Left, error)
}

// Pages renders what this endpoint shows.
type Pages interface {
	SignIn(w http.ResponseWriter, r *http.Request, view page.SignIn) error
	SignedOut(w http.ResponseWriter, r *http.Request, view page.SignedOut) error
	Leave(w http.ResponseWriter, r *http.Request, to idp.Redirect) error
}

// Endpoint serves /login and /logout.
type Endpoint struct {
	Service Service
	Pages   Pages
	Cookies endpoint.Cookies
}

// Mount implements endpoint.Mounter.
func (e Endpoint) Mount(mux *endpoint.Mux) {
	mux.Page("GET /login", e.choose)
	mux.Page("POST /login", e.find)
	mux.Page("GET /logout", e.signedOut)
	mux.Page("POST /logout", e.signOut)
}

func (e Endpoint) choose(w http.ResponseWriter, r *http.Request) error {
	return e.offer(w, r, r.URL.Query(), "")
}

// find leads to the page on which the provider of an address is the filled button.
// It is no redirect to the provider itself: the form may lead home only.
func (e Endpoint) find(w http.ResponseWriter, r *http.Request) error {
	endpoint.NoStore(w)
	if err := endpoint.ParseForm(r); err != nil {
		return err
	}
	if !endpoint.SameSite(r) {
		return broker.Fail(broker.AccessDenied, "cross_site", "This form came from another site. Open the sign-in page and repeat.")
	}
	query := url.Values{}
	if back := returnTo(r.PostFormValue("return_to")); back != "/" {
		query.Set("return_to", back)
	}
	if r.PostFormValue("fresh") == "1" {
		query.Set("fresh", "1")
	}
	address := strings.TrimSpace(r.PostFormValue("email"))
	domain := strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
	for _, p := range e.Service.SignInProviders() {
		if slices.Contains(p.Domains, domain) {
			query.Set("provider", p.Name)
			http.Redirect(w, r, "/login?"+query.Encode(), http.StatusSeeOther)
			return nil
		}
	}
	return e.offer(w, r, query, "No provider here has addresses of that domain. Choose one by its name.")
}

// offer shows the page that the values of an address ask for.
func (e Endpoint) offer(w http.ResponseWriter, r *http.Request, query url.Values, emailFault string) error {
	back := returnTo(query.Get("return_to"))
	view := page.SignIn{
		Role: roleIn(back), Program: strings.HasPrefix(back, "/oauth2/"), EmailFault: emailFault, ReturnTo: back, Fresh: query.Get("fresh") == "1",
	}

	asked := query.Get("provider")
	wanted, last := asked, e.Cookies.LastProvider(r)
	if wanted == "" {
		wanted = last
	}
	providers := e.Service.SignInProviders()
	for _, p := range providers {
		view.Email = view.Email || len(p.Domains) > 0 && len(providers) > 1
		shown := page.Provider{Name: p.Name, Label: p.Label, Host: p.Host, URL: begin(p, back, query.Get("fresh") == "1")}
		if view.Main == nil && (p.Name == wanted || len(providers) == 1) {
			view.Main, view.Last = &shown, p.Name == last
			continue
		}
		view.Others = append(view.Others, shown)
	}
	if asked != "" && (view.Main == nil || view.Main.Name != asked) {
		view.Fault = "There is no provider of that name here. Choose one below."
	}
	return e.Pages.SignIn(w, r, view)
}

// begin is the address that begins a sign-in at p.
func begin(p broker.ProviderInfo, back string, fresh bool) string {
	query := url.Values{}
	if back != "/" {
		query.Set("return_to", back)
	}
	if fresh {
		query.Set("fresh", "1")
	}
	kind := p.Type
	if kind == "oauth2" {
		kind = "oauth" // /oauth2/ is what we serve ourselves
	}
	address := "/" + url.PathEscape(kind) + "/" + url.PathEscape(p.Name) + "/login"
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	return address
}

// returnTo is a path of ours to go on to; the pages of signing in and out are none.
func returnTo(s string) string {
	back := endpoint.LocalPath(s)
	if path, _, _ := strings.Cut(back, "?"); path == "/login" || path == "/logout" {
		return "/"
	}
	return back
}

// roleRef is what the page repeats of a link: nothing that could read as a message.
var roleRef = regexp.MustCompile(`^[\w+=,.@-]{1,64}/[\w+=,.@-]{1,64}$`)

// roleIn is the role that the person goes on to, "" if it is another page.
func roleIn(back string) string {
	u, err := url.Parse(back)
	if err != nil || (u.Path != "/console" && u.Path != "/keys" && u.Path != "/why") {
		return ""
	}
	if ref := u.Query().Get("role"); roleRef.MatchString(ref) {
		return ref
	}
	return ""
}

func (e Endpoint) signedOut(w http.ResponseWriter, r *http.Request) error {
	return e.Pages.SignedOut(w, r, page.SignedOut{Asks: e.Cookies.Session(r) != ""})
}

func (e Endpoint) signOut(w http.ResponseWriter, r *http.Request) error {
	endpoint.NoStore(w)
	if token := e.Cookies.Session(r); token != "" {
		if err := endpoint.ParseForm(r); err != nil {
			return err
		}
		if err := e.Cookies.CheckCSRF(r); err != nil {
			return err
		}
		left, err := e.Service.SignOut(r.Context(), endpoint.Origin(r), token, e.Cookies.State(r))
		if err != nil {
			return err
		}
		e.Cookies.ClearSession(w)
		if left.To != nil {
			e.Cookies.SetState(w, left.Browser)
			return e.Pages.Leave(w, r, *left.To)
		}
	}
	http.Redirect(w, r, "/logout", http.StatusSeeOther)
	return nil
}
