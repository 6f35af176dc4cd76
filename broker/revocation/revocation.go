// Package revocation is what operators have taken back: from a person, a session
// or a grant. A revocation has a number that rises in the store; each node asks
// for newer ones every second and judges by what it knows.
//
//	List.Of(who, session, grant, since) -> Verdict
//	    Number  the newest that concerns them: part of every cache's key
//	    Dead    what was signed in before must end
//	    Until   nothing may begin before
package revocation

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// Kind is what a revocation is about.
type Kind string

// The kinds. The target of User is a user name, or PROVIDER=SUBJECT.
const (
	User    Kind = "user"
	Session Kind = "session"
	Grant   Kind = "grant"
	Device  Kind = "device" // of an app; the store ends it, and no node has to know
)

// every is how often a node asks for newer revocations: what is revoked is dead
// everywhere within two seconds.
const every = time.Second

// Revocation is one of them.
type Revocation struct {
	Number int64 // given by the store
	Kind   Kind
	Target string
	At     time.Time
	// Until refuses new sign-ins (user) or orders (grant) before it; zero does not.
	Until time.Time
}

// Store keeps revocations.
type Store interface {
	// AddRevocation keeps one under the next number.
	AddRevocation(ctx context.Context, r Revocation) (int64, error)
	// RevocationsAfter gives those with a higher number, in their order.
	RevocationsAfter(ctx context.Context, number int64) ([]Revocation, error)
}

// Verdict is what revocations say about somebody.
type Verdict struct {
	// Number is the newest that concerns them; 0 is none.
	Number int64
	// Dead says that what they have was revoked after it was made.
	Dead bool
	// Until is when they may begin again; zero is at once.
	Until time.Time
}

// List is what a node knows. It is safe for concurrent use.
type List struct {
	store Store
	log   *slog.Logger

	mu   sync.RWMutex
	last int64
	by   map[key][]Revocation
}

type key struct {
	kind   Kind
	target string
}

// New makes a List that knows nothing before its first Poll.
func New(store Store, log *slog.Logger) *List {
	return &List{store: store, log: log, by: map[key][]Revocation{}}
}

// Poll reads what is new.
func (l *List) Poll(ctx context.Context) error {
	l.mu.RLock()
	last := l.last
	l.mu.RUnlock()
	found, err := l.store.RevocationsAfter(ctx, last)
	if err != nil {
		return fmt.Errorf("read revocations: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range found {
		if r.Number <= l.last {
			continue // two polls at once
		}
		k := key{r.Kind, r.Target}
		l.by[k], l.last = append(l.by[k], r), r.Number
	}
	return nil
}

// Run polls until ctx ends.
func (l *List) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := l.Poll(ctx); err != nil && ctx.Err() == nil {
				l.log.Error("read revocations: what was revoked elsewhere is not known here", "error", err)
			}
		}
	}
}

// Of judges somebody whose sign-in was at since; session and grant may be empty.
func (l *List) Of(who idp.Identity, session, grant string, since time.Time) Verdict {
	l.mu.RLock()
	defer l.mu.RUnlock()
	var v Verdict
	if len(l.by) == 0 {
		return v
	}
	for _, k := range []key{{User, who.Username}, {User, who.Provider + "=" + who.Subject}, {Session, session}, {Grant, grant}} {
		if k.target == "" {
			continue
		}
		for _, r := range l.by[k] {
			v.Number = max(v.Number, r.Number)
			v.Dead = v.Dead || k.kind == Session || k.kind == User && !since.After(r.At)
			if r.Until.After(v.Until) {
				v.Until = r.Until
			}
		}
	}
	return v
}
