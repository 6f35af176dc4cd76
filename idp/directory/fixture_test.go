package directory_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/directory"
)

const (
	good  = "seven purple otters juggle"
	other = "nine quiet lanterns waltz"
	phone = "device-1"
)

// world is a directory over a real store, with a clock.
type world struct {
	*directory.Directory
	store  *sqlite.Store
	sealer *keys.Sealer

	mu    sync.Mutex
	clock time.Time
}

func (w *world) now() time.Time       { w.mu.Lock(); defer w.mu.Unlock(); return w.clock }
func (w *world) pass(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.clock = w.clock.Add(d) }

func provider() config.Provider {
	return config.Provider{
		Name: config.Text{Value: "people"}, Type: config.Text{Value: "directory"}, Label: "Example",
		Registration: config.Text{Value: "open"}, Password: config.Password{MinLength: 12},
	}
}

func newWorld(t *testing.T, change ...func(*config.Provider)) *world {
	t.Helper()
	w := &world{clock: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}
	var err error
	w.store, err = sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	must(t, err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.sealer, err = keys.OpenSealer(filepath.Join(t.TempDir(), "rolecall.key"))
	must(t, err)
	w.Directory = w.open(t, change...)
	return w
}

// open makes another directory over the same store: another node, or another configuration.
func (w *world) open(t *testing.T, change ...func(*config.Provider)) *directory.Directory {
	t.Helper()
	p := provider()
	for _, c := range change {
		c(&p)
	}
	d, err := directory.New(directory.Config{Provider: p, URL: "https://sso.example.com", Store: w.store, Sealer: w.sealer, Now: w.now})
	must(t, err)
	return d
}

// add makes a person with the password good.
func (w *world) add(t *testing.T, email string) directory.Person {
	t.Helper()
	p, err := w.Add(t.Context(), email, secret.New(good), nil)
	must(t, err)
	return p
}

func (w *world) check(ctx context.Context, email, password string) error {
	_, err := w.Check(ctx, email, secret.New(password))
	return err
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func wantWeak(t *testing.T, what string, err error) {
	t.Helper()
	if _, ok := errors.AsType[*directory.Weak](err); !ok {
		t.Errorf("%s: %v, want a weak password", what, err)
	}
}
