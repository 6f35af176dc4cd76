package limit

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// GateConfig is what a Gate is made of.
type GateConfig struct {
	// Places is how many may be inside at once; 0 is half of the processors, at least
	// one, so that what is costly leaves room for everybody else.
	Places int
	// Queue is how many may wait for a place; 0 is 16 for each place.
	Queue int
	// PerAddress is how many of them may come from one address (IPv6: one /64); 0 is a
	// quarter of the queue, at least one.
	PerAddress int
	// Wait is the longest that somebody waits; 0 is two seconds.
	Wait time.Duration
}

// Gate stands before work that costs much (argon2id): so many at once, so many in
// a queue, everybody else is told to come again before it hurts. It is safe for
// concurrent use.
type Gate struct {
	config GateConfig
	places chan struct{}

	mu      sync.Mutex
	waiting int
	from    map[netip.Addr]int // of the waiting
	shed    int64
}

// Busy is the error of who is not let in.
type Busy struct {
	// Own says that the queue has room, but not for more of this address: 429 rather
	// than 503.
	Own bool
	// RetryAfter is when to come again.
	RetryAfter time.Duration
}

// Error implements error.
func (b *Busy) Error() string {
	if b.Own {
		return fmt.Sprintf("too many requests of one address wait already; again in %s", b.RetryAfter)
	}
	return fmt.Sprintf("too many requests wait already; again in %s", b.RetryAfter)
}

// NewGate makes a Gate.
func NewGate(c GateConfig) *Gate {
	if c.Places <= 0 {
		c.Places = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if c.Queue <= 0 {
		c.Queue = 16 * c.Places
	}
	if c.PerAddress <= 0 {
		c.PerAddress = max(1, c.Queue/4)
	}
	if c.Wait <= 0 {
		c.Wait = 2 * time.Second
	}
	return &Gate{config: c, places: make(chan struct{}, c.Places), from: map[netip.Addr]int{}}
}

// Enter waits for a place, in the order of arrival; leave gives it back and must be
// called. The error is a *Busy, or that of ctx: who has gone away waits no longer.
func (g *Gate) Enter(ctx context.Context, address netip.Addr) (leave func(), err error) {
	leave = sync.OnceFunc(func() { <-g.places })
	select {
	case g.places <- struct{}{}: // nobody waits where there is a place
		return leave, nil
	default:
	}
	from := network(address)
	if err := g.queue(from); err != nil {
		return nil, err
	}
	defer g.unqueue(from)
	timer := time.NewTimer(g.config.Wait)
	defer timer.Stop()
	select {
	case g.places <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		g.mu.Lock()
		defer g.mu.Unlock()
		g.shed++
		return nil, &Busy{RetryAfter: g.config.Wait}
	}
}

func (g *Gate) queue(from netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	full, own := g.waiting >= g.config.Queue, g.from[from] >= g.config.PerAddress
	if full || own {
		g.shed++
		return &Busy{Own: own, RetryAfter: g.config.Wait}
	}
	g.waiting++
	g.from[from]++
	return nil
}

func (g *Gate) unqueue(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	if g.from[from]--; g.from[from] == 0 {
		delete(g.from, from)
	}
}

// Load is how a Gate is used.
type Load struct {
	// Inside and Waiting are of this moment, Shed counts who was not let in so far.
	Inside, Waiting int
	Shed            int64
}

// Load says how the gate is used, for a metric.
func (g *Gate) Load() Load {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Load{Inside: len(g.places), Waiting: g.waiting, Shed: g.shed}
}
