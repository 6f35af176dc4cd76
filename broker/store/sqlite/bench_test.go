package sqlite_test

import (
	"database/sql"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/session"
)

// The rows of these benchmarks stand side by side: what the store does, and the
// bare statements that bound it. docs/performance.md has the ratios.

// callers runs op by n goroutines until b.N are done.
func callers(b *testing.B, n int, op func(i uint64) error) {
	b.Helper()
	var next atomic.Uint64
	b.ResetTimer()
	done := make(chan error, n)
	for range n {
		go func() {
			for {
				i := next.Add(1)
				if i > uint64(b.N) {
					done <- nil
					return
				}
				if err := op(i); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	for range n {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}

// bare is one connection as the store sets it up, with one table.
func bare(b *testing.B, table string) *sql.DB {
	b.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec(table); err != nil {
		b.Fatal(err)
	}
	return db
}

const usedTable = "CREATE TABLE used (key BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID"

func BenchmarkConsumeOnce16(b *testing.B) {
	until := time.Now().Add(5 * time.Minute)
	b.Run("commit-each", func(b *testing.B) {
		db := bare(b, usedTable)
		insert, err := db.Prepare("INSERT INTO used VALUES (?, ?) ON CONFLICT DO NOTHING")
		if err != nil {
			b.Fatal(err)
		}
		callers(b, 16, func(i uint64) error {
			key := number(i)
			_, err := insert.Exec(key[:], until.Unix())
			return err
		})
	})
	b.Run("ceiling-group-commit", func(b *testing.B) { callers(b, 16, ceiling(b)) })
	b.Run("store", func(b *testing.B) { consume(b, 16, until) })
}

func BenchmarkConsumeOnce64(b *testing.B) {
	b.Run("ceiling-group-commit", func(b *testing.B) { callers(b, 64, ceiling(b)) })
	b.Run("store", func(b *testing.B) { consume(b, 64, time.Now().Add(5*time.Minute)) })
}

func consume(b *testing.B, n int, until time.Time) {
	b.Helper()
	s := open(b, filepath.Join(b.TempDir(), "store.db"))
	defer s.Close()
	callers(b, n, func(i uint64) error {
		_, err := s.UseOnce(b.Context(), number(i), until)
		return err
	})
}

// ceiling is the least that a group commit does: one kind of statement, no
// savepoints, no contexts.
func ceiling(b *testing.B) func(i uint64) error {
	b.Helper()
	type request struct {
		key  [32]byte
		done chan error
	}
	db := bare(b, "CREATE TABLE used (key BLOB PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID; CREATE INDEX used_until ON used (until)")
	insert, err := db.Prepare("INSERT INTO used VALUES (?, ?) ON CONFLICT DO NOTHING")
	if err != nil {
		b.Fatal(err)
	}
	commit := func(batch []request) error {
		tx, err := db.Begin()
		if err != nil {
			return err
		}
		for _, r := range batch {
			if _, err := tx.Stmt(insert).Exec(r.key[:], int64(1)); err != nil {
				return err
			}
		}
		return tx.Commit()
	}
	queue := make(chan request, 1024)
	b.Cleanup(func() { close(queue) })
	go func() {
		for first := range queue {
			batch := []request{first}
			for len(queue) > 0 && len(batch) < 256 {
				batch = append(batch, <-queue)
			}
			err := commit(batch)
			for _, r := range batch {
				r.done <- err
			}
		}
	}()
	return func(i uint64) error {
		r := request{number(i), make(chan error, 1)}
		queue <- r
		return <-r.done
	}
}

func BenchmarkSessionGet16(b *testing.B) {
	const rows = 1000
	data := make([]byte, 1024)
	b.Run("ceiling-bare", func(b *testing.B) {
		db := bare(b, "CREATE TABLE sess (k BLOB PRIMARY KEY, v BLOB NOT NULL, exp INTEGER NOT NULL) WITHOUT ROWID")
		for i := range uint64(rows) {
			key := number(i)
			if _, err := db.Exec("INSERT INTO sess VALUES (?, ?, ?)", key[:], data, 1); err != nil {
				b.Fatal(err)
			}
		}
		db.SetMaxOpenConns(4)
		get, err := db.Prepare("SELECT v, exp FROM sess WHERE k = ?")
		if err != nil {
			b.Fatal(err)
		}
		callers(b, 16, func(i uint64) error {
			key := number(i % rows)
			var v []byte
			var exp int64
			return get.QueryRow(key[:]).Scan(&v, &exp)
		})
	})
	b.Run("store", func(b *testing.B) {
		s := open(b, filepath.Join(b.TempDir(), "store.db"))
		defer s.Close()
		for i := range uint64(rows) {
			key := number(i)
			row := session.Row{ID: string(key[:]), Provider: "corp", Subject: "alice", Expires: time.Now().Add(time.Hour), Seen: time.Now(), Data: data}
			if err := s.PutSession(b.Context(), key, row); err != nil {
				b.Fatal(err)
			}
		}
		callers(b, 16, func(i uint64) error {
			_, err := s.SessionByToken(b.Context(), number(i%rows))
			return err
		})
	})
}
