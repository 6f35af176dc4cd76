package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/broker/session"
)

// list reads rows; scan adds one.
func (s *Store) list(ctx context.Context, which int, args []any, scan func(*sql.Rows) error) (err error) {
	defer func() { s.stats.read(err) }()
	rows, err := s.reads[which].QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Marks implements marks.Store.
func (s *Store) Marks(ctx context.Context, provider, subject string) (found []marks.Mark, err error) {
	err = s.list(ctx, readMarks, []any{provider, subject}, func(rows *sql.Rows) error {
		var m marks.Mark
		err := rows.Scan(&m.Account, &m.Label, &m.Colour, &m.Favourite)
		found = append(found, m)
		return err
	})
	return found, err
}

const dropEmptyMark = "DELETE FROM marks WHERE provider = ? AND subject = ? AND account = ? AND label = '' AND colour = '' AND favourite = 0"

// PutMark implements marks.Store.
func (s *Store) PutMark(ctx context.Context, provider, subject string, m marks.Mark) error {
	return do(ctx, s, func(tx *tx) error {
		err := tx.exec(`INSERT INTO marks (provider, subject, account, label, colour, favourite) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET label = excluded.label, colour = excluded.colour, favourite = excluded.favourite`,
			provider, subject, m.Account, m.Label, m.Colour, m.Favourite)
		if err != nil {
			return err
		}
		return tx.exec(dropEmptyMark, provider, subject, m.Account)
	})
}

// PutFavourite implements marks.Store.
func (s *Store) PutFavourite(ctx context.Context, provider, subject, account string, favourite bool) error {
	return do(ctx, s, func(tx *tx) error {
		err := tx.exec(`INSERT INTO marks (provider, subject, account, favourite) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET favourite = excluded.favourite`, provider, subject, account, favourite)
		if err != nil {
			return err
		}
		return tx.exec(dropEmptyMark, provider, subject, account)
	})
}

// RecentRoles implements marks.Store.
func (s *Store) RecentRoles(ctx context.Context, provider, subject string) (found []marks.Recent, err error) {
	err = s.list(ctx, readRecent, []any{provider, subject}, func(rows *sql.Rows) error {
		var r marks.Recent
		var used int64
		err := rows.Scan(&r.Role, &used)
		r.Used = fromMicros(used)
		found = append(found, r)
		return err
	})
	return found, err
}

// PutRecentRole implements marks.Store.
func (s *Store) PutRecentRole(ctx context.Context, provider, subject string, r marks.Recent) error {
	return do(ctx, s, func(tx *tx) error {
		err := tx.exec(`INSERT INTO recent_roles (provider, subject, role, used) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET used = max(used, excluded.used)`, provider, subject, r.Role, micros(r.Used))
		if err != nil {
			return err
		}
		return tx.exec(`DELETE FROM recent_roles WHERE provider = ?1 AND subject = ?2 AND role NOT IN
			(SELECT role FROM recent_roles WHERE provider = ?1 AND subject = ?2 ORDER BY used DESC, role LIMIT ?3)`,
			provider, subject, marks.MaxRecent)
	})
}

// SessionsOf implements session.ListStore.
func (s *Store) SessionsOf(ctx context.Context, provider, subject string, limit int) ([]session.Row, error) {
	return s.rowsOf(ctx, readSessionsOf, provider, subject, limit)
}

// FamiliesOf implements session.ListStore.
func (s *Store) FamiliesOf(ctx context.Context, provider, subject string, limit int) ([]session.Row, error) {
	return s.rowsOf(ctx, readFamiliesOf, provider, subject, limit)
}

// Arrivals implements session.ListStore.
func (s *Store) Arrivals(ctx context.Context, provider, subject string, limit int) ([]session.Row, error) {
	return s.rowsOf(ctx, readArrivals, provider, subject, limit)
}

// NameOwner implements session.ListStore.
func (s *Store) NameOwner(ctx context.Context, name string) (provider, subject string, err error) {
	_, err = s.one(ctx, readName, []any{name}, &provider, &subject)
	return provider, subject, err
}

func (s *Store) rowsOf(ctx context.Context, which int, provider, subject string, limit int) (found []session.Row, err error) {
	err = s.list(ctx, which, []any{provider, subject, limit}, func(rows *sql.Rows) error {
		var row session.Row
		var expires, seen int64
		err := rows.Scan(&row.ID, &row.Session, &row.Provider, &row.Subject, &expires, &seen, &row.Data)
		row.Expires = fromMicros(expires)
		if seen != 0 {
			row.Seen = fromMicros(seen)
		}
		found = append(found, row)
		return err
	})
	return found, err
}
