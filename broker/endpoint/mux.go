package endpoint

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/broker"
)

// Handler answers a request or returns an error, which the route's Adapter
// renders. A handler that has begun to write its answer returns nil.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Adapter turns an error into its protocol's wire form: a page, JSON, XML.
type Adapter func(w http.ResponseWriter, r *http.Request, err error)

// Mounter is an endpoint package that puts its routes on the mux.
type Mounter interface {
	Mount(mux *Mux)
}

// Mux holds the routes of all endpoint packages. Patterns are those of
// http.ServeMux and name their method; a path that is asked for by another one
// answers 405.
type Mux struct {
	routes *http.ServeMux
	edge   *Edge
	paths  map[string]path // of patterns that name their method
}

// path is what is there at one path.
type path struct {
	methods []string
	adapt   Adapter
	all     bool // a pattern without a method takes them all
}

// errMethod marks a request whose method its path does not have: 405.
var errMethod = errors.New("no such method here")

// Handle adds a route whose errors adapt renders.
func (m *Mux) Handle(pattern string, adapt Adapter, h Handler) {
	m.add(pattern, adapt, apiProblem, h)
}

// Page adds a browser route: an error becomes a page.
func (m *Mux) Page(pattern string, h Handler) { m.add(pattern, m.edge.page, m.edge.page, h) }

// API adds a JSON route: an error becomes {"error", "error_description", "request_id"}.
func (m *Mux) API(pattern string, h Handler) { m.add(pattern, apiProblem, apiProblem, h) }

func (m *Mux) add(pattern string, adapt, other Adapter, h Handler) {
	m.route(pattern, adapt, h)
	method, at, ok := strings.Cut(pattern, " ")
	if !ok {
		m.paths[pattern] = path{all: true}
		return
	}
	if method == http.MethodGet {
		method = "GET, HEAD"
	}
	p := m.paths[at]
	m.paths[at] = path{append(p.methods, method), other, p.all}
}

// close adds what answers the other methods of each path.
func (m *Mux) close() {
	for at, p := range m.paths {
		if p.all {
			continue
		}
		slices.Sort(p.methods)
		allow := strings.Join(slices.Compact(p.methods), ", ")
		m.route(at, p.adapt, func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Allow", allow)
			return broker.Fail(broker.InvalidRequest, "method", "This address takes "+allow+" only.").Because(errMethod)
		})
	}
}

func (m *Mux) route(pattern string, adapt Adapter, h Handler) {
	m.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		err = readable(err)
		adapt(w, r, err)
		m.edge.logFailure(r, answered(w), err)
	})
}

// answered is the status that went out.
func answered(w http.ResponseWriter) int {
	if r, ok := w.(*recorder); ok {
		return r.status
	}
	return http.StatusInternalServerError
}

// logFailure writes the hidden cause where operators find it: an error for what
// is wrong on our side, a note for what was refused.
func (e *Edge) logFailure(r *http.Request, status int, err error) {
	level := slog.LevelInfo
	switch {
	case status == http.StatusInternalServerError, status == http.StatusServiceUnavailable:
		level = slog.LevelError
	case errors.Is(err, ErrNoPage):
		level = slog.LevelDebug
	}
	e.config.Log.Log(r.Context(), level, "request failed", "request_id", Origin(r).RequestID, "path", r.URL.Path, "error", err)
}
