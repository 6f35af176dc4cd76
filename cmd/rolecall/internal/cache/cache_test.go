package cache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// clock is a time that a test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newCache(t *testing.T) (Cache, *clock) {
	t.Helper()
	c := &clock{time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	return Cache{Settings: settings.Settings{Dir: t.TempDir(), Profile: "default"}, Now: c.Now}, c
}

var key = Key{URL: "https://sso.example.com", Role: "production/Admin"}

func document(expires time.Time) iam.ProcessDocument {
	return iam.ProcessDocument{Version: 1, AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "s", SessionToken: "t", Expiration: expires}
}

func gives(d iam.ProcessDocument) func(context.Context) (iam.ProcessDocument, error) {
	return func(context.Context) (iam.ProcessDocument, error) { return d, nil }
}

func fails(err error) func(context.Context) (iam.ProcessDocument, error) {
	return func(context.Context) (iam.ProcessDocument, error) { return iam.ProcessDocument{}, err }
}

func TestCredentialsAreHandedOutWhileAQuarterOfAnHourIsLeft(t *testing.T) {
	t.Parallel()
	c, clock := newCache(t)
	want := document(clock.now.Add(time.Hour))
	if _, err := c.Fill(t.Context(), key, gives(want)); err != nil {
		t.Fatal(err)
	}
	clock.now = clock.now.Add(45 * time.Minute)
	got, ok := c.Get(key)
	if !ok || cmp.Diff(want, got) != "" {
		t.Errorf("with 15 minutes left: %v %s", ok, cmp.Diff(want, got))
	}
	clock.now = clock.now.Add(time.Second)
	if _, ok := c.Get(key); ok {
		t.Error("handed out with less than 15 minutes left")
	}
}

func TestShortCredentialsAreHandedOutForHalfTheirLife(t *testing.T) {
	t.Parallel()
	c, clock := newCache(t)
	if _, err := c.Fill(t.Context(), key, gives(document(clock.now.Add(15*time.Minute)))); err != nil {
		t.Fatal(err)
	}
	clock.now = clock.now.Add(7 * time.Minute)
	if _, ok := c.Get(key); !ok {
		t.Error("not handed out after 7 of 15 minutes")
	}
	clock.now = clock.now.Add(time.Minute)
	if _, ok := c.Get(key); ok {
		t.Error("handed out after 8 of 15 minutes")
	}
}

func TestOfManyHelpersOneAsks(t *testing.T) {
	t.Parallel()
	c, clock := newCache(t)
	var asked atomic.Int32
	var group sync.WaitGroup
	for range 30 {
		group.Go(func() {
			_, err := c.Fill(t.Context(), key, func(context.Context) (iam.ProcessDocument, error) {
				asked.Add(1)
				return document(clock.now.Add(time.Hour)), nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("%d orders for 30 helpers", n)
	}
}

func TestOldCredentialsComeWithTheErrorUntilTheyExpire(t *testing.T) {
	t.Parallel()
	c, clock := newCache(t)
	down := errors.New("broker down")
	if _, err := c.Fill(t.Context(), key, gives(document(clock.now.Add(time.Hour)))); err != nil {
		t.Fatal(err)
	}
	clock.now = clock.now.Add(50 * time.Minute)
	got, err := c.Fill(t.Context(), key, fails(down))
	if !errors.Is(err, down) || got.Version != 1 {
		t.Errorf("ten minutes before the end: %v, %v; want the credentials and the error", got, err)
	}
	clock.now = clock.now.Add(10 * time.Minute)
	got, err = c.Fill(t.Context(), key, fails(down))
	if !errors.Is(err, down) || got.Version != 0 {
		t.Errorf("at the end: %v, %v; want the error alone", got, err)
	}
	if _, err := os.Stat(c.file(key)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("expired credentials are still on disk: %v", err)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	c, clock := newCache(t)
	if _, err := c.Fill(t.Context(), key, gives(document(clock.now.Add(time.Hour)))); err != nil {
		t.Fatal(err)
	}
	folder, err := os.Stat(c.Settings.CacheDir())
	if err != nil || folder.Mode().Perm() != 0o700 {
		t.Errorf("folder %v, %v, want 0700", folder.Mode(), err)
	}
	file, err := os.Stat(c.file(key))
	if err != nil || file.Mode().Perm() != 0o600 {
		t.Errorf("file %v, %v, want 0600", file.Mode(), err)
	}
}

func TestAPlantedLinkIsNotFollowed(t *testing.T) {
	t.Parallel()
	c, clock := newCache(t)
	target := filepath.Join(t.TempDir(), "victim")
	if err := os.MkdirAll(c.Settings.CacheDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, c.file(key)); err != nil {
		t.Fatal(err)
	}
	_, err := c.Fill(t.Context(), key, gives(document(clock.now.Add(time.Hour))))
	if info, failed := os.Lstat(c.file(key)); err == nil && (failed != nil || !info.Mode().IsRegular()) {
		t.Errorf("neither an error nor a file of our own: %v", failed)
	}
	if _, err := os.Stat(target); !errors.Is(err, os.ErrNotExist) {
		t.Error("the link's target was written")
	}
}

func TestADamagedFileIsAskedForAgain(t *testing.T) {
	t.Parallel()
	c, clock := newCache(t)
	for _, damage := range []string{"", "{", `{"document":{"Version":2}}`, strings.Repeat("x", 100)} {
		if err := settings.WriteFile(c.file(key), []byte(damage)); err != nil {
			t.Fatal(err)
		}
		if _, ok := c.Get(key); ok {
			t.Errorf("%q was taken for credentials", damage)
		}
		if got, err := c.Fill(t.Context(), key, gives(document(clock.now.Add(time.Hour)))); err != nil || got.Version != 1 {
			t.Errorf("%q: %v", damage, err)
		}
	}
}

func TestClearForgetsOneProfileOnly(t *testing.T) {
	t.Parallel()
	c, clock := newCache(t)
	other := c
	other.Settings.Profile = "default2"
	for _, each := range []Cache{c, other} {
		if _, err := each.Fill(t.Context(), key, gives(document(clock.now.Add(time.Hour)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Clear(); err != nil {
		t.Fatal(err)
	}
	if _, ok := c.Get(key); ok {
		t.Error("still there after Clear")
	}
	if _, ok := other.Get(key); !ok {
		t.Error("another profile's credentials are gone")
	}
}
