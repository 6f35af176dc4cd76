package oauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/session"
)

// Sessions remembers who let a client act for them, per browser session, and
// authorization codes, hashed: *session.Sessions. A second use of a code ends the
// family that the first one made, or is about to make.
type Sessions interface {
	Consent(ctx context.Context, session, client string) error
	Consented(ctx context.Context, session, client string) (bool, error)
	KeepCode(ctx context.Context, code string, c session.Code) error
	TakeCode(ctx context.Context, code string) (session.Code, error)
}

// Tokens keeps access and refresh tokens, hashed, in families: *session.Tokens. A
// family ends with the sign-out of the session that it came from, and with the
// second use of a refresh token.
type Tokens interface {
	Begin(ctx context.Context, f session.Family, p session.Pair) error
	Rotate(ctx context.Context, refresh string, next session.Pair) error
	Access(ctx context.Context, token string) (session.Token, error)
	Refresh(ctx context.Context, token string) (session.Token, error)
	EndFamily(ctx context.Context, id string) error
}

func (s *Server) keepCode(ctx context.Context, r *authRequest, caller broker.Caller) (string, error) {
	code := session.NewHandle()
	err := s.cfg.Sessions.KeepCode(ctx, code, session.Code{
		Client: r.client.id, RedirectURI: r.redirectURI, Challenge: r.challenge, Nonce: r.nonce, Thumbprint: r.keyBound, Scope: r.granted(),
		Family: session.Family{
			ID: rand.Text(), Session: caller.Session, Client: r.client.id, Via: string(broker.ViaCLI), Scope: r.granted(),
			Identity: caller.Identity, Since: caller.Since, Until: s.familyEnd(caller), ProviderEnd: caller.ProviderEnd,
		},
		Until: s.cfg.Now().Add(codeLife),
	})
	if err != nil {
		return "", fmt.Errorf("keep the code: %w", err)
	}
	return code, nil
}

// takeCode gives what a code stands for, once.
func (s *Server) takeCode(ctx context.Context, code string) (session.Code, error) {
	c, err := s.cfg.Sessions.TakeCode(ctx, code)
	switch {
	case errors.Is(err, session.ErrReused):
		return c, refuse(errInvalidGrant, "the code has been used before; the tokens it gave have been ended").
			because(fmt.Errorf("family %s: %w", c.Family.ID, err))
	case errors.Is(err, session.ErrNotFound):
		return c, refuse(errInvalidGrant, "the code is not known or older than a minute").because(err)
	case err != nil:
		return c, fmt.Errorf("take the code: %w", err)
	}
	return c, nil
}

// pair makes the next tokens of a family. By their prefixes leaked ones are found.
func (s *Server) pair(f session.Family, thumbprint string) session.Pair {
	p := session.Pair{Access: "rca_" + session.NewHandle(), AccessUntil: s.cfg.Now().Add(accessLife), Thumbprint: thumbprint}
	if f.Until.Before(p.AccessUntil) {
		p.AccessUntil = f.Until
	}
	if slices.Contains(f.Scope, scopeOffline) {
		p.Refresh = "rcr_" + session.NewHandle()
	}
	return p
}

// begin makes the first tokens of a family.
func (s *Server) begin(ctx context.Context, f session.Family, p session.Pair) error {
	err := s.cfg.Tokens.Begin(ctx, f, p)
	if errors.Is(err, session.ErrNotFound) {
		return refuse(errInvalidGrant, "the sign-in that the code came from has ended").because(err)
	}
	if err != nil {
		return fmt.Errorf("keep the tokens: %w", err)
	}
	return nil
}

// refreshError is what a client learns of a refresh token that did not work.
func refreshError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, session.ErrReused):
		return refuse(errInvalidGrant, "the refresh token has been used before; every token of this sign-in has been ended, sign in again").because(err)
	case errors.Is(err, session.ErrNotFound):
		return refuse(errInvalidGrant, "the refresh token has ended or is not known: sign in again").because(err)
	}
	return fmt.Errorf("refresh token: %w", err)
}
