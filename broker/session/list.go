package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

// Live gives the live sessions, those used last first, and the live token
// families of one person; with provider "" those of everybody. Of each at most
// limit are looked at.
func (s *Sessions) Live(ctx context.Context, provider, subject string, limit int) ([]Session, []Family, error) {
	rows, err := s.cfg.Store.SessionsOf(ctx, provider, subject, limit)
	if err != nil {
		return nil, nil, fmt.Errorf("list sessions: %w", err)
	}
	var sessions []Session
	for _, row := range rows {
		switch found, err := s.live(row); {
		case err == nil:
			sessions = append(sessions, found)
		case !errors.Is(err, ErrNotFound):
			return nil, nil, err
		}
	}
	if rows, err = s.cfg.Store.FamiliesOf(ctx, provider, subject, limit); err != nil {
		return nil, nil, fmt.Errorf("list token families: %w", err)
	}
	var families []Family
	for _, row := range rows {
		if !s.cfg.Now().Before(row.Expires) {
			continue
		}
		f, err := familyOf(row)
		if err != nil {
			return nil, nil, err
		}
		families = append(families, f)
	}
	return sessions, families, nil
}

// Arrivals gives the newest sign-in of each person of the last 90 days, the newest
// first; of one provider, or of one subject there, where they are named. What it
// gives may have ended, and its ID is empty.
func (s *Sessions) Arrivals(ctx context.Context, provider, subject string, limit int) ([]Session, error) {
	rows, err := s.cfg.Store.Arrivals(ctx, provider, subject, limit)
	if err != nil {
		return nil, fmt.Errorf("list who has signed in: %w", err)
	}
	var people []Session
	for _, row := range rows {
		if !s.cfg.Now().Before(row.Expires) {
			continue
		}
		person, err := decode(row)
		if err != nil {
			return nil, err
		}
		person.Expires = time.Time{}
		people = append(people, person)
	}
	return people, nil
}

// NameTaken reports whether ClaimName would say that a name is taken. It claims nothing.
func (s *Sessions) NameTaken(ctx context.Context, provider, subject, username string) (bool, error) {
	if !iam.ValidName(username) {
		return false, nil
	}
	p, sub, err := s.cfg.Store.NameOwner(ctx, username)
	if err != nil {
		return false, fmt.Errorf("session name: %w", err)
	}
	return (p != "" || sub != "") && (p != provider || sub != subject), nil
}

// EndFamily ends a token family, as Tokens.EndFamily does.
func (s *Sessions) EndFamily(ctx context.Context, id string) error {
	if err := s.cfg.Store.EndFamily(ctx, id); err != nil {
		return fmt.Errorf("end a token family: %w", err)
	}
	return nil
}
