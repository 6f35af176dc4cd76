package client

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// signInTime is how long a person may take in the browser.
const signInTime = 5 * time.Minute

// callback is the loopback redirect of a native app (RFC 8252 section 7.3): one
// listener on 127.0.0.1, one exact path, one answer.
type callback struct {
	state    string
	issuer   string
	listener net.Listener
	server   *http.Server
	answer   chan result
	once     sync.Once
}

type result struct {
	code string
	err  error
}

func listenForCallback(issuer string) (*callback, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the browser on loopback: %w", err)
	}
	c := &callback{state: rand.Text(), issuer: issuer, listener: listener, answer: make(chan result, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /callback", c.receive)
	c.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 32 << 10}
	go func() { _ = c.server.Serve(listener) }() // ends with close
	return c, nil
}

func (c *callback) redirectURI() string { return "http://" + c.listener.Addr().String() + "/callback" }

func (c *callback) close() { _ = c.server.Close() }

// receive takes the first request that holds our state; whatever else a browser
// or a page of some rebound name sends is turned away and changes nothing.
func (c *callback) receive(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	q := r.URL.Query()
	if r.Host != c.listener.Addr().String() || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(c.state)) != 1 {
		w.WriteHeader(http.StatusBadRequest)
		page(w, "This is not the sign-in that rolecall waits for.", "Go back to your terminal and start again.")
		return
	}
	got := result{code: q.Get("code")}
	switch {
	case q.Get("iss") != c.issuer: // RFC 9207: an answer of another server, mixed in
		got.err = errors.New("the answer did not come from this broker")
	case q.Get("error") == "access_denied":
		got.err = errors.New("the sign-in was declined in the browser")
	case q.Get("error") != "":
		got.err = fmt.Errorf("the broker answered %.60q: %.200q", q.Get("error"), q.Get("error_description"))
	case got.code == "":
		got.err = errors.New("the broker sent no code")
	}
	if got.err == nil {
		page(w, "You are signed in.", "Close this page and go back to your terminal.")
	} else {
		page(w, "You are not signed in.", "Your terminal says why.")
	}
	c.once.Do(func() { c.answer <- got })
}

func page(w http.ResponseWriter, head, then string) {
	_, _ = fmt.Fprintf(w, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>rolecall</title><h1>%s</h1><p>%s</p></html>\n", head, then)
}

// wait gives the code that the browser brings.
func (c *callback) wait(ctx context.Context) (string, error) {
	late := time.NewTimer(signInTime)
	defer late.Stop()
	select {
	case got := <-c.answer:
		c.finish()
		return got.code, got.err
	case <-late.C:
		return "", fmt.Errorf("nobody signed in within %s", signInTime)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// finish lets the page that is being sent reach the browser.
func (c *callback) finish() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.server.Shutdown(ctx)
}
