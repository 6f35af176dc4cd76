// Package vend turns one resolved order into temporary AWS credentials. It knows
// STS and caching, and no people.
//
//	Spec -> Cache (single flight, a key of everything that makes credentials differ)
//	     -> Bound (so many calls in flight, and a queue that can be read)
//	     -> Modes -> AssumeRole       the broker's own identity, or a hub role's session
//	              -> WebIdentity      a token of the broker's own issuer
//	              -> SAML             an assertion that the broker signs
//	              -> FederationToken  the keys of an IAM user
//	     -> STS of the region, then of the fallback regions
//
// Each way to get credentials is a Vendor in one file; cache, bound and modes are
// Vendors around others. A Vendor answers with credentials, a *Refused (STS said no),
// ErrUnavailable (nobody could say), or the error of the context.
package vend

import (
	"context"
	"errors"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

// Spec is a fully resolved order.
type Spec struct {
	Role           iam.RoleARN
	Mode           string
	SessionName    string
	SourceIdentity string
	Tags           []iam.Tag
	TransitiveTags []string
	Duration       time.Duration
	Policy         string // inline session policy, "" is none
	PolicyARNs     []string
	HubRole        iam.RoleARN // zero: the role is assumed directly
	ExternalID     secret.String
	SAMLProvider   string // ARN of the provider that the account knows the broker as

	// Proof makes the token or assertion that the modes web-identity and saml send.
	// It is called when STS is about to be asked, and is no part of a cache's key:
	// it says what the other fields say.
	Proof func(ctx context.Context) (secret.String, error)

	// Session and PolicyDigest are for the cache alone: credentials are shared
	// within one identity session and under one policy, and nowhere else.
	Session      string
	PolicyDigest string
	// Revocation is the number of the newest revocation that concerns the order.
	Revocation int64
	// NotAfter ends the use of cached credentials; zero is no bound.
	NotAfter time.Time
}

// Result is a filled order.
type Result struct {
	Credentials iam.Credentials
	// Cached says that this order made no call of its own.
	Cached bool
	// Unchained says that AWS lets a console session of these last longer than they
	// do: neither another role's session nor GetFederationToken made them.
	Unchained bool
	// Stale says that the credentials are older than they should be, because STS is down.
	Stale bool
}

// Vendor fills orders. It is safe for concurrent use.
type Vendor interface {
	Vend(ctx context.Context, spec Spec) (Result, error)
}

// Refused says that STS understood the order and said no. Message is STS's own
// text, which may name the broker's principal: for the audit, never for the caller.
type Refused struct {
	Code    string
	Message string
}

// Error implements error.
func (r *Refused) Error() string { return "STS refused: " + r.Code + ": " + r.Message }

// ErrUnavailable says that STS could not be asked: throttled, down, unreachable,
// too slow, or the broker's own keys are wrong or expired.
var ErrUnavailable = errors.New("AWS STS is unavailable")
