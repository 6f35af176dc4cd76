package assemble

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
)

// reloadable is a daemon with the text of its configuration.
type reloadable struct {
	*Daemon
	dir, text string
	log       *scripted.Log
}

const reloadText = `server: {url: https://sso.example.com}
providers:
  - {name: staff, type: oidc, issuer: "http://127.0.0.1:1/oidc", client_id: rolecall, allow_private: true, jwks_file: keys.json}
  - {name: other, type: oidc, issuer: "http://127.0.0.1:1/other", client_id: rolecall, allow_private: true}
accounts:
  - {id: "111122223333", name: production}
grants:
  - {name: admins, providers: [staff], groups: [platform], role: production/Admin}
`

// someKeys is the key set of RFC 7515 appendix A.3.
const someKeys = `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`

func newReloadable(t *testing.T) *reloadable {
	t.Helper()
	r := &reloadable{dir: t.TempDir(), text: reloadText, log: &scripted.Log{}}
	write(t, filepath.Join(r.dir, "keys.json"), someKeys, 0o600)
	c, err := r.parse(reloadText)
	if err != nil {
		t.Fatal(err)
	}
	r.Daemon = start(t, Options{Config: c, Log: slog.New(slog.NewJSONHandler(r.log, nil)), Now: time.Now})
	return r
}

func (r *reloadable) parse(text string) (*config.Config, error) {
	return config.Parse(filepath.Join(r.dir, "rolecall.yaml"), []byte(text), noEnv)
}

// reload puts the text into force in which old stands replaced by with.
func (r *reloadable) reload(t *testing.T, old, with string) error {
	t.Helper()
	if !strings.Contains(r.text, old) {
		t.Fatalf("%q is not in the configuration", old)
	}
	r.text = strings.Replace(r.text, old, with, 1)
	return r.Reload(t.Context(), func() (*config.Config, error) { return r.parse(r.text) })
}

func (r *reloadable) lastRecord(t *testing.T) string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(scripted.ReadRecord(t, filepath.Join(r.dir, "audit.jsonl"))), "\n")
	return lines[len(lines)-1]
}

func contains(t *testing.T, where, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %q:\n%s", where, want, text)
		}
	}
}

func TestAReloadChangesWhoMayHaveWhatAndWhoSignsPeopleIn(t *testing.T) {
	t.Parallel()
	r := newReloadable(t)
	if w := visit(r.Daemon, "https://sso.example.com/login"); !strings.Contains(w.Body.String(), "/oidc/other/") {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := r.reload(t, `  - {name: other, type: oidc, issuer: "http://127.0.0.1:1/other", client_id: rolecall, allow_private: true}`,
		`  - {name: third, type: oidc, issuer: "http://127.0.0.1:1/third", client_id: rolecall, allow_private: true}`); err != nil {
		t.Fatal(err)
	}
	page := visit(r.Daemon, "https://sso.example.com/login").Body.String()
	if strings.Contains(page, "/oidc/other/") || !strings.Contains(page, "/oidc/third/") {
		t.Errorf("the sign-in page: %s", page)
	}
	contains(t, "the record", r.lastRecord(t), `"event":"config.reload"`, `"outcome":"granted"`, "providers unchanged: staff", "new or changed: third", "gone: other")
	policy := r.current.Load().policy.Digest()
	if err := r.reload(t, "groups: [platform]", "groups: [operators]"); err != nil {
		t.Fatal(err)
	}
	if got := r.current.Load().policy.Digest(); got == policy {
		t.Error("the policy is the old one")
	}
	contains(t, "the record", r.lastRecord(t), "the policy changes", "providers unchanged: staff, third")
}

func TestAConfigurationThatIsWrongChangesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, with, says string }{
		"no YAML":                    {"accounts:", "accounts: [", "rolecall.yaml:"},
		"an unknown key":             {"accounts:", "acounts:", "acounts"},
		"a condition that is no CEL": {"groups: [platform]", "groups: [platform], when: 'identity.'", "rolecall.yaml:8"},
		"a provider that cannot be":  {"jwks_file: keys.json", "jwks_file: absent.json", "absent.json"},
		"a certificate that is gone": {"{url: https://sso.example.com}", "{url: https://sso.example.com, tls: {cert: a.pem, key: b.pem}}", "a.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReloadable(t)
			before := r.current.Load()
			err := r.reload(t, c.old, c.with)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
			if r.current.Load() != before {
				t.Error("another generation answers")
			}
			contains(t, "the record", r.lastRecord(t), `"event":"config.reload"`, `"outcome":"refused"`, "invalid_configuration", "rolecall.yaml")
			contains(t, "the log", r.log.String(), "stays in force")
			if w := visit(r.Daemon, "https://sso.example.com/login"); w.Code != 200 {
				t.Errorf("the sign-in page: %d", w.Code)
			}
			r.text = reloadText
			if err := r.reload(t, "groups: [platform]", "groups: [p2]"); err != nil {
				t.Errorf("and then a right one: %v", err)
			}
		})
	}
}

func TestAReloadThatCannotBeRecordedDoesNotHappen(t *testing.T) {
	t.Parallel()
	r := newReloadable(t)
	before := r.current.Load()
	if err := os.Rename(filepath.Join(r.dir, "audit.jsonl"), filepath.Join(r.dir, "gone")); err != nil {
		t.Fatal(err)
	}
	if err := r.reload(t, "groups: [platform]", "groups: [operators]"); err == nil || r.current.Load() != before {
		t.Errorf("it happened: %v", err)
	}
}

func TestProvidersThatAreUnchangedAreCarriedOver(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(t *testing.T, r *reloadable) error
		kept   []bool // staff, other
	}{
		"a remark before them": {func(t *testing.T, r *reloadable) error { return r.reload(t, "providers:", "# moved\n\nproviders:") }, []bool{true, true}},
		"a grant":              {func(t *testing.T, r *reloadable) error { return r.reload(t, "[platform]", "[p2]") }, []bool{true, true}},
		"a setting of one":     {func(t *testing.T, r *reloadable) error { return r.reload(t, "jwks_file", "label: Staff, jwks_file") }, []bool{false, true}},
		"the way out of all": {func(t *testing.T, r *reloadable) error {
			return r.reload(t, "providers:", "egress: {proxy: http://127.0.0.1:1}\nproviders:")
		}, []bool{false, false}},
		"a file that one of them names": {func(t *testing.T, r *reloadable) error {
			write(t, filepath.Join(r.dir, "keys.json"), someKeys+" ", 0o600)
			return r.reload(t, "providers:", "providers:")
		}, []bool{false, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReloadable(t)
			before := r.current.Load().upstreams
			if err := c.change(t, r); err != nil {
				t.Fatal(err)
			}
			after := r.current.Load().upstreams
			if got := []bool{before[0] == after[0], before[1] == after[1]}; !cmp.Equal(got, c.kept) {
				t.Errorf("carried over: %v, want %v", got, c.kept)
			}
		})
	}
}

func TestWhatIsOfTheProcessWaitsForARestartAndIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		more, section string
		kept          func(*config.Config) bool
	}{
		"the region":    {"aws: {region: eu-west-1}\n", "aws", func(c *config.Config) bool { return c.AWS.Region == "us-east-1" }},
		"the store":     {"store: sqlite:other.db\n", "store", func(c *config.Config) bool { return c.Store.Value == "sqlite:rolecall.db" }},
		"the record":    {"audit: {file: other.jsonl}\n", "audit", func(c *config.Config) bool { return c.Audit.File == "" }},
		"the limits":    {"limits: {per_address: 5/m}\n", "limits", func(c *config.Config) bool { return c.Limits.PerAddress.Events == 300 }},
		"the issuer":    {"issuer: {url: https://id.example.com}\n", "issuer", func(c *config.Config) bool { return c.Issuer.URL.Value == "https://sso.example.com" }},
		"its own words": {"aws: {outlive_session: false}\n", "", func(c *config.Config) bool { return !c.AWS.OutliveSession }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReloadable(t)
			if err := r.reload(t, "providers:", c.more+"providers:"); err != nil {
				t.Fatal(err)
			}
			if !c.kept(r.current.Load().options.Config) {
				t.Errorf("it runs with %+v", r.current.Load().options.Config)
			}
			if waits := "wait for a restart: " + c.section; c.section != "" {
				contains(t, "the record", r.lastRecord(t), waits)
				contains(t, "the log", r.log.String(), "wait for a restart")
			} else if strings.Contains(r.lastRecord(t), "restart") {
				t.Errorf("a restart is asked for: %s", r.lastRecord(t))
			}
		})
	}
	t.Run("the address", func(t *testing.T) {
		t.Parallel()
		r := newReloadable(t)
		if err := r.reload(t, "https://sso.example.com", "https://new.example.com"); err != nil {
			t.Fatal(err)
		}
		if w := visit(r.Daemon, "https://sso.example.com/login"); w.Code != 200 {
			t.Errorf("at the old address: %d", w.Code)
		}
		contains(t, "the record", r.lastRecord(t), "wait for a restart: server.url, issuer")
	})
}

// serve runs the daemon until the test ends.
func (r *reloadable) serve(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.Serve(ctx, listener) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

func TestTheOldGenerationDrainsAndThenStopsWhatIsLeftOfIt(t *testing.T) {
	t.Parallel()
	r := newReloadable(t)
	first := r.current.Load()
	stopped := make([]chan struct{}, len(first.upstreams))
	for i, u := range first.upstreams {
		stopped[i] = make(chan struct{})
		u.run = func(ctx context.Context) { <-ctx.Done(); close(stopped[i]) }
	}
	r.serve(t)
	if w := visit(r.Daemon, "https://sso.example.com/healthz"); w.Code != 200 { // it serves
		t.Fatal(w.Code)
	}
	for r.running() != len(first.upstreams) {
		time.Sleep(time.Millisecond) // Serve has begun in a goroutine of its own
	}
	request := r.enter()
	if request != first {
		t.Fatal("another generation")
	}
	if err := r.reload(t, "name: other, type: oidc,", "name: other, type: oidc, label: Changed,"); err != nil {
		t.Fatal(err)
	}
	if g := r.enter(); g == first {
		t.Error("a new request is answered by the old generation")
	} else {
		g.use.leave()
	}
	select {
	case <-stopped[1]:
		t.Fatal("the provider was stopped under a request")
	case <-time.After(50 * time.Millisecond):
	}
	request.use.leave()
	select {
	case <-stopped[1]:
	case <-time.After(10 * time.Second):
		t.Fatal("the provider that is gone was not stopped")
	}
	select {
	case <-stopped[0]:
		t.Error("the provider that was carried over was stopped")
	default:
	}
}

// running counts the providers that run in the background.
func (r *reloadable) running() (n int) {
	r.reloading.Lock()
	defer r.reloading.Unlock()
	for _, u := range r.current.Load().upstreams {
		if u.stop != nil {
			n++
		}
	}
	return n
}

func TestRequestsGoOnThroughReloads(t *testing.T) {
	t.Parallel()
	r := newReloadable(t)
	r.serve(t)
	done := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if w := visit(r.Daemon, "https://sso.example.com/login"); w.Code != 200 {
					t.Errorf("%d", w.Code)
				}
			}
		})
	}
	for range 10 {
		if err := errors.Join(r.reload(t, "[platform]", "[operators]"), r.reload(t, "[operators]", "[platform]")); err != nil {
			t.Error(err)
		}
	}
	close(done)
	group.Wait()
	if n := r.current.Load().use.users.Load(); n != 0 {
		t.Errorf("%d requests are left", n)
	}
}

func TestAReloadShowsTheNewCertificate(t *testing.T) {
	t.Parallel()
	cert, key, _ := ownCertificate(t)
	newCert, newKey, newRoots := ownCertificate(t)
	r := &reloadable{dir: t.TempDir(), log: &scripted.Log{}, text: strings.Replace(reloadText, "{url: https://sso.example.com}",
		"{url: https://sso.example.com, tls: {cert: "+cert+", key: "+key+"}}", 1)}
	write(t, filepath.Join(r.dir, "keys.json"), someKeys, 0o600)
	c, err := r.parse(r.text)
	if err != nil {
		t.Fatal(err)
	}
	r.Daemon = start(t, Options{Config: c, Log: slog.New(slog.NewJSONHandler(r.log, nil)), Now: time.Now})
	address := r.serve(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: newRoots}, DisableKeepAlives: true}}
	if resp, err := client.Get("https://" + address + "/healthz"); err == nil {
		_ = resp.Body.Close()
		t.Fatal("the new certificate is shown before the reload")
	}
	for from, to := range map[string]string{newCert: cert, newKey: key} { // as a renewal does
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write(t, to, string(text), 0o600)
	}
	if err := r.reload(t, "providers:", "providers:"); err != nil {
		t.Fatal(err)
	}
	resp, err := client.Get("https://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}
