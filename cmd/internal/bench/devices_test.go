package bench

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/device"
)

// crowds are how many devices are in the store; ROLECALL_BENCH_CROWD=small leaves the
// largest out, which takes minutes to fill.
func crowds() []int {
	sizes := []int{1_000, 10_000, 100_000, 1_000_000}
	if os.Getenv("ROLECALL_BENCH_CROWD") == "small" {
		sizes = sizes[:3]
	}
	return sizes
}

// BenchmarkDevices registers a device, and fetches credentials that the cache has,
// beside crowds of different sizes: neither may slow down with the crowd. Crowds take
// turns within one run; the ratio is that of the largest to the smallest.
func BenchmarkDevices(b *testing.B) {
	var places []*place
	for _, n := range crowds() {
		places = append(places, crowded(b, n))
	}
	for _, path := range []struct {
		name string
		act  func(context.Context, *place) error
	}{{"register", registers}, {"fetch", fetches}} {
		b.Run(path.name, func(b *testing.B) {
			took := make([][]time.Duration, len(places))
			for b.Loop() {
				for i, p := range places {
					begun := time.Now()
					together(b, connections, 4*connections, func() error { return path.act(b.Context(), p) })
					took[i] = append(took[i], time.Since(begun)/(4*connections))
				}
			}
			var medians []float64
			for i, p := range places {
				slices.Sort(took[i])
				medians = append(medians, float64(took[i][len(took[i])/2].Nanoseconds())/1e3)
				b.ReportMetric(medians[i], fmt.Sprintf("us-at-%d", p.devices))
			}
			b.ReportMetric(medians[len(medians)-1]/medians[0], "largest/smallest")
		})
	}
	last := places[len(places)-1]
	b.ReportMetric(float64(last.bytes)/float64(last.devices), "disk-bytes/device")
}

// place is a broker with a crowd in its store, and phones that have credentials.
type place struct {
	url     string
	devices int
	bytes   int64
	client  *http.Client
	phones  chan *scripted.Phone
	nonce   atomic.Pointer[string]
}

// registers makes a new device: a key, a proof, one write.
func registers(ctx context.Context, p *place) error {
	phone := scripted.NewPhone(p.url, "notes")
	phone.Client = p.client
	if known := p.nonce.Load(); known != nil {
		phone.Nonce = *known
	}
	answer, err := phone.Register(ctx)
	p.nonce.Store(&phone.Nonce)
	if err == nil && answer.Status != http.StatusCreated {
		err = fmt.Errorf("registered: %s", answer)
	}
	return err
}

// fetches gets the credentials that a phone got before.
func fetches(ctx context.Context, p *place) error {
	phone := <-p.phones
	defer func() { p.phones <- phone }()
	answer, err := phone.Credentials(ctx, "")
	if err == nil && answer.Status == http.StatusUnauthorized { // ten minutes are over
		if _, err = phone.Renew(ctx); err == nil {
			answer, err = phone.Credentials(ctx, "")
		}
	}
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("credentials: %s", answer)
	}
	return err
}

// crowded makes a broker with n devices in its store.
func crowded(b *testing.B, n int) *place {
	b.Helper()
	dir := b.TempDir()
	file := filepath.Join(dir, "rolecall.db")
	fill(b, file, n)
	p := &place{devices: n, client: &http.Client{Transport: transport()}, phones: make(chan *scripted.Phone, 4*connections)}
	if info, err := os.Stat(file); err == nil {
		p.bytes = info.Size()
	}
	stsURL, _ := stubSTS(b)
	var broker http.Handler
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { broker.ServeHTTP(w, r) }))
	b.Cleanup(server.Close)
	p.url = server.URL
	broker = vending(b, p.url, file, stsURL)
	for range cap(p.phones) {
		phone := scripted.NewPhone(p.url, "notes")
		phone.Client = p.client
		if answer, err := phone.Register(b.Context()); err != nil || answer.Status != http.StatusCreated {
			b.Fatal(answer, err)
		}
		p.phones <- phone
	}
	return p
}

// vending is a whole daemon with the app notes.
func vending(b *testing.B, url, file, stsURL string) http.Handler {
	b.Helper()
	text := fmt.Sprintf(`
server: {url: %q, listen: "127.0.0.1:0"}
store: %q
aws: {endpoint: %q}
limits: {per_address: 1000000/s, per_subject: 1000000/s}
providers: [{name: ci, type: oidc, issuer: "https://idp.example.com", client_id: rolecall}]
accounts: [{id: "111122223333", name: production}]
grants:
  - {name: guests, guests: true, role: production/Admin, duration: 1h}
apps:
  - {name: notes, guests: true, grants: [guests], guest_duration: 1h, limits: {registrations: 1000000/s, per_device: 1000000/s}}
`, url, "sqlite:"+file, stsURL)
	c, err := config.Parse("rolecall.yaml", []byte(text), nil)
	if err != nil {
		b.Fatal(err)
	}
	d, err := assemble.New(b.Context(), assemble.Options{
		Config: c, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		AWS: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "secret", ""),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = d.Close() })
	return d.Handler()
}

// fill registers n guests' devices with their tokens, by the store's own writes.
func fill(b *testing.B, file string, n int) {
	b.Helper()
	store, err := sqlite.Open(b.Context(), file)
	if err != nil {
		b.Fatal(err)
	}
	tokens := session.NewTokens(store, time.Now)
	together(b, 512, n, func() error {
		id, now := rand.Text(), time.Now()
		d := device.Device{ID: "dev-" + id, App: "notes", IdentityID: "id-" + id, Thumbprint: rand.Text() + rand.Text()[:17], Created: now}
		return tokens.Begin(b.Context(), session.Family{
			ID: rand.Text(), Client: "notes", Via: "tvm", Scope: []string{"offline_access"}, Device: d.ID, Registers: &d, Guest: true,
			Identity: idp.Identity{ID: d.IdentityID, Provider: device.Provider, Subject: d.ID, Username: d.IdentityID, Methods: []string{"pop"}, AuthenticatedAt: now},
			Since:    now, Until: now.Add(90 * 24 * time.Hour), Idle: 90 * 24 * time.Hour, Grace: 30 * time.Second,
		}, session.Pair{Access: rand.Text() + rand.Text(), AccessUntil: now.Add(10 * time.Minute), Refresh: rand.Text() + rand.Text(), Thumbprint: d.Thumbprint})
	})
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}

// together does n things, by so many workers.
func together(b *testing.B, workers, n int, do func() error) {
	b.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for next.Add(1) <= int64(n) {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
}
