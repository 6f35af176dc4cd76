// Package cors lets pages of other origins call what is made for apps (Fetch
// standard, section 3.2): the origins that the configuration lists for its apps, and
// never with the browser's cookies.
package cors

import (
	"net/http"
	"strings"

	"github.com/rolecall/rolecall/broker/endpoint"
)

// exposed are the headers of an answer that a page needs, allowed those that it sends.
const (
	exposed = "DPoP-Nonce, WWW-Authenticate, Retry-After, X-Request-Id, X-Rolecall-Stale"
	allowed = "Authorization, Content-Type, DPoP"
)

// Origins are the pages that are an app.
type Origins map[string]bool

// Of makes Origins of a list.
func Of(origins ...string) Origins {
	o := Origins{}
	for _, origin := range origins {
		o[origin] = true
	}
	return o
}

// Allow lets the page that sent a request read the answer, where it is an app's.
func (o Origins) Allow(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); o[origin] {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", exposed)
	}
}

// Preflight answers what a browser asks before a request of a page (OPTIONS).
func (o Origins) Preflight(methods ...string) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		o.Allow(w, r)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		if h.Get("Access-Control-Allow-Origin") != "" {
			h.Set("Access-Control-Allow-Methods", strings.Join(methods, ", "))
			h.Set("Access-Control-Allow-Headers", allowed)
			h.Set("Access-Control-Max-Age", "600")
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}
