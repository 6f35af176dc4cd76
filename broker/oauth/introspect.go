package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/session"
)

// Introspection is what a token is worth (RFC 7662 section 2.2). Without Active
// nothing else is set.
type Introspection struct {
	Active     bool
	Client     string
	Username   string
	Provider   string
	Subject    string
	Scope      []string
	Type       string // Bearer or DPoP; empty for a refresh token
	Thumbprint string
	Until      time.Time
}

// Introspect says what a token is worth (RFC 7662). Only the client that a token
// was given to learns anything: for others it is not active. The client is public;
// that it holds the token, 256 random bits, is its authorization, and there is
// nothing to find by trying.
func (s *Server) Introspect(ctx context.Context, origin broker.Origin, req TokenRequest) (Introspection, error) {
	if err := s.limitAddress(ctx, origin, "token"); err != nil {
		return Introspection{}, err
	}
	client, err := s.identify(req)
	if err != nil {
		event := s.event(origin, "introspect")
		if failed := s.conclude(ctx, event, err); failed != nil {
			err = failed
		}
		return Introspection{}, err
	}
	token := req.Form.Get("token")
	if token == "" {
		return Introspection{}, refuse(errInvalidRequest, "token is missing")
	}
	if len(token) > maxToken {
		return Introspection{}, nil
	}
	return s.introspect(ctx, client, token)
}

// introspect looks for an access token first, then for a refresh token that has
// not been used: asking about a used one is a second use, and ends its family.
func (s *Server) introspect(ctx context.Context, c client, token string) (Introspection, error) {
	found, err := s.cfg.Tokens.Access(ctx, token)
	kind := "DPoP"
	if found.Thumbprint == "" {
		kind = "Bearer"
	}
	if errors.Is(err, session.ErrNotFound) {
		kind = ""
		found, err = s.cfg.Tokens.Refresh(ctx, token)
	}
	switch {
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrReused):
		return Introspection{}, nil
	case err != nil:
		return Introspection{}, fmt.Errorf("token to introspect: %w", err)
	case found.Family.Client != c.id, found.Spent:
		return Introspection{}, nil
	}
	who := found.Family.Identity
	return Introspection{
		Active: true, Client: c.id, Username: who.Username, Provider: who.Provider, Subject: who.Subject, Scope: found.Family.Scope,
		Type: kind, Thumbprint: found.Thumbprint, Until: found.Until,
	}, nil
}
