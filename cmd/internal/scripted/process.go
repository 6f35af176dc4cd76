package scripted

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Build compiles programs, given as package paths, into a folder.
func Build(dir string, programs ...string) error {
	build := exec.Command("go", append([]string{"build", "-o", dir + string(filepath.Separator)}, programs...)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %v: %w\n%s", programs, err, out)
	}
	return nil
}

// Start starts a program of ours that runs until the test ends: then it gets
// SIGTERM and must end by itself with exit code 0. What it writes to stderr is in
// the Log; its end is in the test's log if the test fails.
func Start(t testing.TB, cmd *exec.Cmd) *Log {
	t.Helper()
	log := &Log{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(cmd.Path)
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
		if t.Failed() {
			text := log.String()
			t.Logf("the end of the log of %s:\n%s", name, text[max(0, len(text)-6000):])
		}
	})
	return log
}

// ReadRecord reads an audit file once every order in it has its outcome, which
// may follow a moment after the answer.
func ReadRecord(t testing.TB, file string) string {
	t.Helper()
	for late := time.Now().Add(5 * time.Second); ; runtime.Gosched() {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if settled(string(text)) {
			return string(text)
		}
		if time.Now().After(late) {
			t.Fatalf("an order without outcome after five seconds:\n%s", text)
		}
	}
}

// settled reports whether as many orders ended as began, and the last line is whole.
func settled(record string) bool {
	open := map[string]int{}
	for line := range strings.Lines(record) {
		var e struct {
			RequestID string `json:"request_id"`
			Event     string `json:"event"`
			Outcome   string `json:"outcome"`
		}
		if json.Unmarshal([]byte(line), &e) != nil {
			return false
		}
		if e.Event == "credentials" || e.Event == "console" {
			if e.Outcome == "" {
				open[e.RequestID]++
			} else {
				delete(open, e.RequestID)
			}
		}
	}
	return len(open) == 0
}
