package apps_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/apps"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/device"
	"github.com/rolecall/rolecall/idp/dpop"
)

const (
	base     = "https://sso.example.com"
	register = "/tvm/v1/devices"
	order    = "/tvm/v1/credentials"
)

var origin = broker.Origin{RequestID: "request-1", Address: netip.MustParseAddr("192.0.2.7")}

// world is the service over a real store, with a clock that the test moves.
type world struct {
	*apps.Service
	store   *sqlite.Store
	devices *device.Devices
	tokens  *session.Tokens
	nonces  *dpop.Nonces
	window  *replay.Window

	mu        sync.Mutex
	clock     time.Time
	events    []audit.Event
	away      []string
	forgotten []string
	deaf      error // what the record answers
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

func (w *world) Append(_ context.Context, e audit.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
	return w.deaf
}

func (w *world) TurnedAway(_ context.Context, _ broker.Origin, what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = append(w.away, what)
}

func (w *world) Forget(session string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgotten = append(w.forgotten, session)
}

// last is the newest record.
func (w *world) last(t *testing.T) audit.Event {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) == 0 {
		t.Fatal("nothing was recorded")
	}
	return w.events[len(w.events)-1]
}

func appOf(name string, change func(*config.App)) config.App {
	a := config.App{
		Name: config.Text{Value: name}, Guests: true, Providers: []config.Text{{Value: "corp"}, {Value: "google"}},
		RefreshMax: 90 * 24 * time.Hour, LoginMax: 24 * time.Hour, GuestDuration: 15 * time.Minute,
		Limits: config.AppLimits{
			PerDevice: config.Rate{Events: 30, Period: time.Minute}, Registrations: config.Rate{Events: 600, Period: time.Minute}, DevicesPerPerson: 2,
		},
	}
	if change != nil {
		change(&a)
	}
	return a
}

func newWorld(t *testing.T, change func(*config.App)) *world {
	t.Helper()
	w := &world{clock: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
	var err error
	if w.store, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if w.nonces, err = dpop.NewNonces(make([]byte, 32), w.now); err != nil {
		t.Fatal(err)
	}
	w.window = replay.NewWindow(0, w.now)
	w.devices = device.New(device.Config{Store: w.store, Now: w.now})
	w.tokens = session.NewTokens(w.store, w.now)
	w.Service = apps.New(apps.Config{
		URL: base + "/", Apps: []config.App{appOf("notes", change), appOf("wallet", nil)}, Devices: w.devices, Tokens: w.tokens,
		Nonces: w.nonces, Proofs: w.window, Broker: w, Limit: limit.New(limit.Config{Now: w.now}), Audit: w, Now: w.now,
	})
	return w
}

// phone is one device.
type phone struct {
	*world
	key    *ecdsa.PrivateKey
	device apps.Identified
}

func (w *world) phone(t *testing.T) *phone {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &phone{world: w, key: key}
}

// registered is a device of the app notes.
func (w *world) registered(t *testing.T) *phone {
	t.Helper()
	p := w.phone(t)
	p.register(t)
	return p
}

func (p *phone) register(t *testing.T) {
	t.Helper()
	got, err := p.Register(t.Context(), origin, apps.RegisterRequest{Request: p.request(t, "POST", register, ""), App: "notes"})
	if err != nil {
		t.Fatal(err)
	}
	p.device = got
}

func (p *phone) proof(t *testing.T, method, path, token string) string {
	t.Helper()
	prover, err := dpop.NewProver(p.key, p.now)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := prover.ProveNonce(method, base+path, token, p.Nonce())
	if err != nil {
		t.Fatal(err)
	}
	return proof
}

// request is one with a fresh proof, and with the token where there is one.
func (p *phone) request(t *testing.T, method, path, token string) apps.Request {
	t.Helper()
	r := apps.Request{Method: method, Path: path, DPoP: []string{p.proof(t, method, path, token)}}
	if token != "" {
		r.Authorization = []string{"DPoP " + token}
	}
	return r
}

func (p *phone) authenticate(t *testing.T) (broker.Caller, error) {
	t.Helper()
	return p.Authenticate(t.Context(), origin, "credentials", p.request(t, "POST", order, p.device.Tokens.Access.Reveal()))
}

// alive expects that the device's tokens are good.
func (p *phone) alive(t *testing.T) broker.Caller {
	t.Helper()
	caller, err := p.authenticate(t)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.tokens.Refresh(t.Context(), p.device.Tokens.Refresh.Reveal()); err != nil {
		t.Fatal(err)
	}
	return caller
}

// dead expects that neither token is good.
func (p *phone) dead(t *testing.T) {
	t.Helper()
	_, err := p.authenticate(t)
	wantReason(t, "the access token", err, broker.Unauthenticated, "invalid_token")
	if _, err := p.tokens.Refresh(t.Context(), p.device.Tokens.Refresh.Reveal()); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("the refresh token: %v", err)
	}
}

func (p *phone) sign(t *testing.T, text string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// logIn makes the device somebody's.
func (p *phone) logIn(t *testing.T, provider, subject string) (apps.Identified, error) {
	t.Helper()
	caller := p.alive(t)
	got, err := p.LogIn(t.Context(), origin, caller, idp.Login{Identity: idp.Identity{
		Provider: provider, Subject: subject, Username: subject, Groups: []string{"readers"}, Methods: []string{"pwd"}, AuthenticatedAt: p.now(),
	}})
	if err == nil {
		p.device = got
	}
	return got, err
}

func wantReason(t *testing.T, what string, err error, code broker.Code, reason string) {
	t.Helper()
	shown := broker.Shown(err)
	if err == nil || shown.Code != code || shown.Reason != reason || shown.Message == "" {
		t.Errorf("%s: %v, want %s %s", what, err, code, reason)
	}
}
