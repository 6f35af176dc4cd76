package sqlite_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/store/sqlite"
)

func TestWhatAStoreDidIsCounted(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "rolecall.db"))
	defer s.Close()
	for range 3 {
		if _, err := s.UseOnce(t.Context(), number(1), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.RevocationsAfter(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SessionByID(t.Context(), "absent"); err == nil {
		t.Fatal("a session that is not there")
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.UseOnce(gone, number(2), time.Now()); err == nil {
		t.Fatal("a caller who had gone away")
	}
	if diff := cmp.Diff(sqlite.Stats{Reads: 2, Writes: 4}, s.Stats()); diff != "" {
		t.Error(diff)
	}
	sqlite.SetPragma(t, s, "query_only(1)")
	if _, err := s.UseOnce(t.Context(), number(3), time.Now()); err == nil {
		t.Fatal("it wrote")
	}
	if got := s.Stats(); got.WriteErrors != 1 || got.ReadErrors != 0 {
		t.Errorf("%+v", got)
	}
}
