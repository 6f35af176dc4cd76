// Package sqlite keeps the broker's state in one SQLite file (modernc.org/sqlite,
// no cgo). One goroutine owns the one connection that writes and commits whoever
// waits together (writer.go); reads have a pool of their own and never wait for a
// writer (WAL). Commits are synced before they are answered (synchronous=FULL): a
// code that was taken stays taken after a power cut.
//
// Several processes may share the file on one machine (a daemon and operator
// commands); over a network file system they may not.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	driver "modernc.org/sqlite" // registers itself as "sqlite"

	"github.com/rolecall/rolecall/broker/devicecode"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp/device"
	"github.com/rolecall/rolecall/idp/directory"
)

// What a Store is good for.
var (
	_ session.Store    = (*Store)(nil)
	_ replay.Store     = (*Store)(nil)
	_ keys.Store       = (*Store)(nil)
	_ marks.Store      = (*Store)(nil)
	_ devicecode.Store = (*Store)(nil)
	_ limit.BlockStore = (*Store)(nil)
	_ directory.Store  = (*Store)(nil)
	_ device.Store     = (*Store)(nil)
)

// busyTimeout is how long one process waits for another's commit.
const busyTimeout = 10 * time.Second

// Store is one open file. It is safe for concurrent use.
type Store struct {
	read   *sql.DB
	reads  [numReads]*sql.Stmt
	write  *sql.DB
	writer *writer
	stats  stats

	closing sync.Once
	closed  error
}

// Open opens the file, creates it (mode 0600) where there is none, and brings its
// schema up to date. A file with a schema newer than this program is refused.
func Open(ctx context.Context, path string) (*Store, error) {
	if err := private(path); err != nil {
		return nil, err
	}
	s := &Store{}
	if err := s.open(ctx, path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) error {
	var err error
	if s.write, err = connect(path, "synchronous(FULL)", 1); err != nil {
		return err
	}
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	if s.read, err = connect(path, "query_only(1)", max(4, runtime.GOMAXPROCS(0))); err != nil {
		return err
	}
	for i, text := range readTexts() {
		if s.reads[i], err = s.read.PrepareContext(ctx, text); err != nil {
			return fmt.Errorf("prepare a read: %w", err)
		}
	}
	s.writer, err = newWriter(ctx, s.write)
	return err
}

// private makes sure that nobody else can read the file. SQLite gives its journal
// files the mode of the file itself.
func private(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is no regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := file.Chmod(0o600); err != nil {
			return fmt.Errorf("others may read %s, and that cannot be changed: %w", path, err)
		}
	}
	return nil
}

// connect makes a pool of connections that are all set up alike.
func connect(path, pragma string, connections int) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	settings := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "foreign_keys(1)", "trusted_schema(0)", pragma,
	}}
	name := url.URL{Scheme: "file", Path: absolute, RawQuery: settings.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Ping reports whether the store can be read.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.read.QueryRowContext(ctx, "SELECT 1 FROM pragma_user_version").Scan(&one)
}

// ErrDamaged says that pages of the file hold what SQLite did not write.
var ErrDamaged = errors.New("the store's file is damaged: stop every node, keep the file, and restore a copy")

// Check reads the whole file and looks for damage, without its indexes: a fraction of
// a second for a hundred megabytes. It holds up nobody.
func (s *Store) Check(ctx context.Context) error {
	var found string
	err := s.read.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&found)
	if failed, ok := errors.AsType[*driver.Error](err); ok && ctx.Err() == nil { // it cannot even be read
		return fmt.Errorf("%w: %w", ErrDamaged, failed)
	}
	if err == nil && found != "ok" {
		err = fmt.Errorf("%w: %.200s", ErrDamaged, found)
	}
	return err
}

// Close lets the writes that have been asked for finish, refuses further ones, and
// gives the file up.
func (s *Store) Close() error {
	s.closing.Do(func() {
		var errs []error
		if s.writer != nil {
			errs = append(errs, s.writer.close())
		}
		if s.read != nil {
			errs = append(errs, s.read.Close())
		}
		if s.write != nil {
			errs = append(errs, s.write.Close())
		}
		s.closed = errors.Join(errs...)
	})
	return s.closed
}

// micros is how a time is kept; a zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// blob is never NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
