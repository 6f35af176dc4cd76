package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
)

func answer(text string) Handler {
	return func(w http.ResponseWriter, _ *http.Request) error { _, err := io.WriteString(w, text); return err }
}

// ask sends a request without a body to the public address of the test's edge.
func ask(h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, "https://sso.example.com"+path, nil))
	return w
}

// RFC 9110 section 15.5.6: a 405 names the methods that the path has.
func TestAnotherMethodIs405AndNamesTheRightOnes(t *testing.T) {
	t.Parallel()
	e, _ := edge(t, nil, func(m *Mux) {
		m.Page("GET /keys", answer("page"))
		m.Page("POST /keys", answer("made"))
		m.Page("GET /{$}", answer("home"))
		m.Page("GET /saml/{provider}/login", answer("login"))
		m.API("POST /api/v1/credentials", answer("{}"))
		m.Handle("/oauth2/token", apiProblem, answer("any"))
		m.API("/api/", func(http.ResponseWriter, *http.Request) error {
			return broker.Fail(broker.InvalidRequest, "x", "No.").Because(ErrNoPage)
		})
	})
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/keys", 200, ""},
		{"HEAD", "/keys", 200, ""},
		{"DELETE", "/keys", 405, "GET, HEAD, POST"},
		{"OPTIONS", "/keys", 405, "GET, HEAD, POST"},
		{"POST", "/", 405, "GET, HEAD"},
		{"TRACE", "/", 405, "GET, HEAD"},
		{"PUT", "/saml/corp/login", 405, "GET, HEAD"},
		{"POST", "/healthz", 405, "GET, HEAD"},
		{"POST", "/readyz", 405, "GET, HEAD"},
		{"GET", "/api/v1/credentials", 405, "POST"},
		{"PATCH", "/api/v1/credentials", 405, "POST"},
		{"FOO", "/oauth2/token", 200, ""},
		{"DELETE", "/nowhere", 404, ""},
		{"GET", "/api/v1/nothing", 404, ""},
		{"GET", "/keys/", 404, ""},
		{"POST", "/api/v9/things", 404, ""},
		{"POST", "/oauth2/nothing", 404, ""},
		{"GET", "/tvm/v9/things", 404, ""},
	} {
		w := ask(e, c.method, c.path)
		if w.Code != c.status || w.Header().Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q", c.method, c.path, w.Code, w.Header().Get("Allow"), c.status, c.allow)
		}
		if w.Code == 405 && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: a refusal may be kept: %q", c.method, c.path, w.Header().Get("Cache-Control"))
		}
	}
	w := ask(e, "GET", "/api/v1/credentials")
	var body struct{ Error, Error_description, Request_id string } //nolint:revive // the wire's names
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || body.Error != "invalid_request" || body.Request_id != w.Header().Get("X-Request-Id") {
		t.Errorf("a program reads %s (%v)", w.Body, err)
	}
}

func TestWhatIsRefusedIsANoteAndWhatIsOurFaultAnErrorInTheLog(t *testing.T) {
	t.Parallel()
	failing := func(err error) Handler { return func(http.ResponseWriter, *http.Request) error { return err } }
	e, log := edge(t, nil, func(m *Mux) {
		m.Page("GET /refused", failing(broker.Fail(broker.AccessDenied, "x", "No.").Because(errors.New("no group"))))
		m.Page("GET /aws", failing(broker.Fail(broker.AWSRefused, "x", "No.").Because(errors.New("no trust"))))
		m.Page("GET /down", failing(broker.Fail(broker.Unavailable, "x", "No.").Because(errors.New("disk full"))))
		m.Page("GET /ours", failing(errors.New("a bug")))
		// A protocol's own refusal is no *broker.Error: its adapter knows better.
		m.Handle("GET /oauth", func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, err.Error())
		}, failing(errors.New("invalid_grant")))
	})
	for path, level := range map[string]string{"/refused": "INFO", "/aws": "INFO", "/down": "ERROR", "/ours": "ERROR", "/oauth": "INFO"} {
		log.Reset()
		w := ask(e, "GET", path)
		line, _, _ := strings.Cut(log.String(), "\n")
		if !strings.Contains(line, `"level":"`+level+`"`) || !strings.Contains(line, `"request_id":"`+w.Header().Get("X-Request-Id")+`"`) {
			t.Errorf("%s: want level %s and the request id in %s", path, level, line)
		}
	}
}

func TestAPanicIsAnErrorWithItsRequestIDAndNoWordOfItsCause(t *testing.T) {
	t.Parallel()
	e, log := edge(t, nil, func(m *Mux) {
		m.Page("GET /page", func(http.ResponseWriter, *http.Request) error { panic("key AKIAEXAMPLE") })
		m.API("GET /api/v1/x", func(http.ResponseWriter, *http.Request) error { panic("key AKIAEXAMPLE") })
	})
	for _, path := range []string{"/page", "/api/v1/x"} {
		w := ask(e, "GET", path)
		id := w.Header().Get("X-Request-Id")
		if w.Code != 500 || strings.Contains(w.Body.String(), "AKIA") || !strings.Contains(w.Body.String(), id) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
		if isJSON := w.Header().Get("Content-Type") == "application/json"; isJSON != strings.HasPrefix(path, "/api/") {
			t.Errorf("%s answers %s", path, w.Header().Get("Content-Type"))
		}
		if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), "panic in a handler") {
			t.Errorf("%s: the log says nothing of it: %s", path, log)
		}
	}
}

func TestHalfAnAnswerNeverLooksLikeAWholeOne(t *testing.T) {
	t.Parallel()
	e, _ := edge(t, func(c *Config) { c.Hosts = []string{"127.0.0.1"} }, func(m *Mux) {
		m.Page("GET /half", func(w http.ResponseWriter, _ *http.Request) error {
			fmt.Fprint(w, strings.Repeat("credentials ", 1000))
			panic("in the middle")
		})
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "sso.example.com"
		e.ServeHTTP(w, r)
	}))
	defer server.Close()
	resp, err := http.Get(server.URL + "/half")
	if err != nil {
		return // cut off before the head: also not whole
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%d and %d bytes without an error: whoever reads it believes that it is complete", resp.StatusCode, len(body))
	}
}

func TestOnlyTheDefaultPortMayBeLeftOutOfAHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host  string
		https bool
		want  string
	}{
		{"SSO.example.com", true, "sso.example.com"},
		{"sso.example.com:443", true, "sso.example.com"},
		{"sso.example.com:80", true, "sso.example.com:80"},
		{"sso.example.com:443", false, "sso.example.com:443"},
		{"127.0.0.1:80", false, "127.0.0.1"},
		{"127.0.0.1:8400:80", false, "127.0.0.1:8400:80"},
		{"[::1]:80", false, "[::1]"},
		{"[::1]:8080", false, "[::1]:8080"},
		{"::80", false, "::80"},
		{"sso.example.com.", true, "sso.example.com."},
		{"", true, ""},
	} {
		if got := hostKey(c.host, c.https); got != c.want {
			t.Errorf("%q, https %t: %q, want %q", c.host, c.https, got, c.want)
		}
	}
}

func TestReadyMeansReadyAndHealthyOnlyThatItAnswers(t *testing.T) {
	t.Parallel()
	down := errors.New("the disk of /var/lib/rolecall is full")
	e, log := edge(t, func(c *Config) { c.Ready = func(context.Context) error { return down } }, func(*Mux) {})
	w := ask(e, "GET", "/readyz")
	if w.Code != 503 || strings.Contains(w.Body.String(), "disk") || w.Header().Get("X-Request-Id") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "/var/lib/rolecall is full") {
		t.Errorf("the log does not say why: %s", log)
	}
	if w := ask(e, "GET", "/healthz"); w.Code != 200 {
		t.Errorf("healthz: %d", w.Code)
	}
	r := httptest.NewRequest(http.MethodGet, "http://10.0.0.7:8400/readyz", nil) // a probe knows no name
	w = httptest.NewRecorder()
	if e.ServeHTTP(w, r); w.Code != 503 {
		t.Errorf("a probe by address: %d", w.Code)
	}
}
