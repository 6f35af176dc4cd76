package limit

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rolecall/rolecall/config"
)

const (
	// pollEvery is how often a node reads the blocks of the others: what is blocked or
	// cleared counts everywhere within two seconds.
	pollEvery = time.Second
	// maxBlocks bounds how many networks are blocked at once, and maxOffenders how many
	// are counted.
	maxBlocks    = 4096
	maxOffenders = 1 << 16
)

// Block keeps a network out for a while.
type Block struct {
	// Network is one IPv4 address, or a /64 of IPv6.
	Network      netip.Prefix
	Since, Until time.Time
	// Count is how many offences led to it, What the event of the last one.
	Count int
	What  string
}

// BlockStore keeps blocks for all nodes.
type BlockStore interface {
	// PutBlock keeps a block; of two of one network the one that lasts longer stays.
	PutBlock(ctx context.Context, b Block) error
	// Blocks gives those that last beyond now, at most so many, the newest first.
	Blocks(ctx context.Context, now time.Time, limit int) ([]Block, error)
	// ClearBlock ends the block of a network, or all where it is the zero one, and says how many.
	ClearBlock(ctx context.Context, network netip.Prefix) (int, error)
}

// BlockConfig is what Blocks are made of. All fields but Exempt are required.
type BlockConfig struct {
	// After is how many offences an address may have at once, and how fast they are
	// forgotten; For is how long it is kept out then.
	After config.Rate
	For   time.Duration
	// Exempt are never kept out.
	Exempt []netip.Prefix
	Store  BlockStore
	// Record writes a block down before the other nodes are told.
	Record func(ctx context.Context, b Block) error
	Now    func() time.Time
	Log    *slog.Logger
}

// Blocks keep out addresses from which too much evidence came that was no good. A
// block counts here at once, and on every node as soon as they read the store.
//
// An offence is forgotten by and by, and each success forgives one, so that many
// people behind one address are not kept out for the mistakes of few. It is safe for
// concurrent use.
type Blocks struct {
	cfg BlockConfig

	// until is read by every request and replaced as a whole.
	until atomic.Pointer[map[netip.Prefix]time.Time]
	wake  chan struct{}

	mu        sync.Mutex
	offenders map[netip.Prefix]*offender
	fresh     map[netip.Prefix]Block // not in the store yet
	offences  int64
	made      int64
}

type offender struct {
	arrival time.Time
	count   int
}

// NewBlocks makes Blocks that know of none before the first Poll.
func NewBlocks(c BlockConfig) *Blocks {
	b := &Blocks{cfg: c, wake: make(chan struct{}, 1), offenders: map[netip.Prefix]*offender{}, fresh: map[netip.Prefix]Block{}}
	b.until.Store(&map[netip.Prefix]time.Time{})
	return b
}

// NetworkOf is what is counted and blocked for an address: itself, or its /64.
func NetworkOf(address netip.Addr) netip.Prefix {
	base := network(address)
	if base.Is6() {
		return netip.PrefixFrom(base, 64)
	}
	return netip.PrefixFrom(base, base.BitLen())
}

// Until says how long an address is kept out; zero is not at all.
func (b *Blocks) Until(address netip.Addr) time.Time {
	until := *b.until.Load()
	if len(until) == 0 {
		return time.Time{}
	}
	if end := until[NetworkOf(address)]; end.After(b.cfg.Now()) {
		return end
	}
	return time.Time{}
}

// Offence counts bad evidence of an address, and blocks the address where it is one
// too many. It never waits.
func (b *Blocks) Offence(address netip.Addr, what string) {
	if !address.IsValid() || b.exempt(address) {
		return
	}
	now, network := b.cfg.Now(), NetworkOf(address)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offences++
	if !b.Until(address).IsZero() { // it was on its way
		return
	}
	o := b.offenders[network]
	if o == nil {
		b.makeRoom(now)
		o = &offender{}
		b.offenders[network] = o
	}
	if !o.arrival.After(now) {
		o.count = 0
	}
	o.count++
	var decision Decision
	if o.arrival, decision = GCRA(o.arrival, now, b.cfg.After); decision.Allowed {
		return
	}
	delete(b.offenders, network) // after the block it begins anew
	b.block(Block{Network: network, Since: now, Until: now.Add(b.cfg.For), Count: o.count, What: what})
}

// Forgive takes one offence of an address back: good evidence came from there.
func (b *Blocks) Forgive(address netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	network := NetworkOf(address)
	o := b.offenders[network]
	if o == nil {
		return
	}
	if o.arrival = Refund(o.arrival, b.cfg.After); !o.arrival.After(b.cfg.Now()) {
		delete(b.offenders, network)
	}
}

func (b *Blocks) exempt(address netip.Addr) bool {
	address = address.Unmap().WithZone("")
	for _, p := range b.cfg.Exempt {
		if p.Contains(address) {
			return true
		}
	}
	return false
}

// makeRoom drops who is nearest to being forgotten among a few. b.mu is held.
func (b *Blocks) makeRoom(now time.Time) {
	if len(b.offenders) < maxOffenders {
		return
	}
	var victim netip.Prefix
	var soonest time.Time
	looked := 0
	for network, o := range b.offenders { // from a random one on
		if soonest.IsZero() || o.arrival.Before(soonest) {
			victim, soonest = network, o.arrival
		}
		if looked++; looked == evictionProbe || !o.arrival.After(now) {
			break
		}
	}
	delete(b.offenders, victim)
}

// block lets a block count here at once, and leaves it to Run to tell others. b.mu is held.
func (b *Blocks) block(made Block) {
	known := *b.until.Load()
	if len(known) >= maxBlocks {
		b.cfg.Log.Error("too many addresses are blocked; one more is not", "address", made.Network, "blocked", len(known))
		return
	}
	next := maps.Clone(known)
	next[made.Network] = made.Until
	b.until.Store(&next)
	b.fresh[made.Network] = made
	b.made++
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// Poll records and keeps what was blocked here, and reads what counts now. Whoever
// was cleared elsewhere begins anew.
func (b *Blocks) Poll(ctx context.Context) error {
	b.mu.Lock()
	fresh := maps.Clone(b.fresh)
	b.mu.Unlock()
	for network, made := range fresh {
		if err := b.keep(ctx, made); err != nil {
			return err
		}
		b.mu.Lock()
		if b.fresh[network] == made {
			delete(b.fresh, network)
		}
		b.mu.Unlock()
	}
	now := b.cfg.Now()
	found, err := b.cfg.Store.Blocks(ctx, now, maxBlocks)
	if err != nil {
		return fmt.Errorf("read the blocked addresses: %w", err)
	}
	next := make(map[netip.Prefix]time.Time, len(found))
	for _, f := range found {
		next[f.Network] = f.Until
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for network, made := range b.fresh { // blocked while the store was read
		next[network] = made.Until
	}
	b.until.Store(&next)
	return nil
}

func (b *Blocks) keep(ctx context.Context, made Block) error {
	b.cfg.Log.Warn("address blocked", "address", made.Network, "until", made.Until, "offences", made.Count, "last", made.What)
	if err := b.cfg.Record(ctx, made); err != nil {
		return fmt.Errorf("record a blocked address: %w", err)
	}
	if err := b.cfg.Store.PutBlock(ctx, made); err != nil {
		return fmt.Errorf("keep a blocked address: %w", err)
	}
	return nil
}

// Run polls each second, and at once when something is blocked here, until ctx ends.
func (b *Blocks) Run(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-b.wake:
		}
		if err := b.Poll(ctx); err != nil && ctx.Err() == nil {
			b.cfg.Log.Error("blocked addresses: what is blocked or cleared elsewhere is not known here", "error", err)
		}
	}
}

// Figures are how many networks are kept out now, and how many blocks and offences
// there were on this node.
func (b *Blocks) Figures() (blocked int, made, offences int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(*b.until.Load()), b.made, b.offences
}
