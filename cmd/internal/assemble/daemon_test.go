package assemble

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
)

// served is a configuration in a folder of its own, with more text after its server section.
func served(t *testing.T, dir, server, more string) Options {
	t.Helper()
	text := "server:\n  url: https://sso.example.com\n  trusted_proxies: [10.0.0.0/8]\n" + server + `
store: sqlite:rolecall.db
providers:
  - {name: staff, type: oidc, issuer: "http://127.0.0.1:1/oidc", client_id: rolecall, allow_private: true, groups: {claim: groups}}
accounts:
  - {id: "111122223333", name: production}
grants:
  - {name: admins, providers: [staff], groups: [platform], role: production/Admin}
` + more
	c, err := config.Parse(filepath.Join(dir, "rolecall.yaml"), []byte(text), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	return Options{Config: c, Log: slog.New(slog.DiscardHandler), Now: time.Now}
}

func start(t *testing.T, options Options) *Daemon {
	t.Helper()
	d, err := New(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestStateThatCannotBeUsedIsSaidByItsFileAndNothingStaysOpen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(t *testing.T, dir string)
		says  string
	}{
		"a store that is no store": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "rolecall.db"), strings.Repeat("not a database ", 1000), 0o600)
		}, "rolecall.db"},
		"a store that is a folder": {func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, "rolecall.db"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "rolecall.db"},
		"a key file of something else":  {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "rolecall.key"), "hello\n", 0o600) }, "rolecall.key"},
		"an empty key file":             {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "rolecall.key"), "", 0o600) }, "rolecall.key"},
		"a key file that others read":   {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "rolecall.key"), "x", 0o644) }, "chmod"},
		"a record that somebody edited": {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "audit.jsonl"), "{}\n", 0o600) }, "audit.jsonl"},
		"a record that is no file": {func(t *testing.T, dir string) {
			if err := os.Symlink("/dev/null", filepath.Join(dir, "audit.jsonl")); err != nil {
				t.Fatal(err)
			}
		}, "audit.jsonl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c.spoil(t, dir)
			d, err := New(t.Context(), served(t, dir, "", ""))
			if err == nil || d != nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v, want %q", err, c.says)
			}
			for _, f := range []string{"rolecall.db", "rolecall.key", "audit.jsonl"} {
				if err := os.RemoveAll(filepath.Join(dir, f)); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range []string{"rolecall.db-wal", "rolecall.db-shm"} {
				if _, err := os.Stat(filepath.Join(dir, f)); err == nil {
					t.Errorf("%s is still there, so the store was not closed", f)
				}
			}
			start(t, served(t, dir, "", "")) // nobody holds a lock
		})
	}
}

func TestTwoDaemonsShareAStoreButNoRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, served(t, dir, "", ""))
	if _, err := New(t.Context(), served(t, dir, "", "")); err == nil || !strings.Contains(err.Error(), "audit.file") {
		t.Errorf("two processes write one chain: %v", err)
	}
	second := start(t, served(t, dir, "", "audit: {file: second.jsonl}\n"))
	for _, d := range []*Daemon{first, second} {
		if w := visit(d, "https://sso.example.com/readyz"); w.Code != 200 {
			t.Errorf("not ready: %d", w.Code)
		}
	}
	keys := func(d *Daemon) string { return visit(d, "https://sso.example.com/.well-known/jwks.json").Body.String() }
	if a, b := keys(first), keys(second); a != b || !strings.Contains(a, "kid") {
		t.Errorf("they publish different keys:\n%s\n%s", a, b)
	}
}

// Sealed with a key that is gone, the signing keys are lost; new ones must not
// take their place without anybody noticing.
func TestALostKeyFileIsNotPassedOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := start(t, served(t, dir, "", ""))
	if w := visit(d, "https://sso.example.com/.well-known/jwks.json"); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if err := errors.Join(d.Close(), os.Remove(filepath.Join(dir, "rolecall.key"))); err != nil {
		t.Fatal(err)
	}
	log := &scripted.Log{}
	options := served(t, dir, "", "")
	options.Log = slog.New(slog.NewJSONHandler(log, nil))
	d, err := New(t.Context(), options)
	if err != nil {
		return // said at the start
	}
	defer func() { _ = d.Close() }()
	w := visit(d, "https://sso.example.com/.well-known/jwks.json")
	if w.Code == 200 && !strings.Contains(log.String(), "key") {
		t.Errorf("other keys are published and the log says nothing: %s", w.Body)
	}
}

func TestTheHostsThatAreAnsweredAreThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	options := served(t, t.TempDir(), "", `issuer: {url: "https://issuer.example.net/rolecall"}`+"\n")
	options.Config.Providers[0].ACSURL.Value = "https://acs.example.org/saml/corp/acs"
	d := start(t, options)
	for host, want := range map[string]int{
		"sso.example.com": 200, "SSO.EXAMPLE.COM": 200, "sso.example.com:443": 200, "issuer.example.net": 200, "acs.example.org": 200,
		"sso.example.com:8443": 421, "sso.example.com.": 421, "evil.sso.example.com": 421, "sso.example.com.evil.net": 421,
		"127.0.0.1": 421, "localhost": 421, "": 421, "example.com": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "https://sso.example.com/login", nil)
		r.Host = host
		r.Header.Set("X-Forwarded-Host", "sso.example.com")
		w := httptest.NewRecorder()
		if d.Handler().ServeHTTP(w, r); w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
		if w.Code == 421 && w.Header().Get("Set-Cookie") != "" {
			t.Errorf("Host %q gets a cookie", host)
		}
	}
}

func TestThePartitionFollowsTheRegion(t *testing.T) {
	t.Parallel()
	for region, want := range map[string][2]string{
		"us-east-1": {"aws", "https://*.aws.amazon.com"}, "eu-west-1": {"aws", "https://*.aws.amazon.com"},
		"us-gov-west-1": {"aws-us-gov", "https://*.amazonaws-us-gov.com"}, "cn-north-1": {"aws-cn", "https://*.amazonaws.cn"},
	} {
		options := served(t, t.TempDir(), "", "aws: {region: "+region+"}\n")
		p, err := Policy(options.Config)
		if err != nil {
			t.Fatal(err)
		}
		role, err := p.ResolveRole("production/Admin")
		if err != nil || role.Partition != want[0] {
			t.Errorf("%s: %s %v", region, role, err)
		}
		if got := consoleOrigins(options.Config); len(got) != 1 || got[0] != want[1] {
			t.Errorf("%s: the console is at %q", region, got)
		}
	}
}

// A stand-in for AWS is the console too, unless that has an address of its own.
func TestAStandInIsTheConsoleToo(t *testing.T) {
	t.Parallel()
	for more, want := range map[string]string{
		"aws: {endpoint: http://127.0.0.1:5000}\n":                                         "http://127.0.0.1:5000",
		"aws: {endpoint: http://127.0.0.1:5000, signin_endpoint: http://127.0.0.1:5001}\n": "http://127.0.0.1:5001",
	} {
		if got := consoleOrigins(served(t, t.TempDir(), "", more).Config); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q", more, got)
		}
	}
}

func TestAStoreIsBesideTheConfigurationUnlessItsPathIsWhole(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"sqlite:rolecall.db": "/etc/rolecall/rolecall.db", "sqlite:state/x.db": "/etc/rolecall/state/x.db",
		"sqlite:/var/lib/x.db": "/var/lib/x.db", "sqlite:../x.db": "/etc/x.db",
	} {
		c := &config.Config{File: "/etc/rolecall/rolecall.yaml", Store: config.Text{Value: value}}
		if got := storePath(c); got != want {
			t.Errorf("%s is %s, want %s", value, got, want)
		}
	}
}

// ownCertificate makes server.tls for 127.0.0.1.
func ownCertificate(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, made.Public(), made)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(made)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(t.TempDir(), "cert.pem"), filepath.Join(t.TempDir(), "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	write(t, cert, string(text), 0o600)
	write(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})), 0o600)
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return cert, key, roots
}

func TestServingByTLSAndItsEnd(t *testing.T) {
	t.Parallel()
	cert, key, roots := ownCertificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := served(t, t.TempDir(), "  tls: {cert: "+cert+", key: "+key+"}\n", "")
	options.Config.Server.URL.Value = "https://" + listener.Addr().String()
	d := start(t, options)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Serve(ctx, listener) }()

	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(options.Config.Server.URL.Value + "/login")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Strict-Transport-Security") == "" || resp.TLS.Version < tls.VersionTLS12 {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
	old := &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11} //nolint:gosec // what must be refused
	if c, err := tls.Dial("tcp", listener.Addr().String(), old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	stop()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("the end: %v", err)
		}
	case <-time.After(15 * time.Second):
		t.Fatal("it does not end")
	}
	if c, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		_ = c.Close()
		t.Error("the port is still open")
	}
}

func TestACertificateThatIsGoneEndsTheStartAndNothingStaysOpen(t *testing.T) {
	t.Parallel()
	cert, key, _ := ownCertificate(t)
	dir := t.TempDir()
	options := served(t, dir, "  tls: {cert: "+cert+", key: "+key+"}\n", "")
	if err := os.Remove(cert); err != nil {
		t.Fatal(err)
	}
	if d, err := New(t.Context(), options); err == nil || d != nil || !strings.Contains(err.Error(), cert) {
		t.Errorf("got %v", err)
	}
	start(t, served(t, dir, "", "")) // nobody holds a lock
}

// The record that fails stays failed, and what watches the process must see it.
func TestARecordThatIsTakenAwayMakesTheDaemonNotReady(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := start(t, served(t, dir, "", ""))
	if w := visit(d, "https://sso.example.com/readyz"); w.Code != 200 {
		t.Fatalf("before: %d", w.Code)
	}
	if err := os.Rename(filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "audit.old")); err != nil {
		t.Fatal(err)
	}
	if w := visit(d, "https://sso.example.com/oidc/staff/callback?state=x"); w.Code != 400 {
		t.Errorf("a refusal that could not be recorded: %d", w.Code)
	}
	if w := visit(d, "https://sso.example.com/readyz"); w.Code != 503 {
		t.Errorf("ready without a record: %d", w.Code)
	}
	if w := visit(d, "https://sso.example.com/healthz"); w.Code != 200 {
		t.Errorf("healthz: %d", w.Code)
	}
}

func TestAProviderThatIsDownIsSaidWithoutItsAddress(t *testing.T) {
	t.Parallel()
	d := start(t, served(t, t.TempDir(), "", ""))
	w := visit(d, "https://sso.example.com/oidc/staff/login?return_to="+url.QueryEscape("//evil.example"))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	without(t, "the page", w.Body.String(), "127.0.0.1:1", "connection refused", "evil.example")
}
