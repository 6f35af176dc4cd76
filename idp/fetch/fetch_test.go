package fetch

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve starts a plain loopback server.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func client(t *testing.T, c Config) *Client {
	t.Helper()
	made, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(made.http.CloseIdleConnections)
	return made
}

// failing demands an error that holds want and no body.
func failing(t *testing.T, c *Client, url, want string) error {
	t.Helper()
	body, _, err := c.Get(t.Context(), url)
	if err == nil {
		t.Fatalf("GET %s succeeded with %d bytes, want an error", url, len(body))
	}
	if !strings.Contains(err.Error(), want) {
		t.Errorf("error %q does not say %q", err, want)
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("error %q holds the body or the query", err)
	}
	return err
}

func TestGetGivesBodyAndHeader(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Write([]byte("document"))
	})
	body, header, err := client(t, Config{AllowPrivate: true}).Get(t.Context(), url+"/x")
	if err != nil || string(body) != "document" || header.Get("Cache-Control") != "max-age=60" {
		t.Errorf("got %q, %v, %v", body, header, err)
	}
}

func TestLoopbackNeedsAllowPrivate(t *testing.T) {
	t.Parallel()
	reached := false
	url := serve(t, func(http.ResponseWriter, *http.Request) { reached = true })
	failing(t, client(t, Config{}), url, "allow_private")
	failing(t, client(t, Config{}), strings.Replace(url, "http://", "https://", 1), "not public")
	if reached {
		t.Error("the server was reached")
	}
}

func TestNameThatResolvesToLoopbackIsJudgedAtDialTime(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	// "localhost" passes the judgement of the URL; its address must not pass that of the dial.
	failing(t, client(t, Config{}), "https://localhost:"+port+"/", "not allowed")
	// The dialer itself, with the name already resolved.
	g := &guard{}
	for _, address := range []string{"127.0.0.1:" + port, "[::1]:" + port, "169.254.169.254:80", "10.0.0.1:443"} {
		conn, err := g.dial(&net.Dialer{Timeout: time.Second})(t.Context(), "tcp", address)
		if err == nil {
			conn.Close()
			t.Errorf("dialling %s succeeded", address)
		} else if !strings.Contains(err.Error(), "not") {
			t.Errorf("dialling %s: %v", address, err)
		}
	}
}

func TestSlowServerIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]http.HandlerFunc{
		"before the header": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"within the body": func(w http.ResponseWriter, r *http.Request) {
			w.Write([]byte("canary"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, handler)
			start := time.Now()
			failing(t, client(t, Config{AllowPrivate: true, Timeout: 100 * time.Millisecond}), url, "")
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestCancelledContextEndsTheRequest(t *testing.T) {
	t.Parallel()
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := client(t, Config{AllowPrivate: true}).Get(ctx, url)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestHugeBodyIsRefused(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("canary", 1000)
	for name, handler := range map[string]http.HandlerFunc{
		"with a length": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(big[:2001])) },
		"without a length": func(w http.ResponseWriter, _ *http.Request) {
			for range 100 {
				w.Write([]byte(big))
			}
		},
		"inside gzip": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb(t))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := failing(t, client(t, Config{AllowPrivate: true, MaxBytes: 2000}), serve(t, handler), "too large")
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%v is not ErrTooLarge", err)
			}
		})
	}
	exact := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(big[:2000])) })
	if _, _, err := client(t, Config{AllowPrivate: true, MaxBytes: 2000}).Get(t.Context(), exact); err != nil {
		t.Errorf("a body of exactly the bound: %v", err)
	}
}

func TestBoundedKeepsFailing(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, 100)); w.(http.Flusher).Flush() })
	resp, err := client(t, Config{AllowPrivate: true, MaxBytes: 10}).HTTPClient().Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	total, buf := 0, make([]byte, 7)
	for range 5 {
		n, err := resp.Body.Read(buf)
		if total += n; err != nil && !errors.Is(err, ErrTooLarge) {
			t.Fatal(err)
		}
	}
	if total != 10 {
		t.Errorf("read %d bytes, want 10", total)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	reached := false
	target := serve(t, func(http.ResponseWriter, *http.Request) { reached = true })
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target+"/?canary", http.StatusFound) })
	err := failing(t, client(t, Config{AllowPrivate: true}), url, "302")
	var status *StatusError
	if !errors.As(err, &status) || status.Code != 302 || reached {
		t.Errorf("got %v, reached %v", err, reached)
	}
}

func TestErrorStatusHidesTheBodyAndTheQuery(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", http.StatusServiceUnavailable) })
	failing(t, client(t, Config{AllowPrivate: true}), url+"/keys?token=canary", "503")
	failing(t, client(t, Config{AllowPrivate: true}), "http://127.0.0.1:1/?canary", "refused")
}

func TestURLsThatAreRefusedUnasked(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"http://idp.example.com/":                  "loopback address only",
		"ftp://idp.example.com/":                   "scheme",
		"file:///etc/passwd":                       "no host",
		"https://alice:canary@idp.example.com/":    "user name",
		"https:///x":                               "no host",
		"https://169.254.169.254/latest/meta-data": "not allowed",
		"https://[fd00:ec2::254]/":                 "not allowed",
		"https://[::ffff:169.254.169.254]/":        "not allowed",
		"https://[64:ff9b::a9fe:a9fe]/":            "not allowed",
		"https://0.0.0.0/":                         "not allowed",
		":canary":                                  "not a URL",
	} {
		failing(t, client(t, Config{AllowPrivate: true}), url, want)
	}
}

func TestOwnCertificateAuthority(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok")) }))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = nil
	failing(t, client(t, Config{AllowPrivate: true}), s.URL, "certificate")
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if body, _, err := client(t, Config{AllowPrivate: true, CAFiles: []string{file}}).Get(t.Context(), s.URL); err != nil || string(body) != "ok" {
		t.Errorf("with the authority: %q, %v", body, err)
	}
}

func TestCAFilesThatHoldNothingAreAnError(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{empty, empty + ".absent"} {
		if _, err := New(Config{CAFiles: []string{name}}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
