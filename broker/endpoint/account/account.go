// Package account is where people see and end their own sessions and mark
// accounts:
//
//	GET  /sessions           live sessions and recent activity
//	POST /sessions           one session ends (session=ID)
//	GET  /sessions/end-all   the question whether to sign out everywhere
//	POST /sessions/end-all   everything ends, this browser's session too
//	GET  /accounts/{id}      label and colour of an account
//	POST /accounts/{id}      keeps them
//	POST /favourites         a star: on=ACCOUNT or off=ACCOUNT
//
// A session of somebody else and one that has ended answer alike.
package account

import (
	"context"
	"embed"
	"net/http"
	"time"

	"github.com/rolecall/rolecall/broker"
	own "github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
)

//go:embed templates
var templates embed.FS

// Service is the part of account.Service that sessions need.
type Service interface {
	Sessions(ctx context.Context, caller broker.Caller) ([]own.Session, error)
	Activity(ctx context.Context, caller broker.Caller) ([]own.Activity, bool, error)
	End(ctx context.Context, origin broker.Origin, caller broker.Caller, id string) error
	EndAll(ctx context.Context, origin broker.Origin, caller broker.Caller) error
}

// Config is what an Endpoint is made of. All fields are required.
type Config struct {
	Service Service
	Marks   Marker
	Roles   Roles
	Door    visitor.Door
	Pages   *page.Pages
	Now     func() time.Time
}

// Endpoint serves the pages.
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
	mux.Page("GET /sessions", e.cfg.Door.In(e.sessions))
	mux.Page("POST /sessions", e.cfg.Door.In(e.end))
	mux.Page("GET /sessions/end-all", e.cfg.Door.In(e.askEndAll))
	mux.Page("POST /sessions/end-all", e.cfg.Door.In(e.endAll))
	mux.Page("GET /accounts/{id}", e.cfg.Door.In(e.account))
	mux.Page("POST /accounts/{id}", e.cfg.Door.In(e.mark))
	mux.Page("POST /favourites", e.cfg.Door.In(e.favour))
}

func (e *Endpoint) show(w http.ResponseWriter, r *http.Request, caller broker.Caller, l page.Look, view any) error {
	who := page.Person(e.cfg.Door.Person(r.Context(), caller))
	l.Person = &who
	return e.set.Render(w, r, l, view)
}

func (e *Endpoint) sessions(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	live, err := e.cfg.Service.Sessions(r.Context(), caller)
	if err != nil {
		return err
	}
	done, more, err := e.cfg.Service.Activity(r.Context(), caller)
	if err != nil {
		return err
	}
	view := sessionsView{More: more, Ended: r.URL.Query().Get("ended") == "1"}
	for _, s := range live {
		view.Sessions = append(view.Sessions, e.sessionRow(s))
	}
	for _, a := range done {
		view.Activity = append(view.Activity, e.activityRow(a))
	}
	return e.show(w, r, caller, page.Look{Name: "sessions", Title: "My sessions", Section: "sessions"}, view)
}

func (e *Endpoint) end(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	id := r.PostFormValue("session")
	if err := e.cfg.Service.End(r.Context(), endpoint.Origin(r), caller, id); err != nil {
		return err
	}
	if id == caller.Session {
		return e.out(w, r)
	}
	http.Redirect(w, r, "/sessions?ended=1", http.StatusSeeOther)
	return nil
}

func (e *Endpoint) askEndAll(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	live, err := e.cfg.Service.Sessions(r.Context(), caller)
	if err != nil {
		return err
	}
	return e.show(w, r, caller, page.Look{Name: "sessions-end", Title: "Sign out everywhere", Section: "sessions"}, len(live))
}

func (e *Endpoint) endAll(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	if err := e.cfg.Service.EndAll(r.Context(), endpoint.Origin(r), caller); err != nil {
		return err
	}
	return e.out(w, r)
}

// out leads to the page that says what is still open.
func (e *Endpoint) out(w http.ResponseWriter, r *http.Request) error {
	e.cfg.Door.Cookies.ClearSession(w)
	http.Redirect(w, r, "/logout", http.StatusSeeOther)
	return nil
}
