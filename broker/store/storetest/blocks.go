package storetest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/limit"
)

func blockTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"blocks are seen by the other node, to their end": blocksLast,
		"of two blocks of a network the longer one stays": blocksLonger,
		"a block is cleared by its network, or all are":   blocksCleared,
	}
}

func block(network string, until time.Duration) limit.Block {
	return limit.Block{Network: netip.MustParsePrefix(network), Since: now, Until: now.Add(until), Count: 7, What: "signin"}
}

var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

func wantBlocks(t *testing.T, s Store, at time.Time, want ...limit.Block) {
	t.Helper()
	found, err := s.Blocks(t.Context(), at, 10)
	must(t, err)
	if diff := cmp.Diff(want, found, samePrefix); diff != "" {
		t.Error(diff)
	}
}

func blocksLast(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	short, long := block("192.0.2.1/32", time.Minute), block("2001:db8:1:2::/64", time.Hour)
	must(t, node(0).PutBlock(t.Context(), short))
	must(t, node(1).PutBlock(t.Context(), long))
	for i := range 2 {
		wantBlocks(t, node(i), now, long, short)
		wantBlocks(t, node(i), now.Add(time.Minute), long)
	}
	first, err := node(0).Blocks(t.Context(), now, 1)
	must(t, err)
	if len(first) != 1 {
		t.Errorf("%d of at most one", len(first))
	}
	must(t, node(0).Sweep(t.Context(), now.Add(time.Minute)))
	wantBlocks(t, node(1), now, long)
}

func blocksLonger(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	for _, minutes := range []time.Duration{5, 15, 10} {
		must(t, s.PutBlock(t.Context(), block("192.0.2.1/32", minutes*time.Minute)))
	}
	wantBlocks(t, s, now, block("192.0.2.1/32", 15*time.Minute))
}

func blocksCleared(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	a, b, c := block("192.0.2.1/32", time.Hour), block("192.0.2.2/32", 2*time.Hour), block("2001:db8::/64", 3*time.Hour)
	for _, made := range []limit.Block{a, b, c} {
		must(t, s.PutBlock(t.Context(), made))
	}
	for network, want := range map[string]int{"192.0.2.9/32": 0, "192.0.2.1/32": 1, "2001:db8::7/64": 1} {
		n, err := s.ClearBlock(t.Context(), netip.MustParsePrefix(network))
		if must(t, err); n != want {
			t.Errorf("%s: %d cleared, want %d", network, n, want)
		}
	}
	wantBlocks(t, s, now, b)
	n, err := s.ClearBlock(t.Context(), netip.Prefix{})
	if must(t, err); n != 1 {
		t.Errorf("%d cleared of all", n)
	}
	wantBlocks(t, s, now)
}
