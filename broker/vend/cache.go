package vend

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// fresh is how much of its life a cached set must have left to be handed out;
	// half of its life if that is less.
	fresh      = 15 * time.Minute
	defaultMax = 10_000
)

// CacheConfig is what a Cache is made of.
type CacheConfig struct {
	// Max is how many sets are kept; beyond it the one unused for longest goes. Default 10000.
	Max int
	// Now is the clock. Required.
	Now func() time.Time
}

// Cache is a Vendor that keeps what another gave, for orders that are alike in
// everything that makes credentials differ, and lets concurrent orders that are
// alike share one call.
type Cache struct {
	next Vendor
	max  int
	now  func() time.Time

	mu      sync.Mutex
	kept    map[key]*list.Element // of *entry
	recent  *list.List            // the latest used first
	of      map[string]map[key]bool
	flights map[key]*flight
}

// key is a hash over everything that makes credentials differ.
type key [sha256.Size]byte

// entry is one kept set.
type entry struct {
	key     key
	session string
	result  Result
	until   time.Time // handed out before this, later only while STS is down
}

// flight is one call of the vendor that several orders may wait for.
type flight struct {
	session string
	done    chan struct{}
	result  Result
	err     error
	// forgotten says that the session ended meanwhile: keep nothing of it.
	forgotten bool
}

// NewCache puts a cache before a vendor.
func NewCache(next Vendor, config CacheConfig) *Cache {
	if config.Max <= 0 {
		config.Max = defaultMax
	}
	return &Cache{
		next: next, max: config.Max, now: config.Now,
		kept: map[key]*list.Element{}, recent: list.New(), of: map[string]map[key]bool{}, flights: map[key]*flight{},
	}
}

// Vend implements Vendor.
func (c *Cache) Vend(ctx context.Context, spec Spec) (Result, error) {
	k := keyOf(spec)
	c.mu.Lock()
	if result, ok := c.fresh(k, spec); ok {
		c.mu.Unlock()
		return result, nil
	}
	f, shared := c.flights[k]
	if !shared {
		f = &flight{session: spec.Session, done: make(chan struct{})}
		c.flights[k] = f
	}
	c.mu.Unlock()
	if shared {
		select {
		case <-f.done:
		case <-ctx.Done():
			return Result{}, ctx.Err()
		}
	} else {
		// Others may wait for the call by now: it does not end with whoever ordered
		// first, but with the vendor's timeout. No goroutine of its own: it would grow
		// a stack for the depth of the SDK each time.
		c.fly(context.WithoutCancel(ctx), f, k, spec)
	}
	if f.err != nil {
		return c.stale(k, spec, f.err)
	}
	result := f.result
	result.Cached = result.Cached || shared
	return result, nil
}

// fly makes the call and keeps what it gave.
func (c *Cache) fly(ctx context.Context, f *flight, k key, spec Spec) {
	defer close(f.done)
	f.result, f.err = c.next.Vend(ctx, spec)
	if end := f.result.Credentials.Expires; f.err == nil && !c.now().Before(end) {
		f.result, f.err = Result{}, fmt.Errorf("%w: its credentials for %s ended at %s, before they came", ErrUnavailable, spec.Role, end.UTC().Format(time.RFC3339))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[k] == f {
		delete(c.flights, k)
	}
	if f.err == nil && !f.forgotten {
		c.keep(k, spec.Session, f.result)
	}
}

// fresh finds a kept set that may be handed out. The caller holds the lock.
func (c *Cache) fresh(k key, spec Spec) (Result, bool) {
	element := c.kept[k]
	if element == nil {
		return Result{}, false
	}
	e := entryOf(element)
	now := c.now()
	if !now.Before(e.result.Credentials.Expires) || past(now, spec.NotAfter) {
		c.drop(element)
		return Result{}, false
	}
	if now.After(e.until) {
		return Result{}, false // kept, for the case that STS is down
	}
	c.recent.MoveToFront(element)
	result := e.result
	result.Cached = true
	return result, true
}

// stale answers with a kept set that is still valid where STS is down.
func (c *Cache) stale(k key, spec Spec, err error) (Result, error) {
	if !errors.Is(err, ErrUnavailable) {
		return Result{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	element := c.kept[k]
	if element == nil {
		return Result{}, err
	}
	now := c.now()
	result := entryOf(element).result
	if !now.Before(result.Credentials.Expires) || past(now, spec.NotAfter) {
		return Result{}, err
	}
	result.Cached, result.Stale = true, true
	return result, nil
}

func past(now, end time.Time) bool { return !end.IsZero() && !now.Before(end) }

func entryOf(element *list.Element) *entry {
	e, _ := element.Value.(*entry)
	return e
}

// keep stores a set. The caller holds the lock.
func (c *Cache) keep(k key, session string, result Result) {
	now := c.now()
	life := result.Credentials.Expires.Sub(now)
	if life <= 0 {
		return
	}
	if old := c.kept[k]; old != nil {
		c.drop(old)
	}
	e := &entry{key: k, session: session, result: result, until: result.Credentials.Expires.Add(-min(fresh, life/2))}
	c.kept[k] = c.recent.PushFront(e)
	if c.of[session] == nil {
		c.of[session] = map[key]bool{}
	}
	c.of[session][k] = true
	for len(c.kept) > c.max {
		c.drop(c.recent.Back())
	}
}

// drop forgets one set. The caller holds the lock.
func (c *Cache) drop(element *list.Element) {
	e := entryOf(element)
	c.recent.Remove(element)
	delete(c.kept, e.key)
	delete(c.of[e.session], e.key)
	if len(c.of[e.session]) == 0 {
		delete(c.of, e.session)
	}
}

// Len is how many sets are kept.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.kept)
}

// Forget drops all that is kept for an identity session. What is being ordered
// for it at this moment is not kept.
func (c *Cache) Forget(session string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k := range c.of[session] {
		c.drop(c.kept[k])
	}
	for k, f := range c.flights {
		if f.session == session {
			f.forgotten = true
			delete(c.flights, k) // nobody joins it any more
		}
	}
}

// keyOf hashes every field of a spec, each with its length, so that no two specs
// that differ have one key.
func keyOf(s Spec) key {
	var room [1024]byte
	b := room[:0]
	for _, field := range []string{
		s.Session, s.PolicyDigest, s.Mode, s.SessionName, s.SourceIdentity, s.Policy, s.ExternalID.Reveal(), s.SAMLProvider,
		s.Role.Partition, s.Role.Account, s.Role.Path, s.Role.Name,
		s.HubRole.Partition, s.HubRole.Account, s.HubRole.Path, s.HubRole.Name,
	} {
		b = counted(b, field)
	}
	b = binary.AppendVarint(b, int64(s.Duration))
	b = binary.AppendVarint(b, s.Revocation)
	b = binary.AppendVarint(b, s.NotAfter.UnixNano())
	for _, list := range [][]string{s.TransitiveTags, s.PolicyARNs} {
		b = binary.AppendUvarint(b, uint64(len(list)))
		for _, item := range list {
			b = counted(b, item)
		}
	}
	b = binary.AppendUvarint(b, uint64(len(s.Tags)))
	for _, tag := range s.Tags {
		b = counted(counted(b, tag.Key), tag.Value)
	}
	return sha256.Sum256(b)
}

func counted(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}
