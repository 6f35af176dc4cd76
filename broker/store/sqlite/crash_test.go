package sqlite_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/store/sqlite"
)

// crashFile makes this test binary a process that uses evidence until it is killed.
const crashFile = "ROLECALL_TEST_STORE_CRASH"

func TestMain(m *testing.M) {
	if path := os.Getenv(crashFile); path != "" {
		useForever(path)
	}
	os.Exit(m.Run())
}

// useForever prints each key after its use has been answered.
func useForever(path string) {
	failed := func(err error) {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	s, err := sqlite.Open(context.Background(), path)
	if err != nil {
		failed(err)
	}
	var out sync.Mutex
	for c := range uint64(8) {
		go func() {
			for i := uint64(0); ; i++ {
				key := number(uint64(os.Getpid())<<32 + c<<24 + i)
				if _, err := s.UseOnce(context.Background(), key, time.Now().Add(time.Hour)); err != nil {
					failed(err)
				}
				out.Lock()
				fmt.Println(hex.EncodeToString(key[:]))
				out.Unlock()
			}
		}()
	}
	select {}
}

func TestWhatWasUsedStaysUsedAfterAKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rolecall.db")
	var used []string
	for range 5 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashFile+"="+path)
		stdout, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		for n := 0; n < 50 && lines.Scan(); n++ {
			used = append(used, lines.Text())
		}
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			used = append(used, lines.Text())
		}
		_ = child.Wait() // killed
	}
	s := open(t, path)
	defer s.Close()
	for _, line := range used {
		var key [32]byte
		if n, err := hex.Decode(key[:], []byte(line)); err != nil || n != len(key) {
			t.Fatal(line)
		}
		fresh, err := s.UseOnce(t.Context(), key, time.Now())
		if err != nil || fresh {
			t.Fatalf("evidence that was used before the kill is new again: %t, %v", fresh, err)
		}
	}
	if len(used) < 250 {
		t.Errorf("only %d uses before the kills", len(used))
	}
}
