package sqlite_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/broker/store/storetest"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) func() storetest.Store {
		path := filepath.Join(t.TempDir(), "a folder?with #odd%20 name", "rolecall.db")
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		return func() storetest.Store { return open(t, path) }
	})
}

func TestNobodyElseCanReadTheFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rolecall.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	defer s.Close()
	if err := s.PutSession(t.Context(), session.Hash{1}, session.Row{ID: "s1", Data: []byte{}}); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %04o", file, info.Mode().Perm())
		}
	}
}

func TestAStoreOfANewerProgramIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rolecall.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	steps, err := store.Migrations("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("PRAGMA user_version = 9999"); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), path)
	if err == nil {
		s.Close()
		t.Fatal("it was opened")
	}
	if !strings.Contains(err.Error(), "newer rolecalld") {
		t.Errorf("the error does not say what to do (%d steps known): %v", len(steps), err)
	}
}

func TestWhatIsNoStoreIsRefusedAndLeftAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "notes.txt")
	text := strings.Repeat("not a database, but somebody's notes\n", 200)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := sqlite.Open(t.Context(), path); err == nil {
		s.Close()
		t.Error("it was opened")
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != text {
		t.Errorf("it was changed: %v", err)
	}
}

func TestCommitsAreSyncedAndForeignKeysHold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ pragma, want string }{
		"the journal is a write-ahead log": {"journal_mode", "wal"},
		"a commit waits for the disk":      {"synchronous", "2"},
		"foreign keys are enforced":        {"foreign_keys", "1"},
	} {
		if got := sqlite.WriterPragma(t, open(t, filepath.Join(t.TempDir(), "x.db")), test.pragma); got != test.want {
			t.Errorf("%s: %s = %s, want %s", name, test.pragma, got, test.want)
		}
	}
}

func TestReadsDoNotWaitForAWriter(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rolecall.db")
	s := open(t, path)
	defer s.Close()
	if err := s.PutSession(t.Context(), session.Hash{1}, session.Row{ID: "s1", Data: []byte{}}); err != nil {
		t.Fatal(err)
	}
	other, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SessionByID(t.Context(), "s1"); err != nil {
		t.Errorf("a read while another process writes: %v", err)
	}
	waiting, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if err := s.TouchSession(waiting, "s1", time.Now()); err == nil {
		t.Error("a write went past the other process's transaction")
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := s.TouchSession(t.Context(), "s1", time.Now()); err != nil {
		t.Errorf("a write after the other process let go: %v", err)
	}
}

func TestAFullDiskLosesNothingThatWasAnswered(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "rolecall.db"))
	defer s.Close()
	sqlite.SetPragma(t, s, "max_page_count = 400")
	errs := make([]error, 64)
	put := func(i int, size int) error {
		id := fmt.Sprint("s", i)
		return s.PutSession(t.Context(), number(uint64(i+1)), session.Row{ID: id, Expires: time.Now(), Seen: time.Now(), Data: make([]byte, size)})
	}
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { errs[i] = put(i, 64<<10) })
	}
	group.Wait()
	failed := 0
	for i, err := range errs {
		if err != nil {
			failed++
		}
		if _, found := s.SessionByID(t.Context(), fmt.Sprint("s", i)); err == nil && found != nil {
			t.Errorf("session %d was answered and is not there: %v", i, found)
		}
	}
	if failed == 0 {
		t.Error("4 MB fit into a file of 1.6 MB")
	}
	sqlite.SetPragma(t, s, "max_page_count = 100000")
	if err := put(len(errs), 64<<10); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
}

func number(n uint64) (h [sha256.Size]byte) {
	binary.BigEndian.PutUint64(h[8:], n*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(h[:], n*0xbf58476d1ce4e5b9)
	return h
}
