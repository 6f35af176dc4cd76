package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/rolecall/rolecall/broker/session"
)

// The prepared reads.
const (
	readSessionByToken = iota
	readSessionByID
	readToken
	readConsent
	readName
	readKeys
	readMarks
	readRecent
	readSessionsOf
	readFamiliesOf
	readDeviceByUser
	readDeviceByCode
	readRevocations
	readDeviceByKey
	readDeviceByID
	readDevicesOf
	readBlocks
	readSubjectsNamed
	readArrivals
	readUsed
	readPersonByID
	readPersonByName
	readPeopleAfter
	numReads
)

// usernameIs compares the user name in the data of a session or family.
const usernameIs = `CASE WHEN json_valid(CAST(data AS TEXT)) THEN json_extract(CAST(data AS TEXT), '$.identity.username') = ?1 ELSE 0 END`

func readTexts() [numReads]string {
	const columns = "id, provider, subject, expires, seen, data"
	return [numReads]string{
		readSessionByToken: "SELECT " + columns + " FROM sessions WHERE token = ?",
		readSessionByID:    "SELECT " + columns + " FROM sessions WHERE id = ?",
		readToken: `SELECT t.refresh, t.used, t.used_at, t.thumbprint, t.expires, f.id, f.session, f.provider, f.subject, f.expires, f.data
			FROM tokens t JOIN families f ON f.id = t.family WHERE t.hash = ? AND f.ended = 0`,
		readConsent:      "SELECT 1 FROM consents WHERE session = ? AND client = ?",
		readName:         "SELECT provider, subject FROM names WHERE name = ?",
		readDeviceByUser: "SELECT code, user, expires, request FROM devices WHERE user = ? AND expires > ? AND state = 0",
		readDeviceByCode: "SELECT code, user, expires, request FROM devices WHERE code = ? AND expires > ?",
		readKeys: `SELECT use, algorithm, generation, kid, active, sealed FROM signing_keys
			WHERE use = ? ORDER BY algorithm, generation`,
		readDeviceByKey: "SELECT " + deviceColumns + " FROM app_devices WHERE thumbprint = ? AND app = ?",
		readDevicesOf: "SELECT " + deviceColumns + ` FROM app_devices
			WHERE provider = ? AND subject = ? AND app = ? AND subject <> '' AND revoked = 0 ORDER BY number DESC`,
		readDeviceByID:  "SELECT " + deviceColumns + " FROM app_devices WHERE id = ?",
		readBlocks:      "SELECT network, since, until, count, what FROM blocks WHERE until > ? ORDER BY until DESC, network LIMIT ?",
		readRevocations: "SELECT number, kind, target, at, until FROM revocations WHERE number > ? ORDER BY number",
		readSubjectsNamed: `SELECT provider, subject FROM names WHERE name = ?1
			UNION SELECT provider, subject FROM sessions WHERE ` + usernameIs + `
			UNION SELECT provider, subject FROM families WHERE ended = 0 AND ` + usernameIs + " ORDER BY 1, 2",
		readArrivals: `SELECT '', '', provider, subject, keep, at, data FROM arrivals
			WHERE (?1 = '' OR provider = ?1 AND (?2 = '' OR subject = ?2)) ORDER BY at DESC, provider, subject LIMIT ?3`,
		readPersonByID:   "SELECT id, name, version, data FROM people WHERE directory = ? AND id = ?",
		readPersonByName: "SELECT id, name, version, data FROM people WHERE directory = ? AND name = ?",
		readPeopleAfter:  "SELECT id, name, version, data FROM people WHERE directory = ? AND name > ? ORDER BY name LIMIT ?",
		readUsed:         "SELECT 1 FROM used WHERE key = ?",
		readMarks:        "SELECT account, label, colour, favourite FROM marks WHERE provider = ? AND subject = ?",
		readRecent:       "SELECT role, used FROM recent_roles WHERE provider = ? AND subject = ? ORDER BY used DESC, role",
		readSessionsOf: `SELECT id, '', provider, subject, expires, seen, data FROM sessions
			WHERE (?1 = '' OR provider = ?1 AND subject = ?2) ORDER BY seen DESC, id LIMIT ?3`,
		readFamiliesOf: `SELECT id, session, provider, subject, expires, 0, data FROM families
			WHERE ended = 0 AND (?1 = '' OR provider = ?1 AND subject = ?2) ORDER BY expires DESC, id LIMIT ?3`,
	}
}

// one reads at most one row. A read takes microseconds, so it is not cancelled: a
// context that can end costs a goroutine each time.
func (s *Store) one(ctx context.Context, which int, args []any, into ...any) (found bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	err = s.reads[which].QueryRowContext(context.WithoutCancel(ctx), args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		s.stats.read(nil)
		return false, nil
	}
	s.stats.read(err)
	return err == nil, err
}

func (s *Store) session(ctx context.Context, which int, key any) (session.Row, error) {
	var row session.Row
	var expires, seen int64
	found, err := s.one(ctx, which, []any{key}, &row.ID, &row.Provider, &row.Subject, &expires, &seen, &row.Data)
	if err != nil {
		return session.Row{}, err
	}
	if !found {
		return session.Row{}, session.ErrNotFound
	}
	row.Expires, row.Seen = fromMicros(expires), fromMicros(seen)
	return row, nil
}

// SessionByToken implements session.SessionStore.
func (s *Store) SessionByToken(ctx context.Context, token session.Hash) (session.Row, error) {
	return s.session(ctx, readSessionByToken, token[:])
}

// SessionByID implements session.SessionStore.
func (s *Store) SessionByID(ctx context.Context, id string) (session.Row, error) {
	return s.session(ctx, readSessionByID, id)
}

// FindToken implements session.TokenStore.
func (s *Store) FindToken(ctx context.Context, token session.Hash) (session.TokenRow, session.Row, error) {
	t := session.TokenRow{Hash: token}
	var f session.Row
	var expires, end, used int64
	found, err := s.one(ctx, readToken, []any{token[:]},
		&t.Refresh, &t.Used, &used, &t.Thumbprint, &expires, &f.ID, &f.Session, &f.Provider, &f.Subject, &end, &f.Data)
	if err == nil && !found {
		err = session.ErrNotFound
	}
	if err != nil {
		return session.TokenRow{}, session.Row{}, err
	}
	t.Expires, f.Expires, t.UsedAt = fromMicros(expires), fromMicros(end), fromMicros(used)
	return t, f, nil
}

// HasConsent implements session.PeopleStore.
func (s *Store) HasConsent(ctx context.Context, id, client string) (bool, error) {
	var one int
	return s.one(ctx, readConsent, []any{id, client}, &one)
}
