package sqlite

import (
	"context"
	"errors"
	"sync/atomic"

	driver "modernc.org/sqlite"
)

// Stats counts what a store has done since it was opened.
type Stats struct {
	Reads, Writes           int64
	ReadErrors, WriteErrors int64
}

// Stats gives the counts of now, for a metric.
func (s *Store) Stats() Stats {
	return Stats{
		Reads: s.stats.reads.Load(), Writes: s.stats.writes.Load(),
		ReadErrors: s.stats.readErrors.Load(), WriteErrors: s.stats.writeErrors.Load(),
	}
}

type stats struct{ reads, writes, readErrors, writeErrors atomic.Int64 }

func (s *stats) read(err error) {
	s.reads.Add(1)
	if isFailure(err) {
		s.readErrors.Add(1)
	}
}

func (s *stats) write(err error) {
	s.writes.Add(1)
	if isFailure(err) {
		s.writeErrors.Add(1)
	}
}

// isFailure reports whether the store failed. An answer such as "there is no such
// session" is none, nor is a caller who went away; one who waited in vain is.
func isFailure(err error) bool {
	_, ofDriver := errors.AsType[*driver.Error](err)
	return ofDriver || errors.Is(err, context.DeadlineExceeded)
}
