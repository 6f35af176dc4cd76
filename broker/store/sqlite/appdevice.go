package sqlite

import (
	"context"
	"database/sql"
	"encoding/base64"
	"errors"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp/device"
)

const deviceColumns = "id, app, thumbprint, identity, created, provider, subject, generation, revoked"

// scanned is where a row of app_devices goes.
type scanned struct {
	device.Device
	thumbprint []byte
	created    int64
}

func (s *scanned) into() []any {
	return []any{&s.ID, &s.App, &s.thumbprint, &s.IdentityID, &s.created, &s.Provider, &s.Subject, &s.Generation, &s.Revoked}
}

func (s *scanned) device() device.Device {
	s.Thumbprint, s.Created = base64.RawURLEncoding.EncodeToString(s.thumbprint), fromMicros(s.created)
	return s.Device
}

// thumbprintBytes is how a thumbprint is kept.
func thumbprintBytes(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && len(b) != 32 {
		err = errors.New("not a SHA-256")
	}
	return b, err
}

// RegisterDevice implements device.Store. Devices are registered once and may ask
// often, so the read comes first.
func (s *Store) RegisterDevice(ctx context.Context, d device.Device) (device.Device, error) {
	key, err := thumbprintBytes(d.Thumbprint)
	if err != nil {
		return device.Device{}, err
	}
	var row scanned
	if found, err := s.one(ctx, readDeviceByKey, []any{key, d.App}, row.into()...); err != nil || found {
		return row.device(), err
	}
	return write(ctx, s, func(tx *tx) (device.Device, error) {
		var row scanned
		made, err := tx.addDevice(d, key)
		if err != nil || made {
			return d, err
		}
		// Another call was faster.
		found, err := tx.query("SELECT "+deviceColumns+" FROM app_devices WHERE thumbprint = ? AND app = ?", []any{key, d.App}, row.into()...)
		if err == nil && !found {
			err = device.ErrNotFound
		}
		return row.device(), err
	})
}

// addDevice keeps a device unless its app knows the key.
func (t *tx) addDevice(d device.Device, key []byte) (made bool, err error) {
	n, err := t.affect(`INSERT INTO app_devices (id, app, thumbprint, identity, created, generation) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (thumbprint, app) DO NOTHING`, d.ID, d.App, key, d.IdentityID, micros(d.Created), d.Generation)
	return n == 1, err
}

// deviceOf makes ready for a family of a device: it is registered, or its tokens end.
func (t *tx) deviceOf(family session.Row) error {
	d := family.Registers
	if d == nil {
		return t.endDevice(family.Device)
	}
	key, err := thumbprintBytes(d.Thumbprint)
	if err != nil {
		return err
	}
	made, err := t.addDevice(*d, key)
	if err == nil && !made {
		err = session.ErrNotFound
	}
	return err
}

// DeviceByKey implements device.Store.
func (s *Store) DeviceByKey(ctx context.Context, app, thumbprint string) (device.Device, error) {
	key, err := thumbprintBytes(thumbprint)
	if err != nil {
		return device.Device{}, err
	}
	var row scanned
	found, err := s.one(ctx, readDeviceByKey, []any{key, app}, row.into()...)
	if err == nil && !found {
		err = device.ErrNotFound
	}
	return row.device(), err
}

// DeviceByID implements device.Store.
func (s *Store) DeviceByID(ctx context.Context, id string) (device.Device, error) {
	var row scanned
	found, err := s.one(ctx, readDeviceByID, []any{id}, row.into()...)
	if err == nil && !found {
		err = device.ErrNotFound
	}
	return row.device(), err
}

// RotateDevice implements device.Store.
func (s *Store) RotateDevice(ctx context.Context, id, old, new string) (device.Device, error) {
	before, err := thumbprintBytes(old)
	if err != nil {
		return device.Device{}, err
	}
	after, err := thumbprintBytes(new)
	if err != nil {
		return device.Device{}, err
	}
	return write(ctx, s, func(tx *tx) (device.Device, error) {
		var row scanned
		var other string
		taken, err := tx.query("SELECT o.id FROM app_devices o JOIN app_devices d ON o.app = d.app WHERE o.thumbprint = ? AND d.id = ?", []any{after, id}, &other)
		if err == nil && taken {
			err = device.ErrKeyTaken
		}
		if err != nil {
			return device.Device{}, err
		}
		found, err := tx.query(`UPDATE app_devices SET thumbprint = ?, generation = generation + 1
			WHERE id = ? AND thumbprint = ? AND revoked = 0 RETURNING `+deviceColumns, []any{after, id, before}, row.into()...)
		if err == nil && !found {
			err = device.ErrNotFound
		}
		if err != nil {
			return device.Device{}, err
		}
		return row.device(), tx.endDevice(id)
	})
}

// endDevice ends the tokens of a device. Its family is forgotten: no code leads to
// one of a device, so that its id cannot come again.
func (t *tx) endDevice(id string) error {
	return t.all([]any{id}, "DELETE FROM families WHERE device = ?") // and their tokens
}

// RevokeDevice implements device.Store.
func (s *Store) RevokeDevice(ctx context.Context, id string) error {
	return do(ctx, s, func(tx *tx) error {
		if err := tx.exec("UPDATE app_devices SET revoked = 1, generation = generation + 1 WHERE id = ? AND revoked = 0", id); err != nil {
			return err
		}
		return tx.endDevice(id)
	})
}

// BindDevice implements device.Store.
func (s *Store) BindDevice(ctx context.Context, b device.Binding, spare string) (device.Bound, error) {
	return write(ctx, s, func(tx *tx) (device.Bound, error) { return tx.bindDevice(b, spare) })
}

func (t *tx) bindDevice(b device.Binding, spare string) (device.Bound, error) {
	var row scanned
	found, err := t.query("SELECT "+deviceColumns+" FROM app_devices WHERE id = ? AND revoked = 0", []any{b.Device}, row.into()...)
	if err == nil && !found {
		err = device.ErrNotFound
	}
	if err != nil {
		return device.Bound{}, err
	}
	var others int
	if _, err := t.query("SELECT count(*) FROM app_devices WHERE provider = ? AND subject = ? AND subject <> '' AND app = ? AND revoked = 0 AND id <> ?",
		[]any{b.Provider, b.Subject, row.App, b.Device}, &others); err != nil {
		return device.Bound{}, err
	}
	if others >= b.Limit {
		return device.Bound{}, device.ErrTooMany
	}
	var bound device.Bound
	identity, err := t.identityOf(b, row.Device, spare, &bound.Alias)
	if err != nil {
		return device.Bound{}, err
	}
	_, err = t.query(`UPDATE app_devices SET identity = ?, provider = ?, subject = ?, generation = generation + 1 WHERE id = ? RETURNING `+deviceColumns,
		[]any{identity, b.Provider, b.Subject, b.Device}, row.into()...)
	if err != nil {
		return device.Bound{}, err
	}
	bound.Device = row.device()
	return bound, t.endDevice(b.Device)
}

// identityOf finds the identity of a person in the device's app, or makes it: of
// the guest's, or of the spare one where the device's is somebody's already. alias
// gets the guest's where the person had their own.
func (t *tx) identityOf(b device.Binding, d device.Device, spare string, alias *string) (string, error) {
	var identity, owner string
	own, err := t.query("SELECT identity FROM app_identities WHERE provider = ? AND subject = ? AND app = ?", []any{b.Provider, b.Subject, d.App}, &identity)
	if err != nil {
		return "", err
	}
	owned, err := t.query("SELECT subject FROM app_identities WHERE identity = ?", []any{d.IdentityID}, &owner)
	switch {
	case err != nil:
		return "", err
	case own && (owned || identity == d.IdentityID):
		return identity, nil
	case own:
		*alias = d.IdentityID
		return identity, t.exec("INSERT INTO app_aliases (alias, identity) VALUES (?, ?)", d.IdentityID, identity)
	case owned:
		identity = spare
	default:
		identity = d.IdentityID
	}
	return identity, t.exec("INSERT INTO app_identities (provider, subject, app, identity) VALUES (?, ?, ?, ?)", b.Provider, b.Subject, d.App, identity)
}

// DevicesOf implements device.Store.
func (s *Store) DevicesOf(ctx context.Context, app, provider, subject string) (found []device.Device, err error) {
	err = s.list(ctx, readDevicesOf, []any{provider, subject, app}, func(rows *sql.Rows) error {
		var row scanned
		err := rows.Scan(row.into()...)
		found = append(found, row.device())
		return err
	})
	return found, err
}
