package vend

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

// counting is a vendor that takes a while and numbers what it gives.
type counting struct {
	mu    sync.Mutex
	calls int
	takes time.Duration
	life  time.Duration
	err   error
}

func (c *counting) Vend(ctx context.Context, _ Spec) (Result, error) {
	c.mu.Lock()
	c.calls++
	n, takes, life, err := c.calls, c.takes, c.life, c.err
	c.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
	if err != nil {
		return Result{}, err
	}
	return Result{Credentials: iam.Credentials{AccessKeyID: fmt.Sprint("key-", n), Expires: time.Now().Add(life)}}, nil
}

func (c *counting) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *counting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

func order(t *testing.T, c *Cache, s Spec) Result {
	t.Helper()
	got, err := c.Vend(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestASetIsHandedOutWhileEnoughOfItsLifeRemains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ life, good time.Duration }{
		{time.Hour, 45 * time.Minute}, {30 * time.Minute, 15 * time.Minute}, {20 * time.Minute, 10 * time.Minute},
		{15 * time.Minute, 7*time.Minute + 30*time.Second}, {12 * time.Hour, 12*time.Hour - 15*time.Minute},
	} {
		synctest.Test(t, func(t *testing.T) {
			next := &counting{life: c.life}
			cache := NewCache(next, CacheConfig{Now: time.Now})
			if first := order(t, cache, spec()); first.Cached || first.Stale {
				t.Errorf("life %s: the first is %+v", c.life, first)
			}
			time.Sleep(c.good)
			if again := order(t, cache, spec()); !again.Cached || again.Credentials.AccessKeyID != "key-1" {
				t.Errorf("life %s, after %s: %+v", c.life, c.good, again)
			}
			time.Sleep(time.Second)
			if renewed := order(t, cache, spec()); renewed.Cached || renewed.Credentials.AccessKeyID != "key-2" {
				t.Errorf("life %s, a second later: %+v", c.life, renewed)
			}
		})
	}
}

func TestWhileSTSIsDownAValidSetIsServedAndSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &counting{life: time.Hour}
		cache := NewCache(next, CacheConfig{Now: time.Now})
		order(t, cache, spec())
		next.fail(fmt.Errorf("down: %w", ErrUnavailable))
		time.Sleep(59 * time.Minute)
		if got := order(t, cache, spec()); !got.Stale || !got.Cached || got.Credentials.AccessKeyID != "key-1" {
			t.Errorf("%+v", got)
		}
		next.fail(&Refused{Code: "AccessDenied"})
		if got, err := cache.Vend(t.Context(), spec()); !isRefusal(err, "AccessDenied") {
			t.Errorf("a refusal must not be papered over: %+v, %v", got, err)
		}
		next.fail(ErrUnavailable)
		other := spec()
		other.Session = "s-2"
		if got, err := cache.Vend(t.Context(), other); !errors.Is(err, ErrUnavailable) {
			t.Errorf("another session was served %+v, %v", got, err)
		}
		time.Sleep(time.Minute)
		if got, err := cache.Vend(t.Context(), spec()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("at its end it was served still: %+v, %v", got, err)
		}
	})
}

func TestNothingIsServedPastTheSpecsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &counting{life: time.Hour}
		cache := NewCache(next, CacheConfig{Now: time.Now})
		s := spec()
		s.NotAfter = time.Now().Add(10 * time.Minute)
		order(t, cache, s)
		time.Sleep(10*time.Minute - time.Second)
		if !order(t, cache, s).Cached {
			t.Error("before its end it comes from the cache")
		}
		next.fail(ErrUnavailable)
		time.Sleep(time.Second)
		if got, err := cache.Vend(t.Context(), s); err == nil {
			t.Errorf("at its end: %+v", got)
		}
	})
}

// Each field of a Spec must change the key: one that is forgotten would hand
// one order's credentials to another.
func TestEveryFieldOfASpecMakesAnotherKey(t *testing.T) {
	t.Parallel()
	base, seen := spec(), map[key]string{}
	seen[keyOf(base)] = "nothing"
	note := func(field string, s Spec) {
		t.Helper()
		if before, ok := seen[keyOf(s)]; ok {
			t.Errorf("a change of %s has the key of a change of %s", field, before)
		}
		seen[keyOf(s)] = field
	}
	kind := reflect.TypeFor[Spec]()
	for i := range kind.NumField() {
		s := spec()
		field := reflect.ValueOf(&s).Elem().Field(i)
		switch value := field.Addr().Interface().(type) {
		case *string:
			*value += "x"
		case *time.Duration:
			*value++
		case *int64:
			*value++
		case *time.Time:
			*value = time.Unix(1, 0)
		case *[]string:
			*value = append([]string{"x"}, *value...)
		case *[]iam.Tag:
			*value = append([]iam.Tag{{Key: "x"}}, *value...)
		case *iam.RoleARN:
			value.Name += "x"
		case *secret.String:
			*value = secret.New("other")
		case *func(context.Context) (secret.String, error):
			continue // made from the other fields
		default:
			t.Fatalf("the field %s is of a type that this test does not know: add it to keyOf and here", kind.Field(i).Name)
		}
		note(kind.Field(i).Name, s)
	}
	for name, change := range map[string]func(*Spec){
		"the border of two texts":     func(s *Spec) { s.SessionName, s.SourceIdentity = "alicecorp=", "u-1" },
		"the border of key and value": func(s *Spec) { s.Tags = []iam.Tag{{Key: "a1", Value: ""}, {Key: "b", Value: "2"}} },
		"the border of two lists":     func(s *Spec) { s.TransitiveTags, s.PolicyARNs = append(s.TransitiveTags, s.PolicyARNs...), nil },
		"the role's path":             func(s *Spec) { s.Role.Path = "/" },
		"the role's account":          func(s *Spec) { s.Role.Account = "444455556666" },
		"the role's partition":        func(s *Spec) { s.Role.Partition = "aws-cn" },
	} {
		s := spec()
		change(&s)
		note(name, s)
	}
}

func TestConcurrentOrdersMakeOneCall(t *testing.T) {
	t.Parallel()
	const orders = 10_000
	next := &counting{life: time.Hour, takes: 50 * time.Millisecond}
	cache := NewCache(next, CacheConfig{Now: time.Now})
	var group sync.WaitGroup
	var fresh atomic.Int32
	for range orders {
		group.Go(func() {
			got, err := cache.Vend(t.Context(), spec())
			if err != nil || got.Credentials.AccessKeyID != "key-1" {
				t.Errorf("%+v, %v", got, err)
			}
			if !got.Cached {
				fresh.Add(1)
			}
		})
	}
	group.Wait()
	if next.count() != 1 || fresh.Load() != 1 {
		t.Errorf("%d calls, %d orders say that they made one", next.count(), fresh.Load())
	}
}

func TestWhoGoesAwayDoesNotCancelTheOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &counting{life: time.Hour, takes: time.Second}
		cache := NewCache(next, CacheConfig{Now: time.Now})
		leaving, cancel := context.WithCancel(t.Context())
		results := make(chan error, 3)
		order := func(ctx context.Context) {
			go func() { _, err := cache.Vend(ctx, spec()); results <- err }()
			synctest.Wait()
		}
		order(leaving) // makes the call, and stays with it
		order(leaving)
		order(t.Context())
		cancel()
		if err := <-results; !errors.Is(err, context.Canceled) {
			t.Errorf("who waited and left got %v", err)
		}
		for range 2 {
			if err := <-results; err != nil {
				t.Errorf("who made the call, or stayed, got %v", err)
			}
		}
		if next.count() != 1 {
			t.Errorf("%d calls", next.count())
		}
	})
}

func TestAFailureIsNotKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &counting{life: time.Hour, err: ErrUnavailable}
		cache := NewCache(next, CacheConfig{Now: time.Now})
		if _, err := cache.Vend(t.Context(), spec()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v", err)
		}
		next.fail(nil)
		if got := order(t, cache, spec()); got.Cached || next.count() != 2 {
			t.Errorf("%+v after %d calls", got, next.count())
		}
	})
}

func TestWhatASessionHadIsForgottenWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &counting{life: time.Hour}
		cache := NewCache(next, CacheConfig{Now: time.Now})
		other := spec()
		other.Session = "s-2"
		order(t, cache, spec())
		order(t, cache, other)
		cache.Forget("s-1")
		cache.Forget("never there")
		if order(t, cache, spec()).Cached || !order(t, cache, other).Cached {
			t.Error("Forget must drop the one session and no other")
		}
		// What is being ordered while the session ends is not kept.
		next.takes = time.Second
		third := spec()
		third.Session = "s-3"
		done := make(chan error, 1)
		go func() { _, err := cache.Vend(t.Context(), third); done <- err }()
		synctest.Wait()
		cache.Forget("s-3")
		if err := <-done; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		before := next.count()
		if order(t, cache, third).Cached || next.count() != before+1 {
			t.Error("an order in flight was kept for a session that had ended")
		}
	})
}

func TestTheCacheIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &counting{life: time.Hour}
		cache := NewCache(next, CacheConfig{Now: time.Now, Max: 3})
		of := func(i int) Spec {
			s := spec()
			s.Session = fmt.Sprint("s-", i)
			return s
		}
		for i := range 3 {
			order(t, cache, of(i))
		}
		order(t, cache, of(0)) // used again, so 1 is the one unused for longest
		order(t, cache, of(3))
		for i, want := range []bool{true, false, true, true} {
			cache.mu.Lock()
			_, kept := cache.kept[keyOf(of(i))]
			cache.mu.Unlock()
			if kept != want {
				t.Errorf("session %d kept: %v", i, kept)
			}
		}
		for i := range 100 {
			order(t, cache, of(i))
		}
		synctest.Wait()
		if len(cache.kept) != 3 || cache.recent.Len() != 3 || len(cache.of) != 3 || len(cache.flights) != 0 {
			t.Errorf("kept %d, list %d, sessions %d, flights %d", len(cache.kept), cache.recent.Len(), len(cache.of), len(cache.flights))
		}
	})
}

func TestOrdersForgettingAndExpiryRaceWithoutHarm(t *testing.T) {
	t.Parallel()
	next := &counting{life: time.Hour}
	cache := NewCache(next, CacheConfig{Now: time.Now, Max: 8})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 200 {
				s := spec()
				s.Session = fmt.Sprint((worker + i) % 12)
				if _, err := cache.Vend(t.Context(), s); err != nil {
					t.Error(err)
				}
				if i%7 == 0 {
					cache.Forget(s.Session)
				}
			}
		})
	}
	group.Wait()
	cache.mu.Lock()
	defer cache.mu.Unlock()
	n := 0
	for _, keys := range cache.of {
		n += len(keys)
	}
	if len(cache.kept) > 8 || n != len(cache.kept) || cache.recent.Len() != n {
		t.Errorf("kept %d, list %d, by session %d", len(cache.kept), cache.recent.Len(), n)
	}
}

func TestTheCacheBeforeRealSTS(t *testing.T) {
	t.Parallel()
	sts := newSTS(t)
	cache := NewCache(assume(t, sts, 0), CacheConfig{Now: time.Now})
	a, b := order(t, cache, spec()), order(t, cache, spec())
	if a.Credentials != b.Credentials || a.Cached || !b.Cached || len(sts.asked()) != 1 {
		t.Errorf("%+v, %+v after %d calls", a, b, len(sts.asked()))
	}
	sts.Close()
	other := spec()
	other.Duration = 2 * time.Hour
	if got, err := NewCache(assume(t, sts, 100*time.Millisecond), CacheConfig{Now: time.Now}).Vend(t.Context(), other); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%+v, %v", got, err)
	}
}

func BenchmarkCacheHit(b *testing.B) {
	b.ReportAllocs()
	cache := NewCache(&counting{life: 24 * time.Hour}, CacheConfig{Now: time.Now})
	s := spec()
	for b.Loop() {
		if _, err := cache.Vend(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkMapHit is the ceiling of BenchmarkCacheHit: one look-up by a ready key.
func BenchmarkMapHit(b *testing.B) {
	kept := map[key]Result{keyOf(spec()): {}}
	k := keyOf(spec())
	var mu sync.Mutex
	for b.Loop() {
		mu.Lock()
		_, ok := kept[k]
		mu.Unlock()
		if !ok {
			b.Fatal("gone")
		}
	}
}

// What has ended before it came is not credentials, whoever sent it.
func TestCredentialsOfThePastAreNotHandedOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := NewCache(&counting{life: -time.Hour}, CacheConfig{Now: time.Now})
		got, err := c.Vend(t.Context(), Spec{Session: "s"})
		if !errors.Is(err, ErrUnavailable) || got.Credentials.AccessKeyID != "" {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
