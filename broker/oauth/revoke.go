package oauth

import (
	"context"
	"errors"
	"fmt"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/session"
)

// Revoke ends the family of an access or refresh token (RFC 7009). A token that
// is not known, or is another client's, is no error: it is of no use already.
func (s *Server) Revoke(ctx context.Context, origin broker.Origin, req TokenRequest) error {
	if err := s.limitAddress(ctx, origin, "token"); err != nil {
		return err
	}
	event := s.event(origin, "revoke")
	err := s.revoke(ctx, req, &event)
	if failed := s.conclude(ctx, event, err); failed != nil {
		return failed
	}
	return err
}

func (s *Server) revoke(ctx context.Context, req TokenRequest, event *audit.Event) error {
	client, err := s.identify(req)
	if err != nil {
		return err
	}
	event.Client = client.id
	token := req.Form.Get("token")
	if token == "" {
		return refuse(errInvalidRequest, "token is missing")
	}
	if len(token) > maxToken {
		return nil
	}
	event.TokenDigest = digest(token)
	found, err := s.cfg.Tokens.Refresh(ctx, token)
	if errors.Is(err, session.ErrNotFound) {
		found, err = s.cfg.Tokens.Access(ctx, token)
	}
	switch {
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrReused): // ended, or ended by this
		return nil
	case err != nil:
		return fmt.Errorf("token to revoke: %w", err)
	case found.Family.Client != client.id:
		return nil
	}
	describe(event, broker.CallerOfFamily(found.Family))
	if err := s.cfg.Tokens.EndFamily(ctx, found.Family.ID); err != nil {
		return fmt.Errorf("end the tokens: %w", err)
	}
	return nil
}
