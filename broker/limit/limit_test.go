package limit_test

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/config"
)

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func TestGCRA(t *testing.T) {
	t.Parallel()
	rate := config.Rate{Events: 3, Period: 30 * time.Second} // three at once, then one each ten seconds
	type ask struct {
		at   time.Duration
		want limit.Decision
	}
	yes := func(remaining int) limit.Decision { return limit.Decision{Allowed: true, Remaining: remaining} }
	wait := func(d time.Duration) limit.Decision { return limit.Decision{RetryAfter: d} }
	for name, asks := range map[string][]ask{
		"a burst, then no more":                      {{0, yes(2)}, {0, yes(1)}, {0, yes(0)}, {0, wait(10 * time.Second)}},
		"one more after an interval":                 {{0, yes(2)}, {0, yes(1)}, {0, yes(0)}, {10 * time.Second, yes(0)}, {10 * time.Second, wait(10 * time.Second)}},
		"a moment too early":                         {{0, yes(2)}, {0, yes(1)}, {0, yes(0)}, {10*time.Second - 1, wait(1)}},
		"all of it again after the period":           {{0, yes(2)}, {0, yes(1)}, {0, yes(0)}, {30 * time.Second, yes(2)}},
		"silence saves up no more than a burst":      {{0, yes(2)}, {time.Hour, yes(2)}, {time.Hour, yes(1)}, {time.Hour, yes(0)}, {time.Hour, wait(10 * time.Second)}},
		"refused requests do not push the wait away": {{0, yes(2)}, {0, yes(1)}, {0, yes(0)}, {time.Second, wait(9 * time.Second)}, {9 * time.Second, wait(time.Second)}, {10 * time.Second, yes(0)}},
		"a clock that is set back locks nobody out":  {{0, yes(2)}, {0, yes(1)}, {0, yes(0)}, {-time.Hour, yes(2)}, {-time.Hour, yes(1)}, {-time.Hour, yes(0)}, {-time.Hour, wait(10 * time.Second)}},
		"a clock that is set back a little waits":    {{0, yes(2)}, {0, yes(1)}, {-time.Second, wait(time.Second)}, {0, yes(0)}},
		"a steady pace at the rate goes on":          {{0, yes(2)}, {10 * time.Second, yes(2)}, {20 * time.Second, yes(2)}, {30 * time.Second, yes(2)}},
	} {
		var arrival time.Time
		for i, a := range asks {
			var got limit.Decision
			arrival, got = limit.GCRA(arrival, start.Add(a.at), rate)
			if diff := cmp.Diff(a.want, got); diff != "" {
				t.Errorf("%s: request %d (-want +got):\n%s", name, i+1, diff)
			}
		}
	}
}

func TestGCRANeverAllowsMoreThanTheRate(t *testing.T) {
	t.Parallel()
	for _, rate := range []config.Rate{
		{Events: 1, Period: time.Hour}, {Events: 7, Period: time.Second}, {Events: 300, Period: time.Minute}, {Events: 1_000_000, Period: time.Second},
	} {
		var arrival time.Time
		allowed := 0
		for i := range 10_000 { // asked ten times as often as allowed, over one period
			at := start.Add(rate.Period * time.Duration(i) / 10_000)
			var d limit.Decision
			if arrival, d = limit.GCRA(arrival, at, rate); d.Allowed {
				allowed++
			}
		}
		if most := 2 * rate.Events; allowed > most {
			t.Errorf("%v: %d in one period; a burst and the rate are %d", rate, allowed, most)
		}
	}
}

func newLimiter(per config.Rate) *limit.Limiter {
	return limit.New(limit.Config{PerAddress: per, PerSubject: per, Now: func() time.Time { return start }})
}

func TestWhatCountsAsOneAddress(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		a, b string
		same bool
	}{
		"one IPv4 address":                         {"192.0.2.1", "192.0.2.1", true},
		"two IPv4 addresses":                       {"192.0.2.1", "192.0.2.2", false},
		"an IPv4 address in IPv6 clothes":          {"192.0.2.1", "::ffff:192.0.2.1", true},
		"two IPv4 addresses in IPv6 clothes":       {"::ffff:192.0.2.1", "::ffff:192.0.2.2", false},
		"two addresses of one /64":                 {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		"two /64 of one /48":                       {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
		"one link-local address on two interfaces": {"fe80::1%eth0", "fe80::1%eth1", true},
	} {
		l := newLimiter(config.Rate{Events: 1, Period: time.Minute})
		l.Address("signin", netip.MustParseAddr(test.a))
		if got := l.Address("signin", netip.MustParseAddr(test.b)); got.Allowed == test.same {
			t.Errorf("%s: allowed %t", name, got.Allowed)
		}
	}
}

func TestKindsPeopleAndAddressesAreCountedApart(t *testing.T) {
	t.Parallel()
	l := newLimiter(config.Rate{Events: 1, Period: time.Minute})
	address := netip.MustParseAddr("192.0.2.1")
	long := fmt.Sprintf("%0100d", 1)
	for _, ask := range []struct {
		name string
		got  limit.Decision
		want bool
	}{
		{"the first sign-in", l.Address("signin", address), true},
		{"the second sign-in", l.Address("signin", address), false},
		{"another kind", l.Address("token", address), true},
		{"a person at that address", l.Subject("signin", "corp", "alice"), true},
		{"the person again", l.Subject("signin", "corp", "alice"), false},
		{"their namesake of another provider", l.Subject("signin", "google", "alice"), true},
		{"a provider and a person that run together", l.Subject("signin", "corpa", "lice"), true},
		{"the person, another kind", l.Subject("credentials", "corp", "alice"), true},
		{"a person with a long name", l.Subject("signin", "corp", long), true},
		{"the same", l.Subject("signin", "corp", long), false},
		{"another with the same beginning", l.Subject("signin", "corp", long+"2"), true},
		{"no address", l.Address("signin", netip.Addr{}), true},
		{"no address again", l.Address("signin", netip.Addr{}), false},
	} {
		if ask.got.Allowed != ask.want {
			t.Errorf("%s: allowed %t", ask.name, ask.got.Allowed)
		}
	}
}

func TestAnUnsetRateIsTheDefaultAndNotEndless(t *testing.T) {
	t.Parallel()
	for name, rate := range map[string]config.Rate{
		"unset": {}, "no events": {Period: time.Minute}, "no period": {Events: 5}, "negative": {Events: -1, Period: -time.Minute},
		"shorter than the clock can tell": {Events: 1 << 40, Period: time.Second},
	} {
		l := newLimiter(rate)
		address, person := 0, 0
		for range 1000 {
			if l.Address("signin", netip.MustParseAddr("192.0.2.1")).Allowed {
				address++
			}
			if l.Subject("signin", "corp", "alice").Allowed {
				person++
			}
		}
		if address != 300 || person != 60 {
			t.Errorf("%s: %d by address and %d by person", name, address, person)
		}
	}
}

func TestMemoryIsBoundedAndKeepsWhoCounts(t *testing.T) {
	t.Parallel()
	const bound = 1024
	m := limit.NewMemory(bound)
	rate := config.Rate{Events: 60, Period: time.Minute}
	heavy := limit.Key{Kind: "signin", Address: netip.MustParseAddr("192.0.2.1")}
	for range 60 {
		m.Take(heavy, rate, start)
	}
	for i := range 50 * bound { // a flood of addresses, one request each
		address := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		m.Take(limit.Key{Kind: "signin", Address: address}, rate, start.Add(time.Millisecond))
	}
	if m.Len() > bound {
		t.Errorf("%d keys, more than %d", m.Len(), bound)
	}
	if d := m.Take(heavy, rate, start.Add(2*time.Millisecond)); d.Allowed {
		t.Error("a flood of addresses reset somebody else's count")
	}
}

func TestMemoryForgetsWhatSaysNothingAnyMore(t *testing.T) {
	t.Parallel()
	m := limit.NewMemory(64)
	rate := config.Rate{Events: 60, Period: time.Minute}
	for i := range 1000 {
		at := start.Add(time.Duration(i) * 10 * time.Second) // the ones before have recovered
		d := m.Take(limit.Key{Kind: "signin", Subject: fmt.Sprint(i)}, rate, at)
		if !d.Allowed || d.Remaining != 59 {
			t.Fatalf("request %d of somebody new: %+v", i, d)
		}
	}
	if m.Len() > 64 {
		t.Errorf("%d keys", m.Len())
	}
}

func TestACrowdGetsExactlyTheBurst(t *testing.T) {
	t.Parallel()
	l := newLimiter(config.Rate{Events: 100, Period: time.Hour})
	var allowed atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 100 {
				if l.Subject("credentials", "corp", "alice").Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	group.Wait()
	if allowed.Load() != 100 {
		t.Errorf("%d of 1600 were allowed, want 100", allowed.Load())
	}
}

func BenchmarkSubject(b *testing.B) {
	l := limit.New(limit.Config{PerSubject: config.Rate{Events: 1 << 20, Period: time.Second}, Now: time.Now})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.Subject("credentials", "corp", "alice@example.com")
		}
	})
}
