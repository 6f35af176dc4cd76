package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/rolecall/rolecall/broker/revocation"
)

// keepRevocation is how long a revocation is kept: longer than any session that it
// ends may live.
const keepRevocation = 400 * 24 * time.Hour

// AddRevocation implements revocation.Store.
func (s *Store) AddRevocation(ctx context.Context, r revocation.Revocation) (int64, error) {
	keep, until := r.At.Add(keepRevocation), int64(0)
	if !r.Until.IsZero() {
		until = micros(r.Until)
		if end := r.Until.Add(keepRevocation); end.After(keep) {
			keep = end
		}
	}
	return writeOne(ctx, s, func(tx *tx) (int64, error) {
		var number int64
		_, err := tx.query("INSERT INTO revocations (kind, target, at, until, keep) VALUES (?, ?, ?, ?, ?) RETURNING number",
			[]any{string(r.Kind), r.Target, micros(r.At), until, micros(keep)}, &number)
		return number, err
	})
}

// RevocationsAfter implements revocation.Store.
func (s *Store) RevocationsAfter(ctx context.Context, number int64) (found []revocation.Revocation, err error) {
	err = s.list(ctx, readRevocations, []any{number}, func(rows *sql.Rows) error {
		var r revocation.Revocation
		var kind string
		var at, until int64
		err := rows.Scan(&r.Number, &kind, &r.Target, &at, &until)
		r.Kind, r.At, r.Until = revocation.Kind(kind), fromMicros(at), fromMicros(until)
		found = append(found, r)
		return err
	})
	return found, err
}

// SubjectsNamed gives who has a user name, by their sessions, their tokens and the
// names that were claimed, as provider and subject.
func (s *Store) SubjectsNamed(ctx context.Context, username string) (found [][2]string, err error) {
	err = s.list(ctx, readSubjectsNamed, []any{username}, func(rows *sql.Rows) error {
		var one [2]string
		err := rows.Scan(&one[0], &one[1])
		found = append(found, one)
		return err
	})
	return found, err
}
