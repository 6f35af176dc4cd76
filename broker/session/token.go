package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/device"
)

// Family is all the tokens that descend from one authorization. They share its
// binding, and they end together.
type Family struct {
	// ID is public, and chosen by who makes the family (or the code that leads to it).
	ID string `json:"id"`
	// Session is the browser session that it was made in, "" for none.
	Session  string       `json:"session,omitempty"`
	Client   string       `json:"client"`
	Via      string       `json:"via,omitempty"`
	Scope    []string     `json:"scope,omitempty"`
	Identity idp.Identity `json:"identity"`
	// Since is the sign-in, Until the end of every token; never past ProviderEnd,
	// the end of the provider's own session (zero where it did not say).
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until"`
	ProviderEnd time.Time `json:"provider_end,omitzero"`

	// Device is the device of an app that it belongs to, and Generation which one of
	// the device's it is for; Guest says that the identity is the device's own.
	Device     string `json:"device,omitempty"`
	Generation int64  `json:"generation,omitempty"`
	Guest      bool   `json:"guest,omitempty"`
	// Registers is a new device that comes with the family, in one step; Begin reads it.
	Registers *device.Device `json:"-"`
	// Idle moves Until with each use of a refresh token: to Idle from then on, but
	// never past Last where that is set. Zero leaves Until where it is.
	Idle time.Duration `json:"idle,omitempty"`
	Last time.Time     `json:"last,omitzero"`
	// Grace is for how long a refresh token that has been used may be used once more,
	// for an answer that was lost.
	Grace time.Duration `json:"grace,omitempty"`
}

// end is when a family ends that is used now.
func (f Family) end(now time.Time) time.Time {
	if f.Idle > 0 {
		f.Until = earlier(now.Add(f.Idle), f.Last)
	}
	return earlier(f.Until, f.ProviderEnd)
}

// Pair is an access token and, where Refresh is not empty, a refresh token. Both
// need 256 random bits.
type Pair struct {
	Access      string
	AccessUntil time.Time // at most ten minutes from now
	Refresh     string    // lives as long as the family
	// Thumbprint is of the DPoP key that both are bound to, "" for bearer tokens.
	Thumbprint string
}

// Token is what a live token stands for.
type Token struct {
	Family     Family
	Thumbprint string
	Until      time.Time
	// Spent says, of a refresh token, that it has been used and may be once more.
	Spent bool
}

// Tokens keeps token families. It is safe for concurrent use.
type Tokens struct {
	store TokenStore
	now   func() time.Time
}

// NewTokens makes a Tokens.
func NewTokens(store TokenStore, now func() time.Time) *Tokens { return &Tokens{store, now} }

// Begin makes a family with its first tokens. It is ErrNotFound where the session
// that the family names was signed out meanwhile, where the code that led here was
// used again, where the family has ended by age, or where its device has changed.
func (t *Tokens) Begin(ctx context.Context, f Family, p Pair) error {
	f.Until = f.end(t.now())
	if f.ID == "" {
		return errors.New("token family: it needs an id")
	}
	if !f.Until.After(t.now()) {
		return fmt.Errorf("token family: the sign-in is too old: %w", ErrNotFound)
	}
	rows, err := t.rows(p, f.Until)
	if err != nil {
		return err
	}
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("encode a token family: %w", err)
	}
	err = t.store.PutFamily(ctx, Row{
		ID: f.ID, Session: f.Session, Provider: f.Identity.Provider, Subject: f.Identity.Subject,
		Expires: f.Until, Data: data, Device: f.Device, Generation: f.Generation, Registers: f.Registers,
	}, rows)
	if err != nil {
		return fmt.Errorf("token family: %w", err)
	}
	return nil
}

// Rotate spends a refresh token and keeps its successors. A refresh token that
// was spent before is ErrReused, and its family has ended; so of two concurrent
// calls one wins, and the other ends what it won. In a family with Grace a token that
// was spent just now may be spent once more; of what the two gave, the first use of
// one ends the other. Whoever calls has compared client and key with what Refresh gives.
func (t *Tokens) Rotate(ctx context.Context, refresh string, next Pair) error {
	old, key, err := t.find(ctx, refresh, true)
	if err != nil {
		return err
	}
	now := t.now()
	end := old.Family.end(now)
	rows, err := t.rows(next, end)
	if err != nil {
		return err
	}
	if old.Family.Grace > 0 {
		err = t.store.RotateAgain(ctx, key, rows, now, old.Family.Grace, end)
	} else {
		err = t.store.Rotate(ctx, key, rows)
	}
	if err != nil {
		return fmt.Errorf("refresh token: %w", err)
	}
	return nil
}

// Access gives what a live access token stands for.
func (t *Tokens) Access(ctx context.Context, token string) (Token, error) {
	found, _, err := t.find(ctx, token, false)
	return found, err
}

// Refresh gives what a live refresh token stands for, without spending it. One
// that was spent before is ErrReused, and its family has ended, unless it may be
// spent once more: then it is Spent, and Rotate decides.
func (t *Tokens) Refresh(ctx context.Context, token string) (Token, error) {
	found, _, err := t.find(ctx, token, true)
	return found, err
}

// EndFamily ends all tokens of a family for good.
func (t *Tokens) EndFamily(ctx context.Context, id string) error {
	if err := t.store.EndFamily(ctx, id); err != nil {
		return fmt.Errorf("end a token family: %w", err)
	}
	return nil
}

// rows is what the store gets of a pair.
func (t *Tokens) rows(p Pair, end time.Time) ([]TokenRow, error) {
	access, err := lookup(p.Access)
	if err != nil {
		return nil, errors.New("access token: it needs 256 random bits")
	}
	until := earlier(earlier(t.now().Add(accessLife), p.AccessUntil), end)
	rows := []TokenRow{{Hash: access, Thumbprint: p.Thumbprint, Expires: until}}
	if p.Refresh == "" {
		return rows, nil
	}
	refresh, err := lookup(p.Refresh)
	if err != nil {
		return nil, errors.New("refresh token: it needs 256 random bits")
	}
	return append(rows, TokenRow{Hash: refresh, Refresh: true, Thumbprint: p.Thumbprint, Expires: end}), nil
}

// find gives a live token of the kind, and ends the family of a spent one.
func (t *Tokens) find(ctx context.Context, secret string, refresh bool) (Token, Hash, error) {
	kind := "access token"
	if refresh {
		kind = "refresh token"
	}
	none := func(err error) (Token, Hash, error) { return Token{}, Hash{}, fmt.Errorf("%s: %w", kind, err) }
	key, err := lookup(secret)
	if err != nil {
		return none(err)
	}
	row, family, err := t.store.FindToken(ctx, key)
	if err != nil {
		return none(err)
	}
	now := t.now()
	switch {
	case row.Refresh != refresh:
		return none(fmt.Errorf("a token of the other kind: %w", ErrNotFound))
	case !now.Before(row.Expires) || !now.Before(family.Expires):
		return none(fmt.Errorf("expired: %w", ErrNotFound))
	case row.Used && !again(row, family, now):
		if err := t.store.EndFamily(ctx, family.ID); err != nil {
			return none(err)
		}
		return none(ErrReused)
	}
	found := Token{Thumbprint: row.Thumbprint, Until: row.Expires, Spent: row.Used}
	if found.Family, err = familyOf(family); err != nil {
		return none(err)
	}
	return found, key, nil
}

// familyOf reads a row. The end of a family that moves is in the row only.
func familyOf(row Row) (Family, error) {
	var f Family
	if err := json.Unmarshal(row.Data, &f); err != nil {
		return Family{}, fmt.Errorf("family %s: the store's data cannot be read: %w", row.ID, err)
	}
	if f.Idle > 0 {
		f.Until = row.Expires
	}
	return f, nil
}

// again reports whether a used refresh token may be used once more.
func again(row TokenRow, family Row, now time.Time) bool {
	f, err := familyOf(family)
	return err == nil && f.Grace > 0 && !row.UsedAt.IsZero() && now.Sub(row.UsedAt) < f.Grace
}
