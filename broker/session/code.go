package session

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Code is what an authorization code stands for.
type Code struct {
	Client      string `json:"client"`
	RedirectURI string `json:"redirect_uri"`
	Challenge   string `json:"challenge"` // PKCE, S256
	Nonce       string `json:"nonce,omitempty"`
	// Thumbprint is of the DPoP key that must redeem the code (dpop_jkt), "" for any.
	Thumbprint string   `json:"jkt,omitempty"`
	Scope      []string `json:"scope,omitempty"`
	// Family is what the tokens made from the code will belong to; its ID must be set.
	Family Family `json:"family"`
	// Until is the end of the code, at most a minute from now; zero is that minute.
	Until time.Time `json:"until"`
}

// KeepCode remembers a code, which must have at least 256 random bits.
func (s *Sessions) KeepCode(ctx context.Context, code string, c Code) error {
	key, err := lookup(code)
	if err != nil || c.Family.ID == "" {
		return errors.New("keep a code: it needs 256 random bits and the id of its family")
	}
	latest := s.cfg.Now().Add(codeLife)
	if c.Until = earlier(latest, c.Until); c.Family.Until.IsZero() {
		return errors.New("keep a code: its family has no end")
	}
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode a code: %w", err)
	}
	keep := c.Family.Until
	if keep.Before(latest) {
		keep = latest
	}
	err = s.cfg.Store.PutCode(ctx, key, Row{
		ID: c.Family.ID, Session: c.Family.Session, Provider: c.Family.Identity.Provider, Subject: c.Family.Identity.Subject,
		Expires: c.Until, Keep: keep, Data: data,
	})
	if err != nil {
		return fmt.Errorf("keep a code: %w", err)
	}
	return nil
}

// TakeCode gives what a code stands for, once. A code that was taken before is
// ErrReused (RFC 6749 section 4.1.2): the tokens made from it, now or in a moment,
// have been ended, and the Code has only Family.ID, for the record.
func (s *Sessions) TakeCode(ctx context.Context, code string) (Code, error) {
	key, err := lookup(code)
	if err != nil {
		return Code{}, fmt.Errorf("code: %w", err)
	}
	row, err := s.cfg.Store.TakeCode(ctx, key, s.cfg.Now())
	if errors.Is(err, ErrReused) {
		return Code{Family: Family{ID: row.ID}}, fmt.Errorf("code: %w", err)
	}
	if err != nil {
		return Code{}, fmt.Errorf("code: %w", err)
	}
	var c Code
	if err := json.Unmarshal(row.Data, &c); err != nil {
		return Code{}, fmt.Errorf("code: the store's data cannot be read: %w", err)
	}
	return c, nil
}
