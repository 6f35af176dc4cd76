package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
)

// ErrNotFound says that there is no such thing, or no longer, or not for whoever
// asks: absent, ended, expired, of another browser. The caller learns no more.
var ErrNotFound = errors.New("not found or no longer valid")

// ErrReused says that a thing which counts once came a second time. Everything
// made from its first use has been ended before this is returned.
var ErrReused = errors.New("used a second time")

// Hash is the SHA-256 of a secret: all that a store sees of it.
type Hash [sha256.Size]byte

func hash(secret string) Hash { return sha256.Sum256([]byte(secret)) }

const secretBytes = 32

// NewHandle makes a secret of 256 random bits in base64url: a handle of a pending
// sign-in, a value of the state cookie, an authorization code.
func NewHandle() string {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// IsHandle reports whether s has the form that NewHandle gives.
func IsHandle(s string) bool {
	if len(s) != base64.RawURLEncoding.EncodedLen(secretBytes) {
		return false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == secretBytes // the decoder passes over line breaks
}

// newID makes a public id: 130 random bits, not a secret.
func newID() string { return rand.Text() }

// lookup hashes a presented secret; one of a length that no secret of ours has
// costs no store access.
func lookup(secret string) (Hash, error) {
	if len(secret) < 43 || len(secret) > 128 {
		return Hash{}, fmt.Errorf("malformed: %w", ErrNotFound)
	}
	return hash(secret), nil
}
