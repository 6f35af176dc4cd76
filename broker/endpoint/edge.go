package endpoint

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
)

// maxBody bounds every request body. The largest honest one is a SAML response:
// 256 KB of XML are 350 KB in a form.
const maxBody = 512 << 10

// Config is what the edge needs to know.
type Config struct {
	// URL is the public address of the broker.
	URL *url.URL
	// Hosts are further Host values to answer to (an issuer's or an ACS's own name).
	Hosts []string
	// TrustedProxies may name the client's address in X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// Problems renders errors for people.
	Problems ProblemPage
	// Ready says whether everything is up; nil is always.
	Ready func(context.Context) error
	// Observe hears of every answer: the pattern of its route, empty where there is
	// none, its status, and how long it took. nil is nobody.
	Observe func(route string, status int, took time.Duration)
	Log     *slog.Logger
	Now     func() time.Time
}

// Edge is the outermost handler.
type Edge struct {
	config Config
	hosts  map[string]bool
	https  bool
	mux    *Mux
}

// New makes the edge and lets every endpoint mount its routes.
func New(config Config, endpoints ...Mounter) *Edge {
	e := &Edge{config: config, hosts: map[string]bool{}, https: config.URL.Scheme == "https"}
	for _, h := range append([]string{config.URL.Host}, config.Hosts...) {
		e.hosts[hostKey(h, e.https)] = true
	}
	e.mux = &Mux{routes: http.NewServeMux(), edge: e, paths: map[string]path{}}
	e.mux.Page("GET /healthz", func(w http.ResponseWriter, _ *http.Request) error { ok(w); return nil })
	e.mux.Page("GET /readyz", e.ready)
	for _, m := range endpoints {
		m.Mount(e.mux)
	}
	e.mux.Handle("/", func(w http.ResponseWriter, r *http.Request, err error) { e.adapterFor(r)(w, r, err) }, func(http.ResponseWriter, *http.Request) error {
		return broker.Fail(broker.InvalidRequest, "not_found", "There is nothing at this address.").Because(ErrNoPage)
	})
	e.mux.close()
	return e
}

// ErrNoPage is what a handler answers where there is nothing: 404.
var ErrNoPage = errors.New("no such page")

type requestKey struct{}

// Origin is where the request came from, as services and the audit want it.
func Origin(r *http.Request) broker.Origin {
	origin, _ := r.Context().Value(requestKey{}).(broker.Origin)
	return origin
}

// ServeHTTP implements http.Handler.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := e.config.Now()
	origin := broker.Origin{RequestID: rand.Text(), Address: clientAddress(r, e.config.TrustedProxies), Agent: agent(r.UserAgent())}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, origin))
	record := &recorder{ResponseWriter: w, status: http.StatusOK}
	w = record
	w.Header().Set("X-Request-Id", origin.RequestID)
	secureHeaders(w.Header(), e.https)

	defer func() {
		if p := recover(); p != nil {
			e.config.Log.Error("panic in a handler", "request_id", origin.RequestID, "panic", p, "stack", string(debug.Stack()))
			if !record.begun {
				e.adapterFor(r)(w, r, errors.New("panic"))
			} else {
				defer panic(http.ErrAbortHandler) // half an answer must not look like a whole one
			}
		}
		took := e.config.Now().Sub(begun)
		e.config.Log.Info("request", "request_id", origin.RequestID, "method", r.Method, "path", r.URL.Path,
			"status", record.status, "address", origin.Address, "took", took)
		if e.config.Observe != nil {
			e.config.Observe(r.Pattern, record.status, took)
		}
	}()
	if !e.hosts[hostKey(r.Host, e.https)] && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" {
		e.misdirected(w, origin)
		return
	}
	if r.ContentLength > maxBody {
		w.Header().Set("Connection", "close")
		e.adapterFor(r)(w, r, tooLarge(maxBody))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	e.mux.routes.ServeHTTP(w, r)
}

// adapterFor guesses the protocol of a request that reached no route.
func (e *Edge) adapterFor(r *http.Request) Adapter {
	if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/oauth2/") || strings.HasPrefix(r.URL.Path, "/tvm/") {
		return apiProblem
	}
	return e.page
}

// misdirected answers a Host that is not ours (RFC 9110 section 15.5.20): a
// page of another name that was rebound to our address must get nothing.
func (e *Edge) misdirected(w http.ResponseWriter, origin broker.Origin) {
	http.Error(w, "This server does not answer to that host name.\n\nUse "+e.config.URL.String()+"\n\nIf you came by a link or a bookmark, give this to your administrators: request "+origin.RequestID, http.StatusMisdirectedRequest)
}

func (e *Edge) ready(w http.ResponseWriter, r *http.Request) error {
	if e.config.Ready != nil {
		if err := e.config.Ready(r.Context()); err != nil {
			e.config.Log.Warn("not ready", "error", err)
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return nil
		}
	}
	ok(w)
	return nil
}

func ok(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n"))
}

// page is the browser's error adapter.
func (e *Edge) page(w http.ResponseWriter, r *http.Request, err error) {
	origin := Origin(r)
	p := Problem{RequestID: origin.RequestID, Time: e.config.Now()}
	if errors.Is(err, ErrNoPage) {
		p.Status, p.Reason, p.Message = http.StatusNotFound, "not_found", "There is no such page here."
	} else {
		shown := broker.Shown(err)
		SetRetryAfter(w, shown)
		p.Status, p.Code, p.Reason, p.Message, p.Retry = Status(shown), shown.Code, shown.Reason, shown.Message, shown.RetryAfter
	}
	NoStore(w)
	if failed := e.config.Problems.Problem(w, r, p); failed != nil {
		e.config.Log.Error("render an error page", "request_id", origin.RequestID, "error", failed)
	}
}

// hostKey compares hosts without case and without the scheme's default port.
func hostKey(host string, https bool) string {
	host = strings.ToLower(host)
	port := ":80"
	if https {
		port = ":443"
	}
	name, found := strings.CutSuffix(host, port)
	if !found || (strings.Contains(name, ":") && !strings.HasSuffix(name, "]")) {
		return host // another port, or an address without brackets
	}
	return name
}

// recorder remembers what was answered, for the log.
type recorder struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (r *recorder) WriteHeader(status int) {
	if !r.begun {
		r.status, r.begun = status, true
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	r.begun = true
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
