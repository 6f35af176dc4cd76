package oidc

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
	"github.com/rolecall/rolecall/idp/idptest"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func text(s string) config.Text {
	return config.Text{Value: s, Pos: config.Pos{File: "f.yaml", Line: 7}}
}

// party is a relying party, its provider on loopback and the clock of both.
type party struct {
	*Provider
	op    *idptest.OP
	clock *clock
	t     testing.TB
}

func start(t testing.TB, change func(*config.Provider)) party {
	t.Helper()
	c := newClock()
	op := idptest.StartOP(t, c.now)
	return party{provider(t, op, c, change), op, c, t}
}

func section(op *idptest.OP) config.Provider {
	s := config.Provider{
		Name: text("corp"), Type: text("oidc"), Issuer: text(op.Issuer), ClientID: text(op.ClientID),
		ClientSecret: secret.New(op.ClientSecret), AllowPrivate: true, ClockSkew: time.Minute, JWKSMaxAge: 10 * time.Minute,
	}
	s.Groups.Claim = text("groups")
	return s
}

func client(t testing.TB, timeout time.Duration) *fetch.Client {
	t.Helper()
	f, err := fetch.New(fetch.Config{AllowPrivate: true, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.HTTPClient().CloseIdleConnections)
	return f
}

func provider(t testing.TB, op *idptest.OP, c *clock, change func(*config.Provider)) *Provider {
	t.Helper()
	s := section(op)
	if change != nil {
		change(&s)
	}
	p, err := New(Config{Provider: s, URL: "https://broker.example", Fetch: client(t, 30*time.Second), Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// begin starts a sign-in and gives the URL, the pending bytes and the handle.
func (p party) begin(want idp.Want) (string, []byte) {
	p.t.Helper()
	if want.Handle == "" {
		want.Handle = rand.Text()
	}
	to, pending, err := p.Begin(p.t.Context(), want)
	if err != nil {
		p.t.Fatal(err)
	}
	return to.URL, pending
}

// signIn is the whole way through the browser.
func (p party) signIn(want idp.Want) (idp.Login, error) {
	p.t.Helper()
	address, pending := p.begin(want)
	return p.Finish(p.t.Context(), pending, answer(p.op.Visit(address)))
}

func answer(query url.Values) idp.Answer { return idp.Answer{Method: http.MethodGet, Query: query} }

// refused demands a Rejection for the reason, without anything secret in it.
func refused(t testing.TB, err error, reason string) {
	t.Helper()
	var rejection *idp.Rejection
	switch {
	case err == nil:
		t.Errorf("accepted, want %s", reason)
	case !errors.As(err, &rejection):
		t.Errorf("got error %v, want a rejection for %s", err, reason)
	case rejection.Reason != reason:
		t.Errorf("refused for %s (%s), want %s", rejection.Reason, rejection.Detail, reason)
	}
	noCanary(t, err)
}

func unavailable(t testing.TB, err error) {
	t.Helper()
	if !errors.Is(err, idp.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
	noCanary(t, err)
}

func noCanary(t testing.TB, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}
