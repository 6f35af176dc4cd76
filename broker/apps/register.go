package apps

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/device"
	"github.com/rolecall/rolecall/idp/dpop"
)

// RegisterRequest is a key that wants to be a device of an app.
type RegisterRequest struct {
	Request
	App         string
	Attestation string
}

// Register makes a device of the key that the proof was made with, or finds it, and
// gives it tokens; those that it had end. A device on which somebody is logged in
// gets tokens of nobody: the key alone does not prove a person.
func (s *Service) Register(ctx context.Context, origin broker.Origin, req RegisterRequest) (Identified, error) {
	event := s.event(origin, "device.register")
	event.Client = bounded(req.App)
	proof, unproved := s.prove(req.Request, "")
	if unproved != nil && broker.Shown(unproved).Reason == reasonNonce {
		return Identified{}, unproved // how every device begins
	}
	if err := s.turnedAway(ctx, origin, event.Event, s.cfg.Limit.Address(event.Event, origin.Address)); err != nil {
		return Identified{}, err
	}
	if unproved != nil {
		return Identified{}, s.conclude(ctx, event, unproved)
	}
	got, err := s.register(ctx, origin, req, proof, &event)
	if broker.CodeOf(err) == broker.RateLimited {
		return Identified{}, err // counted
	}
	if err := s.conclude(ctx, event, err); err != nil {
		return Identified{}, err
	}
	return got, nil
}

func (s *Service) register(ctx context.Context, origin broker.Origin, req RegisterRequest, proof dpop.Proof, event *audit.Event) (Identified, error) {
	app := s.apps[req.App]
	if app == nil {
		return Identified{}, broker.Fail(broker.InvalidRequest, "unknown_app", "There is no such app here: app must be the name of one.")
	}
	if err := s.turnedAway(ctx, origin, event.Event, app.registrations.Subject(event.Event, "app", req.App)); err != nil {
		return Identified{}, err
	}
	if err := s.once(ctx, proof); err != nil {
		return Identified{}, err
	}
	registration := device.Registration{App: req.App, Thumbprint: proof.Thumbprint, Attestation: req.Attestation}
	d, known, err := s.cfg.Devices.Find(ctx, registration)
	if err == nil && !known { // the device and its tokens are one write
		f := s.own(app, d)
		f.Registers = &d
		got, err := s.issue(ctx, f, d.Thumbprint, event)
		if err == nil || broker.Shown(err).Reason != reasonChanged {
			got.New = true
			return got, err
		}
		d, _, err = s.cfg.Devices.Register(ctx, registration) // another call was faster
		if err != nil {
			return Identified{}, storeFailed(err)
		}
	}
	switch {
	case errors.Is(err, device.ErrAttestation):
		return Identified{}, broker.Fail(broker.InvalidRequest, "attestation", "No attestation is taken here yet: leave the member attestation out.")
	case err != nil:
		return Identified{}, storeFailed(err)
	case d.Revoked:
		event.Device = d.ID
		return Identified{}, broker.Fail(broker.AccessDenied, "device_revoked", "This device has been revoked. The app may make a new key and register it.")
	}
	return s.issue(ctx, s.own(app, d), d.Thumbprint, event)
}

// own is a family of a device's own identity: of a guest, or, where somebody has
// logged in before, of nobody.
func (s *Service) own(app *app, d device.Device) session.Family {
	f := s.family(app, d)
	f.Guest = d.Guest()
	f.Identity = idp.Identity{
		ID: d.IdentityID, Provider: device.Provider, Subject: d.ID, Username: d.IdentityID,
		Groups: []string{}, Attributes: map[string][]string{}, Methods: []string{"pop"}, AuthenticatedAt: s.cfg.Now(),
	}
	return f
}

// family is a new family of a device, without its identity.
func (s *Service) family(app *app, d device.Device) session.Family {
	now := s.cfg.Now()
	return session.Family{
		ID: rand.Text(), Client: d.App, Via: string(broker.ViaTVM), Scope: []string{"offline_access"},
		Since: now, Until: now.Add(app.RefreshMax), Idle: app.RefreshMax, Grace: grace,
		Device: d.ID, Generation: d.Generation,
	}
}

// issue keeps a family with its first tokens, in the place of the one the device had.
func (s *Service) issue(ctx context.Context, f session.Family, thumbprint string, event *audit.Event) (Identified, error) {
	describe(event, broker.CallerOfFamily(f))
	pair := session.Pair{
		Access: "rca_" + session.NewHandle(), AccessUntil: s.cfg.Now().Add(accessLife), Refresh: "rcr_" + session.NewHandle(), Thumbprint: thumbprint,
	}
	err := s.cfg.Tokens.Begin(ctx, f, pair)
	if errors.Is(err, session.ErrNotFound) { // revoked, or changed, at this very moment
		return Identified{}, unauthenticated(reasonChanged, "The device has changed meanwhile. Register it again.").Because(err)
	}
	if err != nil {
		return Identified{}, storeFailed(fmt.Errorf("tokens of a device: %w", err))
	}
	event.TokenDigest = digest(pair.Access)
	return Identified{
		Device: f.Device, IdentityID: f.Identity.ID, Guest: f.Guest, LoggedIn: f.Identity.Provider != device.Provider,
		Tokens: Tokens{
			Access: secret.New(pair.Access), Refresh: secret.New(pair.Refresh),
			ExpiresIn: pair.AccessUntil.Sub(s.cfg.Now()).Truncate(time.Second),
		},
	}, nil
}

// bounded keeps a caller's text from filling the record.
func bounded(s string) string { return s[:min(len(s), 64)] }
