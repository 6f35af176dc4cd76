package bench

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rolecall/rolecall/cmd/internal/assemble"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/idptest"
)

// order says which server a process is to be: each row runs in one of its own, so
// that its CPU and its memory are not mixed with those of the load and of STS.
type order struct{ Row, Issuer, ClientID, Key, STS, Dir string }

const orderVariable = "ROLECALL_BENCH_ORDER"

func TestMain(m *testing.M) {
	if text := os.Getenv(orderVariable); text != "" {
		if err := serve(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	m.Run()
}

// cost is what a process has used since it began.
type cost struct {
	CPU     time.Duration
	Mallocs uint64
}

// serve is the process: the address on the first line, the cost at /cost, its end
// with that of stdin.
func serve(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	if o.Row == "rolecall" && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200) // as cmd/rolecalld does
	}
	path, err := map[string]func(order) (http.Handler, error){"ceiling": ceiling, "libs": libs, "rolecall": product}[o.Row](o)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /cost", func(w http.ResponseWriter, _ *http.Request) {
		var used syscall.Rusage
		var memory runtime.MemStats
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
		runtime.ReadMemStats(&memory)
		_ = json.NewEncoder(w).Encode(cost{time.Duration(used.Utime.Nano() + used.Stime.Nano()), memory.Mallocs})
	})
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.Handle("GET /debug/pprof/allocs", pprof.Handler("allocs"))
	mux.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) {
		r.Host = "127.0.0.1:8443"
		path.ServeHTTP(w, r)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + listener.Addr().String())
	go func() { _ = http.Serve(listener, mux) }() // ends with the process
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// product is the whole daemon.
func product(o order) (http.Handler, error) {
	stsURL := o.STS
	if stsURL == "" {
		stsURL = "http://127.0.0.1:9" // is never asked
	}
	text := fmt.Sprintf(`
server: {url: "http://127.0.0.1:8443", listen: "127.0.0.1:8443"}
store: %q
aws: {endpoint: %q}
limits: {per_address: 1000000/s, per_subject: 1000000/s}
providers: [{name: ci, type: oidc, issuer: %q, client_id: %q, allow_private: true, groups: {claim: groups}}]
accounts: [{id: "111122223333", name: production}]
grants: [{name: admin, providers: [ci], groups: [platform], role: production/Admin, duration: 1h}]
`, "sqlite:"+filepath.Join(o.Dir, "rolecall.db"), stsURL, o.Issuer, o.ClientID)
	c, err := config.Parse("rolecall.yaml", []byte(text), nil)
	if err != nil {
		return nil, err
	}
	d, err := assemble.New(context.Background(), assemble.Options{
		Config: c, Log: slog.New(slog.DiscardHandler), Now: time.Now,
		AWS: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", strings.Repeat("s", 40), ""),
	})
	if err != nil {
		return nil, err
	}
	return d.Handler(), nil
}

// server is a running process.
type server struct{ url string }

func start(b *testing.B, row string, op *idptest.OP, key idptest.OPKey, stsURL string) server {
	b.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Private.Public())
	if err != nil {
		b.Fatal(err)
	}
	text, err := json.Marshal(order{row, op.Issuer, op.ClientID, base64.StdEncoding.EncodeToString(der), stsURL, b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = stdin.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatalf("the server %s did not start: %v", row, err)
	}
	return server{strings.TrimSpace(line)}
}

func (s server) cost(b *testing.B) cost {
	b.Helper()
	resp, err := http.Get(s.url + "/cost")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var c cost
	if err := json.NewDecoder(resp.Body).Decode(&c); err != nil {
		b.Fatal(err)
	}
	return c
}
