package endpoint

import (
	"net/http"
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
// http.ServeMux and name their method.
type Mux struct {
	routes *http.ServeMux
	edge   *Edge
}

// Handle adds a route whose errors adapt renders.
func (m *Mux) Handle(pattern string, adapt Adapter, h Handler) {
	m.routes.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			err = readable(err)
			m.edge.logFailure(r, err)
			adapt(w, r, err)
		}
	})
}

// Page adds a browser route: an error becomes a page.
func (m *Mux) Page(pattern string, h Handler) { m.Handle(pattern, m.edge.page, h) }

// API adds a JSON route: an error becomes {"error", "error_description", "request_id"}.
func (m *Mux) API(pattern string, h Handler) { m.Handle(pattern, apiProblem, h) }
