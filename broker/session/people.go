package session

import (
	"context"
	"fmt"

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
	mine, err := s.cfg.Store.ClaimName(ctx, username, provider, subject)
	if err != nil {
		return true, fmt.Errorf("session name: %w", err)
	}
	return !mine, nil
}
