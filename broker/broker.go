package broker

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/broker/vend/console"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// Provider is one configured identity provider.
type Provider struct {
	ProviderInfo
	// Redirector signs people in by their browser; nil is a provider of machines, where
	// nobody signs in.
	Redirector idp.Redirector
	// Metadata gives the service provider metadata of a SAML provider; nil for others.
	Metadata func() ([]byte, error)
	// Unsolicited lets the provider send somebody whom nobody here asked for; they
	// confirm on a page of ours before they are signed in.
	Unsolicited bool
	// Verifier judges evidence that programs bring to Exchange; nil takes none.
	Verifier idp.TokenVerifier
	// OneTime lets each piece of that evidence count once only.
	OneTime bool
	// Logout signs people out at the provider, too, through their browser; nil is a
	// provider that cannot.
	Logout idp.Logouter
	// Departures judges the provider's word, brought by a browser, that somebody signs
	// out there; nil takes none.
	Departures idp.Departer
	// BackChannel judges the provider's word, from server to server, that somebody has
	// signed out there; nil takes none.
	BackChannel LogoutVerifier
	// Password judges names and passwords that people type here; nil takes none.
	Password idp.PasswordVerifier
	// Passkeys judges passkeys; nil takes none.
	Passkeys PasskeyVerifier
	// Known remembers the browsers of those people; nil remembers none.
	Known Acquainted
}

// LogoutVerifier judges a logout token (OpenID Connect Back-Channel Logout 1.0).
type LogoutVerifier interface {
	VerifyLogout(ctx context.Context, raw string) (idp.Departure, error)
}

// ProviderInfo is what the sign-in page shows of a provider.
type ProviderInfo struct {
	Name  string // part of its addresses: /saml/NAME/login
	Type  string // saml, oidc, oauth2
	Label string // for people
	Host  string // where the browser will go, "" where that is not known yet
	// Domains are the e-mail domains of the people there.
	Domains []string
	// Passkeys says that people may sign in with one.
	Passkeys bool
}

// Auditor is the record without which nothing happens.
type Auditor interface {
	// Append returns once the record is on the disk.
	Append(ctx context.Context, event audit.Event) error
	// Later adds a record that may follow a moment after.
	Later(event audit.Event) error
}

// Tally records what is not worth a record each.
type Tally interface {
	Add(event audit.Event)
}

// Revocations judges by what operators have taken back.
type Revocations interface {
	Of(who idp.Identity, session, grant string, since time.Time) revocation.Verdict
}

// Federation turns credentials into an address that signs in to the AWS console.
type Federation interface {
	URL(ctx context.Context, credentials iam.Credentials, request console.Request) (secret.String, error)
}

// Config is what a Broker is made of. All fields but Prove and Revoked are required.
type Config struct {
	Providers  []Provider
	Policy     *policy.Policy
	Vendor     vend.Vendor
	Federation Federation
	Sessions   *session.Sessions
	Replay     *replay.Cache
	Limit      *limit.Limiter
	// Guard counts guesses of passwords; it is needed where a provider takes them.
	Guard Guard
	Audit Auditor
	// Tally counts what the limiter turns away.
	Tally Tally
	// Revoked says what operators have taken back; nil is nothing.
	Revoked Revocations
	// Prove makes the token or assertion of the modes web-identity and saml; nil has none.
	Prove func(ctx context.Context, who idp.Identity, spec vend.Spec) (secret.String, error)
	// OutliveSession lets credentials live longer than the broker's session they come from.
	OutliveSession bool
	Log            *slog.Logger
	Now            func() time.Time
}

// Broker is the path from evidence to credentials. It is safe for concurrent use.
type Broker struct {
	cfg       Config
	providers map[string]Provider
}

// New makes a Broker.
func New(config Config) *Broker {
	b := &Broker{cfg: config, providers: map[string]Provider{}}
	for _, p := range config.Providers {
		b.providers[p.Name] = p
	}
	return b
}

// SignInProviders lists the providers where people sign in, in the order of the
// configuration.
func (b *Broker) SignInProviders() []ProviderInfo {
	infos := make([]ProviderInfo, 0, len(b.cfg.Providers))
	for _, p := range b.cfg.Providers {
		if p.Redirector != nil || p.Password != nil {
			infos = append(infos, p.ProviderInfo)
		}
	}
	return infos
}

// EveryProvider lists all providers, machines among them.
func (b *Broker) EveryProvider() []ProviderInfo {
	infos := make([]ProviderInfo, len(b.cfg.Providers))
	for i, p := range b.cfg.Providers {
		infos[i] = p.ProviderInfo
	}
	return infos
}

// SAMLMetadata gives what to import at a SAML identity provider.
func (b *Broker) SAMLMetadata(_ context.Context, provider string) ([]byte, error) {
	p, ok := b.providers[provider]
	if !ok || p.Metadata == nil {
		return nil, unknownProvider(provider)
	}
	document, err := p.Metadata()
	if err != nil {
		return nil, fmt.Errorf("metadata of provider %s: %w", provider, err)
	}
	return document, nil
}

func unknownProvider(name string) *Error {
	return Fail(InvalidRequest, "unknown_provider", "There is no such identity provider here. Choose one on the sign-in page.").
		Because(fmt.Errorf("provider %q", name))
}

// record appends an event; without it the call must fail.
func (b *Broker) record(ctx context.Context, event audit.Event) error {
	// The record must not be lost because the person closed the browser.
	return unrecorded(b.cfg.Audit.Append(context.WithoutCancel(ctx), event))
}

func unrecorded(err error) error {
	if err == nil {
		return nil
	}
	return Fail(Unavailable, "audit", "The audit record cannot be written, so nothing is handed out. Try again in a moment.").Because(err)
}

// TurnedAway counts a request that the limiter refused: one record per address
// and minute, so that a flood cannot fill the disk.
func (b *Broker) TurnedAway(_ context.Context, origin Origin, what string) {
	event := b.event(origin, what, idp.Identity{})
	event.Outcome, event.Reason = audit.Refused, "rate_limited"
	if b.cfg.Limit.Blocked(origin.Address) > 0 {
		event.Reason = "blocked"
	}
	b.cfg.Tally.Add(event)
}

// storeFailed says that the store could not do something; without it nothing goes on.
func storeFailed(what string, err error) error {
	return Fail(Unavailable, "store", "The broker cannot reach its memory right now. Try again in a moment.").
		Because(fmt.Errorf("%s: %w", what, err))
}

// Limited turns a limiter's decision into an error.
func Limited(d limit.Decision) error {
	if d.Allowed {
		return nil
	}
	e := Fail(RateLimited, "rate_limited", "Too many requests. Wait a moment, then try again.")
	if d.Blocked {
		e = Fail(RateLimited, "blocked", "Too many sign-ins or tokens from your network were refused, so it is kept out for a while. Try again later, or tell your administrators.")
	}
	e.RetryAfter = d.RetryAfter
	return e
}
