package idp

import "github.com/rolecall/rolecall/config/secret"

// Proof is evidence that is sent on to AWS as it came: the base64 of a SAML
// response. It is sealed: it prints and encodes as nothing, lives within the request
// that brought it, and is stored nowhere. The zero value is none.
type Proof struct{ sealed secret.String }

// Seal makes a Proof.
func Seal(raw string) Proof { return Proof{secret.New(raw)} }

// IsZero reports whether there is none.
func (p Proof) IsZero() bool { return p.sealed.IsZero() }

// Open gives the evidence, for AWS and nobody else.
func (p Proof) Open() secret.String { return p.sealed }

// Equal reports whether two proofs are the same.
func (p Proof) Equal(other Proof) bool { return p.sealed.Equal(other.sealed) }

// String implements fmt.Stringer.
func (p Proof) String() string { return p.sealed.String() }

// MarshalJSON implements json.Marshaler: a proof is kept nowhere.
func (Proof) MarshalJSON() ([]byte, error) { return []byte("null"), nil }
