// Package device is the devices of apps: phones, and browsers that are an app. A
// device is known by a P-256 key that it made itself and never sends; it has no
// name and no password. What it is called here is random.
//
//	Register   the device of a key, made where the app does not know the key yet
//	Rotate     another key for it, by the word of the old one
//	Bind       somebody has logged in on it
//	Revoke     it ends, and its key is never taken again
//
// States: guest -> bound to a person (another one may log in later) -> revoked.
//
// An identity_id names whose data it is, in one app: of a guest, or of a person on
// all of their devices. The first person who logs in on a guest's device takes its
// identity_id over; where they have one already, the guest's becomes an alias of it.
package device

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Errors of this package.
var (
	// ErrNotFound says that there is no such device, that it has been revoked, or that
	// its key is another one by now.
	ErrNotFound = errors.New("no such device, or no longer")
	// ErrKeyTaken says that the new key is that of a device of the app already.
	ErrKeyTaken = errors.New("the key is another device's")
	// ErrTooMany says that the person is logged in on as many devices as may be.
	ErrTooMany = errors.New("the person is logged in on too many devices")
	// ErrAttestation says that an attestation came and nobody here judges any.
	ErrAttestation = errors.New("no attestation is taken here")
)

// Provider is the provider of the identity of a device without a person.
const Provider = "device"

// Device is one key of one app.
type Device struct {
	ID  string
	App string
	// IdentityID is whose data the device works with.
	IdentityID string
	// Thumbprint names its key (RFC 7638, SHA-256, base64url).
	Thumbprint string
	Created    time.Time
	// Provider and Subject are the person who logged in on it last, "" for a guest.
	Provider, Subject string
	Revoked           bool
	// Generation rises with each login, rotation and revocation: tokens are made for
	// one generation and end with it.
	Generation int64
}

// Guest reports whether nobody has ever logged in on the device.
func (d Device) Guest() bool { return d.Subject == "" }

// Registration is a key that wants to be a device of an app.
type Registration struct {
	App        string
	Thumbprint string
	// Attestation is a word of the platform's maker about the key, "" for none.
	Attestation string
}

// Verifier judges attestations.
type Verifier interface {
	// Verify refuses an attestation that is not of this key and this app.
	Verify(ctx context.Context, r Registration) error
}

// Binding is a login on a device.
type Binding struct {
	Device            string
	Provider, Subject string
	// Limit is on how many devices of the app the person may be, this one included.
	Limit int
}

// Bound is what a login made of a device.
type Bound struct {
	Device Device
	// Alias is the guest's identity_id that is an alias of the device's now, "" where
	// there was nothing to join.
	Alias string
}

// Store keeps devices. Each method is atomic and has taken effect durably when it
// returns nil.
type Store interface {
	KeyStore
	PeopleStore
}

// KeyStore keeps devices by their keys.
type KeyStore interface {
	// RegisterDevice keeps d unless its app knows the key; the answer is the device
	// that has the key, revoked or not. Where the key is known nothing is written.
	RegisterDevice(ctx context.Context, d Device) (Device, error)
	// DeviceByKey gives the device that has a key, revoked or not; ErrNotFound for none.
	DeviceByKey(ctx context.Context, app, thumbprint string) (Device, error)
	// DeviceByID gives a device, revoked or not; ErrNotFound for none.
	DeviceByID(ctx context.Context, id string) (Device, error)
	// RotateDevice gives a device that is not revoked and whose key is the old one a
	// new one, and ends its tokens; else ErrNotFound, or ErrKeyTaken.
	RotateDevice(ctx context.Context, id, old, new string) (Device, error)
	// RevokeDevice ends a device with its tokens, and frees its place among those of a
	// person. An absent one is no error.
	RevokeDevice(ctx context.Context, id string) error
}

// PeopleStore keeps who has logged in where.
type PeopleStore interface {
	// BindDevice binds a device that is not revoked to a person and ends its tokens; else
	// ErrNotFound, or ErrTooMany. The person's identity_id in the app is the one they
	// have, or else the guest's, or else spare.
	BindDevice(ctx context.Context, b Binding, spare string) (Bound, error)
	// DevicesOf gives the devices of an app that a person logged in on last and that
	// are not revoked, the newest first.
	DevicesOf(ctx context.Context, app, provider, subject string) ([]Device, error)
}

// Config is what Devices are made of. Store and Now are required.
type Config struct {
	Store Store
	// Attestation judges attestations; nil refuses each.
	Attestation Verifier
	Now         func() time.Time
}

// Devices registers and finds devices. It is safe for concurrent use.
type Devices struct{ cfg Config }

// New makes a Devices.
func New(config Config) *Devices { return &Devices{config} }

// Find gives the device of a key, revoked or not. Where the app does not know the key
// the device is new, and not kept yet: Register does that, or who keeps its first
// tokens, in the same step.
func (s *Devices) Find(ctx context.Context, r Registration) (d Device, known bool, err error) {
	if err := s.judge(ctx, r); err != nil {
		return Device{}, false, err
	}
	d, err = s.cfg.Store.DeviceByKey(ctx, r.App, r.Thumbprint)
	if errors.Is(err, ErrNotFound) {
		return s.new(r), false, nil
	}
	if err != nil {
		return Device{}, false, fmt.Errorf("device of a key: %w", err)
	}
	return d, true, nil
}

// Register gives the device of a key, and whether it is new. The same key of the
// same app is the same device, whoever asks and how often. It may be revoked.
func (s *Devices) Register(ctx context.Context, r Registration) (d Device, made bool, err error) {
	if err := s.judge(ctx, r); err != nil {
		return Device{}, false, err
	}
	want := s.new(r)
	d, err = s.cfg.Store.RegisterDevice(ctx, want)
	if err != nil {
		return Device{}, false, fmt.Errorf("register a device: %w", err)
	}
	return d, d.ID == want.ID, nil
}

// judge refuses what cannot be a device.
func (s *Devices) judge(ctx context.Context, r Registration) error {
	if err := checkThumbprint(r.Thumbprint); err != nil {
		return err
	}
	if r.Attestation != "" {
		if s.cfg.Attestation == nil {
			return ErrAttestation
		}
		if err := s.cfg.Attestation.Verify(ctx, r); err != nil {
			return fmt.Errorf("attestation: %w", err)
		}
	}
	return nil
}

func (s *Devices) new(r Registration) Device {
	return Device{
		ID: newID("dev"), App: r.App, IdentityID: newID(identityPrefix), Thumbprint: r.Thumbprint,
		Created: s.cfg.Now(), Generation: 1,
	}
}

// ByID gives a device that is not revoked.
func (s *Devices) ByID(ctx context.Context, id string) (Device, error) {
	d, err := s.cfg.Store.DeviceByID(ctx, id)
	if err == nil && d.Revoked {
		err = fmt.Errorf("revoked: %w", ErrNotFound)
	}
	if err != nil {
		return Device{}, fmt.Errorf("device: %w", err)
	}
	return d, nil
}

// Rotate gives a device a new key in the place of the old one, which is none any
// more. Its tokens end: they are bound to the old key.
func (s *Devices) Rotate(ctx context.Context, id, old, new string) (Device, error) {
	if err := errors.Join(checkThumbprint(old), checkThumbprint(new)); err != nil {
		return Device{}, err
	}
	d, err := s.cfg.Store.RotateDevice(ctx, id, old, new)
	if err != nil {
		return Device{}, fmt.Errorf("new key for a device: %w", err)
	}
	return d, nil
}

// Revoke ends a device and its tokens for good.
func (s *Devices) Revoke(ctx context.Context, id string) error {
	if err := s.cfg.Store.RevokeDevice(ctx, id); err != nil {
		return fmt.Errorf("revoke a device: %w", err)
	}
	return nil
}

// Bind notes that somebody has logged in on a device. Its tokens end: who logged in
// gets others.
func (s *Devices) Bind(ctx context.Context, b Binding) (Bound, error) {
	if b.Provider == "" || b.Subject == "" || b.Provider == Provider || b.Limit < 1 {
		return Bound{}, errors.New("bind a device: it needs a person and a limit")
	}
	bound, err := s.cfg.Store.BindDevice(ctx, b, newID(identityPrefix))
	if err != nil {
		return Bound{}, fmt.Errorf("bind a device: %w", err)
	}
	return bound, nil
}

// Of gives the devices of an app on which a person logged in last, without the
// revoked ones, the newest first.
func (s *Devices) Of(ctx context.Context, app, provider, subject string) ([]Device, error) {
	if subject == "" {
		return nil, nil
	}
	found, err := s.cfg.Store.DevicesOf(ctx, app, provider, subject)
	if err != nil {
		return nil, fmt.Errorf("devices of a person: %w", err)
	}
	return found, nil
}

// identityPrefix begins every identity_id.
const identityPrefix = "id"

// random is what rand.Text gives, in lower case.
const random = 26

// newID makes a name of 130 random bits: PREFIX-RANDOM. It fits into an S3 key, an
// ARN, a session name, and with its 29 or 30 characters into the name of a
// federated user.
func newID(prefix string) string { return prefix + "-" + strings.ToLower(rand.Text()) }

// IsIdentityID reports whether s looks like an identity_id: nobody else may have
// such a name.
func IsIdentityID(s string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(s), identityPrefix+"-")
	return ok && len(rest) == random && strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

// checkThumbprint refuses what names no key.
func checkThumbprint(s string) error {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != 32 || len(s) != base64.RawURLEncoding.EncodedLen(32) {
		return errors.New("the thumbprint of the device's key is none")
	}
	return nil
}
