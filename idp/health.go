package idp

import (
	"context"
	"crypto/x509"
	"time"
)

// Health is what is known of a provider's side without asking it.
type Health struct {
	// From is what it was read from: an address or a file.
	From string
	// Read is when metadata or keys came last, zero where they never have; Until ends
	// the trust in them, zero for no end.
	Read, Until time.Time
	// Err is what went wrong at the last try, nil where nothing did.
	Err error
	// Keys is how many keys sign there; Certificates are those of them that have one.
	Keys         int
	Certificates []*x509.Certificate
	// Signing and Encryption are certificates of ours that the provider has imported.
	Signing, Encryption []*x509.Certificate
}

// Examined is a provider that can say how it is. Examine asks its side now, within
// ctx; both may be called at any time.
type Examined interface {
	Health() Health
	Examine(ctx context.Context) error
}
