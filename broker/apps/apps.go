package apps

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/device"
	"github.com/rolecall/rolecall/idp/dpop"
)

// Lives that are not configured.
const (
	accessLife = 10 * time.Minute
	// grace is for how long a refresh token that was used may be used once more, by
	// the same key: phones lose answers.
	grace = 30 * time.Second
	// maxToken bounds tokens that come in; ours are much shorter.
	maxToken = 256
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

// Proofs lets each proof count once.
type Proofs interface {
	Use(ctx context.Context, scope, key string, until time.Time) error
}

// Broker is what this service needs of the other one.
type Broker interface {
	// TurnedAway records that the limiter refused a request.
	TurnedAway(ctx context.Context, origin broker.Origin, what string)
	// Forget drops cached credentials of a session that has ended.
	Forget(session string)
}

// Config is what a Service is made of. All fields are required but Counts.
type Config struct {
	// URL is the public address of the broker; the endpoints are below it.
	URL     string
	Apps    []config.App
	Devices *device.Devices
	Tokens  *session.Tokens
	Nonces  *dpop.Nonces
	Proofs  Proofs
	Broker  Broker
	Limit   Limiter
	// Counts remembers what is counted by app and device; nil is a memory of its own.
	Counts limit.Store
	Audit  Auditor
	Now    func() time.Time
}

// Service serves devices. It is safe for concurrent use.
type Service struct {
	cfg  Config
	base string // of addresses in proofs, without a slash at its end
	apps map[string]*app
}

// app is one app with what is counted of it.
type app struct {
	config.App
	registrations, orders Limiter
}

// New makes a Service.
func New(c Config) *Service {
	if c.Counts == nil {
		c.Counts = limit.NewMemory(0)
	}
	s := &Service{cfg: c, base: strings.TrimSuffix(c.URL, "/"), apps: map[string]*app{}}
	for _, a := range c.Apps {
		s.apps[a.Name.Value] = &app{
			App:           a,
			registrations: limit.New(limit.Config{PerSubject: a.Limits.Registrations, Store: c.Counts, Now: c.Now}),
			orders:        limit.New(limit.Config{PerSubject: a.Limits.PerDevice, Store: c.Counts, Now: c.Now}),
		}
	}
	return s
}

// Nonce is the nonce for the next proof of anybody.
func (s *Service) Nonce() string { return s.cfg.Nonces.Next() }

// Tokens are what a device gets, bound to its key.
type Tokens struct {
	Access, Refresh secret.String
	ExpiresIn       time.Duration
}

// Identified is a device with its tokens.
type Identified struct {
	Device     string
	IdentityID string
	// Alias is the guest's identity_id that a login has made an alias of IdentityID.
	Alias string
	// New says that the device was registered by this call.
	New bool
	// Guest says that nobody has ever logged in on the device, LoggedIn that the tokens
	// are somebody's.
	Guest, LoggedIn bool
	Tokens          Tokens
}

// turnedAway turns a limiter's decision into an error, and counts it.
func (s *Service) turnedAway(ctx context.Context, origin broker.Origin, what string, d limit.Decision) error {
	if d.Allowed {
		return nil
	}
	s.cfg.Broker.TurnedAway(ctx, origin, what)
	return broker.Limited(d)
}

// event starts the record of a request.
func (s *Service) event(origin broker.Origin, name string) audit.Event {
	event := audit.Event{RequestID: origin.RequestID, Event: name, Via: string(broker.ViaTVM)}
	if origin.Address.IsValid() {
		event.Address = origin.Address.String()
	}
	return event
}

// describe puts a caller into a record.
func describe(event *audit.Event, caller broker.Caller) {
	event.Provider, event.Subject, event.Username = caller.Identity.Provider, caller.Identity.Subject, caller.Identity.Username
	event.Session, event.Client, event.Device = caller.Session, caller.App, caller.Device
}

// conclude records how a request ended and gives the error to show; without the
// record nothing is handed out.
func (s *Service) conclude(ctx context.Context, event audit.Event, err error) error {
	event.Outcome = audit.Granted
	if err != nil {
		shown := broker.Shown(err)
		event.Outcome, event.Reason = audit.Refused, shown.Reason
		if shown.Cause != nil {
			event.Detail = shown.Cause.Error()
		}
		if shown.Code == broker.Internal || shown.Code == broker.Unavailable {
			event.Outcome = audit.Failed
		}
		err = shown
	}
	// The record must not be lost because the device lost its connection.
	if failed := s.cfg.Audit.Append(context.WithoutCancel(ctx), event); failed != nil {
		return broker.Fail(broker.Unavailable, "audit", "The audit record cannot be written, so nothing is handed out. Try again in a moment.").Because(failed)
	}
	return err
}

// storeFailed says that the store could not do something.
func storeFailed(err error) error {
	return broker.Fail(broker.Unavailable, "store", "The broker cannot reach its memory right now. Try again in a moment.").Because(err)
}
