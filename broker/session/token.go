package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/idp"
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
// used again, or where the family has ended by age.
func (t *Tokens) Begin(ctx context.Context, f Family, p Pair) error {
	f.Until = earlier(f.Until, f.ProviderEnd)
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
		Expires: f.Until, Data: data,
	}, rows)
	if err != nil {
		return fmt.Errorf("token family: %w", err)
	}
	return nil
}

// Rotate spends a refresh token and keeps its successors. A refresh token that
// was spent before is ErrReused, and its family has ended; so of two concurrent
// calls one wins, and the other ends what it won. Whoever calls has compared
// client and key with what Refresh gives.
func (t *Tokens) Rotate(ctx context.Context, refresh string, next Pair) error {
	old, key, err := t.find(ctx, refresh, true)
	if err != nil {
		return err
	}
	rows, err := t.rows(next, old.Family.Until)
	if err != nil {
		return err
	}
	if err := t.store.Rotate(ctx, key, rows); err != nil {
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
// that was spent before is ErrReused, and its family has ended.
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
	case row.Used:
		if err := t.store.EndFamily(ctx, family.ID); err != nil {
			return none(err)
		}
		return none(ErrReused)
	}
	found := Token{Thumbprint: row.Thumbprint, Until: row.Expires}
	if err := json.Unmarshal(family.Data, &found.Family); err != nil {
		return none(fmt.Errorf("family %s: the store's data cannot be read: %w", family.ID, err))
	}
	return found, key, nil
}
