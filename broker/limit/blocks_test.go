package limit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/config"
)

// blockStore keeps blocks in memory, for several nodes.
type blockStore struct {
	mu   sync.Mutex
	all  map[netip.Prefix]limit.Block
	err  error
	puts int
}

func (s *blockStore) PutBlock(_ context.Context, b limit.Block) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.all[b.Network] = b
		s.puts++
	}
	return s.err
}

func (s *blockStore) Blocks(_ context.Context, now time.Time, most int) (found []limit.Block, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.all {
		if b.Until.After(now) && len(found) < most {
			found = append(found, b)
		}
	}
	return found, s.err
}

func (s *blockStore) ClearBlock(_ context.Context, network netip.Prefix) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.all)
	if network.IsValid() {
		delete(s.all, network)
	} else {
		clear(s.all)
	}
	return n - len(s.all), s.err
}

// gate is a node's blocks with what they recorded.
type keeper struct {
	*limit.Blocks
	clock    *clock
	mu       sync.Mutex
	recorded []limit.Block
	deaf     error
}

func newKeeper(store limit.BlockStore, clock *clock, exempt ...string) *keeper {
	k := &keeper{clock: clock}
	c := limit.BlockConfig{
		After: config.Rate{Events: 10, Period: time.Hour}, For: 15 * time.Minute, Store: store, Now: clock.time, Log: slog.New(slog.DiscardHandler),
		Record: func(_ context.Context, b limit.Block) error {
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.deaf == nil {
				k.recorded = append(k.recorded, b)
			}
			return k.deaf
		},
	}
	for _, e := range exempt {
		c.Exempt = append(c.Exempt, netip.MustParsePrefix(e))
	}
	k.Blocks = limit.NewBlocks(c)
	return k
}

func (k *keeper) offend(n int, addresses ...string) {
	for i := range n {
		k.Offence(netip.MustParseAddr(addresses[i%len(addresses)]), "signin")
	}
}

func (k *keeper) blocks(address string) bool { return !k.Until(netip.MustParseAddr(address)).IsZero() }

func memoryStore() *blockStore { return &blockStore{all: map[netip.Prefix]limit.Block{}} }

func TestWhoIsBlocked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do     func(k *keeper)
		asks   string
		blocks bool
	}{
		"as many offences as are allowed": {func(k *keeper) { k.offend(10, "192.0.2.1") }, "192.0.2.1", false},
		"one more":                        {func(k *keeper) { k.offend(11, "192.0.2.1") }, "192.0.2.1", true},
		"a neighbour":                     {func(k *keeper) { k.offend(11, "192.0.2.1") }, "192.0.2.2", false},
		"the address in IPv6 clothes":     {func(k *keeper) { k.offend(11, "::ffff:192.0.2.1") }, "192.0.2.1", true},
		"a /64 by any of its addresses":   {func(k *keeper) { k.offend(11, "2001:db8::1", "2001:db8::2", "2001:db8::3") }, "2001:db8::ffff", true},
		"another /64":                     {func(k *keeper) { k.offend(11, "2001:db8::1") }, "2001:db8:0:1::1", false},
		"offences that were forgotten by now": {func(k *keeper) {
			k.offend(10, "192.0.2.1")
			k.clock.now = start.Add(time.Hour)
			k.offend(10, "192.0.2.1")
		}, "192.0.2.1", false},
		"a pace that never ends": {func(k *keeper) { // one each five minutes, and 12/h are more than 10
			for i := range 100 {
				k.clock.now = start.Add(time.Duration(i) * 5 * time.Minute)
				k.offend(1, "192.0.2.1")
				if k.blocks("192.0.2.1") {
					return
				}
			}
		}, "192.0.2.1", true},
		"a pace that is forgotten": {func(k *keeper) {
			for i := range 100 {
				k.clock.now = start.Add(time.Duration(i) * 6 * time.Minute)
				k.offend(1, "192.0.2.1")
			}
		}, "192.0.2.1", false},
		"an office where most succeed": {func(k *keeper) {
			for range 1000 {
				k.Forgive(netip.MustParseAddr("192.0.2.1"))
				k.offend(1, "192.0.2.1")
			}
		}, "192.0.2.1", false},
		"successes before are not saved up": {func(k *keeper) {
			for range 100 {
				k.Forgive(netip.MustParseAddr("192.0.2.1"))
			}
			k.offend(11, "192.0.2.1")
		}, "192.0.2.1", true},
		"an exempt office":                 {func(k *keeper) { k.offend(100, "203.0.113.9") }, "203.0.113.9", false},
		"an exempt office in IPv6 clothes": {func(k *keeper) { k.offend(100, "::ffff:203.0.113.9") }, "203.0.113.9", false},
		"after the while":                  {func(k *keeper) { k.offend(11, "192.0.2.1"); k.clock.now = start.Add(15 * time.Minute) }, "192.0.2.1", false},
		"just before":                      {func(k *keeper) { k.offend(11, "192.0.2.1"); k.clock.now = start.Add(15*time.Minute - 1) }, "192.0.2.1", true},
		"after the while it begins anew": {func(k *keeper) {
			k.offend(11, "192.0.2.1")
			k.clock.now = start.Add(15 * time.Minute)
			k.offend(10, "192.0.2.1")
		}, "192.0.2.1", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newKeeper(memoryStore(), &clock{start}, "203.0.113.0/24")
			c.do(k)
			if got := k.blocks(c.asks); got != c.blocks {
				t.Errorf("blocked: %t", got)
			}
		})
	}
	k := newKeeper(memoryStore(), &clock{start})
	for range 100 {
		k.Offence(netip.Addr{}, "signin") // a request without an address is nobody's
	}
	if _, made, _ := k.Figures(); made != 0 {
		t.Error("no address is blocked")
	}
}

func TestABlockIsOneRecordAndKnownToTheOtherNode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, now := memoryStore(), time.Now()
		c := &clock{now}
		a, b := newKeeper(store, c), newKeeper(store, c)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go a.Run(ctx)
		go b.Run(ctx)
		a.offend(50, "192.0.2.1") // some were on their way when it was blocked
		if !a.blocks("192.0.2.1") {
			t.Fatal("not at once on its own node")
		}
		time.Sleep(1100 * time.Millisecond) // synctest: no time passes
		if !b.blocks("192.0.2.1") {
			t.Error("not on the other node")
		}
		want := limit.Block{Network: netip.MustParsePrefix("192.0.2.1/32"), Since: now, Until: now.Add(15 * time.Minute), Count: 11, What: "signin"}
		if len(a.recorded) != 1 {
			t.Fatalf("%d records", len(a.recorded))
		}
		if diff := cmp.Diff(want, a.recorded[0], cmp.Comparer(func(x, y netip.Prefix) bool { return x == y })); diff != "" {
			t.Error(diff)
		}
		if len(b.recorded) != 0 {
			t.Error("the other node records it too")
		}
		if blocked, made, offences := a.Figures(); blocked != 1 || made != 1 || offences != 50 {
			t.Errorf("%d blocked, %d made, %d offences", blocked, made, offences)
		}
		if _, err := store.ClearBlock(ctx, netip.Prefix{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		for name, k := range map[string]*keeper{"its own node": a, "the other node": b} {
			if k.blocks("192.0.2.1") {
				t.Errorf("%s still blocks what was cleared", name)
			}
		}
	})
}

func TestABlockThatCannotBeToldCountsHereAndIsToldLater(t *testing.T) {
	t.Parallel()
	store := memoryStore()
	k := newKeeper(store, &clock{start})
	for name, fail := range map[string]func(err error){"the record": func(err error) { k.deaf = err }, "the store": func(err error) { store.err = err }} {
		fail(errors.New("disk full"))
		k.offend(11, "192.0.2.1")
		if err := k.Poll(t.Context()); err == nil || !k.blocks("192.0.2.1") {
			t.Errorf("%s fails: %v, blocked %t", name, err, k.blocks("192.0.2.1"))
		}
		if len(store.all) != 0 {
			t.Errorf("%s fails, and others are told", name)
		}
		fail(nil)
		if err := k.Poll(t.Context()); err != nil || len(store.all) != 1 || !k.blocks("192.0.2.1") {
			t.Errorf("after %s: %v, %d in the store", name, err, len(store.all))
		}
		clear(store.all)
		if err := k.Poll(t.Context()); err != nil || k.blocks("192.0.2.1") {
			t.Errorf("cleared: %v", err)
		}
	}
}

func TestFloodsOfAddressesAreBounded(t *testing.T) {
	t.Parallel()
	k := newKeeper(memoryStore(), &clock{start})
	for i := range 70_000 {
		k.Offence(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), "signin")
	}
	for i := range 4200 {
		for range 11 {
			k.Offence(netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}), "signin")
		}
	}
	if blocked, _, _ := k.Figures(); blocked > 4096 {
		t.Errorf("%d are blocked", blocked)
	}
}

func TestWhoIsBlockedMayDoWhatSignedInPeopleDo(t *testing.T) {
	t.Parallel()
	l := limit.New(limit.Config{Now: func() time.Time { return start }, Blocked: func(a netip.Addr) time.Time {
		if a == home {
			return start.Add(time.Minute)
		}
		return time.Time{}
	}})
	for _, kind := range []string{"signin", "token", "exchange", "introspect", "authenticate", "device.start", "device.register", "anything new"} {
		if d := l.Address(kind, home); d.Allowed || !d.Blocked || d.RetryAfter != time.Minute {
			t.Errorf("%s: %+v", kind, d)
		}
		if d := l.Address(kind, from(1)); !d.Allowed {
			t.Errorf("%s from elsewhere: %+v", kind, d)
		}
	}
	for _, kind := range []string{"credentials", "console", "authorize", "logout", "revoke"} {
		if d := l.Address(kind, home); !d.Allowed {
			t.Errorf("%s: %+v", kind, d)
		}
	}
	if l.Blocked(home) != time.Minute || l.Blocked(from(1)) != 0 {
		t.Error("how long")
	}
}

func TestOffencesAtOnceMakeOneBlock(t *testing.T) {
	t.Parallel()
	store := memoryStore()
	k := newKeeper(store, &clock{start})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() { k.offend(11, fmt.Sprintf("192.0.2.%d", i)) })
		group.Go(func() {
			for range 100 {
				k.blocks("192.0.2.1")
				k.Forgive(from(1))
			}
		})
	}
	group.Wait()
	if err := k.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	var networks []string
	for _, b := range k.recorded {
		networks = append(networks, b.Network.String())
	}
	slices.Sort(networks)
	if len(networks) != 8 || store.puts != 8 || len(slices.Compact(networks)) != 8 {
		t.Errorf("recorded %v, kept %d", networks, store.puts)
	}
}
