package sqlite

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/rolecall/rolecall/broker/session"
)

// PutSession implements session.SessionStore.
func (s *Store) PutSession(ctx context.Context, token session.Hash, row session.Row) error {
	return do(ctx, s, func(tx *tx) error {
		err := tx.exec("INSERT INTO sessions (id, token, provider, subject, expires, seen, data, name_id, session_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			row.ID, token[:], row.Provider, row.Subject, micros(row.Expires), micros(row.Seen), blob(row.Data), row.NameID, row.SessionIndex)
		if err != nil || row.Keep.IsZero() {
			return err
		}
		return tx.exec(`INSERT INTO arrivals (provider, subject, at, keep, data) VALUES (?1, ?2, ?3, ?4, ?5)
			ON CONFLICT (provider, subject) DO UPDATE SET at = ?3, keep = ?4, data = ?5 WHERE at <= ?3`,
			row.Provider, row.Subject, micros(row.Seen), micros(row.Keep), blob(row.Arrival))
	})
}

// TouchSession implements session.SessionStore.
func (s *Store) TouchSession(ctx context.Context, id string, seen time.Time) error {
	return s.exec(ctx, "UPDATE sessions SET seen = ?1 WHERE id = ?2 AND seen < ?1", micros(seen), id)
}

// EndSession implements session.SessionStore.
func (s *Store) EndSession(ctx context.Context, id string) error {
	if id == "" { // families without a session have none to end by
		return nil
	}
	return do(ctx, s, func(tx *tx) error { return tx.endSession(id) })
}

func (t *tx) endSession(id string) error {
	return t.all([]any{id},
		"DELETE FROM sessions WHERE id = ?", // and its consents
		"DELETE FROM codes WHERE session = ? AND taken = 0",
		"DELETE FROM tokens WHERE family IN (SELECT id FROM families WHERE session = ?)",
		"UPDATE families SET ended = 1, data = x'' WHERE session = ? AND ended = 0",
	)
}

// EndUpstream implements session.PeopleStore.
func (s *Store) EndUpstream(ctx context.Context, provider, nameID string, indexes []string) ([]session.Row, error) {
	if nameID == "" && len(indexes) == 0 { // a session whose provider has no name for it is not meant
		return nil, nil
	}
	list, err := json.Marshal(append([]string{}, indexes...))
	if err != nil {
		return nil, err
	}
	return write(ctx, s, func(tx *tx) ([]session.Row, error) {
		var rows []session.Row
		for {
			var row session.Row
			var expires, seen int64
			found, err := tx.query(`SELECT id, provider, subject, expires, seen, data FROM sessions WHERE provider = ?1
				AND (name_id = ?2 OR ?2 = '' AND session_index <> '')
				AND (?3 = '[]' OR session_index = '' OR session_index IN (SELECT value FROM json_each(?3))) ORDER BY id LIMIT 1`,
				[]any{provider, nameID, string(list)}, &row.ID, &row.Provider, &row.Subject, &expires, &seen, &row.Data)
			if err != nil || !found {
				return rows, err
			}
			row.Expires, row.Seen = fromMicros(expires), fromMicros(seen)
			if err := tx.endSession(row.ID); err != nil {
				return nil, err
			}
			rows = append(rows, row)
		}
	})
}

// EndSubject implements session.PeopleStore.
func (s *Store) EndSubject(ctx context.Context, provider, subject string) error {
	return do(ctx, s, func(tx *tx) error {
		return tx.all([]any{provider, subject},
			"DELETE FROM sessions WHERE provider = ? AND subject = ?",
			"DELETE FROM codes WHERE provider = ? AND subject = ? AND taken = 0",
			"DELETE FROM tokens WHERE family IN (SELECT id FROM families WHERE provider = ? AND subject = ?)",
			"UPDATE families SET ended = 1, data = x'' WHERE provider = ? AND subject = ? AND ended = 0",
		)
	})
}

// all runs statements with the same arguments.
func (t *tx) all(args []any, texts ...string) error {
	for _, text := range texts {
		if err := t.exec(text, args...); err != nil {
			return err
		}
	}
	return nil
}

// PutPending implements session.SignInStore.
func (s *Store) PutPending(ctx context.Context, handle, browser session.Hash, data []byte, expires time.Time) error {
	return s.exec(ctx, "INSERT INTO pending (handle, browser, expires, data) VALUES (?, ?, ?, ?)", handle[:], browser[:], micros(expires), blob(data))
}

// TakePending implements session.SignInStore.
func (s *Store) TakePending(ctx context.Context, handle, browser session.Hash, now time.Time) ([]byte, error) {
	return writeOne(ctx, s, func(tx *tx) ([]byte, error) {
		var data []byte
		found, err := tx.query("DELETE FROM pending WHERE handle = ? AND browser = ? AND expires > ? RETURNING data",
			[]any{handle[:], browser[:], micros(now)}, &data)
		if err == nil && !found {
			err = session.ErrNotFound
		}
		return data, err
	})
}

// PutCode implements session.SignInStore.
func (s *Store) PutCode(ctx context.Context, code session.Hash, row session.Row) error {
	return s.exec(ctx, `INSERT INTO codes (code, family, session, provider, subject, expires, keep, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		code[:], row.ID, row.Session, row.Provider, row.Subject, micros(row.Expires), micros(row.Keep), blob(row.Data))
}

// taken is what taking a code gives: a second use changes the store too, so it
// must not be an error inside the transaction.
type taken struct {
	row    session.Row
	reused bool
}

// TakeCode implements session.SignInStore.
func (s *Store) TakeCode(ctx context.Context, code session.Hash, now time.Time) (session.Row, error) {
	got, err := write(ctx, s, func(tx *tx) (taken, error) { return tx.takeCode(code, now) })
	if err == nil && got.reused {
		err = session.ErrReused
	}
	return got.row, err
}

func (t *tx) takeCode(code session.Hash, now time.Time) (taken, error) {
	var got taken
	var used bool
	var expires, keep int64
	row := &got.row
	found, err := t.query("SELECT family, session, provider, subject, taken, expires, keep, data FROM codes WHERE code = ?",
		[]any{code[:]}, &row.ID, &row.Session, &row.Provider, &row.Subject, &used, &expires, &keep, &row.Data)
	switch {
	case err != nil:
		return taken{}, err
	case !found || !used && expires <= micros(now):
		return taken{}, session.ErrNotFound
	case used:
		reused := taken{row: session.Row{ID: row.ID}, reused: true}
		return reused, t.endFamily(*row, keep)
	}
	row.Expires, row.Keep = fromMicros(expires), fromMicros(keep)
	return got, t.exec("UPDATE codes SET taken = 1, data = x'' WHERE code = ?", code[:])
}

// endFamily ends a family that may not have been made yet.
func (t *tx) endFamily(row session.Row, keep int64) error {
	if err := t.exec("DELETE FROM tokens WHERE family = ?", row.ID); err != nil {
		return err
	}
	return t.exec(`INSERT INTO families (id, session, provider, subject, ended, expires, data) VALUES (?, ?, ?, ?, 1, ?, x'')
		ON CONFLICT (id) DO UPDATE SET ended = 1, data = x''`, row.ID, row.Session, row.Provider, row.Subject, keep)
}

// PutFamily implements session.TokenStore.
func (s *Store) PutFamily(ctx context.Context, row session.Row, tokens []session.TokenRow) error {
	return do(ctx, s, func(tx *tx) error {
		if row.Device != "" {
			if err := tx.deviceOf(row); err != nil {
				return err
			}
		}
		made, err := tx.affect(`INSERT INTO families (id, session, provider, subject, expires, data, device)
			SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (?2 = '' OR EXISTS (SELECT 1 FROM sessions WHERE id = ?2))
				AND (?7 = '' OR EXISTS (SELECT 1 FROM app_devices WHERE id = ?7 AND generation = ?8 AND revoked = 0))
			ON CONFLICT (id) DO NOTHING`,
			row.ID, row.Session, row.Provider, row.Subject, micros(row.Expires), blob(row.Data), row.Device, row.Generation)
		if err == nil && made == 0 {
			err = session.ErrNotFound
		}
		if err != nil {
			return err
		}
		return tx.addTokens(row.ID, tokens)
	})
}

func (t *tx) addTokens(family string, tokens []session.TokenRow) error {
	return t.addChildren(family, tokens, session.Hash{})
}

// addChildren adds what a refresh token gave. The access token's parent is the
// refresh token beside it.
func (t *tx) addChildren(family string, tokens []session.TokenRow, parent session.Hash) error {
	var beside []byte
	for _, row := range tokens {
		if row.Refresh {
			beside = row.Hash[:]
		}
	}
	for _, row := range tokens {
		from := blob(beside)
		if row.Refresh {
			from = parent[:]
		}
		err := t.exec("INSERT INTO tokens (hash, family, refresh, thumbprint, expires, parent) VALUES (?, ?, ?, ?, ?, ?)",
			row.Hash[:], family, row.Refresh, row.Thumbprint, micros(row.Expires), from)
		if err != nil {
			return err
		}
	}
	return nil
}

// Rotate implements session.TokenStore.
func (s *Store) Rotate(ctx context.Context, old session.Hash, next []session.TokenRow) error {
	reused, err := write(ctx, s, func(tx *tx) (bool, error) { return tx.rotate(old, next) })
	if err == nil && reused {
		err = session.ErrReused
	}
	return err
}

func (t *tx) rotate(old session.Hash, next []session.TokenRow) (reused bool, err error) {
	var family string
	found, err := t.query("UPDATE tokens SET used = 1 WHERE hash = ? AND refresh = 1 AND used = 0 RETURNING family", []any{old[:]}, &family)
	if err != nil {
		return false, err
	}
	if found {
		return false, t.addTokens(family, next)
	}
	found, err = t.query("SELECT family FROM tokens WHERE hash = ? AND refresh = 1", []any{old[:]}, &family)
	if err == nil && !found {
		err = session.ErrNotFound
	}
	if err != nil {
		return false, err
	}
	return true, t.end(family)
}

// EndFamily implements session.TokenStore.
func (s *Store) EndFamily(ctx context.Context, id string) error {
	return do(ctx, s, func(tx *tx) error { return tx.end(id) })
}

func (t *tx) end(family string) error {
	return t.all([]any{family},
		"DELETE FROM tokens WHERE family = ?",
		"UPDATE families SET ended = 1, data = x'' WHERE id = ?",
	)
}

// PutConsent implements session.PeopleStore.
func (s *Store) PutConsent(ctx context.Context, id, client string) error {
	return do(ctx, s, func(tx *tx) error {
		var one int
		found, err := tx.query("SELECT 1 FROM sessions WHERE id = ?", []any{id}, &one)
		if err == nil && !found {
			err = session.ErrNotFound
		}
		if err != nil {
			return err
		}
		return tx.exec("INSERT INTO consents (session, client) VALUES (?, ?) ON CONFLICT DO NOTHING", id, client)
	})
}

// ClaimName implements session.PeopleStore. Names are claimed once and read often,
// so the read comes first.
func (s *Store) ClaimName(ctx context.Context, name, provider, subject string) (bool, error) {
	var p, sub string
	found, err := s.one(ctx, readName, []any{name}, &p, &sub)
	if err != nil {
		return false, err
	}
	if found {
		return p == provider && sub == subject, nil
	}
	return write(ctx, s, func(tx *tx) (bool, error) {
		if err := tx.exec("INSERT INTO names (name, provider, subject) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", name, provider, subject); err != nil {
			return false, err
		}
		found, err := tx.query("SELECT provider, subject FROM names WHERE name = ?", []any{name}, &p, &sub)
		if err == nil && !found {
			err = errors.New("a name that was just written is not there")
		}
		return p == provider && sub == subject, err
	})
}
