package idp

import (
	"errors"
	"fmt"
)

// ErrNotMine says that evidence belongs to another provider: when several
// verifiers are asked, this goes on to the next one; every other error stops. A
// Rejection may be it too: what is said where no other verifier takes the evidence.
var ErrNotMine = errors.New("evidence of another provider")

// ErrUnavailable marks a failure of the provider's side or of the way there
// (metadata, discovery, keys, token endpoint): the evidence was not judged.
var ErrUnavailable = errors.New("identity provider unavailable")

// Rejection is the refusal of evidence. Reason is a stable code of the
// provider's catalogue ("expired", "signature", "audience" ...), Detail a
// sentence for operators that holds no secret and no raw document. Neither is
// shown to the person who signs in beyond the code.
type Rejection struct {
	Reason string
	Detail string
	// Cause is for the log only.
	Cause error
}

// Reject makes a Rejection with a formatted detail.
func Reject(reason, format string, args ...any) *Rejection {
	return &Rejection{Reason: reason, Detail: fmt.Sprintf(format, args...)}
}

// Error implements error.
func (r *Rejection) Error() string {
	if r.Detail == "" {
		return r.Reason
	}
	return r.Reason + ": " + r.Detail
}

// Unwrap gives the hidden cause.
func (r *Rejection) Unwrap() error { return r.Cause }
