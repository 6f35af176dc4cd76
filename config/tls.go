package config

import (
	"crypto/tls"
	"fmt"
)

// maxPEM is far more than a certificate chain or a key has.
const maxPEM = 1 << 20

// Load reads the certificate with its key. It waits for no pipe.
func (t TLS) Load() (tls.Certificate, error) {
	chain, err := readBounded(t.Cert, maxPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("cert %s: %w", t.Cert, err)
	}
	key, err := readBounded(t.Key, maxPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key %s: %w", t.Key, err)
	}
	return tls.X509KeyPair(chain, key)
}
