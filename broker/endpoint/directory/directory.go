// Package directory is the browser's way through the built-in user directory:
//
//	GET  /directory/{provider}/login     address and password
//	POST /directory/{provider}/login     judged; then a session, or the question for a code
//	POST /directory/{provider}/code      a one-time code or a recovery code
//	POST /directory/{provider}/passkey   the page that asks for a passkey; with credential, its answer
//	GET  /directory/{provider}/password  a new password by the code of an operator
//	POST /directory/{provider}/password  set
//	GET  /directory/{provider}/codes     the second factor of who is signed in
//	POST /directory/{provider}/codes     do=begin, confirm or remove
//
// The pages work without a script, but for passkeys. States of a sign-in: password
// asked -> (code asked, as often as it is wrong) -> session.
package directory

import (
	"context"
	"embed"
	"encoding/json"
	"net/http"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
	"github.com/rolecall/rolecall/config/secret"
)

//go:embed templates
var templates embed.FS

const kind = "directory"

// Service is the part of broker.Broker that signs people in by what they type.
type Service interface {
	SignInProviders() []broker.ProviderInfo
	SignInByPassword(ctx context.Context, req broker.PasswordRequest) (broker.SignedIn, error)
	AnswerQuestion(ctx context.Context, req broker.AnswerRequest) (broker.SignedIn, error)
	BeginPasskey(ctx context.Context, req broker.PasskeyRequest) (options json.RawMessage, browser string, err error)
	SignInByPasskey(ctx context.Context, req broker.PasskeyRequest) (broker.SignedIn, error)
}

// Passwords sets a password by what an operator has handed out.
type Passwords interface {
	Redeem(ctx context.Context, origin broker.Origin, provider, email, code string, password secret.String) error
}

// Config is what an Endpoint is made of. All fields are required.
type Config struct {
	Service   Service
	Passwords Passwords
	Factors   Factors
	Door      visitor.Door
	Cookies   endpoint.Cookies
	Pages     *page.Pages
}

// Endpoint serves /directory/.
type Endpoint struct {
	cfg Config
	set *page.Set
}

// New parses the templates.
func New(config Config) (*Endpoint, error) {
	set, err := config.Pages.Further(templates, "templates/*.html")
	return &Endpoint{config, set}, err
}

// Mount implements endpoint.Mounter.
func (e *Endpoint) Mount(mux *endpoint.Mux) {
	mux.Page("GET /directory/{provider}/login", e.form)
	mux.Page("POST /directory/{provider}/login", e.posted(e.signIn))
	mux.Page("POST /directory/{provider}/code", e.posted(e.answer))
	mux.Page("POST /directory/{provider}/passkey", e.posted(e.passkey))
	mux.Page("GET /directory/{provider}/password", e.passwordForm)
	mux.Page("POST /directory/{provider}/password", e.posted(e.setPassword))
	mux.Page("GET /directory/{provider}/codes", e.cfg.Door.In(e.codes))
	mux.Page("POST /directory/{provider}/codes", e.cfg.Door.In(e.changeCodes))
}

// view is what the pages show.
type view struct {
	Base, Label string
	ReturnTo    string
	Email       string
	Handle      string // of a question
	Passkeys    bool
	Options     string // for the passkey, as JSON
	Fault       string
	Done        bool
}

// provider finds the directory that an address names.
func (e *Endpoint) provider(r *http.Request) (broker.ProviderInfo, view, error) {
	for _, p := range e.cfg.Service.SignInProviders() {
		if p.Name == r.PathValue("provider") && p.Type == kind {
			return p, view{Base: "/directory/" + p.Name, Label: p.Label, Passkeys: p.Passkeys}, nil
		}
	}
	return broker.ProviderInfo{}, view{}, endpoint.ErrNoPage
}

// posted reads a form of ours.
func (e *Endpoint) posted(h func(w http.ResponseWriter, r *http.Request, p broker.ProviderInfo, v view) error) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		endpoint.NoStore(w)
		p, v, err := e.provider(r)
		if err != nil {
			return err
		}
		if err := endpoint.ParseForm(r); err != nil {
			return err
		}
		if !endpoint.SameSite(r) {
			return broker.Fail(broker.AccessDenied, "cross_site", "This form came from another site. Open the sign-in page and repeat.")
		}
		v.ReturnTo, v.Email = endpoint.LocalPath(r.PostFormValue("return_to")), r.PostFormValue("email")
		if len(v.Email) > 320 {
			v.Email = ""
		}
		return h(w, r, p, v)
	}
}

func (e *Endpoint) form(w http.ResponseWriter, r *http.Request) error {
	_, v, err := e.provider(r)
	if err != nil {
		return err
	}
	v.ReturnTo = endpoint.LocalPath(r.URL.Query().Get("return_to"))
	return e.show(w, r, "password", "Sign in", v, nil)
}

// show renders a page; a refusal that leaves the person on it is its fault.
func (e *Endpoint) show(w http.ResponseWriter, r *http.Request, name, title string, v view, refused error) error {
	look := page.Look{Name: "directory-" + name, Title: title}
	if refused != nil {
		shown := broker.Shown(refused)
		endpoint.SetRetryAfter(w, shown)
		v.Fault, look.Status = shown.Message, endpoint.Status(shown)
	}
	return e.set.Render(w, r, look, v)
}

// stays reports whether a refusal is one that the person can mend on the same page.
func stays(err error) bool {
	switch shown := broker.Shown(err); shown.Reason {
	case "wrong_credentials", "busy", "weak_password", "wrong_code":
		return true
	default:
		return shown.Code == broker.RateLimited
	}
}

func (e *Endpoint) signIn(w http.ResponseWriter, r *http.Request, p broker.ProviderInfo, v view) error {
	in, err := e.cfg.Service.SignInByPassword(r.Context(), broker.PasswordRequest{
		Origin: endpoint.Origin(r), Provider: p.Name, ReturnTo: v.ReturnTo, Browser: e.cfg.Cookies.State(r), Holder: e.cfg.Cookies.Known(r),
		Username: v.Email, Password: secret.New(r.PostFormValue("password")),
	})
	if err != nil && stays(err) {
		return e.show(w, r, "password", "Sign in", v, err)
	}
	return e.arrive(w, r, p, v, in, err)
}

func (e *Endpoint) answer(w http.ResponseWriter, r *http.Request, p broker.ProviderInfo, v view) error {
	in, err := e.cfg.Service.AnswerQuestion(r.Context(), broker.AnswerRequest{
		Origin: endpoint.Origin(r), Provider: p.Name, Browser: e.cfg.Cookies.State(r), Holder: e.cfg.Cookies.Known(r),
		Handle: r.PostFormValue("handle"), Answer: secret.New(r.PostFormValue("code")),
	})
	return e.arrive(w, r, p, v, in, err)
}

// arrive asks the next question, or lets somebody in.
func (e *Endpoint) arrive(w http.ResponseWriter, r *http.Request, p broker.ProviderInfo, v view, in broker.SignedIn, err error) error {
	if in.Question != nil {
		e.cfg.Cookies.SetState(w, in.Question.Browser)
		v.Handle = in.Question.Handle
		return e.show(w, r, "code", "One-time code", v, err)
	}
	if err != nil {
		return err
	}
	e.cfg.Cookies.SetSession(w, in.Token, in.Expires)
	e.cfg.Cookies.SetLastProvider(w, p.Name)
	e.cfg.Cookies.SetKnown(w, in.Holder)
	http.Redirect(w, r, endpoint.LocalPath(in.ReturnTo), http.StatusSeeOther)
	return nil
}

func (e *Endpoint) passkey(w http.ResponseWriter, r *http.Request, p broker.ProviderInfo, v view) error {
	req := broker.PasskeyRequest{
		Origin: endpoint.Origin(r), Provider: p.Name, ReturnTo: v.ReturnTo, Browser: e.cfg.Cookies.State(r), Holder: e.cfg.Cookies.Known(r),
		Credential: []byte(r.PostFormValue("credential")),
	}
	var refused error
	if len(req.Credential) > 0 {
		in, err := e.cfg.Service.SignInByPasskey(r.Context(), req)
		if err == nil || broker.CodeOf(err) != broker.AccessDenied {
			return e.arrive(w, r, p, v, in, err)
		}
		refused = err
	}
	options, browser, err := e.cfg.Service.BeginPasskey(r.Context(), req)
	if err != nil {
		return err
	}
	e.cfg.Cookies.SetState(w, browser)
	v.Options = string(options)
	return e.show(w, r, "passkey", "Passkey", v, refused)
}

func (e *Endpoint) passwordForm(w http.ResponseWriter, r *http.Request) error {
	_, v, err := e.provider(r)
	if err != nil {
		return err
	}
	return e.show(w, r, "new", "New password", v, nil)
}

func (e *Endpoint) setPassword(w http.ResponseWriter, r *http.Request, p broker.ProviderInfo, v view) error {
	err := e.cfg.Passwords.Redeem(r.Context(), endpoint.Origin(r), p.Name, v.Email, r.PostFormValue("code"), secret.New(r.PostFormValue("password")))
	if err != nil && !stays(err) {
		return err
	}
	v.Done = err == nil
	return e.show(w, r, "new", "New password", v, err)
}
