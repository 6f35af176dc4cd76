package limit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/limit"
)

var home = netip.MustParseAddr("192.0.2.1")

func enter(t *testing.T, g *limit.Gate, from string) (leave func()) {
	t.Helper()
	leave, err := g.Enter(t.Context(), netip.MustParseAddr(from))
	if err != nil {
		t.Fatalf("%s: %v", from, err)
	}
	return leave
}

func wantBusy(t *testing.T, what string, err error, want limit.Busy) {
	t.Helper()
	busy, ok := errors.AsType[*limit.Busy](err)
	if !ok {
		t.Fatalf("%s: %v, want a *Busy", what, err)
	}
	if diff := cmp.Diff(want, *busy); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestNoMoreAreInsideThanThereArePlaces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Places: 3, Queue: 100, PerAddress: 100, Wait: time.Hour})
		var mu sync.Mutex
		var group sync.WaitGroup
		inside, most, done := 0, 0, 0
		for range 60 {
			group.Go(func() {
				leave, err := g.Enter(t.Context(), home)
				if err != nil {
					t.Error(err)
					return
				}
				defer leave()
				mu.Lock()
				inside++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				inside--
				done++
				mu.Unlock()
			})
		}
		group.Wait()
		if most != 3 || done != 60 {
			t.Errorf("%d at once of 3, %d done of 60", most, done)
		}
		if diff := cmp.Diff(limit.Load{}, g.Load()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhoFindsTheQueueFullIsToldToComeAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Places: 1, Queue: 2, PerAddress: 2, Wait: 5 * time.Second})
		leave := enter(t, g, "192.0.2.1")
		entered := make(chan int, 2)
		for i := range 2 {
			go func() {
				leave, err := g.Enter(t.Context(), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
				if err != nil {
					t.Error(err)
				}
				entered <- i
				leave()
			}()
			synctest.Wait() // in this order
		}
		_, err := g.Enter(t.Context(), home)
		wantBusy(t, "the third", err, limit.Busy{RetryAfter: 5 * time.Second})
		if diff := cmp.Diff(limit.Load{Inside: 1, Waiting: 2, Shed: 1}, g.Load()); diff != "" {
			t.Error(diff)
		}
		leave()
		leave() // a second time gives no second place
		if first, second := <-entered, <-entered; first != 0 || second != 1 {
			t.Errorf("%d came before %d", first, second)
		}
		enter(t, g, "192.0.2.1")()
	})
}

func TestNobodyWaitsLongerThanTheBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Places: 1})
		defer enter(t, g, "192.0.2.1")()
		begun := time.Now()
		_, err := g.Enter(t.Context(), home)
		wantBusy(t, "who waited", err, limit.Busy{RetryAfter: 2 * time.Second})
		if took := time.Since(begun); took != 2*time.Second {
			t.Errorf("waited %s", took)
		}
		if diff := cmp.Diff(limit.Load{Inside: 1, Shed: 1}, g.Load()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhoHasGoneAwayWaitsNoLonger(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Places: 1, Wait: time.Hour})
		defer enter(t, g, "192.0.2.1")()
		ctx, gone := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, gone)
		if _, err := g.Enter(ctx, home); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if got := g.Load(); got.Waiting != 0 || got.Shed != 0 {
			t.Errorf("%+v", got)
		}
	})
}

func TestAFloodOfOneAddressLeavesRoomInTheQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := limit.NewGate(limit.GateConfig{Places: 1, Queue: 8, Wait: time.Minute})
		leave := enter(t, g, "192.0.2.1")
		var turned int
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range 100 { // one /64 is one address
			group.Go(func() {
				leave, err := g.Enter(t.Context(), netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i)))
				mu.Lock()
				defer mu.Unlock()
				if busy, ok := errors.AsType[*limit.Busy](err); ok && busy.Own {
					turned++
				} else if err == nil {
					leave()
				}
			})
		}
		synctest.Wait()
		honest := make(chan struct{})
		go func() {
			enter(t, g, "2001:db8:1::1")()
			close(honest)
		}()
		synctest.Wait()
		leave()
		<-honest
		group.Wait()
		if turned != 98 {
			t.Errorf("%d of 100 were turned away; two of eight may wait", turned)
		}
	})
}
