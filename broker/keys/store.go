package keys

import (
	"context"
	"time"
)

// Row is what a store keeps of a signing key.
type Row struct {
	// Use, Algorithm and Generation are its place; generations count from 1.
	Use        string
	Algorithm  string
	Generation int
	KID        string
	// Active is when it begins to sign; it is published before.
	Active time.Time
	// Sealed is the private key, of no worth without the key file.
	Sealed []byte
}

// Store keeps sealed signing keys.
type Store interface {
	// AddKey keeps a key and reports whether its place was free: of two nodes that
	// rotate at once one wins, and both go on with the winner's key.
	AddKey(ctx context.Context, row Row) (bool, error)
	// Keys gives all keys of a use, in the order of their places.
	Keys(ctx context.Context, use string) ([]Row, error)
	// DropKey forgets a key; an absent one is no error.
	DropKey(ctx context.Context, kid string) error
}
