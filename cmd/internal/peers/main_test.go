package peers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// bin is the folder of rolecalld, built once.
var bin string

const quick = 20 * time.Millisecond

const recipes = "../../../testdata/peers"

func TestMain(m *testing.M) {
	os.Exit(runWithBinary(m))
}

func runWithBinary(m *testing.M) int {
	dir, err := os.MkdirTemp("", "rolecall-peers-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := scripted.Build(dir, "../../rolecalld"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin = dir
	return m.Run()
}

// freePort is a loopback port outside the range from which the kernel gives
// ports away, so that nobody gets it before its owner has started.
func freePort(t testing.TB) int {
	t.Helper()
	for range 50 {
		port := 20000 + rand.IntN(12000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Fatal("no free port between 20000 and 32000")
	return 0
}

// until polls, each time after a pause, up to a time limit.
func until(t testing.TB, pause, limit time.Duration, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s", what, limit)
		case <-tick.C:
		}
	}
}

// answers reports whether an address is answered with 200.
func answers(address string) func() bool {
	client := &http.Client{Timeout: 5 * time.Second}
	return func() bool {
		resp, err := client.Get(address)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
}

// peer is software of somebody else that runs until the test ends.
type peer struct {
	url   string
	port  int
	state string
}

// startPeer runs a recipe's start.sh until the test ends and waits until the
// address at path is answered.
func startPeer(t testing.TB, name, path string, env ...string) peer {
	t.Helper()
	return startPeerAt(t, freePort(t), name, path, env...)
}

func startPeerAt(t testing.TB, port int, name, path string, env ...string) peer {
	t.Helper()
	p := peer{url: fmt.Sprintf("http://127.0.0.1:%d", port), port: port, state: t.TempDir()}
	cmd := exec.Command(filepath.Join(recipes, name, "start.sh"), fmt.Sprint(port), p.state)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var log scripted.Log
	cmd.Stdout, cmd.Stderr = &log, &log
	stdin, err := cmd.StdinPipe() // its end is the end of the peer
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%s cannot be started: %v", name, err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		late := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer late.Stop()
		<-ended
		if t.Failed() {
			text := log.String()
			t.Logf("the end of the log of %s:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
	p.wait(t, name, path, ended, &log)
	return p
}

// wait waits until the address at path is answered, and says what it is answered
// with where that does not come.
func (p peer) wait(t testing.TB, name, path string, ended <-chan struct{}, log *scripted.Log) {
	t.Helper()
	client := &http.Client{Timeout: 5 * time.Second}
	last := "nothing"
	t.Cleanup(func() {
		if t.Failed() && last != "200 OK" {
			t.Logf("%s answered last: %s", p.url+path, last)
		}
	})
	until(t, quick, 3*time.Minute, name, func() bool {
		select {
		case <-ended:
			t.Fatalf("%s did not start: %s", name, strings.TrimSpace(log.String()))
		default:
		}
		resp, err := client.Get(p.url + path)
		if err != nil {
			last = err.Error()
			return false
		}
		_ = resp.Body.Close()
		last = resp.Status
		return resp.StatusCode == http.StatusOK
	})
}

func portText(port int) string { return fmt.Sprint(port) }
