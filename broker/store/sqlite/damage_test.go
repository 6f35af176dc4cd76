package sqlite_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
)

// filled is a store with many pages, closed.
func filled(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "rolecall.db")
	s := open(t, path)
	for i := range uint64(300) {
		key := number(i)
		row := session.Row{ID: string(key[:]), Provider: "corp", Subject: "alice", Expires: time.Now().Add(time.Hour), Seen: time.Now(), Data: make([]byte, 1024)}
		if err := s.PutSession(t.Context(), key, row); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAWholeStoreIsWhole(t *testing.T) {
	t.Parallel()
	s := open(t, filled(t))
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Check(gone); err == nil || errors.Is(err, sqlite.ErrDamaged) {
		t.Errorf("a check that was given up says %v", err)
	}
}

// The first page is whole, so the file opens; what is inside was overwritten.
func TestDamageInsideIsFound(t *testing.T) {
	t.Parallel()
	path := filled(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	junk := make([]byte, 4096)
	for i := range junk {
		junk[i] = 0xA5
	}
	for at := info.Size() / 2 &^ 4095; at < info.Size(); at += 8 * 4096 {
		if _, err := file.WriteAt(junk, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	s := open(t, path)
	defer s.Close()
	if err := s.Check(t.Context()); !errors.Is(err, sqlite.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}
