package audit_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/rolecall/rolecall/broker/audit"
)

// crashFile makes this test binary a process that appends until it is killed.
const crashFile = "ROLECALL_TEST_AUDIT_CRASH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		appendForever(path)
	}
	os.Exit(m.Run())
}

// appendForever prints the id of each record after its Append has returned.
func appendForever(path string) {
	l, err := audit.Open(audit.Config{File: path, Now: now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	var out sync.Mutex
	for c := range 8 {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), c, i)
				if err := l.Append(context.Background(), event(id)); err != nil {
					fmt.Println("failed:", err)
					os.Exit(1)
				}
				out.Lock()
				fmt.Println(id)
				out.Unlock()
			}
		}()
	}
	select {}
}

func TestWhatWasAnsweredIsThereAfterAKill(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	answered := map[string]bool{}
	for range 5 { // each process goes on where the one before was killed
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashFile+"="+path)
		stdout, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		lines := bufio.NewScanner(stdout)
		for n := 0; n < 50 && lines.Scan(); n++ {
			answered[lines.Text()] = true
		}
		must(t, child.Process.Kill())
		for lines.Scan() { // what it had answered before it died; a line is one write, so none is cut off
			answered[lines.Text()] = true
		}
		_ = child.Wait() // killed
	}
	l := open(t, path)
	must(t, l.Close())
	if _, err := verify(t, path); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, line := range readLines(t, path) {
		there[decode(t, line)["request_id"].(string)] = true
	}
	lost := 0
	for id := range answered {
		if strings.HasPrefix(id, "failed") {
			t.Fatal(id)
		}
		if !there[id] {
			lost++
		}
	}
	if lost > 0 || len(answered) < 250 {
		t.Errorf("%d of %d answered records are lost", lost, len(answered))
	}
}
