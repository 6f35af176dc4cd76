// Package admin is administration in the browser, for whom the section admins of
// the configuration names:
//
//	GET  /admin/                four figures, what wants attention, the last refusals
//	GET  /admin/sessions        everybody's live sessions, ?q=&provider=&kind=&skip=
//	GET  /admin/revoke          the question whether to end a session, ?session=ID
//	POST /admin/revoke          it ends, or all of that person, with a reason for the record
//	GET  /admin/people          who has signed in, ?q=&skip=
//	GET  /admin/audit           search in the record; the fields are those of the form, and ?before=, ?after=
//	GET  /admin/audit/record    one record with its place in the chain, ?at=
//	GET  /admin/audit/records   what a search finds, as JSON lines
//	GET  /admin/explain         why somebody has what: ?person=, or an identity; &role=&address=&at=&via=
//	GET  /admin/access          groups -> grants -> roles, ?q=&in=&focus=&page=
//	GET  /admin/health          providers, certificates, keys
//	GET  /admin/configuration   the file as it runs, without secrets
//
// Nothing here changes the configuration. Each call of the services asks whether
// the caller is admitted; the bar's link opens nothing by itself. What reads about
// other people (explain, the record) is a record itself.
package admin

import (
	"context"
	"embed"
	"net/http"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/operate/insight"
)

//go:embed templates
var templates embed.FS

// Service is operate.Desk.
type Service interface {
	Overview(ctx context.Context, caller broker.Caller) (operate.Overview, error)
	Live(ctx context.Context, caller broker.Caller) ([]operate.Live, bool, error)
	End(ctx context.Context, origin broker.Origin, caller broker.Caller, id string, everything bool, reason string) error
	Search(ctx context.Context, origin broker.Origin, caller broker.Caller, f operate.Filter) (operate.Records, error)
	Entry(ctx context.Context, origin broker.Origin, caller broker.Caller, at int64) (operate.Position, error)
}

// Exporter is operate.Desk too.
type Exporter interface {
	Export(ctx context.Context, origin broker.Origin, caller broker.Caller, f operate.Filter, each func(line []byte) error) (more bool, err error)
}

// Insight is insight.Insight.
type Insight interface {
	Explain(ctx context.Context, origin broker.Origin, caller broker.Caller, q insight.Question) (insight.Explanation, error)
	People(ctx context.Context, caller broker.Caller, text string) ([]insight.Person, bool, error)
	Access(ctx context.Context, caller broker.Caller) (insight.Access, error)
	Health(ctx context.Context, caller broker.Caller, ask bool) (insight.Health, error)
	Configuration(ctx context.Context, caller broker.Caller) (insight.Configuration, error)
}

// Config is what an Endpoint is made of. All fields are required.
type Config struct {
	Service  Service
	Exporter Exporter
	Insight  Insight
	// AccountName gives the configured name of an account, "" where it has none.
	AccountName func(id string) string
	Door        visitor.Door
	Pages       *page.Pages
	Now         func() time.Time
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
	mux.Page("GET /admin/{$}", e.cfg.Door.In(e.overview))
	mux.Page("GET /admin/sessions", e.cfg.Door.In(e.sessions))
	mux.Page("GET /admin/revoke", e.cfg.Door.In(e.askRevoke))
	mux.Page("POST /admin/revoke", e.cfg.Door.In(e.revoke))
	mux.Page("GET /admin/people", e.cfg.Door.In(e.people))
	mux.Page("GET /admin/audit", e.cfg.Door.In(e.audit))
	mux.Page("GET /admin/audit/record", e.cfg.Door.In(e.record))
	mux.Page("GET /admin/audit/records", e.cfg.Door.In(e.export))
	mux.Page("GET /admin/explain", e.cfg.Door.In(e.explain))
	mux.Page("GET /admin/access", e.cfg.Door.In(e.access))
	mux.Page("GET /admin/health", e.cfg.Door.In(e.health))
	mux.Page("GET /admin/configuration", e.cfg.Door.In(e.configuration))
}

func (e *Endpoint) show(w http.ResponseWriter, r *http.Request, caller broker.Caller, name, title string, view any) error {
	who := page.Person(e.cfg.Door.Person(r.Context(), caller))
	return e.set.Render(w, r, page.Look{Name: name, Title: title, Person: &who, Section: "admin"}, view)
}

func (e *Endpoint) overview(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	found, err := e.cfg.Service.Overview(r.Context(), caller)
	if err != nil {
		return err
	}
	health, err := e.cfg.Insight.Health(r.Context(), caller, false) // asks nobody
	if err != nil {
		return err
	}
	running, err := e.cfg.Insight.Configuration(r.Context(), caller)
	if err != nil {
		return err
	}
	return e.show(w, r, caller, "overview", "Administration", e.overviewView(found, health, running))
}

func (e *Endpoint) askRevoke(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	all, _, err := e.cfg.Service.Live(r.Context(), caller)
	if err != nil {
		return err
	}
	id := r.URL.Query().Get("session")
	for _, l := range all {
		if l.ID == id {
			view := revokeView{Row: e.liveRow(l)}
			for _, other := range all {
				if other.Provider == l.Provider && other.Subject == l.Subject {
					view.Same++
				}
			}
			return e.show(w, r, caller, "revoke", "Revoke a session", view)
		}
	}
	return endpoint.ErrNoPage
}

func (e *Endpoint) revoke(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	err := e.cfg.Service.End(r.Context(), endpoint.Origin(r), caller, r.PostFormValue("session"), r.PostFormValue("scope") == "user", r.PostFormValue("reason"))
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/admin/sessions?ended=1", http.StatusSeeOther)
	return nil
}
