package gatekeeper_test

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/operate/gatekeeper"
	"github.com/rolecall/rolecall/broker/store/sqlite"
)

var nine = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// notes is a record in memory.
type notes struct {
	all  []audit.Event
	deaf bool
}

func (n *notes) Append(_ context.Context, e audit.Event) error {
	if n.deaf {
		return errors.New("disk full")
	}
	n.all = append(n.all, e)
	return nil
}

func newGatekeeper(t *testing.T) (gatekeeper.Gatekeeper, *notes) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	check(t, err)
	t.Cleanup(func() { _ = store.Close() })
	for i, network := range []string{"192.0.2.1/32", "192.0.2.2/32", "2001:db8::/64"} {
		b := limit.Block{Network: netip.MustParsePrefix(network), Since: nine, Until: nine.Add(time.Duration(i+1) * time.Minute), Count: 11, What: "signin"}
		check(t, store.PutBlock(t.Context(), b))
	}
	n := &notes{}
	return gatekeeper.Gatekeeper{Store: store, Audit: n, Operator: "root", Now: func() time.Time { return nine }}, n
}

func TestBlocksAreListedAndClearedWithARecord(t *testing.T) {
	t.Parallel()
	g, n := newGatekeeper(t)
	list, err := g.List(t.Context())
	check(t, err)
	if len(list) != 3 || list[0].Network.String() != "2001:db8::/64" {
		t.Errorf("%v", list)
	}
	for _, c := range []struct {
		address string
		want    int
	}{{"192.0.2.9", 0}, {"192.0.2.1", 1}, {"2001:db8::1234", 1}, {"", 1}, {"", 0}} {
		var address netip.Addr
		if c.address != "" {
			address = netip.MustParseAddr(c.address)
		}
		if got, err := g.Clear(t.Context(), address); err != nil || got != c.want {
			t.Errorf("%q: %d, %v, want %d", c.address, got, err, c.want)
		}
	}
	if len(n.all) != 10 || n.all[2].Outcome != "" || n.all[3].Outcome != audit.Granted || n.all[3].Count != 1 || n.all[3].Address != "192.0.2.1" {
		t.Errorf("recorded %+v", n.all)
	}
}

func TestWithoutARecordNoBlockIsCleared(t *testing.T) {
	t.Parallel()
	g, n := newGatekeeper(t)
	n.deaf = true
	if _, err := g.Clear(t.Context(), netip.Addr{}); err == nil {
		t.Error("it cleared")
	}
	if list, err := g.List(t.Context()); err != nil || len(list) != 3 {
		t.Errorf("%d are left, %v", len(list), err)
	}
}
