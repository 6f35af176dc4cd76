package client

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// signInTime is how long the listener is open. Whoever takes longer is signed in at
// the broker by then, and a second login is quick.
const signInTime = 2 * time.Minute

// callback is the loopback redirect of a native app (RFC 8252 section 7.3): one
// listener on a loopback address, one exact path, one answer.
type callback struct {
	state    string
	issuer   string
	listener net.Listener
	server   *http.Server
	answer   chan result
	answered atomic.Bool
}

type result struct {
	code string
	err  error
}

func listenForCallback(ctx context.Context, issuer string) (*callback, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil { // a machine without IPv4
		if listener, err = config.Listen(ctx, "tcp6", "[::1]:0"); err != nil {
			return nil, fmt.Errorf("listen for the browser on loopback: %w", err)
		}
	}
	c := &callback{state: rand.Text(), issuer: issuer, listener: listener, answer: make(chan result, 1)}
	c.server = &http.Server{Handler: http.HandlerFunc(c.receive), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, MaxHeaderBytes: 32 << 10}
	go func() { _ = c.server.Serve(listener) }() // ends with close
	return c, nil
}

func (c *callback) redirectURI() string { return "http://" + c.listener.Addr().String() + "/callback" }

func (c *callback) close() { _ = c.server.Close() }

// receive takes the first request that holds our state; whatever else a browser
// or a page of some rebound name sends is turned away and changes nothing.
func (c *callback) receive(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	ours := r.Method == http.MethodGet && r.URL.EscapedPath() == "/callback" && r.Host == c.listener.Addr().String() &&
		len(q["state"]) == 1 && subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(c.state)) == 1
	if !ours || !c.answered.CompareAndSwap(false, true) {
		notWaitingPage.write(w)
		return
	}
	got := c.judge(q)
	if got.err == nil {
		signedInPage.write(w)
	} else {
		signedOutPage.write(w)
	}
	c.answer <- got
}

func (c *callback) judge(q url.Values) result {
	code := q.Get("code")
	switch {
	case len(q["iss"]) != 1 || q.Get("iss") != c.issuer: // RFC 9207: an answer of another server, mixed in
		return result{err: errors.New("the answer did not come from this broker")}
	case q.Get("error") == "access_denied":
		return result{err: errors.New("the sign-in was declined in the browser")}
	case q.Get("error") != "":
		return result{err: fmt.Errorf("the broker answered %.60q: %.200q", q.Get("error"), q.Get("error_description"))}
	case code == "" || len(q["code"]) != 1:
		return result{err: errors.New("the broker sent no code")}
	}
	return result{code: code}
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
		return "", fmt.Errorf("nobody signed in within %.0f minutes; run rolecall login again (a sign-in that is done in the browser by then is used)", signInTime.Minutes())
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
