// Package cache keeps role credentials between calls of `rolecall
// credential-process`: one 0600 file a role, never past its expiry. However many
// helpers start at once, one of them asks the broker and the others wait for it.
//
// It imports neither net/http nor anything of the broker but iam, because a warm
// call of the helper must cost hardly more than starting a process.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// margin is how much life credentials must have left to be handed out, where
// their whole life allows it: SDKs refresh from 15 minutes before the end.
const margin = 15 * time.Minute

// Key names what was asked for; another key is another file.
type Key struct {
	URL      string
	Role     string
	Duration string
}

// Cache is the folder of one profile's credentials.
type Cache struct {
	Settings settings.Settings
	Now      func() time.Time
}

// entry is a file: the document and when it was made.
type entry struct {
	Document iam.ProcessDocument `json:"document"`
	Made     time.Time           `json:"made"`
}

// Get gives credentials with enough life left.
func (c Cache) Get(key Key) (iam.ProcessDocument, bool) {
	e, ok := c.read(key)
	return e.Document, ok && c.fresh(e)
}

// fresh: a quarter of an hour left, or half of a life shorter than 30 minutes.
func (c Cache) fresh(e entry) bool {
	left, life := e.Document.Expiration.Sub(c.Now()), e.Document.Expiration.Sub(e.Made)
	return left >= min(margin, life/2)
}

// Fill gives credentials from the cache or, once for all processes that wait,
// from order. Where order fails and older credentials still work, those are
// given together with the error, for the caller to mention.
func (c Cache) Fill(ctx context.Context, key Key, order func(context.Context) (iam.ProcessDocument, error)) (iam.ProcessDocument, error) {
	if err := os.MkdirAll(c.Settings.CacheDir(), 0o700); err != nil {
		return iam.ProcessDocument{}, err
	}
	lock := flock.New(c.file(key) + ".lock")
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return iam.ProcessDocument{}, fmt.Errorf("wait for another rolecall that asks for the same role: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // the kernel drops it with the process anyway
	if found, ok := c.Get(key); ok {
		return found, nil
	}
	ordered, err := order(ctx)
	if err != nil {
		if old, ok := c.read(key); ok {
			return old.Document, err
		}
		return iam.ProcessDocument{}, err
	}
	c.dropExpired()
	text, err := json.Marshal(entry{Document: ordered, Made: c.Now()})
	if err != nil {
		return ordered, err
	}
	return ordered, settings.WriteFile(c.file(key), text)
}

// read gives an entry that has not expired.
func (c Cache) read(key Key) (entry, bool) {
	var e entry
	text, err := os.ReadFile(c.file(key))
	if err != nil || json.Unmarshal(text, &e) != nil || e.Document.Version != 1 {
		return entry{}, false
	}
	if !c.Now().Before(e.Document.Expiration) {
		_ = os.Remove(c.file(key))
		return entry{}, false
	}
	return e, true
}

// Clear forgets all credentials of the profile.
func (c Cache) Clear() error {
	return c.each(func(path string) error { return os.Remove(path) })
}

func (c Cache) dropExpired() {
	_ = c.each(func(path string) error {
		var e entry
		if text, err := os.ReadFile(path); err == nil && json.Unmarshal(text, &e) == nil && c.Now().Before(e.Document.Expiration) {
			return nil
		}
		return os.Remove(path)
	})
}

func (c Cache) each(do func(path string) error) error {
	found, err := filepath.Glob(filepath.Join(c.Settings.CacheDir(), c.Settings.Profile+"~*.json"))
	for _, path := range found {
		if failed := do(path); failed != nil && !errors.Is(failed, os.ErrNotExist) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

func (c Cache) file(key Key) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{key.URL, key.Role, key.Duration}, "\x00")))
	return filepath.Join(c.Settings.CacheDir(), c.Settings.Profile+"~"+hex.EncodeToString(sum[:12])+".json")
}
