// Package replay makes a piece of evidence (an assertion, a code, a token, a
// DPoP proof) count once. It fails closed: what cannot be named, or cannot be
// written down, is not accepted. The record is the store's, so that two nodes
// cannot both accept one.
package replay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrReplayed says that the evidence has been used before.
var ErrReplayed = errors.New("used before")

// minKeep is for how long a use is remembered at least: a clock that runs behind
// ours, or evidence without a proper end, must not open a gap.
const minKeep = 10 * time.Minute

// Store remembers keys.
type Store interface {
	// UseOnce remembers key until then and reports whether it was new. It is atomic
	// and durable; a key that is still there has been used, expired or not.
	UseOnce(ctx context.Context, key [sha256.Size]byte, until time.Time) (bool, error)
	// Used reports whether UseOnce has had the key.
	Used(ctx context.Context, key [sha256.Size]byte) (bool, error)
}

// Config is what a Cache is made of. Both fields are required.
type Config struct {
	Store Store
	Now   func() time.Time
}

// Cache remembers evidence. It is safe for concurrent use.
type Cache struct{ cfg Config }

// New makes a Cache.
func New(config Config) *Cache { return &Cache{cfg: config} }

// Use counts a piece of evidence: nil the first time, ErrReplayed ever after.
// scope is who vouches for key being unique (a provider's name, "dpop"); after
// until the evidence would be refused for its age anyway. Evidence without a key
// is refused.
func (c *Cache) Use(ctx context.Context, scope, key string, until time.Time) error {
	if scope == "" || key == "" {
		return errors.New("replay: evidence without a name cannot count once, so it is refused")
	}
	if earliest := c.cfg.Now().Add(minKeep); until.Before(earliest) {
		until = earliest
	}
	fresh, err := c.cfg.Store.UseOnce(ctx, digest(scope, key), until)
	if err != nil {
		return fmt.Errorf("replay: the use of %s evidence could not be written down, so it is refused: %w", scope, err)
	}
	if !fresh {
		return fmt.Errorf("evidence of %s: %w", scope, ErrReplayed)
	}
	return nil
}

// Used reports whether a piece of evidence has counted already, and does not count it.
func (c *Cache) Used(ctx context.Context, scope, key string) (bool, error) {
	if scope == "" || key == "" {
		return false, errors.New("replay: evidence without a name cannot be looked up, so it is refused")
	}
	used, err := c.cfg.Store.Used(ctx, digest(scope, key))
	if err != nil {
		return false, fmt.Errorf("replay: the uses of %s evidence could not be read, so it is refused: %w", scope, err)
	}
	return used, nil
}

// digest separates scope and key by length, so that no two pairs meet.
func digest(scope, key string) [sha256.Size]byte {
	b := make([]byte, 0, 8+len(scope)+len(key))
	b = binary.BigEndian.AppendUint64(b, uint64(len(scope)))
	b = append(b, scope...)
	b = append(b, key...)
	return sha256.Sum256(b)
}
