package endpoint

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
)

type plainProblems struct{}

func (plainProblems) Problem(w http.ResponseWriter, _ *http.Request, p Problem) error {
	w.WriteHeader(p.Status)
	_, err := io.WriteString(w, p.Reason+" "+p.RequestID)
	return err
}

type routes func(*Mux)

func (r routes) Mount(m *Mux) { r(m) }

// edge serves the routes at https://sso.example.com and gives its log.
func edge(t *testing.T, change func(*Config), mount func(*Mux)) (*Edge, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	public, err := url.Parse("https://sso.example.com")
	if err != nil {
		t.Fatal(err)
	}
	c := Config{URL: public, Problems: plainProblems{}, Log: slog.New(slog.NewJSONHandler(&log, nil)), Now: time.Now}
	if change != nil {
		change(&c)
	}
	return New(c, routes(mount)), &log
}

func get(e http.Handler, target string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func TestARequestForAnotherHostGetsNothing(t *testing.T) {
	t.Parallel()
	e, _ := edge(t, func(c *Config) { c.Hosts = []string{"issuer.example.com"} }, func(m *Mux) {
		m.Page("GET /secret", func(w http.ResponseWriter, _ *http.Request) error { _, err := io.WriteString(w, "ours"); return err })
	})
	for host, want := range map[string]int{
		"sso.example.com":          200,
		"SSO.example.com:443":      200,
		"issuer.example.com":       200,
		"sso.example.com:8443":     421,
		"attacker.example":         421,
		"sso.example.com.evil.net": 421,
		"127.0.0.1":                421,
	} {
		w := get(e, "/secret", func(r *http.Request) { r.Host = host })
		if w.Code != want || (want == 421 && (strings.Contains(w.Body.String(), "ours") || !strings.Contains(w.Body.String(), "request "+w.Header().Get("X-Request-Id")))) {
			t.Errorf("Host %s: got %d %q, want %d", host, w.Code, w.Body, want)
		}
	}
	if w := get(e, "/healthz", func(r *http.Request) { r.Host = "10.0.0.9" }); w.Code != 200 {
		t.Errorf("/healthz by address: %d, want 200 whatever the host", w.Code)
	}
}

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	t.Parallel()
	e, _ := edge(t, nil, func(m *Mux) {
		m.Page("GET /page", func(w http.ResponseWriter, _ *http.Request) error { _, err := io.WriteString(w, "x"); return err })
		m.Page("GET /panic", func(http.ResponseWriter, *http.Request) error { panic("at the disco") })
		m.API("GET /api/v1/x", func(http.ResponseWriter, *http.Request) error { return errors.New("hidden cause") })
	})
	for _, path := range []string{"/page", "/panic", "/api/v1/x", "/no-such-page", "/healthz"} {
		w := get(e, path, func(r *http.Request) { r.Host = "sso.example.com" })
		for header, want := range map[string]string{
			"X-Content-Type-Options":     "nosniff",
			"Referrer-Policy":            "no-referrer",
			"Cross-Origin-Opener-Policy": "same-origin",
			"X-Frame-Options":            "DENY",
		} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%s: %s: %q, want %q", path, header, got, want)
			}
		}
		csp := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: Content-Security-Policy %q", path, csp)
		}
		if w.Header().Get("X-Request-Id") == "" {
			t.Errorf("%s: no X-Request-Id", path)
		}
	}
}

func TestAnErrorNeverShowsItsCause(t *testing.T) {
	t.Parallel()
	e, log := edge(t, nil, func(m *Mux) {
		m.API("GET /api/v1/x", func(http.ResponseWriter, *http.Request) error { return errors.New("the cause") })
		m.API("GET /api/v1/y", func(http.ResponseWriter, *http.Request) error {
			return broker.Fail(broker.AccessDenied, "why", "Not yours.").Because(errors.New("the cause"))
		})
		m.Page("GET /z", func(http.ResponseWriter, *http.Request) error { panic("the cause") })
	})
	for path, want := range map[string]int{"/api/v1/x": 500, "/api/v1/y": 403, "/z": 500} {
		w := get(e, path, func(r *http.Request) { r.Host = "sso.example.com" })
		id := w.Header().Get("X-Request-Id")
		if w.Code != want || strings.Contains(w.Body.String(), "the cause") || !strings.Contains(w.Body.String(), id) {
			t.Errorf("%s: %d %s, want %d with the request id and without the cause", path, w.Code, w.Body, want)
		}
		if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "the cause") {
			t.Errorf("%s: the log does not join request id and cause", path)
		}
	}
}

func TestABodyOverTheLimitIs413AndIsNotRead(t *testing.T) {
	t.Parallel()
	e, _ := edge(t, nil, func(m *Mux) {
		m.Page("POST /form", func(w http.ResponseWriter, r *http.Request) error {
			if err := ParseForm(r); err != nil {
				return err
			}
			w.WriteHeader(http.StatusNoContent)
			return nil
		})
	})
	send := func(size int, announce bool) int {
		body := strings.NewReader("a=" + strings.Repeat("x", size-2))
		r := httptest.NewRequest(http.MethodPost, "https://sso.example.com/form", io.NopCloser(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if r.ContentLength = -1; announce {
			r.ContentLength = int64(size)
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if announce && size > maxBody && body.Len() != size {
			t.Errorf("a body announced as %d bytes was read", size)
		}
		return w.Code
	}
	for _, announce := range []bool{true, false} {
		if got := send(maxBody, announce); got != 204 {
			t.Errorf("a body at the limit (announced %v): %d", announce, got)
		}
		if got := send(maxBody+1, announce); got != 413 {
			t.Errorf("a body over the limit (announced %v): %d, want 413", announce, got)
		}
	}
}

func TestTheClientsAddress(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, c := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"without a proxy it is the peer":                     {"192.0.2.1:5000", nil, "192.0.2.1"},
		"a header from a stranger is ignored":                {"192.0.2.1:5000", []string{"198.51.100.7"}, "192.0.2.1"},
		"from a proxy it is the right-most stranger":         {"10.0.0.2:5000", []string{"203.0.113.9, 198.51.100.7, 10.0.0.3"}, "198.51.100.7"},
		"what the client forged stands further left":         {"10.0.0.2:5000", []string{"127.0.0.1", "198.51.100.7"}, "198.51.100.7"},
		"an entry that is no address ends the search":        {"10.0.0.2:5000", []string{"198.51.100.7, unknown"}, "10.0.0.2"},
		"only proxies: the left-most proxy":                  {"10.0.0.2:5000", []string{"10.0.0.9"}, "10.0.0.9"},
		"IPv4 inside IPv6 is IPv4":                           {"[::ffff:192.0.2.1]:5000", nil, "192.0.2.1"},
		"an IPv6 proxy":                                      {"[fd00::1]:5000", []string{"2001:db8::5"}, "2001:db8::5"},
		"a trusted proxy that says nothing is itself a peer": {"10.0.0.2:5000", []string{""}, "10.0.0.2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = c.peer
			r.Header["X-Forwarded-For"] = c.forwarded
			if got := clientAddress(r, trusted); got != netip.MustParseAddr(c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
