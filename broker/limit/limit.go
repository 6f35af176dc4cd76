package limit

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"github.com/rolecall/rolecall/config"
)

// Key is what is counted: one kind of request by one address or one person.
type Key struct {
	Kind     string
	Address  netip.Addr
	Provider string
	Subject  string
}

// Store remembers what was counted. Both are atomic for a key.
type Store interface {
	Take(key Key, rate config.Rate, now time.Time) Decision
	// Return gives back one that was taken.
	Return(key Key, rate config.Rate, now time.Time)
}

// Config is what a Limiter is made of. Now is required.
type Config struct {
	// PerAddress and PerSubject apply to each kind of request by itself; a rate
	// without events or period is the default, 300/m and 60/m. There is no "off".
	PerAddress, PerSubject config.Rate
	// Store counts; nil is a NewMemory of this process.
	Store Store
	// Blocked says until when an address is kept out (Blocks.Until); nil keeps nobody out.
	Blocked func(netip.Addr) time.Time
	Now     func() time.Time
}

// Limiter decides. It is safe for concurrent use.
type Limiter struct{ cfg Config }

// New makes a Limiter.
func New(c Config) *Limiter {
	c.PerAddress = orDefault(c.PerAddress, config.Rate{Events: 300, Period: time.Minute})
	c.PerSubject = orDefault(c.PerSubject, config.Rate{Events: 60, Period: time.Minute})
	if c.Store == nil {
		c.Store = NewMemory(0)
	}
	return &Limiter{cfg: c}
}

func orDefault(rate, standard config.Rate) config.Rate {
	if rate.Events <= 0 || rate.Period < time.Duration(rate.Events) { // under a nanosecond each
		return standard
	}
	return rate
}

// Address counts a request of a kind by its client's address. IPv4 counts by
// address, also in its IPv6-mapped form; IPv6 by /64, since one person has a whole
// /64 to choose from. Requests without an address share one count.
//
// An address that is blocked gets nothing, except what people do who have signed in
// already: they may share it with whom it was blocked for.
func (l *Limiter) Address(kind string, address netip.Addr) Decision {
	if left := l.blocked(kind, address); left > 0 {
		return Decision{RetryAfter: left, Blocked: true}
	}
	return l.cfg.Store.Take(Key{Kind: kind, Address: network(address)}, l.cfg.PerAddress, l.cfg.Now())
}

// blocked is how long an address is kept out of requests of a kind.
func (l *Limiter) blocked(kind string, address netip.Addr) time.Duration {
	if l.cfg.Blocked == nil {
		return 0
	}
	switch kind {
	case "credentials", "console", "authorize", "logout", "revoke":
		return 0
	}
	return l.Blocked(address)
}

// Blocked is how long an address is kept out; zero is not at all.
func (l *Limiter) Blocked(address netip.Addr) time.Duration {
	if l.cfg.Blocked == nil {
		return 0
	}
	until := l.cfg.Blocked(address)
	if until.IsZero() {
		return 0
	}
	return max(0, until.Sub(l.cfg.Now()))
}

// Subject counts a request of a kind by the person it is for.
func (l *Limiter) Subject(kind, provider, subject string) Decision {
	if len(subject) > sha256.Size { // a subject may be long, and memory is bounded
		sum := sha256.Sum256([]byte(subject))
		subject = "#" + string(sum[:])
	}
	return l.cfg.Store.Take(Key{Kind: kind, Provider: provider, Subject: subject}, l.cfg.PerSubject, l.cfg.Now())
}

func network(address netip.Addr) netip.Addr {
	address = address.Unmap().WithZone("")
	if !address.Is6() {
		return address
	}
	prefix, err := address.Prefix(64)
	if err != nil {
		return netip.Addr{}
	}
	return prefix.Addr()
}
