package vend

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
)

// slow is a vendor that answers after a while and knows how many were in it at once.
type slow struct {
	mu       sync.Mutex
	in, most int
	takes    time.Duration
}

func (s *slow) Vend(ctx context.Context, spec Spec) (Result, error) {
	s.mu.Lock()
	s.in++
	s.most = max(s.most, s.in)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.in--; s.mu.Unlock() }()
	select {
	case <-time.After(s.takes):
		return Result{}, nil
	case <-ctx.Done():
		return Result{}, ctx.Err()
	}
}

func TestNoMoreOrdersThanAllowedAreAtSTSAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &slow{takes: time.Second}
		bound := NewBound(next, BoundConfig{Max: 3, Timeout: 10 * time.Second})
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() {
				if _, err := bound.Vend(t.Context(), spec()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if bound.Queue() != 7 || bound.InFlight() != 3 {
			t.Errorf("%d wait, %d are in flight", bound.Queue(), bound.InFlight())
		}
		group.Wait()
		if next.most != 3 || bound.Queue() != 0 || bound.InFlight() != 0 {
			t.Errorf("%d at once; then %d wait, %d are in flight", next.most, bound.Queue(), bound.InFlight())
		}
	})
}

func TestWaitingIsPartOfTheTimeOfAnOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bound := NewBound(&slow{takes: time.Hour}, BoundConfig{Max: 1, Timeout: 10 * time.Second})
		errs := make(chan error, 3)
		began := time.Now()
		leaving, cancel := context.WithCancel(t.Context())
		for _, ctx := range []context.Context{t.Context(), t.Context(), leaving} {
			go func() { _, err := bound.Vend(ctx, spec()); errs <- err }()
			synctest.Wait()
		}
		cancel()
		if err := <-errs; !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
			t.Errorf("who left got %v", err)
		}
		for range 2 { // one at STS, one in the queue
			if err := <-errs; !errors.Is(err, ErrUnavailable) {
				t.Errorf("%v", err)
			}
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// A crowd that STS cannot serve in time gets what the cache still has.
func TestAFullQueueServesWhatIsStillGood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &counting{life: 20 * time.Minute}
		bound := NewBound(next, BoundConfig{Max: 1, Timeout: time.Second})
		cache := NewCache(bound, CacheConfig{Now: time.Now})
		order(t, cache, spec())
		time.Sleep(12 * time.Minute) // synctest: no time passes; the set is past its half
		bound.places <- struct{}{}
		got, err := cache.Vend(t.Context(), spec())
		if err != nil || !got.Stale {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

// regions sends the hosts of AWS's regions to fakes.
type regions map[string]*fakeSTS

func (r regions) Do(req *http.Request) (*http.Response, error) {
	for region, fake := range r {
		if req.URL.Host == "sts."+region+".amazonaws.com" {
			req = req.Clone(req.Context())
			req.URL.Scheme, req.URL.Host = "http", strings.TrimPrefix(fake.URL, "http://")
			return http.DefaultTransport.RoundTrip(req)
		}
	}
	return nil, errors.New("no such host: " + req.URL.Host)
}

func elsewhereConfig(r regions) Config {
	return Config{
		Credentials: credentials.NewStaticCredentialsProvider("AKIABROKER", "broker-secret", ""),
		Region:      "eu-west-1", Fallback: []string{"eu-central-1", "us-east-1"}, HTTP: r, Timeout: 9 * time.Second,
	}
}

func TestAnotherRegionAnswersWhereOneIsDown(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second func(*fakeSTS)
		asked         [3]int // most calls
		refused       string
	}{
		"all is well":        {func(*fakeSTS) {}, func(*fakeSTS) {}, [3]int{1, 0, 0}, ""},
		"it fails":           {func(f *fakeSTS) { f.answer = refuse(503, "ServiceUnavailable", "") }, func(*fakeSTS) {}, [3]int{2, 1, 0}, ""},
		"it throttles":       {func(f *fakeSTS) { f.answer = refuse(400, "Throttling", "") }, func(*fakeSTS) {}, [3]int{2, 1, 0}, ""},
		"it is not there":    {func(f *fakeSTS) { f.Close() }, func(*fakeSTS) {}, [3]int{0, 1, 0}, ""},
		"two are not there":  {func(f *fakeSTS) { f.Close() }, func(f *fakeSTS) { f.Close() }, [3]int{0, 0, 1}, ""},
		"it is switched off": {func(f *fakeSTS) { f.answer = refuse(403, "RegionDisabledException", "") }, func(*fakeSTS) {}, [3]int{1, 1, 0}, ""},
		"it says no":         {func(f *fakeSTS) { f.answer = refuse(403, "AccessDenied", "") }, func(*fakeSTS) {}, [3]int{1, 0, 0}, "AccessDenied"},
		"the second says no": {func(f *fakeSTS) { f.Close() }, func(f *fakeSTS) { f.answer = refuse(403, "AccessDenied", "") }, [3]int{0, 1, 0}, "AccessDenied"},
		"the second is off":  {func(f *fakeSTS) { f.Close() }, func(f *fakeSTS) { f.answer = refuse(403, "RegionDisabledException", "") }, [3]int{0, 1, 1}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fakes := []*fakeSTS{newSTS(t), newSTS(t), newSTS(t)}
			c.first(fakes[0])
			c.second(fakes[1])
			a, err := NewAssumeRole(elsewhereConfig(regions{"eu-west-1": fakes[0], "eu-central-1": fakes[1], "us-east-1": fakes[2]}))
			if err != nil {
				t.Fatal(err)
			}
			got, err := a.Vend(t.Context(), spec())
			if c.refused != "" && !isRefusal(err, c.refused) || c.refused == "" && (err != nil || got.Credentials.AccessKeyID == "") {
				t.Errorf("%+v, %v", got, err)
			}
			for i, f := range fakes {
				if n := len(f.asked()); n > c.asked[i] || c.asked[i] > 0 && n == 0 {
					t.Errorf("region %d was asked %d times", i, n)
				}
			}
		})
	}
}

func TestAllRegionsTogetherHaveTheTriesAndTheTimeOfOneOrder(t *testing.T) {
	t.Parallel()
	fakes := []*fakeSTS{newSTS(t), newSTS(t), newSTS(t)}
	for _, f := range fakes {
		f.answer = refuse(500, "InternalFailure", "")
	}
	config := elsewhereConfig(regions{"eu-west-1": fakes[0], "eu-central-1": fakes[1], "us-east-1": fakes[2]})
	a, err := NewAssumeRole(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Vend(t.Context(), spec()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if n := len(fakes[0].asked()) + len(fakes[1].asked()) + len(fakes[2].asked()); n > 6 {
		t.Errorf("%d tries in all", n)
	}
	// A region that hangs leaves the next one its part of the time.
	release := make(chan struct{})
	defer close(release)
	hang := newSTS(t)
	hang.answer = func(_ int, _ url.Values, _ http.ResponseWriter) { <-release }
	config.HTTP = regions{"eu-west-1": hang, "eu-central-1": newSTS(t), "us-east-1": fakes[2]}
	config.Timeout = 900 * time.Millisecond
	if a, err = NewAssumeRole(config); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Vend(t.Context(), spec()); err != nil || got.Credentials.AccessKeyID == "" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestOwnWrongKeysAreNotCarriedFromRegionToRegion(t *testing.T) {
	t.Parallel()
	fakes := []*fakeSTS{newSTS(t), newSTS(t)}
	for _, f := range fakes {
		f.answer = refuse(403, "InvalidClientTokenId", "")
	}
	a, err := NewAssumeRole(elsewhereConfig(regions{"eu-west-1": fakes[0], "eu-central-1": fakes[1]}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Vend(t.Context(), spec()); !errors.Is(err, ErrUnavailable) || len(fakes[1].asked()) != 0 {
		t.Errorf("%v, the second was asked %d times", err, len(fakes[1].asked()))
	}
}
