package sqlite

import (
	"context"
	"time"

	"github.com/rolecall/rolecall/broker/session"
)

// keepUsed is how long a used refresh token of a family with grace is remembered
// for more than refusing it: its second use ends the family. Such a family may live
// for months and rotate every ten minutes, so they cannot be kept for good.
const keepUsed = 24 * time.Hour

// RotateAgain implements session.TokenStore.
func (s *Store) RotateAgain(ctx context.Context, old session.Hash, next []session.TokenRow, now time.Time, grace time.Duration, until time.Time) error {
	reused, err := write(ctx, s, func(tx *tx) (bool, error) {
		family, reused, err := tx.rotateAgain(old, next, now, grace)
		if err != nil || reused {
			return reused, err
		}
		return false, tx.exec("UPDATE families SET expires = ? WHERE id = ?", micros(until), family)
	})
	if err == nil && reused {
		err = session.ErrReused
	}
	return err
}

func (t *tx) rotateAgain(old session.Hash, next []session.TokenRow, now time.Time, grace time.Duration) (family string, reused bool, err error) {
	var parent []byte
	fresh, err := t.query("UPDATE tokens SET used = 1, used_at = ? WHERE hash = ? AND refresh = 1 AND used = 0 RETURNING family, parent",
		[]any{micros(now), old[:]}, &family, &parent)
	if err != nil {
		return "", false, err
	}
	if fresh {
		if err := t.endSiblings(family, old, parent, now); err != nil {
			return "", false, err
		}
		if err := t.exec("DELETE FROM tokens WHERE family = ? AND refresh = 1 AND used = 1 AND used_at < ?", family, micros(now.Add(-keepUsed))); err != nil {
			return "", false, err
		}
		return family, false, t.addChildren(family, next, old)
	}
	var used int64
	found, err := t.query("SELECT family, used_at FROM tokens WHERE hash = ? AND refresh = 1", []any{old[:]}, &family, &used)
	if err == nil && !found {
		err = session.ErrNotFound
	}
	if err != nil {
		return "", false, err
	}
	var children, unused int
	if _, err := t.query("SELECT count(*), count(*) FILTER (WHERE used = 0) FROM tokens WHERE family = ? AND parent = ? AND refresh = 1",
		[]any{family, old[:]}, &children, &unused); err != nil {
		return "", false, err
	}
	if children == 1 && unused == 1 && now.Sub(fromMicros(used)) < grace {
		return family, false, t.addChildren(family, next, old)
	}
	return family, true, t.end(family)
}

// endSiblings ends what the parent of a token gave beside it, and remembers that, so
// that the use of a sibling is a second use: it has given nothing that could have
// been lost.
func (t *tx) endSiblings(family string, token session.Hash, parent []byte, now time.Time) error {
	const siblings = "FROM tokens WHERE family = ?1 AND parent = ?2 AND refresh = 1 AND hash <> ?3 AND used = 0"
	if err := t.exec("DELETE FROM tokens WHERE family = ?1 AND refresh = 0 AND parent IN (SELECT hash "+siblings+")", family, parent, token[:]); err != nil {
		return err
	}
	return t.exec("UPDATE tokens SET used = 1, used_at = ?4 WHERE hash IN (SELECT hash "+siblings+")", family, parent, token[:], micros(now))
}
