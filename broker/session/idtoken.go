package session

import (
	"fmt"

	"github.com/rolecall/rolecall/config/secret"
)

// sealer encrypts what the store keeps. place says what it is; it cannot be opened
// as something else.
type sealer interface {
	Seal(plain []byte, place string) []byte
	Open(sealed []byte, place string) ([]byte, error)
}

// place binds a sealed ID token to its session.
func place(id string) string { return "id token of session " + id }

func (s *Sessions) sealIDToken(id string, token secret.String) []byte {
	if token.IsZero() || s.cfg.Sealer == nil {
		return nil
	}
	return s.cfg.Sealer.Seal([]byte(token.Reveal()), place(id))
}

// IDToken opens the ID token that a session was made from; it is empty where the
// sign-in kept none.
func (s *Sessions) IDToken(of Session) (secret.String, error) {
	if len(of.idToken) == 0 || s.cfg.Sealer == nil {
		return secret.String{}, nil
	}
	plain, err := s.cfg.Sealer.Open(of.idToken, place(of.ID))
	if err != nil {
		return secret.String{}, fmt.Errorf("the ID token of a session: %w", err)
	}
	return secret.New(string(plain)), nil
}
