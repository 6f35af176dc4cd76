package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker/keys"
)

// UseOnce implements replay.Store.
func (s *Store) UseOnce(ctx context.Context, key [32]byte, until time.Time) (bool, error) {
	n, err := s.affect(ctx, "INSERT INTO used (key, until) VALUES (?, ?) ON CONFLICT DO NOTHING", key[:], micros(until))
	return n == 1, err
}

// Used implements replay.Store.
func (s *Store) Used(ctx context.Context, key [32]byte) (bool, error) {
	var one int
	return s.one(ctx, readUsed, []any{key[:]}, &one)
}

// AddKey implements keys.Store.
func (s *Store) AddKey(ctx context.Context, row keys.Row) (bool, error) {
	n, err := s.affect(ctx, `INSERT INTO signing_keys (use, algorithm, generation, kid, active, sealed) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (use, algorithm, generation) DO NOTHING`,
		row.Use, row.Algorithm, row.Generation, row.KID, micros(row.Active), row.Sealed)
	return n == 1, err
}

// Keys implements keys.Store.
func (s *Store) Keys(ctx context.Context, use string) (found []keys.Row, err error) {
	err = s.list(ctx, readKeys, []any{use}, func(rows *sql.Rows) error {
		var row keys.Row
		var active int64
		err := rows.Scan(&row.Use, &row.Algorithm, &row.Generation, &row.KID, &active, &row.Sealed)
		row.Active = fromMicros(active)
		found = append(found, row)
		return err
	})
	return found, err
}

// DropKey implements keys.Store.
func (s *Store) DropKey(ctx context.Context, kid string) error {
	return s.exec(ctx, "DELETE FROM signing_keys WHERE kid = ?", kid)
}

// sweepBatch bounds how many rows one step of Sweep deletes, so that nobody waits
// long behind it.
const sweepBatch = 500

// Sweep deletes what has expired by now, in small steps between which others write.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	for _, table := range []struct{ name, key, expires string }{
		{"pending", "handle", "expires"},
		{"used", "key", "until"},
		{"codes", "code", "keep"},
		{"devices", "code", "expires"},
		{"people_codes", "key", "expires"},
		{"tokens", "hash", "expires"},
		{"families", "id", "expires"},
		{"sessions", "id", "expires"},
		{"revocations", "number", "keep"},
		{"arrivals", "rowid", "keep"},
		{"blocks", "network", "until"},
	} {
		text := fmt.Sprintf("DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE %[3]s <= ? LIMIT %[4]d)",
			table.name, table.key, table.expires, sweepBatch)
		for {
			n, err := s.affect(ctx, text, micros(now))
			if err != nil {
				return fmt.Errorf("sweep %s: %w", table.name, err)
			}
			if n < sweepBatch {
				break
			}
		}
	}
	return nil
}
