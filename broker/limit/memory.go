package limit

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/rolecall/rolecall/config"
)

const (
	shards        = 64
	defaultBound  = 1 << 17
	evictionProbe = 8
)

// Memory is a Store of this process with a bounded number of keys. Where it is
// full, a new key takes the place of the key that is nearest to being forgotten
// anyway among a few looked at: who counts most is kept longest, and who floods
// the table with addresses mostly evicts them again.
type Memory struct {
	seed  maphash.Seed
	bound int // per shard
	parts [shards]part
}

type part struct {
	mu       sync.Mutex
	arrivals map[Key]time.Time
}

// NewMemory makes a Memory of at most bound keys; zero is 131,072 (about 20 MB).
func NewMemory(bound int) *Memory {
	if bound <= 0 {
		bound = defaultBound
	}
	m := &Memory{seed: maphash.MakeSeed(), bound: max(1, bound/shards)}
	for i := range m.parts {
		m.parts[i].arrivals = map[Key]time.Time{}
	}
	return m
}

// Take implements Store.
func (m *Memory) Take(key Key, rate config.Rate, now time.Time) Decision {
	p := &m.parts[maphash.Comparable(m.seed, key)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	arrival, known := p.arrivals[key]
	next, decision := GCRA(arrival, now, rate)
	if !known && len(p.arrivals) >= m.bound {
		p.evict(now)
	}
	p.arrivals[key] = next
	return decision
}

// Return implements Store.
func (m *Memory) Return(key Key, rate config.Rate, now time.Time) {
	p := &m.parts[maphash.Comparable(m.seed, key)%shards]
	p.mu.Lock()
	defer p.mu.Unlock()
	arrival, known := p.arrivals[key]
	if !known {
		return
	}
	if arrival = Refund(arrival, rate); arrival.After(now) {
		p.arrivals[key] = arrival
	} else {
		delete(p.arrivals, key)
	}
}

// evict makes room: of a few keys (Go walks a map from a random one on) those that
// say nothing any more go, or else the one that soonest will.
func (p *part) evict(now time.Time) {
	var victim Key
	var soonest time.Time
	freed, looked := false, 0
	for key, arrival := range p.arrivals {
		if !arrival.After(now) {
			delete(p.arrivals, key)
			freed = true
		} else if soonest.IsZero() || arrival.Before(soonest) {
			victim, soonest = key, arrival
		}
		if looked++; looked == evictionProbe {
			break
		}
	}
	if !freed {
		delete(p.arrivals, victim)
	}
}

// Len is the number of keys that are remembered.
func (m *Memory) Len() int {
	n := 0
	for i := range m.parts {
		p := &m.parts[i]
		p.mu.Lock()
		n += len(p.arrivals)
		p.mu.Unlock()
	}
	return n
}
