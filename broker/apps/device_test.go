package apps_test

import (
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/apps"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// rotation is a request for another key, proved by the old one.
func rotation(t *testing.T, p, next *phone) apps.RotateRequest {
	t.Helper()
	path := register + "/" + p.device.Device + "/key"
	proof := next.proof(t, "POST", path, "")
	return apps.RotateRequest{
		Request: p.request(t, "POST", path, p.device.Tokens.Access.Reveal()), Device: p.device.Device, Proof: proof, Signature: p.sign(t, proof),
	}
}

func TestTheOldKeySignsForTheNewOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p, next := w.registered(t), w.phone(t)
	old := *p
	got, err := w.Rotate(t.Context(), origin, rotation(t, p, next))
	if err != nil {
		t.Fatal(err)
	}
	if got.Device != p.device.Device || got.IdentityID != p.device.IdentityID || !got.Guest {
		t.Errorf("got %+v", got)
	}
	if e := w.last(t); e.Event != "device.key" || e.Outcome != audit.Granted || e.Device != got.Device {
		t.Errorf("recorded %+v", e)
	}
	old.dead(t)
	next.device = got
	next.alive(t)
	next.register(t) // as it would where the answer was lost
	if next.device.Device != got.Device || next.device.New {
		t.Errorf("the new key is %+v", next.device)
	}
}

func TestWhoGetsNoNewKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p, next, thief, other := w.registered(t), w.phone(t), w.phone(t), w.registered(t)
	for name, c := range map[string]struct {
		change func(*apps.RotateRequest)
		code   broker.Code
		reason string
	}{
		"another device's":               {func(r *apps.RotateRequest) { r.Device = other.device.Device }, broker.AccessDenied, "no_such_device"},
		"a signature of the new key":     {func(r *apps.RotateRequest) { r.Signature = next.sign(t, r.Proof) }, broker.InvalidRequest, "signature"},
		"a signature over another proof": {func(r *apps.RotateRequest) { r.Proof = thief.proof(t, r.Method, r.Path, "") }, broker.InvalidRequest, "signature"},
		"no signature":                   {func(r *apps.RotateRequest) { r.Signature = "" }, broker.InvalidRequest, "signature"},
		"a proof for another path": {func(r *apps.RotateRequest) {
			r.Proof = next.proof(t, "POST", order, "")
			r.Signature = p.sign(t, r.Proof)
		}, broker.Unauthenticated, "invalid_dpop_proof"},
		"a key that a device has": {func(r *apps.RotateRequest) {
			r.Proof = other.proof(t, r.Method, r.Path, "")
			r.Signature = p.sign(t, r.Proof)
		}, broker.InvalidRequest, "key_taken"},
		"the same proof twice": {func(r *apps.RotateRequest) {
			r.Proof = p.proof(t, r.Method, r.Path, "")
			r.Signature = p.sign(t, r.Proof)
			r.DPoP = []string{r.Proof}
		}, broker.Unauthenticated, "invalid_dpop_proof"},
		"no token": {func(r *apps.RotateRequest) { r.Authorization = nil }, broker.Unauthenticated, "no_token"},
	} {
		r := rotation(t, p, next)
		c.change(&r)
		got, err := w.Rotate(t.Context(), origin, r)
		wantReason(t, name, err, c.code, c.reason)
		if got.Device != "" {
			t.Errorf("%s: came with %+v", name, got)
		}
	}
	p.alive(t)
	other.alive(t)
}

func TestARevokedDeviceIsDeadForGood(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p, other := w.registered(t), w.registered(t)
	caller := p.alive(t)
	wantReason(t, "another device", w.Revoke(t.Context(), origin, caller, other.device.Device), broker.AccessDenied, "no_such_device")
	wantReason(t, "no device", w.Revoke(t.Context(), origin, caller, "dev-none"), broker.AccessDenied, "no_such_device")
	if err := w.Revoke(t.Context(), origin, caller, p.device.Device); err != nil {
		t.Fatal(err)
	}
	if e := w.last(t); e.Event != "device.revoke" || e.Outcome != audit.Granted || e.Device != p.device.Device {
		t.Errorf("recorded %+v", e)
	}
	if len(w.forgotten) != 1 || w.forgotten[0] != caller.Session {
		t.Errorf("cached credentials of %v were dropped, want those of %s", w.forgotten, caller.Session)
	}
	p.dead(t)
	_, err := w.Register(t.Context(), origin, apps.RegisterRequest{Request: p.request(t, "POST", register, ""), App: "notes"})
	wantReason(t, "its key", err, broker.AccessDenied, "device_revoked")
	other.alive(t)
}

func TestALoginUpgradesAGuest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.registered(t)
	guest := *p
	got, err := p.logIn(t, "corp", "alice")
	if err != nil {
		t.Fatal(err)
	}
	if got.IdentityID != guest.device.IdentityID || got.Alias != "" || got.Guest || !got.LoggedIn || got.Device != guest.device.Device {
		t.Errorf("got %+v, was %+v", got, guest.device)
	}
	if e := w.last(t); e.Event != "device.login" || e.Outcome != audit.Granted || e.Subject != "alice" || e.Device != got.Device {
		t.Errorf("recorded %+v", e)
	}
	guest.dead(t)
	caller := p.alive(t)
	if caller.Guest || caller.Identity.Provider != "corp" || caller.Identity.Subject != "alice" || caller.Identity.ID != got.IdentityID || caller.App != "notes" {
		t.Errorf("the caller is %+v", caller)
	}
	second := w.registered(t)
	theirs := second.device.IdentityID
	if got, err := second.logIn(t, "corp", "alice"); err != nil || got.IdentityID != p.device.IdentityID || got.Alias != theirs {
		t.Errorf("on a second device: %+v, %v", got, err)
	}
}

// The key of a device on which somebody is logged in proves the device, not them.
func TestTheKeyAloneIsNobody(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.registered(t)
	if _, err := p.logIn(t, "corp", "alice"); err != nil {
		t.Fatal(err)
	}
	p.register(t)
	if p.device.Guest || p.device.LoggedIn || p.device.New {
		t.Errorf("registered again: %+v", p.device)
	}
	if caller := p.alive(t); caller.Guest || caller.Identity.Provider != "device" || caller.Identity.Username == "alice" {
		t.Errorf("the caller is %+v", caller)
	}
}

func TestALoginEndsInItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(a *config.App) { a.LoginMax = time.Hour })
	p := w.registered(t)
	if _, err := p.logIn(t, "corp", "alice"); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Hour)
	p.dead(t)
	p.register(t)
	caller := p.alive(t)
	if _, err := w.LogIn(t.Context(), origin, caller, idp.Login{Identity: idp.Identity{Provider: "corp", Subject: "alice"}, NotAfter: w.now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
}

func TestWhoMayNotLogIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil) // two devices a person
	p := w.registered(t)
	_, err := p.logIn(t, "elsewhere", "alice")
	wantReason(t, "of a provider that the app does not list", err, broker.AccessDenied, "provider_not_of_app")
	p.alive(t)
	for range 2 {
		if _, err := w.registered(t).logIn(t, "corp", "alice"); err != nil {
			t.Fatal(err)
		}
	}
	_, err = p.logIn(t, "corp", "alice")
	wantReason(t, "on a third device", err, broker.AccessDenied, "too_many_devices")
	if caller := p.alive(t); !caller.Guest {
		t.Errorf("the third device is %+v", caller)
	}
	if _, err := p.logIn(t, "corp", "bob"); err != nil {
		t.Errorf("somebody else there: %v", err)
	}
	_, err = w.LogIn(t.Context(), origin, broker.Caller{App: "notes"}, idp.Login{Identity: idp.Identity{Provider: "corp", Subject: "x"}})
	wantReason(t, "on no device", err, broker.Unauthenticated, "invalid_token")
}

func TestAPersonSeesAndEndsTheirDevices(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	first, second, guest := w.registered(t), w.registered(t), w.registered(t)
	for _, p := range []*phone{first, second} {
		if _, err := p.logIn(t, "corp", "alice"); err != nil {
			t.Fatal(err)
		}
	}
	caller := second.alive(t)
	list, err := w.Devices(t.Context(), caller)
	if err != nil || len(list) != 2 || list[0].Device != second.device.Device || !list[0].Current || list[1].Device != first.device.Device || list[1].Current {
		t.Errorf("alice sees %+v, %v", list, err)
	}
	if list, err := w.Devices(t.Context(), guest.alive(t)); err != nil || len(list) != 1 || !list[0].Current {
		t.Errorf("a guest sees %+v, %v", list, err)
	}
	wantReason(t, "a guest ends alice's", w.Revoke(t.Context(), origin, guest.alive(t), first.device.Device), broker.AccessDenied, "no_such_device")
	if err := w.Revoke(t.Context(), origin, caller, first.device.Device); err != nil {
		t.Fatal(err)
	}
	first.dead(t)
	second.alive(t)
	second.register(t) // logged out: the key alone ends nobody's devices
	wantReason(t, "the key alone", w.Revoke(t.Context(), origin, second.alive(t), guest.device.Device), broker.AccessDenied, "no_such_device")
}

func TestOrdersAreCountedByDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(a *config.App) { a.Limits.PerDevice = config.Rate{Events: 2, Period: time.Minute} })
	p, other := w.registered(t), w.registered(t)
	for i := range 3 {
		_, err := p.authenticate(t)
		if i < 2 && err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			wantReason(t, "the third", err, broker.RateLimited, "rate_limited")
		}
	}
	if _, err := other.authenticate(t); err != nil {
		t.Errorf("another device: %v", err)
	}
}
