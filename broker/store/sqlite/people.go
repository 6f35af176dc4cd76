package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/rolecall/rolecall/idp/directory"
)

// AddPerson implements directory.PeopleStore.
func (s *Store) AddPerson(ctx context.Context, row directory.Row) error {
	n, err := s.affect(ctx, "INSERT INTO people (directory, id, name, version, data) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
		row.Directory, row.ID, row.Name, row.Version, blob(row.Data))
	if err == nil && n == 0 {
		err = directory.ErrTaken
	}
	return err
}

// FindPerson implements directory.PeopleStore.
func (s *Store) FindPerson(ctx context.Context, dir, id, name string) (directory.Row, error) {
	which, key := readPersonByID, id
	if id == "" {
		which, key = readPersonByName, name
	}
	row := directory.Row{Directory: dir}
	found, err := s.one(ctx, which, []any{dir, key}, &row.ID, &row.Name, &row.Version, &row.Data)
	if err == nil && !found {
		err = directory.ErrNotFound
	}
	return row, err
}

// UpdatePerson implements directory.PeopleStore.
func (s *Store) UpdatePerson(ctx context.Context, row directory.Row) error {
	return do(ctx, s, func(tx *tx) error {
		n, err := tx.affect(`UPDATE people SET name = ?3, version = version + 1, data = ?5 WHERE directory = ?1 AND id = ?2 AND version = ?4
			AND NOT EXISTS (SELECT 1 FROM people WHERE directory = ?1 AND name = ?3 AND id <> ?2)`,
			row.Directory, row.ID, row.Name, row.Version, blob(row.Data))
		if err != nil || n == 1 {
			return err
		}
		var version int64
		found, err := tx.query("SELECT version FROM people WHERE directory = ? AND id = ?", []any{row.Directory, row.ID}, &version)
		switch {
		case err != nil:
			return err
		case !found:
			return directory.ErrNotFound
		case version != row.Version:
			return directory.ErrConflict
		}
		return directory.ErrTaken
	})
}

// DropPerson implements directory.PeopleStore.
func (s *Store) DropPerson(ctx context.Context, dir, id string) error {
	if id == "" { // codes of nobody are not theirs
		return nil
	}
	return do(ctx, s, func(tx *tx) error {
		return tx.all([]any{dir, id},
			"DELETE FROM people WHERE directory = ? AND id = ?",
			"DELETE FROM people_codes WHERE directory = ? AND person = ?",
			"DELETE FROM marks WHERE provider = ? AND subject = ?",
			"DELETE FROM recent_roles WHERE provider = ? AND subject = ?",
			"DELETE FROM arrivals WHERE provider = ? AND subject = ?",
		)
	})
}

// PeopleAfter implements directory.PeopleStore.
func (s *Store) PeopleAfter(ctx context.Context, dir, name string, limit int) (found []directory.Row, err error) {
	err = s.list(ctx, readPeopleAfter, []any{dir, name, limit}, func(rows *sql.Rows) error {
		row := directory.Row{Directory: dir}
		err := rows.Scan(&row.ID, &row.Name, &row.Version, &row.Data)
		found = append(found, row)
		return err
	})
	return found, err
}

// PutPersonCode implements directory.CodeStore.
func (s *Store) PutPersonCode(ctx context.Context, row directory.CodeRow) error {
	return s.exec(ctx, "INSERT OR REPLACE INTO people_codes (key, directory, person, tries, expires, data) VALUES (?, ?, ?, ?, ?, ?)",
		row.Key[:], row.Directory, row.Person, row.Tries, micros(row.Expires), blob(row.Data))
}

// TryPersonCode implements directory.CodeStore.
func (s *Store) TryPersonCode(ctx context.Context, key [32]byte, now time.Time) (directory.CodeRow, error) {
	return writeOne(ctx, s, func(tx *tx) (directory.CodeRow, error) {
		row := directory.CodeRow{Key: key}
		var expires int64
		found, err := tx.query(`UPDATE people_codes SET tries = tries - 1 WHERE key = ? AND tries > 0 AND expires > ?
			RETURNING directory, person, tries, expires, data`,
			[]any{key[:], micros(now)}, &row.Directory, &row.Person, &row.Tries, &expires, &row.Data)
		if err == nil && !found {
			err = directory.ErrNotFound
		}
		row.Expires = fromMicros(expires)
		return row, err
	})
}

// TakePersonCode implements directory.CodeStore.
func (s *Store) TakePersonCode(ctx context.Context, key [32]byte, data []byte) (bool, error) {
	n, err := s.affect(ctx, "DELETE FROM people_codes WHERE key = ? AND data = ?", key[:], blob(data))
	return n == 1, err
}
