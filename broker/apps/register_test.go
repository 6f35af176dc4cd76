package apps_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/apps"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/device"
)

func TestAKeyBecomesADevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.registered(t)
	got := p.device
	if !got.New || !got.Guest || got.LoggedIn || got.Alias != "" || !device.IsIdentityID(got.IdentityID) || got.Tokens.ExpiresIn != 10*time.Minute {
		t.Errorf("got %+v", got)
	}
	e := w.last(t)
	if e.Event != "device.register" || e.Outcome != audit.Granted || e.Client != "notes" || e.Device != got.Device || e.Address != "192.0.2.7" || e.RequestID != "request-1" || e.Via != "tvm" || e.TokenDigest == "" {
		t.Errorf("recorded %+v", e)
	}
	caller := p.alive(t)
	if caller.App != "notes" || caller.Device != got.Device || !caller.Guest || caller.Via != broker.ViaTVM ||
		caller.Identity.Provider != "device" || caller.Identity.Subject != got.Device || caller.Identity.ID != got.IdentityID || caller.Identity.Username != got.IdentityID {
		t.Errorf("the caller is %+v", caller)
	}
}

func TestTheSameKeyIsTheSameDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.registered(t)
	first := *p
	p.register(t)
	if p.device.Device != first.device.Device || p.device.IdentityID != first.device.IdentityID || p.device.New {
		t.Errorf("got %+v, was %+v", p.device, first.device)
	}
	first.dead(t)
	p.alive(t)
	other, err := w.Register(t.Context(), origin, apps.RegisterRequest{Request: p.request(t, "POST", register, ""), App: "wallet"})
	if err != nil || other.Device == p.device.Device || other.IdentityID == p.device.IdentityID || !other.New {
		t.Errorf("in another app: %+v, %v", other, err)
	}
	p.alive(t)
}

func TestACrowdWithOneKeyIsOneDevice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.phone(t)
	requests := make([]apps.Request, 16)
	for i := range requests {
		requests[i] = p.request(t, "POST", register, "")
	}
	got := make([]apps.Identified, len(requests))
	var group sync.WaitGroup
	for i := range got {
		group.Go(func() {
			var err error
			if got[i], err = w.Register(t.Context(), origin, apps.RegisterRequest{Request: requests[i], App: "notes"}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	fresh, living := 0, 0
	for _, g := range got {
		if g.Device != got[0].Device || g.IdentityID != got[0].IdentityID {
			t.Errorf("two devices: %+v", g)
		}
		if g.New {
			fresh++
		}
		if _, err := w.tokens.Access(t.Context(), g.Tokens.Access.Reveal()); err == nil {
			living++
		}
	}
	if fresh != 1 || living != 1 {
		t.Errorf("%d are new and %d have tokens that live, want one of each", fresh, living)
	}
}

// The device and its tokens are one write, and what was not written is not there.
func TestWhatIsNotRecordedIsNotHandedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.deaf = errors.New("disk full")
	p := w.phone(t)
	got, err := w.Register(t.Context(), origin, apps.RegisterRequest{Request: p.request(t, "POST", register, ""), App: "notes"})
	wantReason(t, "the registration", err, broker.Unavailable, "audit")
	if !got.Tokens.Access.IsZero() || got.Device != "" {
		t.Errorf("it came with %+v", got)
	}
	w.deaf = nil
	p.register(t) // the phone asks again
	p.alive(t)
}

func TestWhoMayNotRegister(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.phone(t)
	good := func() apps.RegisterRequest {
		return apps.RegisterRequest{Request: p.request(t, "POST", register, ""), App: "notes"}
	}
	for name, c := range map[string]struct {
		change func(*apps.RegisterRequest)
		code   broker.Code
		reason string
	}{
		"an unknown app":             {func(r *apps.RegisterRequest) { r.App = "nope" }, broker.InvalidRequest, "unknown_app"},
		"no app":                     {func(r *apps.RegisterRequest) { r.App = "" }, broker.InvalidRequest, "unknown_app"},
		"the command line as an app": {func(r *apps.RegisterRequest) { r.App = "rolecall-cli" }, broker.InvalidRequest, "unknown_app"},
		"an attestation":             {func(r *apps.RegisterRequest) { r.Attestation = "AAAA" }, broker.InvalidRequest, "attestation"},
		"no proof":                   {func(r *apps.RegisterRequest) { r.DPoP = nil }, broker.Unauthenticated, "use_dpop_nonce"},
		"two proofs":                 {func(r *apps.RegisterRequest) { r.DPoP = append(r.DPoP, r.DPoP...) }, broker.Unauthenticated, "invalid_dpop_proof"},
		"a proof for another path":   {func(r *apps.RegisterRequest) { r.DPoP = []string{p.proof(t, "POST", order, "")} }, broker.Unauthenticated, "invalid_dpop_proof"},
		"an Ed25519 key":             {func(r *apps.RegisterRequest) { r.DPoP = []string{edProof(t, w)} }, broker.Unauthenticated, "invalid_dpop_proof"},
	} {
		r := good()
		c.change(&r)
		got, err := w.Register(t.Context(), origin, r)
		wantReason(t, name, err, c.code, c.reason)
		if got.Device != "" || !got.Tokens.Access.IsZero() {
			t.Errorf("%s: came with %+v", name, got)
		}
	}
	r := good()
	if _, err := w.Register(t.Context(), origin, r); err != nil {
		t.Fatal(err)
	}
	_, err := w.Register(t.Context(), origin, r)
	wantReason(t, "the same proof again", err, broker.Unauthenticated, "invalid_dpop_proof")
	if e := w.last(t); e.Outcome != audit.Refused || e.Reason != "invalid_dpop_proof" {
		t.Errorf("recorded %+v", e)
	}
}

// edProof is a good proof of an Ed25519 key, which no device has.
func edProof(t *testing.T, w *world) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := json.Marshal(map[string]any{"jti": "x", "htm": "POST", "htu": base + register, "iat": w.now().Unix(), "nonce": w.Nonce()})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(claims)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRegistrationsAreCountedByAddressAndApp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(a *config.App) { a.Limits.Registrations = config.Rate{Events: 3, Period: time.Hour} })
	var refused error
	for i := range 4 {
		p := w.phone(t)
		_, err := w.Register(t.Context(), origin, apps.RegisterRequest{Request: p.request(t, "POST", register, ""), App: "notes"})
		if i < 3 && err != nil {
			t.Fatal(err)
		}
		refused = err
	}
	wantReason(t, "the fourth", refused, broker.RateLimited, "rate_limited")
	if broker.Shown(refused).RetryAfter <= 0 || fmt.Sprint(w.away) != "[device.register]" {
		t.Errorf("retry after %s, counted %v", broker.Shown(refused).RetryAfter, w.away)
	}
	p := w.phone(t)
	if _, err := w.Register(t.Context(), origin, apps.RegisterRequest{Request: p.request(t, "POST", register, ""), App: "wallet"}); err != nil {
		t.Errorf("another app: %v", err)
	}
	for range 300 {
		p := w.phone(t)
		r := p.request(t, "POST", register, "")
		r.DPoP[0] = r.DPoP[0][:len(r.DPoP[0])-6] + "AAAAAA"
		_, refused = w.Register(t.Context(), origin, apps.RegisterRequest{Request: r, App: "wallet"})
	}
	wantReason(t, "a flood of one address", refused, broker.RateLimited, "rate_limited")
}

// Without a nonce nothing is written, counted or recorded: it is how all begin.
func TestAskingForANonceCostsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for range 1000 {
		_, err := w.Register(t.Context(), origin, apps.RegisterRequest{Request: apps.Request{Method: "POST", Path: register}, App: "notes"})
		if broker.Shown(err).Reason != "use_dpop_nonce" {
			t.Fatal(err)
		}
		_, err = w.Authenticate(t.Context(), origin, "credentials", apps.Request{Method: "POST", Path: order, Authorization: []string{"DPoP rca_x"}})
		if broker.Shown(err).Reason != "use_dpop_nonce" {
			t.Fatal(err)
		}
	}
	if len(w.events) != 0 || len(w.away) != 0 {
		t.Errorf("%d records, %d turned away", len(w.events), len(w.away))
	}
}

func TestADeviceKeepsItsTokensWhileItUsesThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(a *config.App) { a.RefreshMax = 24 * time.Hour })
	p := w.registered(t)
	refresh := p.device.Tokens.Refresh.Reveal()
	for range 5 {
		w.pass(20 * time.Hour)
		next := session.Pair{Access: "rca_" + session.NewHandle(), AccessUntil: w.now().Add(10 * time.Minute), Refresh: "rcr_" + session.NewHandle(), Thumbprint: "x"}
		if err := w.tokens.Rotate(t.Context(), refresh, next); err != nil {
			t.Fatal(err)
		}
		refresh = next.Refresh
	}
	w.pass(24 * time.Hour)
	if _, err := w.tokens.Refresh(t.Context(), refresh); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("after a day without use: %v", err)
	}
	before := p.device
	p.register(t)
	if p.device.Device != before.Device || p.device.IdentityID != before.IdentityID {
		t.Error("the device is another one")
	}
}

func TestNoSecretIsRecordedOrShown(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	p := w.registered(t)
	p.alive(t)
	_, _ = w.Authenticate(t.Context(), origin, "x", apps.Request{Authorization: []string{"Bearer " + p.device.Tokens.Access.Reveal()}})
	private, err := p.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{p.device.Tokens.Access.Reveal(), p.device.Tokens.Refresh.Reveal(), base64.RawURLEncoding.EncodeToString(private)} {
		if text := fmt.Sprintf("%+v %+v", w.events, p.device); strings.Contains(text, secret) {
			t.Errorf("a secret is in %s", text)
		}
	}
}
