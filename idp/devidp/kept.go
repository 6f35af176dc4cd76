package devidp

import (
	"crypto/rand"
	"sync"
	"time"
)

// kept holds values in memory under unguessable names until they are taken or
// too old. It is bounded: when full, some value gives way to the new one.
type kept[T any] struct {
	mu    sync.Mutex
	now   func() time.Time
	items map[string]item[T]
}

type item[T any] struct {
	value T
	until time.Time
}

func newKept[T any](now func() time.Time) *kept[T] {
	return &kept[T]{now: now, items: map[string]item[T]{}}
}

// put keeps value for a while and gives its name.
func (k *kept[T]) put(value T, life time.Duration) string {
	name := rand.Text() + rand.Text()
	k.keep(name, value, life)
	return name
}

func (k *kept[T]) keep(name string, value T, life time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	for other, it := range k.items {
		if len(k.items) < keptAtMost/2 {
			break
		}
		if !now.Before(it.until) || len(k.items) >= keptAtMost {
			delete(k.items, other)
		}
	}
	k.items[name] = item[T]{value: value, until: now.Add(life)}
}

// get gives a value that is still good.
func (k *kept[T]) get(name string) (T, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.read(name)
}

// take gives a value and forgets it.
func (k *kept[T]) take(name string) (T, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	value, ok := k.read(name)
	delete(k.items, name)
	return value, ok
}

func (k *kept[T]) read(name string) (T, bool) {
	it, ok := k.items[name]
	if !ok || !k.now().Before(it.until) {
		var none T
		return none, false
	}
	return it.value, true
}
