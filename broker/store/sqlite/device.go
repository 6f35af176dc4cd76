package sqlite

import (
	"context"
	"time"

	"github.com/rolecall/rolecall/broker/devicecode"
)

// PutDevice implements devicecode.Store.
func (s *Store) PutDevice(ctx context.Context, row devicecode.Row) error {
	return s.exec(ctx, "INSERT INTO devices (code, user, expires, request, answer) VALUES (?, ?, ?, ?, x'')",
		row.Code[:], row.User[:], micros(row.Expires), blob(row.Request))
}

// DeviceByUser implements devicecode.Store.
func (s *Store) DeviceByUser(ctx context.Context, user devicecode.Hash, now time.Time) (devicecode.Row, error) {
	return s.device(ctx, readDeviceByUser, user, now)
}

// DeviceByCode implements devicecode.Store.
func (s *Store) DeviceByCode(ctx context.Context, code devicecode.Hash, now time.Time) (devicecode.Row, error) {
	return s.device(ctx, readDeviceByCode, code, now)
}

func (s *Store) device(ctx context.Context, which int, key devicecode.Hash, now time.Time) (devicecode.Row, error) {
	var row devicecode.Row
	var code, user []byte
	var expires int64
	found, err := s.one(ctx, which, []any{key[:], micros(now)}, &code, &user, &expires, &row.Request)
	if err == nil && !found {
		err = devicecode.ErrNotFound
	}
	copy(row.Code[:], code)
	copy(row.User[:], user)
	row.Expires = fromMicros(expires)
	return row, err
}

// AnswerDevice implements devicecode.Store.
func (s *Store) AnswerDevice(ctx context.Context, user devicecode.Hash, now time.Time, state devicecode.State, answer []byte) error {
	n, err := s.affect(ctx, "UPDATE devices SET state = ?, answer = ? WHERE user = ? AND state = ? AND expires > ?",
		int(state), blob(answer), user[:], int(devicecode.Waiting), micros(now))
	if err == nil && n == 0 {
		err = devicecode.ErrNotFound
	}
	return err
}

// PollDevice implements devicecode.Store.
func (s *Store) PollDevice(ctx context.Context, code devicecode.Hash, now time.Time, pause time.Duration) (devicecode.Polled, error) {
	return write(ctx, s, func(tx *tx) (devicecode.Polled, error) { return tx.pollDevice(code, now, pause) })
}

// early is by how much a poll may come too soon: clocks and networks are not exact.
const early = 500 * time.Millisecond

func (t *tx) pollDevice(code devicecode.Hash, now time.Time, pause time.Duration) (devicecode.Polled, error) {
	var got devicecode.Polled
	var state int
	var extra, last int64
	found, err := t.query("SELECT state, pause, polled, answer FROM devices WHERE code = ? AND expires > ?",
		[]any{code[:], micros(now)}, &state, &extra, &last, &got.Answer)
	if err == nil && !found {
		err = devicecode.ErrNotFound
	}
	if err != nil {
		return devicecode.Polled{}, err
	}
	wait := pause + time.Duration(extra)*time.Microsecond - early
	if last != 0 && now.Sub(fromMicros(last)) < wait {
		return devicecode.Polled{State: devicecode.TooSoon},
			t.exec("UPDATE devices SET polled = ?, pause = pause + ? WHERE code = ?", micros(now), pause.Microseconds(), code[:])
	}
	got.State = devicecode.State(state)
	if got.State == devicecode.Waiting {
		return devicecode.Polled{}, t.exec("UPDATE devices SET polled = ? WHERE code = ?", micros(now), code[:])
	}
	return got, t.exec("DELETE FROM devices WHERE code = ?", code[:])
}
