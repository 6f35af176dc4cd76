package page

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"

	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/idp"
)

//go:embed templates
var templates embed.FS

// themeCookie holds the choice of colours, "light" or "dark"; the script writes it.
const themeCookie = "rolecall_theme"

// Config says whose portal it is.
type Config struct {
	// Cookies give each form its CSRF token.
	Cookies endpoint.Cookies
	// Organisation stands in "Sign in to ..."; default "rolecall".
	Organisation string
	// Support is the e-mail address of the people who look after access; none by default.
	Support string
}

// Pages renders all pages. It is safe for concurrent use.
type Pages struct {
	config Config
	set    *template.Template
	assets assets
}

// New parses the templates and prepares the assets.
func New(config Config) (*Pages, error) {
	set, err := template.New("").Funcs(functions()).Option("missingkey=error").ParseFS(templates, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse the page templates: %w", err)
	}
	a, err := loadAssets()
	if err != nil {
		return nil, err
	}
	return &Pages{config: config, set: set, assets: a}, nil
}

// document is what a template gets: the frame, and the view of its page.
type document struct {
	Name, Title           string
	Theme, CSRF           string
	RequestID             string
	Organisation, Support string
	Assets                assets
	Person                *Person
	Section               string
	Style                 string
	View                  any
}

// look is how a page differs from others outside its view.
type look struct {
	name, title string
	status      int // 0 is 200
	person      *Person
	// compress is safe only where the page repeats nothing of the request: with
	// the CSRF token in it, lengths would tell (BREACH).
	compress bool
	set      *template.Template // nil is the pages' own
	section  string             // of the bar: roles, sessions, admin; "" is roles
}

// render writes a page. It is rendered whole before the first byte leaves, so
// that a fault becomes an error page.
func (p *Pages) render(w http.ResponseWriter, r *http.Request, l look, view any) error {
	var out bytes.Buffer
	if l.set == nil {
		l.set = p.set
	}
	style := ""
	if l.section == sectionAdmin {
		style = p.assets.Admin
	}
	err := l.set.ExecuteTemplate(&out, l.name, document{
		Name: l.name, Title: l.title, Theme: theme(r), CSRF: p.config.Cookies.CSRF(r),
		RequestID: endpoint.Origin(r).RequestID, Organisation: p.config.Organisation, Support: p.config.Support,
		Assets: p.assets, Person: l.person, Section: cmp.Or(l.section, "roles"), Style: style, View: view,
	})
	if err != nil {
		return fmt.Errorf("render the page %s: %w", l.name, err)
	}
	var zipped []byte
	if l.compress {
		if zipped, err = compress(out.Bytes(), gzip.DefaultCompression); err != nil {
			return err
		}
	}
	endpoint.NoStore(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if l.status == 0 {
		l.status = http.StatusOK
	}
	send(w, r, l.status, out.Bytes(), zipped)
	return nil
}

// theme is the choice of colours that the browser remembers; "" follows the system.
func theme(r *http.Request) string {
	cookie, err := r.Cookie(themeCookie)
	if err != nil || (cookie.Value != "light" && cookie.Value != "dark") {
		return ""
	}
	return cookie.Value
}

// SignIn renders the sign-in page.
func (p *Pages) SignIn(w http.ResponseWriter, r *http.Request, view SignIn) error {
	return p.render(w, r, look{name: "signin", title: "Sign in"}, view)
}

// SignedOut renders the page after signing out.
func (p *Pages) SignedOut(w http.ResponseWriter, r *http.Request, view SignedOut) error {
	title := "Signed out"
	if view.Asks {
		title = "Sign out"
	}
	return p.render(w, r, look{name: "signedout", title: title}, view)
}

// Home renders the list of accounts and roles.
func (p *Pages) Home(w http.ResponseWriter, r *http.Request, view Home) error {
	return p.render(w, r, look{name: "home", title: "Your roles", person: &view.Person, compress: !view.Filtered()}, view)
}

// NoRole renders the page of somebody whom no grant fits.
func (p *Pages) NoRole(w http.ResponseWriter, r *http.Request, view NoRole) error {
	return p.render(w, r, look{name: "norole", title: "No role yet", person: &view.Person}, view)
}

// Consent renders the question whether a program may act for the person, and
// lets its form lead to the program's redirect address.
func (p *Pages) Consent(w http.ResponseWriter, r *http.Request, view Consent) error {
	endpoint.AllowFormAction(w, view.RedirectURI)
	return p.render(w, r, look{name: "consent", title: "Allow " + view.Client, person: &Person{Username: view.Username}}, view)
}

// AutoPost renders a form that the script posts at once and a person can post by
// hand. It implements endpoint.AutoPostPage.
func (p *Pages) AutoPost(w http.ResponseWriter, r *http.Request, form idp.Form) error {
	host := ""
	if u, err := url.Parse(form.Action); err == nil {
		host = u.Host
	}
	return p.render(w, r, look{name: "autopost", title: "Going on"}, struct {
		Action, Host string
		Fields       map[string]string
	}{form.Action, host, form.Fields})
}
