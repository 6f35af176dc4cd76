// Package idp is the vocabulary of authentication: who somebody is (Identity),
// one arrival of that identity (Login), and the small interfaces by which a
// provider proves it. Everything downstream speaks these types and never opens
// a raw assertion or token.
//
// A provider is one sub-package (saml, oidc, ...). It implements Redirector,
// TokenVerifier or PasswordVerifier, whichever it can, keeps no state between
// Begin and Finish (the broker stores the pending bytes), and refuses with a
// *Rejection.
package idp

import (
	"context"
	"net/url"
	"slices"
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

// Identity is who a provider says somebody is. Its JSON form is the identity
// document of `rolecalld explain` and of GET /api/v1/identity.
type Identity struct {
	// ID is the identity_id of a device or of a person of an app; empty means Subject.
	ID string `json:"id,omitempty"`
	// Provider is the configured name of the provider.
	Provider string `json:"provider"`
	// Subject is stable and unique within Provider.
	Subject string `json:"subject"`
	// Username is what people and CloudTrail see.
	Username string `json:"username"`
	// Groups as the provider named them, in its order.
	Groups []string `json:"groups"`
	// Attributes holds every attribute or claim that is text, number, boolean or a list of these.
	Attributes map[string][]string `json:"attributes"`
	// Methods are authentication method references (RFC 8176): pwd, mfa, hwk ...
	Methods []string `json:"methods"`
	// AuthenticatedAt is when the provider saw the person; zero if it did not say.
	AuthenticatedAt time.Time `json:"authenticated_at,omitzero"`
}

// StableID is ID, or Subject where there is no ID.
func (i Identity) StableID() string {
	if i.ID != "" {
		return i.ID
	}
	return i.Subject
}

// MFA reports whether the provider says that a second factor was used.
func (i Identity) MFA() bool { return slices.Contains(i.Methods, "mfa") }

// Login is one arrival of an identity, with what must be remembered of it.
type Login struct {
	Identity Identity
	// Once names the evidence, so that it counts a single time.
	Once Once
	// Upstream is what a later logout at the provider needs.
	Upstream Upstream
	// IssuedAt is when the evidence says that it was made, by the provider's clock; zero
	// where it does not say.
	IssuedAt time.Time
	// NotAfter ends every session made from this login (SAML SessionNotOnOrAfter); zero is no bound.
	NotAfter time.Time
	// Proof is the evidence itself, where Want.PassOn asked for it.
	Proof Proof
}

// Once identifies one piece of evidence (assertion, code, token) for the replay
// cache. Key is unique within the provider; after Until the evidence would be
// refused for its age anyway.
type Once struct {
	Key   string
	Until time.Time
	// AtSignIn says that the evidence was made for a sign-in by a browser, where it
	// may have counted already.
	AtSignIn bool
}

// Upstream is the provider's own name for the session it has with the person.
type Upstream struct {
	NameID, NameIDFormat           string
	NameQualifier, SPNameQualifier string
	SessionIndex                   string
	Sid                            string
	IDToken                        secret.String
}

// Want is what the broker asks of a sign-in that begins.
type Want struct {
	// Handle is opaque; the provider must send it out as RelayState or state and
	// will see it again in the Answer.
	Handle string
	// Fresh demands that the person proves themselves again (ForceAuthn, prompt=login).
	Fresh bool
	// MaxAge bounds the age of the authentication; zero is no bound.
	MaxAge time.Duration
	// ACR lists acceptable authentication contexts, most wanted first.
	ACR []string
	// LoginHint is the address the person typed, if any.
	LoginHint string
	// PassOn says that the answer itself will be sent on to AWS (Login.Proof).
	PassOn bool
}

// Redirect sends the browser to the provider: to URL, or by posting Form.
// Exactly one is set.
type Redirect struct {
	URL  string
	Form *Form
}

// Form is an HTML form to be posted to Action by the browser.
type Form struct {
	Action string
	Fields map[string]string
}

// Answer is what the browser brought back from the provider, undecoded beyond
// the form encoding. Form is the posted body; RawQuery the octets that Query was
// read from, for what signs octets.
type Answer struct {
	Method   string
	Query    url.Values
	RawQuery string
	Form     url.Values
}

// Redirector signs people in by sending their browser away and judging what
// comes back. Pending is opaque to everybody else, holds no secret that the
// store may not keep, and is handed to Finish once.
type Redirector interface {
	Begin(ctx context.Context, want Want) (to Redirect, pending []byte, err error)
	Finish(ctx context.Context, pending []byte, answer Answer) (Login, error)
}

// TokenVerifier judges evidence that a program brings itself, without a browser: a
// JWT, a SAML assertion. Evidence of another issuer is ErrNotMine, found before
// anything is fetched or verified.
type TokenVerifier interface {
	Verify(ctx context.Context, raw string) (Login, error)
}

// PasswordVerifier signs people in by a name and a password that they type here. It
// does the same work for strangers, and refuses all alike. A *Challenge as the error
// asks for more.
type PasswordVerifier interface {
	VerifyPassword(ctx context.Context, username string, password secret.String) (Login, error)
	// AnswerChallenge judges the answer to a challenge of VerifyPassword, once.
	AnswerChallenge(ctx context.Context, data []byte, answer secret.String) (Login, error)
}

// Challenge asks a person for one thing more. It is an error, so that nobody takes
// it for a login. Data is opaque to everybody else and goes to AnswerChallenge.
type Challenge struct {
	// Kind says what to ask for: "totp" is a one-time code or a recovery code.
	Kind string
	// Identity is who it will be, for the record and the limits.
	Identity Identity
	Data     []byte
}

// Error implements error.
func (c *Challenge) Error() string { return "one thing more is asked for: " + c.Kind }

// HandleOf reads the handle (RelayState or state) from an answer, so that the
// pending sign-in can be found before anything is parsed.
func HandleOf(a Answer) string {
	for _, values := range []url.Values{a.Form, a.Query} {
		for _, key := range []string{"RelayState", "state"} {
			if v := values.Get(key); v != "" {
				return v
			}
		}
	}
	return ""
}
