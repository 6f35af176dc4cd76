// Package cache keeps role credentials between calls of `rolecall
// credential-process`: one 0600 file a role, never past its expiry. However many
// helpers start at once, one of them asks the broker and the others wait for it.
// Package warm has the form of the files, and reads them on the quick path.
package cache

import (
	"context"
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
	"github.com/rolecall/rolecall/cmd/rolecall/internal/warm"
)

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

// Get gives credentials with enough life left.
func (c Cache) Get(key Key) (iam.ProcessDocument, bool) {
	e, d, ok := c.read(key)
	return d, ok && e.Fresh(c.Now())
}

// Fill gives credentials from the cache or, once for all processes that wait,
// from order. Where order fails and older credentials still work, those are
// given together with the error, for the caller to mention.
func (c Cache) Fill(ctx context.Context, key Key, order func(context.Context) (iam.ProcessDocument, error)) (iam.ProcessDocument, error) {
	if err := os.MkdirAll(c.Settings.CacheDir(), 0o700); err != nil {
		return iam.ProcessDocument{}, err
	}
	lock := flock.New(c.lockFile(key))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return iam.ProcessDocument{}, fmt.Errorf("wait for another rolecall that asks for the same role: %w", err)
	}
	defer func() { _ = lock.Unlock() }() // the kernel drops it with the process anyway
	if found, ok := c.Get(key); ok {
		return found, nil
	}
	ordered, err := order(ctx)
	if err != nil {
		if _, old, ok := c.read(key); ok {
			return old, err
		}
		return iam.ProcessDocument{}, err
	}
	c.dropExpired()
	return ordered, c.Put(key, ordered)
}

// Put keeps credentials.
func (c Cache) Put(key Key, d iam.ProcessDocument) error {
	line, err := d.JSON()
	if err != nil {
		return err
	}
	e := warm.Entry{Made: c.Now(), Expires: d.Expiration, Question: warm.Question(key), Document: append(line, '\n')}
	return settings.WriteFile(c.file(key), e.Seal())
}

// read gives an entry that has not expired.
func (c Cache) read(key Key) (warm.Entry, iam.ProcessDocument, bool) {
	var d iam.ProcessDocument
	text, err := os.ReadFile(c.file(key))
	if err != nil {
		return warm.Entry{}, d, false
	}
	e, ok := warm.Open(text, warm.Question(key))
	if !ok || json.Unmarshal(e.Document, &d) != nil || d.Version != 1 {
		return e, iam.ProcessDocument{}, false
	}
	if !c.Now().Before(d.Expiration) {
		_ = os.Remove(c.file(key))
		return e, iam.ProcessDocument{}, false
	}
	return e, d, true
}

// Clear forgets all credentials of the profile.
func (c Cache) Clear() error {
	return c.each(func(path string) error { return os.Remove(path) })
}

func (c Cache) dropExpired() {
	_ = c.each(func(path string) error {
		if text, err := os.ReadFile(path); err == nil {
			if e, ok := warm.OpenAny(text); ok && c.Now().Before(e.Expires) {
				return nil
			}
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
	return filepath.Join(c.Settings.CacheDir(), warm.Question(key).FileName(c.Settings.Profile))
}

// lockFile is one of 256: a file a role would stay behind for each that was ever
// asked for, and a lock cannot be removed while somebody may wait for it.
func (c Cache) lockFile(key Key) string {
	name := strings.TrimPrefix(warm.Question(key).FileName(c.Settings.Profile), c.Settings.Profile+"~")
	return filepath.Join(c.Settings.CacheDir(), c.Settings.Profile+"~"+name[:2]+".lock")
}
