package assemble

import (
	"context"
	"errors"
	"html"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
)

// world is a Dev that runs until the test ends.
type world struct {
	*Dev
	log *scripted.Log
}

// run starts a Dev on free ports; change may alter its configuration before the
// broker is built from it.
func run(t testing.TB, change func(*config.Config)) world {
	t.Helper()
	return runAt(t, time.Now, change)
}

// runIn is run in a mode of dev.
func runIn(t testing.TB, mode string) world {
	t.Helper()
	return runWith(t, DevOptions{Mode: mode, Now: time.Now}, nil)
}

// runAt is run with a clock, which may be a few minutes off: the SDK's is right.
func runAt(t testing.TB, now func() time.Time, change func(*config.Config)) world {
	t.Helper()
	return runWith(t, DevOptions{Now: now}, change)
}

func runWith(t testing.TB, options DevOptions, change func(*config.Config)) world {
	t.Helper()
	log := &scripted.Log{}
	options.Listen, options.Data = "127.0.0.1:0", t.TempDir()
	options.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w := world{log: log, Dev: &Dev{options: options}}
	err := w.prepare(t.Context())
	if err == nil && change != nil {
		change(w.Config)
	}
	if err == nil {
		err = w.build(t.Context())
	}
	if err != nil {
		t.Fatal(errors.Join(err, w.Close()))
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-ended, w.Close()); err != nil {
			t.Errorf("the end: %v", err)
		}
	})
	return w
}

// signIn gives alice's browser on the list of her roles.
func (w world) signIn(t *testing.T, provider string) *scripted.Browser {
	t.Helper()
	b, err := scripted.New()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SignIn(w.URL+"/", provider, scripted.Person{Name: "alice", Password: w.People[0].Password.Reveal()}); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != 200 || b.Page.URL.Path != "/" {
		t.Fatalf("the sign-in ended at %s: %d", b.Page.URL, b.Page.Status)
	}
	return b
}

// order presses the button that makes keys; the answer is the browser's page.
func order(t *testing.T, b *scripted.Browser, base, role string) {
	t.Helper()
	if err := b.Get(base + "/keys?role=" + role); err != nil {
		t.Fatal(err)
	}
	for _, f := range b.Page.Forms() {
		if f.Action == "/keys" {
			if err := b.Submit(f, nil); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no button makes keys: %d %s", b.Page.Status, b.Page.URL)
}

var keyID = regexp.MustCompile(`ASIA[A-Z0-9]{16}`)

func keysOn(p scripted.Page) string { return keyID.FindString(html.UnescapeString(p.Text)) }

// record is the audit file; its chain must hold.
func (w world) record(t *testing.T) string {
	t.Helper()
	text := scripted.ReadRecord(t, filepath.Join(w.options.Data, "audit.jsonl"))
	if _, err := audit.Verify(strings.NewReader(text)); err != nil {
		t.Errorf("the record: %v", err)
	}
	return text
}

func status(t *testing.T, address, host string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if host != "" {
		r.Host = host
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// without fails if text holds one of the secrets.
func without(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			t.Errorf("%s holds a secret that begins with %.6s", where, s)
		}
	}
}

// visit asks a daemon that has no listener.
func visit(d *Daemon, address string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, address, nil))
	return w
}
