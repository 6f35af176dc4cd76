// Package container serves credentials on loopback in the form that the AWS CLI
// and SDKs read in containers (AWS_CONTAINER_CREDENTIALS_FULL_URI), so that a
// long-running program has fresh ones for as long as the person is signed in.
//
// Who may ask: a process that knows the token and names this very listener in
// Host. Whatever a browser sends on behalf of a page is refused, token or not.
//
//	GET /credentials/ROLE   Authorization: TOKEN
package container

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

const prefix = "/credentials/"

// Source gives a role's credentials as they are now; it must not wait for a person.
type Source interface {
	Credentials(ctx context.Context, role string) (iam.ProcessDocument, error)
}

// Server is one listener.
type Server struct {
	token    string
	listener net.Listener
	server   *http.Server
	source   Source
}

// NewToken is a token that nobody guesses.
func NewToken() string { return rand.Text() + rand.Text() } // 260 bits

// Listen takes a port of a loopback address; 0 is a free one.
func Listen(ctx context.Context, port uint16, token string, source Source) (*Server, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("listen for AWS SDKs on loopback: %w", err)
	}
	s := &Server{token: token, listener: listener, source: source}
	s.server = &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	return s, nil
}

// Address is where a role's credentials are, for AWS_CONTAINER_CREDENTIALS_FULL_URI.
func (s *Server) Address(role string) string {
	parts := strings.Split(role, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return "http://" + s.listener.Addr().String() + prefix + strings.Join(parts, "/")
}

// Token is what a request must have in Authorization.
func (s *Server) Token() string { return s.token }

// Serve answers until Close.
func (s *Server) Serve() error { return s.server.Serve(s.listener) }

// Close ends the server at once.
func (s *Server) Close() error { return s.server.Close() }

// refusal is what an SDK reads when it is told no.
type refusal struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// answer is what it reads otherwise.
type answer struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	Token           string
	Expiration      time.Time
	AccountID       string `json:"AccountId,omitempty"`
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if status, why := s.refuse(r); status != 0 {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(refusal{"Refused", why})
		return
	}
	role, err := url.PathUnescape(r.URL.EscapedPath()[len(prefix):])
	if err != nil {
		role = ""
	}
	d, err := s.source.Credentials(r.Context(), role)
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		_ = json.NewEncoder(w).Encode(refusal{"Unavailable", err.Error()})
		return
	}
	_ = json.NewEncoder(w).Encode(answer{d.AccessKeyID, d.SecretAccessKey, d.SessionToken, d.Expiration, d.AccountID})
}

// fromBrowsers are headers that no SDK sends: browsers add them, proxies too.
var fromBrowsers = []string{"Origin", "Referer", "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "Cookie"}

// refuse says why a request is turned away, with its status; 0 is welcome.
func (s *Server) refuse(r *http.Request) (int, string) {
	if r.Host != s.listener.Addr().String() {
		return http.StatusMisdirectedRequest, "the Host is not this listener" // DNS rebinding
	}
	for _, name := range fromBrowsers {
		if _, there := r.Header[name]; there {
			return http.StatusForbidden, "requests with " + name + " are refused"
		}
	}
	if site := r.Header["Sec-Fetch-Site"]; len(site) > 0 && (len(site) > 1 || site[0] != "none") {
		return http.StatusForbidden, "requests of a page are refused"
	}
	given := r.Header["Authorization"]
	if len(given) != 1 || subtle.ConstantTimeCompare([]byte(given[0]), []byte(s.token)) != 1 {
		return http.StatusUnauthorized, "the Authorization header is not the token of this listener"
	}
	if r.Method != http.MethodGet {
		return http.StatusMethodNotAllowed, "GET only"
	}
	if path := r.URL.EscapedPath(); len(path) <= len(prefix) || path[:len(prefix)] != prefix {
		return http.StatusNotFound, "nothing is here"
	}
	return 0, ""
}
