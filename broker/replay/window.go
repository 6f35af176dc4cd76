package replay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrFull says that so much evidence has come that no more can be remembered: it
// is refused, because it could not be known again.
var ErrFull = errors.New("too much evidence at once")

// defaultWindow is how many pieces of evidence a Window remembers: about 40 MB.
const defaultWindow = 1 << 20

// Window is a memory of this process for evidence that is good for a short while:
// it costs no write. Another node does not know what this one has seen.
type Window struct {
	now  func() time.Time
	most int

	mu   sync.Mutex
	kept int
	// used is by the instants at which evidence ends, few of them: what ends together is
	// forgotten in one step.
	used map[int64]map[mark]struct{}
}

// mark is the head of a digest: nobody finds two pieces of evidence with one.
type mark [16]byte

// NewWindow makes a Window of at most so many pieces of evidence; zero is 1,048,576.
func NewWindow(most int, now func() time.Time) *Window {
	if most <= 0 {
		most = defaultWindow
	}
	return &Window{now: now, most: most, used: map[int64]map[mark]struct{}{}}
}

// Use accepts evidence the first time and answers ErrReplayed after that, and
// ErrFull where there is no room. Until is rounded up to a minute.
func (w *Window) Use(_ context.Context, scope, key string, until time.Time) error {
	if scope == "" || key == "" {
		return errors.New("replay: evidence without a name cannot count once, so it is refused")
	}
	sum := digest(scope, key)
	name, now := mark(sum[:16]), w.now()
	if !now.Before(until) {
		return fmt.Errorf("evidence of the past: %w", ErrReplayed)
	}
	end := until.Add(time.Minute - 1).Truncate(time.Minute).Unix()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(now.Unix())
	for _, used := range w.used {
		if _, seen := used[name]; seen {
			return ErrReplayed
		}
	}
	if w.kept >= w.most {
		return ErrFull
	}
	if w.used[end] == nil {
		w.used[end] = map[mark]struct{}{}
	}
	w.used[end][name] = struct{}{}
	w.kept++
	return nil
}

// forget drops what has ended. The caller holds the lock.
func (w *Window) forget(now int64) {
	for end, used := range w.used {
		if end <= now {
			w.kept -= len(used)
			delete(w.used, end)
		}
	}
}
