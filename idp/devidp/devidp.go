// Package devidp is the embedded identity provider of `rolecalld dev`: a real
// SAML 2.0 IdP and a real OpenID Connect provider with one sign-in form, for a
// handful of people given in its Config. It is made for loopback; it keeps its
// sessions, codes and tokens in memory.
//
//	GET  /                                        who is signed in here, and sign-out
//	GET  /saml/metadata                           SAML metadata (the entityID is its URL)
//	GET  /saml/sso   POST /saml/sso               AuthnRequest by redirect or POST; the answer is POSTed to the ACS
//	GET  /oidc/.well-known/openid-configuration   discovery; the issuer is URL/oidc
//	GET  /oidc/jwks
//	GET  /oidc/authorize   POST /oidc/authorize   code flow, PKCE S256 required
//	POST /oidc/token   GET /oidc/userinfo
//	GET  /oidc/logout   POST                      RP-initiated logout
//	POST /login   POST /logout                    the form
//
// A request that needs a person waits in memory under a random id (asked) while
// the form is shown; the form posts the id back with name and password.
package devidp

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"crypto/x509"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

const (
	maxBody     = 256 << 10
	sessionLife = time.Hour
	askedLife   = 15 * time.Minute
	codeLife    = time.Minute
	tokenLife   = 10 * time.Minute
	cookieName  = "devidp_session"
	keptAtMost  = 4096
)

// Person is somebody who can sign in here.
type Person struct {
	Username string
	Password secret.String
	Name     string
	Email    string
	Groups   []string
	// Team is a further attribute; default the first group.
	Team string
	// AWSRoles are what an application for AWS says of them: each the ARN of a role
	// and that of the SAML provider in its account, joined by a comma.
	AWSRoles []string
}

// ServiceProvider is a SAML service provider that may ask for assertions.
type ServiceProvider struct {
	EntityID string
	ACSURL   string
	// Recipient is whom assertions are made out to. Default ACSURL.
	Recipient string
	// AWS adds the attributes that AWS reads.
	AWS bool
}

// Client is an OpenID Connect relying party. Without Secret it is a public client.
type Client struct {
	ID           string
	Secret       secret.String
	RedirectURIs []string
}

// Config is what an IDP is made of.
type Config struct {
	// URL is the origin, http://127.0.0.1:PORT without a path.
	URL              string
	People           []Person
	ServiceProviders []ServiceProvider
	Clients          []Client
	// Key signs assertions and ID tokens. Default a new RSA key of 2048 bits.
	Key *rsa.PrivateKey
	Now func() time.Time
	Log *slog.Logger
}

// IDP is the provider as an http.Handler.
type IDP struct {
	config   Config
	url      *url.URL
	mux      *http.ServeMux
	pages    *template.Template
	cert     *x509.Certificate
	kid      string
	sessions *kept[session]
	asked    *kept[asked]
	codes    *kept[grant]
	tokens   *kept[grant]
}

// session is one sign-in of a person in one browser.
type session struct {
	id     string
	person Person
	since  time.Time
}

// asked is a request of a service provider or client that waits for a person.
type asked struct {
	// origin is where the answer will go, for the page and its form-action.
	origin string
	// answer sends the person back.
	answer func(http.ResponseWriter, session)
}

// New makes an IDP. It does no I/O.
func New(c Config) (*IDP, error) {
	origin, err := url.Parse(c.URL)
	if err != nil || origin.Host == "" || origin.Path != "" || origin.RawQuery != "" {
		return nil, fmt.Errorf("devidp: URL %q is not an origin such as http://127.0.0.1:8401", c.URL)
	}
	for _, p := range c.People {
		if p.Username == "" || p.Password.IsZero() {
			return nil, fmt.Errorf("devidp: person %q needs a name and a password", p.Username)
		}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Key == nil {
		if c.Key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return nil, fmt.Errorf("devidp: signing key: %w", err)
		}
	}
	p := &IDP{
		config: c, url: origin,
		sessions: newKept[session](c.Now), asked: newKept[asked](c.Now),
		codes: newKept[grant](c.Now), tokens: newKept[grant](c.Now),
	}
	if p.pages, err = template.ParseFS(files, "pages/*.html"); err != nil {
		return nil, fmt.Errorf("devidp: pages: %w", err)
	}
	if err := p.certify(); err != nil {
		return nil, err
	}
	p.route()
	return p, nil
}

func (p *IDP) route() {
	p.mux = http.NewServeMux()
	p.mux.HandleFunc("GET /{$}", p.home)
	p.mux.HandleFunc("GET /assets/{name}", p.asset)
	p.mux.HandleFunc("POST /login", p.login)
	p.mux.HandleFunc("POST /logout", p.logout)
	p.mux.HandleFunc("GET /saml/metadata", p.samlMetadata)
	p.mux.HandleFunc("GET /saml/sso", p.samlSSO)
	p.mux.HandleFunc("POST /saml/sso", p.samlSSO)
	p.mux.HandleFunc("GET /oidc/.well-known/openid-configuration", p.discovery)
	p.mux.HandleFunc("GET /oidc/jwks", p.jwks)
	p.mux.HandleFunc("GET /oidc/authorize", p.authorize)
	p.mux.HandleFunc("POST /oidc/authorize", p.authorize)
	p.mux.HandleFunc("POST /oidc/token", p.token)
	p.mux.HandleFunc("GET /oidc/userinfo", p.userinfo)
	p.mux.HandleFunc("POST /oidc/userinfo", p.userinfo)
	p.mux.HandleFunc("GET /oidc/logout", p.endSession)
	p.mux.HandleFunc("POST /oidc/logout", p.endSession)
	p.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.fail(w, http.StatusNotFound, "There is nothing at this address", "")
	})
}

// ServeHTTP implements http.Handler. A request for another host is refused, so
// that no page elsewhere reaches this provider by rebinding its name.
func (p *IDP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if r.Host != p.url.Host {
		http.Error(w, "This identity provider answers at "+p.config.URL+" only.", http.StatusMisdirectedRequest)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	p.mux.ServeHTTP(w, r)
}

// home says who is signed in here.
func (p *IDP) home(w http.ResponseWriter, r *http.Request) {
	view := homeView{URL: p.config.URL, People: p.config.People}
	if s, ok := p.current(r); ok {
		view.SignedIn = &s.person
	}
	p.render(w, http.StatusOK, "home.html", "", view)
}

// ask shows the sign-in form for a request, or answers it at once if the browser
// has a session that will do.
func (p *IDP) ask(w http.ResponseWriter, r *http.Request, a asked, enough func(session) bool) {
	if s, ok := p.current(r); ok && enough(s) {
		a.answer(w, s)
		return
	}
	p.form(w, http.StatusOK, loginView{Asked: p.asked.put(a, askedLife), For: a.origin, People: p.config.People}, a.origin)
}

// login judges the form.
func (p *IDP) login(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		p.fail(w, http.StatusForbidden, "This form came from another site", "Go back to the application and sign in from there.")
		return
	}
	if !p.parseForm(w, r) {
		return
	}
	id := r.PostForm.Get("asked")
	a, ok := p.asked.get(id)
	if !ok {
		p.fail(w, http.StatusBadRequest, "This sign-in is over", "It was finished already or waited too long. Go back to the application and start again.")
		return
	}
	username := r.PostForm.Get("username")
	person, ok := p.check(username, r.PostForm.Get("password"))
	if !ok {
		p.config.Log.InfoContext(r.Context(), "devidp: sign-in refused", "username", username)
		p.form(w, http.StatusUnauthorized, loginView{
			Asked: id, For: a.origin, People: p.config.People, Username: username,
			Fault: "That user name and password do not belong together. Nobody was signed in.",
		}, a.origin)
		return
	}
	if _, ok := p.asked.take(id); !ok {
		p.fail(w, http.StatusBadRequest, "This sign-in is over", "It was finished in another window.")
		return
	}
	s := session{id: rand.Text(), person: person, since: p.config.Now()}
	p.setCookie(w, p.sessions.put(s, sessionLife), int(sessionLife/time.Second))
	p.config.Log.InfoContext(r.Context(), "devidp: signed in", "username", person.Username)
	a.answer(w, s)
}

// logout ends the session here; the applications keep theirs.
func (p *IDP) logout(w http.ResponseWriter, r *http.Request) {
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		p.fail(w, http.StatusForbidden, "This form came from another site", "")
		return
	}
	p.forget(w, r)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (p *IDP) forget(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName); err == nil {
		p.sessions.take(c.Value)
	}
	p.setCookie(w, "", -1)
}

// check compares in constant time, with the same work for an unknown name.
func (p *IDP) check(username, password string) (Person, bool) {
	var found Person
	match := 0
	for _, person := range p.config.People {
		right := subtle.ConstantTimeCompare([]byte(person.Username), []byte(username))
		right &= subtle.ConstantTimeCompare([]byte(person.Password.Reveal()), []byte(password))
		if right == 1 {
			found, match = person, 1
		}
	}
	return found, match == 1
}

func (p *IDP) current(r *http.Request) (session, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	return p.sessions.get(c.Value)
}

func (p *IDP) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: p.url.Scheme == "https",
	})
}

// parseForm reads a form of bounded size or answers the fault.
func (p *IDP) parseForm(w http.ResponseWriter, r *http.Request) bool {
	err := r.ParseForm()
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		p.fail(w, http.StatusRequestEntityTooLarge, "This request is too large", "")
	case err != nil:
		p.fail(w, http.StatusBadRequest, "This request cannot be read", "")
	}
	return err == nil
}

// team is the person's further attribute.
func (p Person) team() string {
	if p.Team == "" && len(p.Groups) > 0 {
		return p.Groups[0]
	}
	return p.Team
}
