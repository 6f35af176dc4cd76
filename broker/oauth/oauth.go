package oauth

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/dpop"
)

// How long things live that are not configured.
const (
	codeLife   = time.Minute
	accessLife = 10 * time.Minute
	// signInLife is how long a person may take to sign in when a request demands it.
	signInLife = 15 * time.Minute
)

// Limiter counts requests.
type Limiter interface {
	Address(kind string, address netip.Addr) limit.Decision
	Subject(kind, provider, subject string) limit.Decision
}

// Auditor is the record without which nothing happens.
type Auditor interface {
	Append(ctx context.Context, event audit.Event) error
}

// Replay lets each proof count once.
type Replay interface {
	Use(ctx context.Context, scope, key string, until time.Time) error
}

// Issuer signs ID tokens.
type Issuer interface {
	URL() string
	MintIDToken(ctx context.Context, token issuer.IDToken) (string, error)
}

// Broker is what this service needs of the other one.
type Broker interface {
	// TurnedAway records that the limiter refused a request.
	TurnedAway(ctx context.Context, origin broker.Origin, what string)
	// Admit gives the caller whom evidence proves; it limits and records refusals.
	Admit(ctx context.Context, origin broker.Origin, evidence broker.Evidence) (broker.Caller, error)
}

// Config is what a Server is made of. All fields are required but Devices, DeviceTries, DPoPWindow, Apps, Nonces and LogIn.
type Config struct {
	// URL is the public address of the broker; the endpoints are below it.
	URL      string
	Sessions Sessions
	Tokens   Tokens
	// Devices keeps device authorizations; nil switches the device flow off.
	Devices Devices
	// DeviceTries bounds how often people may type a code; required with Devices.
	DeviceTries Limiter
	Issuer      Issuer
	Broker      Broker
	Replay      Replay
	Limit       Limiter
	Audit       Auditor
	// RefreshMax bounds refresh tokens from the sign-in on.
	RefreshMax time.Duration
	// Apps are the apps of the configuration, by client id. With them, Nonces are those
	// of their proofs, and LogIn makes a device, by the thumbprint of its key, that of
	// somebody who has signed in; family is the id of the tokens that it gives.
	Apps   map[string]App
	Nonces *dpop.Nonces
	LogIn  func(ctx context.Context, origin broker.Origin, app, thumbprint, family string, login idp.Login) (Issued, error)
	// DPoPWindow is how far a client's clock may be off; zero is dpop.DefaultWindow.
	DPoPWindow time.Duration
	Log        *slog.Logger
	Now        func() time.Time
}

// Server is the authorization server. It is safe for concurrent use.
type Server struct {
	cfg Config
	// base is the address that DPoP proofs name, without a slash at its end.
	base string
}

// New makes a Server.
func New(config Config) *Server {
	if config.DPoPWindow == 0 {
		config.DPoPWindow = dpop.DefaultWindow
	}
	return &Server{cfg: config, base: strings.TrimSuffix(config.URL, "/")}
}
