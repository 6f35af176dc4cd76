package session

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// Bounds on what a sign-in that nobody has finished yet may occupy.
const (
	maxReturnTo    = 8 << 10
	maxPendingData = 64 << 10
	maxLoginData   = 1 << 20 // 900 groups, twice
)

// Pending is a sign-in that is under way at a provider.
type Pending struct {
	Provider string `json:"provider"`
	// ReturnTo is where the person was going, a path of ours.
	ReturnTo string `json:"return_to,omitempty"`
	// Data is the provider's own, opaque here.
	Data []byte `json:"data,omitempty"`
	// Order is what the broker does with the sign-in, opaque here.
	Order []byte `json:"order,omitempty"`
	// For is what is pending: empty is a sign-in at the provider. A handle of one
	// thing is none of another; whoever takes one looks.
	For string `json:"for,omitempty"`
	// Browser is the value of the state cookie; the store gets its hash only, and
	// Take does not give it back.
	Browser string `json:"-"`
}

// Keep remembers a sign-in under a handle from NewHandle for ten minutes. The
// provider's Begin needs the handle before its data exist, hence two steps.
func (s *Sessions) Keep(ctx context.Context, handle string, p Pending) error {
	return s.keep(ctx, handle, p, maxPendingData)
}

func (s *Sessions) keep(ctx context.Context, handle string, p Pending, most int) error {
	switch {
	case !IsHandle(handle), !IsHandle(p.Browser):
		return fmt.Errorf("keep a pending sign-in: handle and browser must come from NewHandle")
	case len(p.ReturnTo) > maxReturnTo, len(p.Data) > most:
		return fmt.Errorf("keep a pending sign-in: %d bytes of return address and %d of data; at most %d and %d",
			len(p.ReturnTo), len(p.Data), maxReturnTo, most)
	}
	data, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode a pending sign-in: %w", err)
	}
	return s.cfg.Store.PutPending(ctx, hash(handle), hash(p.Browser), data, s.cfg.Now().Add(pendingLife))
}

// Take gives a pending sign-in once, and only to the browser that began it:
// asking with a wrong browser neither gives nor spends it.
func (s *Sessions) Take(ctx context.Context, handle, browser string) (Pending, error) {
	if !IsHandle(handle) || !IsHandle(browser) {
		return Pending{}, fmt.Errorf("pending sign-in: malformed: %w", ErrNotFound)
	}
	data, err := s.cfg.Store.TakePending(ctx, hash(handle), hash(browser), s.cfg.Now())
	if err != nil {
		return Pending{}, fmt.Errorf("pending sign-in: %w", err)
	}
	var p Pending
	if err := json.Unmarshal(data, &p); err != nil {
		return Pending{}, fmt.Errorf("pending sign-in: the store's data cannot be read: %w", err)
	}
	return p, nil
}

// heldLogin is a Login that waits; its evidence has been used already.
type heldLogin struct {
	Identity idp.Identity `json:"identity"`
	Upstream upstream     `json:"upstream"`
	IssuedAt time.Time    `json:"issued_at,omitzero"`
	NotAfter time.Time    `json:"not_after,omitzero"`
}

// KeepLogin remembers somebody who is to confirm in this browser that they want to
// be signed in; p.Data is not used.
func (s *Sessions) KeepLogin(ctx context.Context, handle string, p Pending, login idp.Login) error {
	data, err := json.Marshal(heldLogin{login.Identity, kept(login.Upstream), login.IssuedAt, login.NotAfter})
	if err != nil {
		return fmt.Errorf("encode a login that waits: %w", err)
	}
	p.Data, p.For = data, forLogin
	return s.keep(ctx, handle, p, maxLoginData)
}

const forLogin = "confirm"

// TakeLogin is Take for KeepLogin.
func (s *Sessions) TakeLogin(ctx context.Context, handle, browser string) (Pending, idp.Login, error) {
	p, err := s.Take(ctx, handle, browser)
	if err != nil {
		return Pending{}, idp.Login{}, err
	}
	if p.For != forLogin {
		return Pending{}, idp.Login{}, fmt.Errorf("a pending %q is no login that waits: %w", p.For, ErrNotFound)
	}
	var held heldLogin
	if err := json.Unmarshal(p.Data, &held); err != nil {
		return Pending{}, idp.Login{}, fmt.Errorf("a login that waits: the store's data cannot be read: %w", err)
	}
	return p, idp.Login{Identity: held.Identity, Upstream: held.Upstream.full(), IssuedAt: held.IssuedAt, NotAfter: held.NotAfter}, nil
}
