package apps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/device"
)

// LogIn makes the caller's device that of somebody whom a provider of the app has
// just proved, and gives tokens that are theirs. The device's earlier tokens end.
// The caller is what Authenticate gave; its key is the one of its token.
func (s *Service) LogIn(ctx context.Context, origin broker.Origin, caller broker.Caller, login idp.Login) (Identified, error) {
	event := s.event(origin, "device.login")
	describe(&event, caller)
	event.Provider, event.Subject, event.Username = login.Identity.Provider, login.Identity.Subject, login.Identity.Username
	got, err := s.logIn(ctx, caller, "", login, &event)
	if err := s.conclude(ctx, event, err); err != nil {
		return Identified{}, err
	}
	return got, nil
}

// LogInByKey is LogIn for somebody who signed in in the browser and comes with a
// code: the device is the one whose key proved the request, which whoever calls has
// judged. family is the id of the tokens: a second use of the code ends them.
func (s *Service) LogInByKey(ctx context.Context, origin broker.Origin, app, thumbprint, family string, login idp.Login) (Identified, error) {
	event := s.event(origin, "device.login")
	event.Client, event.Session = app, family
	event.Provider, event.Subject, event.Username = login.Identity.Provider, login.Identity.Subject, login.Identity.Username
	got, err := s.logInByKey(ctx, app, thumbprint, family, login, &event)
	if err := s.conclude(ctx, event, err); err != nil {
		return Identified{}, err
	}
	return got, nil
}

func (s *Service) logInByKey(ctx context.Context, app, thumbprint, family string, login idp.Login, event *audit.Event) (Identified, error) {
	d, known, err := s.cfg.Devices.Find(ctx, device.Registration{App: app, Thumbprint: thumbprint})
	switch {
	case err != nil:
		return Identified{}, storeFailed(err)
	case !known || d.Revoked:
		return Identified{}, unauthenticated("unknown_device", "The key of the proof is no device of the app: register it at /tvm/v1/devices first.")
	}
	return s.logIn(ctx, broker.Caller{App: app, Device: d.ID}, family, login, event)
}

// logIn makes tokens with the id family, "" for a random one.
func (s *Service) logIn(ctx context.Context, caller broker.Caller, family string, login idp.Login, event *audit.Event) (Identified, error) {
	app, who := s.apps[caller.App], login.Identity
	if app == nil || caller.Device == "" {
		return Identified{}, unauthenticated("invalid_token", "The app is not known here any more.")
	}
	if !slices.ContainsFunc(app.Providers, func(p config.Text) bool { return p.Value == who.Provider }) {
		return Identified{}, broker.Fail(broker.AccessDenied, "provider_not_of_app", "People of this provider do not log in to this app.").
			Because(fmt.Errorf("app %s does not list provider %s", caller.App, who.Provider))
	}
	bound, err := s.cfg.Devices.Bind(ctx, device.Binding{
		Device: caller.Device, Provider: who.Provider, Subject: who.Subject, Limit: app.Limits.DevicesPerPerson,
	})
	switch {
	case errors.Is(err, device.ErrTooMany):
		return Identified{}, broker.Fail(broker.AccessDenied, "too_many_devices",
			fmt.Sprintf("You are logged in on %d devices already, which is all there may be. Remove one of them there.", app.Limits.DevicesPerPerson)).Because(err)
	case errors.Is(err, device.ErrNotFound):
		return Identified{}, unauthenticated("invalid_token", "The device has been revoked.").Because(err)
	case err != nil:
		return Identified{}, storeFailed(err)
	}
	s.cfg.Broker.Forget(caller.Session)
	f := s.family(app, bound.Device)
	f.ID = cmp.Or(family, f.ID)
	f.Identity, f.ProviderEnd = who, login.NotAfter
	f.Identity.ID = bound.Device.IdentityID
	f.Last = s.cfg.Now().Add(app.LoginMax)
	got, err := s.issue(ctx, f, bound.Device.Thumbprint, event)
	got.Alias = bound.Alias
	return got, err
}
