package assemble

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
)

// stuff sends bad logins at a rate, each from an address and for an account of its
// own, until stop is closed; it counts what came back by status.
func stuff(t testing.TB, base string, perSecond int, stop <-chan struct{}) (count *sync.Map, done func()) {
	t.Helper()
	count = &sync.Map{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256, MaxConnsPerHost: 256}, Timeout: 10 * time.Second}
	jobs := make(chan int, perSecond)
	var group sync.WaitGroup
	for range 256 {
		group.Go(func() {
			for n := range jobs {
				form := url.Values{"email": {fmt.Sprintf("victim%d@example.com", n)}, "password": {"a wrong password of a list"}}
				r, err := http.NewRequest(http.MethodPost, base+"/directory/people/login", strings.NewReader(form.Encode()))
				if err != nil {
					return
				}
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				r.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255))
				resp, err := client.Do(r)
				status := -1
				if err == nil {
					_, _ = io.Copy(io.Discard, resp.Body) // so that the connection is used again
					_ = resp.Body.Close()
					status = resp.StatusCode
				}
				one, _ := count.LoadOrStore(status, new(atomic.Int64))
				one.(*atomic.Int64).Add(1)
			}
		})
	}
	group.Go(func() {
		defer close(jobs)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; {
			select {
			case <-stop:
				return
			case <-tick.C:
				for range perSecond / 100 {
					select {
					case jobs <- n:
						n++
					default: // the machine does not keep up
					}
				}
			}
		}
	})
	return count, group.Wait
}

// fetches is how long an honest device waits for credentials that the cache has.
func fetches(t testing.TB, p *scripted.Phone, n int) []time.Duration {
	t.Helper()
	var all []time.Duration
	for range n {
		begun := time.Now()
		answer, err := p.Credentials(t.Context(), "")
		if err != nil || answer.Status != http.StatusOK {
			t.Fatalf("an honest device: %s, %v", answer, err)
		}
		all = append(all, time.Since(begun))
		time.Sleep(3 * time.Millisecond)
	}
	slices.Sort(all)
	return all
}

// A flood of bad logins is shed: few are judged, the rest is told to come again, the
// record stays small, and honest devices go on.
func TestAFloodOfBadLoginsIsShed(t *testing.T) {
	x := newTown(t, behindProxy)
	p := x.phone(t)
	fetches(t, p, 20)
	stop := make(chan struct{})
	count, done := stuff(t, x.URL, 500, stop)
	fetches(t, p, 100)
	close(stop)
	done()
	of := func(status int) int64 {
		if n, ok := count.Load(status); ok {
			return n.(*atomic.Int64).Load()
		}
		return 0
	}
	if of(http.StatusServiceUnavailable) == 0 || of(http.StatusForbidden) == 0 || of(-1) > 0 || of(http.StatusInternalServerError) > 0 {
		count.Range(func(status, n any) bool { t.Errorf("%v: %d", status, n.(*atomic.Int64).Load()); return true })
	}
	if n := int64(strings.Count(x.record(t), `"event":"signin"`)); n > of(http.StatusForbidden)+of(http.StatusServiceUnavailable)/2 {
		t.Errorf("%d records", n)
	}
}

func behindProxy(c *config.Config) {
	c.Server.TrustedProxies = []config.Text{text("127.0.0.0/8")}
	c.Limits.PerSubject = config.Rate{Events: 1 << 20, Period: time.Minute}
	c.Limits.PerAddress = config.Rate{Events: 1 << 20, Period: time.Minute}
	c.Apps[0].Limits.PerDevice = config.Rate{Events: 1 << 20, Period: time.Minute}
}

// BenchmarkHonestDeviceAmongBadLogins gives the latency of cached credentials alone,
// and while a thousand bad logins a second arrive.
func BenchmarkHonestDeviceAmongBadLogins(b *testing.B) {
	x := newTownOf(b, behindProxy)
	p := scripted.NewPhone(x.URL, "notes")
	if answer, err := p.Register(b.Context()); err != nil || answer.Status != http.StatusCreated {
		b.Fatalf("%s, %v", answer, err)
	}
	fetches(b, p, 50)
	alone := fetches(b, p, 500)
	stop := make(chan struct{})
	count, done := stuff(b, x.URL, 1000, stop)
	time.Sleep(time.Second)
	begun := time.Now()
	among := fetches(b, p, 500)
	took := time.Since(begun)
	close(stop)
	done()
	total := int64(0)
	count.Range(func(status, n any) bool {
		total += n.(*atomic.Int64).Load()
		b.Logf("status %v: %d", status, n.(*atomic.Int64).Load())
		return true
	})
	for _, q := range []int{50, 99} {
		b.ReportMetric(float64(alone[len(alone)*q/100].Microseconds()), fmt.Sprintf("alone-p%d-µs", q))
		b.ReportMetric(float64(among[len(among)*q/100].Microseconds()), fmt.Sprintf("among-p%d-µs", q))
	}
	b.ReportMetric(float64(total)/(took+time.Second).Seconds(), "bad/s")
}
