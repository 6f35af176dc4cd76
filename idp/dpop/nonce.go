package dpop

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"
)

// bucket is for how long a nonce is handed out. It is good for two of them.
const bucket = time.Minute

// nonceBytes is how much of the HMAC is in a nonce: far more than anybody can try.
const nonceBytes = 16

// Nonces makes the server's nonces (RFC 9449 section 8): an HMAC over the number of
// the minute. All nodes that share the key share the nonces, and remember none.
type Nonces struct {
	key []byte
	now func() time.Time
}

// NewNonces makes Nonces with a key of at least 256 bits.
func NewNonces(key []byte, now func() time.Time) (*Nonces, error) {
	if len(key) < sha256.Size {
		return nil, errors.New("the key of DPoP nonces is too short")
	}
	return &Nonces{key: key, now: now}, nil
}

// Next is the nonce for the next proof.
func (n *Nonces) Next() string { return n.at(number(n.now())) }

// Until is when a nonce ends to be good, a zero time where it is none now.
func (n *Nonces) Until(nonce string) time.Time {
	current := number(n.now())
	for _, b := range []int64{current, current - 1} {
		if subtle.ConstantTimeCompare([]byte(nonce), []byte(n.at(b))) == 1 {
			return time.Unix(0, (b+2)*int64(bucket))
		}
	}
	return time.Time{}
}

func number(t time.Time) int64 { return t.UnixNano() / int64(bucket) }

func (n *Nonces) at(number int64) string {
	mac := hmac.New(sha256.New, n.key)
	_, _ = mac.Write(binary.BigEndian.AppendUint64([]byte("dpop nonce "), uint64(number))) //nolint:gosec // any number will do
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:nonceBytes])
}
