// Package admin is administration in the browser, for whom the section admins of
// the configuration names:
//
//	GET  /admin/           four figures, what wants attention, the last refusals
//	GET  /admin/sessions   everybody's live sessions, ?q=&provider=&kind=
//	GET  /admin/revoke     the question whether to end a session, ?session=ID
//	POST /admin/revoke     it ends, or all of that person, with a reason for the record
//	GET  /admin/audit      search in the record, ?q=&event=&outcome=&since=; a record itself
//
// Nothing here changes the configuration. Each call of the service asks whether
// the caller is admitted; the bar's link opens nothing by itself.
package admin

import (
	"context"
	"embed"
	"net/http"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
	"github.com/rolecall/rolecall/broker/operate"
)

//go:embed templates
var templates embed.FS

// Service is operate.Desk.
type Service interface {
	Overview(ctx context.Context, caller broker.Caller) (operate.Overview, error)
	Live(ctx context.Context, caller broker.Caller) ([]operate.Live, bool, error)
	End(ctx context.Context, origin broker.Origin, caller broker.Caller, id string, everything bool, reason string) error
	Search(ctx context.Context, origin broker.Origin, caller broker.Caller, f operate.Filter) (operate.Records, error)
}

// Config is what an Endpoint is made of. All fields are required.
type Config struct {
	Service Service
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
	mux.Page("GET /admin/{$}", e.cfg.Door.In(e.overview))
	mux.Page("GET /admin/sessions", e.cfg.Door.In(e.sessions))
	mux.Page("GET /admin/revoke", e.cfg.Door.In(e.askRevoke))
	mux.Page("POST /admin/revoke", e.cfg.Door.In(e.revoke))
	mux.Page("GET /admin/audit", e.cfg.Door.In(e.audit))
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
	return e.show(w, r, caller, "overview", "Administration", e.overviewView(found))
}

func (e *Endpoint) sessions(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	all, more, err := e.cfg.Service.Live(r.Context(), caller)
	if err != nil {
		return err
	}
	query := r.URL.Query()
	text, provider, kind := strings.TrimSpace(query.Get("q")), query.Get("provider"), query.Get("kind")
	view := sessionsView{Query: bounded(text), All: len(all), More: more, Ended: query.Get("ended") == "1"}
	view.Providers, view.Kinds = e.choices(all, provider, kind)
	for _, l := range all {
		if !fits(l, text, provider, kind) {
			continue
		}
		if view.Found++; view.Found <= maxRows {
			view.Rows = append(view.Rows, e.liveRow(l))
		}
	}
	return e.show(w, r, caller, "live", "Live sessions", view)
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

func (e *Endpoint) audit(w http.ResponseWriter, r *http.Request, caller broker.Caller) error {
	query := r.URL.Query()
	view := auditView{Query: bounded(strings.TrimSpace(query.Get("q")))}
	filter := operate.Filter{Text: view.Query}
	filter.Event, view.Events = pick(eventChoices, query.Get("event"))
	filter.Outcome, view.Outcomes = pick(outcomeChoices, query.Get("outcome"))
	since, sinces := pick(sinceChoices, query.Get("since"))
	view.Since = sinces
	if d, err := time.ParseDuration(since); err == nil {
		filter.Since = d
	}
	found, err := e.cfg.Service.Search(r.Context(), endpoint.Origin(r), caller, filter)
	if err != nil {
		return err
	}
	view.Read, view.Whole, view.More = found.Read, found.Whole, found.More
	for _, record := range found.List {
		view.Rows = append(view.Rows, e.recordRow(record))
	}
	return e.show(w, r, caller, "audit", "Audit", view)
}
