package limit_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/config"
)

// clock is one that a test moves.
type clock struct{ now time.Time }

func (c *clock) time() time.Time { return c.now }

func guesses() (*limit.Guesses, *clock) {
	c := &clock{start}
	return limit.NewGuesses(limit.GuessConfig{Now: c.time}), c
}

func from(n int) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)}) }

// tries counts how many of n wrong guesses are let through.
func tries(g *limit.Guesses, n int, guess func(i int) limit.Guess) (allowed int) {
	for i := range n {
		if g.Try(guess(i)).Allowed {
			allowed++
		}
	}
	return allowed
}

func TestGuessingIsSlowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		guess func(i int) limit.Guess
		most  int
	}{
		"one account from one address": {func(int) limit.Guess {
			return limit.Guess{Kind: "password", Account: "alice", Address: home}
		}, 5},
		"one account from one /64": {func(i int) limit.Guess {
			return limit.Guess{Kind: "password", Account: "alice", Address: netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i))}
		}, 5},
		"one account from many addresses": {func(i int) limit.Guess {
			return limit.Guess{Kind: "password", Account: "alice", Address: from(i)}
		}, 30},
		"many accounts from one address": {func(i int) limit.Guess {
			return limit.Guess{Kind: "password", Account: fmt.Sprint("user", i), Address: home}
		}, 100},
		"one account from a device that it is known on": {func(i int) limit.Guess {
			return limit.Guess{Kind: "password", Account: "alice", Address: from(i), Device: "phone"}
		}, 10},
		"without an address": {func(int) limit.Guess { return limit.Guess{Kind: "password", Account: "alice"} }, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, clock := guesses()
			if got := tries(g, 1000, c.guess); got != c.most {
				t.Errorf("%d guesses at once, want %d", got, c.most)
			}
			clock.now = start.Add(time.Hour)
			if got := tries(g, 1000, c.guess); got != c.most {
				t.Errorf("%d guesses an hour later, want %d", got, c.most)
			}
		})
	}
}

func TestAStrangerLocksNobodyOut(t *testing.T) {
	t.Parallel()
	g, clock := guesses()
	mallory := func(int) limit.Guess { return limit.Guess{Kind: "password", Account: "alice", Address: home} }
	for hour := range 48 { // one stranger keeps at it for two days
		clock.now = start.Add(time.Duration(hour) * time.Hour)
		tries(g, 1000, mallory)
		for name, alice := range map[string]limit.Guess{
			"on her phone": {Kind: "password", Account: "alice", Address: from(1), Device: "phone"},
			"on her phone behind the stranger's address": {Kind: "password", Account: "alice", Address: home, Device: "phone"},
			"in a new place": {Kind: "password", Account: "alice", Address: from(hour)},
		} {
			if d := g.Try(alice); !d.Allowed {
				t.Fatalf("hour %d: alice %s must wait %s", hour, name, d.RetryAfter)
			}
			g.Right(alice)
		}
	}
}

func TestEvenACrowdOfStrangersDoesNotSlowADeviceThatIsKnown(t *testing.T) {
	t.Parallel()
	g, _ := guesses()
	tries(g, 10_000, func(i int) limit.Guess { return limit.Guess{Kind: "password", Account: "alice", Address: from(i)} })
	if d := g.Try(limit.Guess{Kind: "password", Account: "alice", Address: from(20_000)}); d.Allowed || d.RetryAfter <= 0 || d.RetryAfter > 2*time.Minute {
		t.Errorf("a stranger more: %+v; the wait ends within two minutes", d)
	}
	if d := g.Try(limit.Guess{Kind: "password", Account: "alice", Address: from(1), Device: "phone"}); !d.Allowed {
		t.Errorf("alice's phone: %+v", d)
	}
	if d := g.Try(limit.Guess{Kind: "password", Account: "bob", Address: from(20_000)}); !d.Allowed {
		t.Errorf("bob: %+v", d)
	}
}

func TestRightGuessesCostNothing(t *testing.T) {
	t.Parallel()
	g, _ := guesses()
	for i := range 1000 { // an office behind one address
		guess := limit.Guess{Kind: "password", Account: fmt.Sprint("user", i), Address: home}
		if !g.Try(guess).Allowed {
			t.Fatalf("person %d is turned away", i)
		}
		g.Right(guess)
	}
	if got := tries(g, 1000, func(int) limit.Guess { return limit.Guess{Kind: "password", Account: "alice", Address: home} }); got != 5 {
		t.Errorf("and then %d wrong ones", got)
	}
}

func TestGivingBackSavesNothingUp(t *testing.T) {
	t.Parallel()
	g, _ := guesses()
	guess := limit.Guess{Kind: "password", Account: "alice", Address: home}
	for range 100 {
		g.Right(guess) // never taken
	}
	if got := tries(g, 1000, func(int) limit.Guess { return guess }); got != 5 {
		t.Errorf("%d guesses, want 5", got)
	}
}

func TestWhatIsTurnedAwayCountsNowhere(t *testing.T) {
	t.Parallel()
	g, _ := guesses()
	tries(g, 1000, func(int) limit.Guess { return limit.Guess{Kind: "password", Account: "alice", Address: home} })
	if got := tries(g, 1000, func(i int) limit.Guess {
		return limit.Guess{Kind: "password", Account: fmt.Sprint("user", i), Address: home}
	}); got != 95 {
		t.Errorf("the address had %d left of 100 after 5 guesses", got)
	}
	if got := tries(g, 1000, func(i int) limit.Guess { return limit.Guess{Kind: "password", Account: "alice", Address: from(i)} }); got != 25 {
		t.Errorf("the account had %d left of 30 after 5 guesses", got)
	}
}

func TestKindsAndDevicesAreCountedApart(t *testing.T) {
	t.Parallel()
	g, _ := guesses()
	for _, c := range []struct {
		name  string
		guess limit.Guess
		want  int
	}{
		{"passwords", limit.Guess{Kind: "password", Account: "alice", Address: home}, 5},
		{"codes", limit.Guess{Kind: "totp", Account: "alice", Address: home}, 5},
		{"a device", limit.Guess{Kind: "password", Account: "alice", Device: "a"}, 10},
		{"another device", limit.Guess{Kind: "password", Account: "alice", Device: "b"}, 10},
		{"names that run together", limit.Guess{Kind: "password", Account: "alic", Device: "ea"}, 10},
	} {
		if got := tries(g, 100, func(int) limit.Guess { return c.guess }); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestAThousandGuessesAtOnceAreNoMoreThanOneAfterTheOther(t *testing.T) {
	t.Parallel()
	g := limit.NewGuesses(limit.GuessConfig{PerPair: config.Rate{Events: 7, Period: time.Hour}, Now: func() time.Time { return start }})
	var allowed atomic.Int32
	var group sync.WaitGroup
	for range 1000 {
		group.Go(func() {
			if g.Try(limit.Guess{Kind: "password", Account: "alice", Address: home}).Allowed {
				allowed.Add(1)
			}
		})
	}
	group.Wait()
	// Giving back what the address was counted may let one in sooner, never more than the rate.
	if got := allowed.Load(); got != 7 {
		t.Errorf("%d of a thousand, want 7", got)
	}
}
