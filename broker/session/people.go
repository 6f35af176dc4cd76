package session

import (
	"context"
	"fmt"
	"sync"

	"github.com/rolecall/rolecall/broker/iam"
)

// Consent remembers that the person allowed a client in this browser session.
func (s *Sessions) Consent(ctx context.Context, session, client string) error {
	if err := s.cfg.Store.PutConsent(ctx, session, client); err != nil {
		return fmt.Errorf("consent: %w", err)
	}
	return nil
}

// Consented reports whether the person allowed the client in this browser session.
func (s *Sessions) Consented(ctx context.Context, session, client string) (bool, error) {
	return s.cfg.Store.HasConsent(ctx, session, client)
}

// ClaimName gives the session name username to whoever asks first, for good, and
// reports whether it is taken by somebody else. Names are compared byte by byte,
// as AWS does. A name that AWS does not accept as it is belongs to nobody:
// iam.FitName makes another one of it for each person.
func (s *Sessions) ClaimName(ctx context.Context, provider, subject, username string) (taken bool, err error) {
	if !iam.ValidName(username) {
		return false, nil
	}
	asked := claim{username, provider, subject}
	if taken, known := s.claims.get(asked); known {
		return taken, nil
	}
	mine, err := s.cfg.Store.ClaimName(ctx, username, provider, subject)
	if err != nil {
		return true, fmt.Errorf("session name: %w", err)
	}
	s.claims.put(asked, !mine)
	return !mine, nil
}

type claim struct{ username, provider, subject string }

// claims remembers what the store answered. A name is given once and for good, so
// that an answer never changes, whatever other nodes do.
type claims struct {
	mu    sync.Mutex
	taken map[claim]bool
}

// maxClaims bounds the memory: about 200 bytes each.
const maxClaims = 20_000

func (c *claims) get(asked claim) (taken, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken, known = c.taken[asked]
	return taken, known
}

func (c *claims) put(asked claim, taken bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken == nil || len(c.taken) >= maxClaims { // those who are still here ask the store once more
		c.taken = map[claim]bool{}
	}
	c.taken[asked] = taken
}
