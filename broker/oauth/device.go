package oauth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/devicecode"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/config/secret"
)

const grantDevice = "urn:ietf:params:oauth:grant-type:device_code"

// Devices keeps device authorizations, hashed: *devicecode.Codes.
type Devices interface {
	Start(ctx context.Context, r devicecode.Request) (device, user string, err error)
	ByUser(ctx context.Context, user string) (devicecode.Request, error)
	ByDevice(ctx context.Context, device string) (devicecode.Request, error)
	Answer(ctx context.Context, user string, approved bool, answer []byte) error
	Poll(ctx context.Context, device string) (devicecode.Polled, error)
}

// DeviceStarted is the answer of the device authorization endpoint (RFC 8628 section 3.2).
type DeviceStarted struct {
	DeviceCode secret.String
	UserCode   string
	URL        string // where the person types UserCode
	Complete   string // the same with the code filled in
	Life       time.Duration
	Interval   time.Duration
}

// DeviceAsk is what a person is asked about a device.
type DeviceAsk struct {
	UserCode string
	Client   string // its name
	Address  string
	Asked    time.Time
	// As is the person as the device would act: what policy gives them is what it gets.
	As    broker.Caller
	Until time.Time
	// SignIn is set where the person must sign in first, after the device asked.
	SignIn *SignIn
}

// deviceOff is what everything here answers unless the configuration switches it on.
func (s *Server) deviceOff(code ErrorCode) error {
	if s.cfg.Devices != nil {
		return nil
	}
	return refuse(code, "the device flow is switched off at this broker (oauth.device_flow): sign in with a browser on this machine, `rolecall login` without --device")
}

// StartDevice answers the device authorization endpoint.
func (s *Server) StartDevice(ctx context.Context, origin broker.Origin, req TokenRequest) (DeviceStarted, error) {
	if err := s.limitAddress(ctx, origin, "device"); err != nil {
		return DeviceStarted{}, err
	}
	event := s.event(origin, "device.start")
	event.Via = string(broker.ViaDevice)
	started, err := s.startDevice(ctx, origin, req, &event)
	if failed := s.conclude(ctx, event, err); failed != nil {
		err = failed
	}
	if err != nil {
		return DeviceStarted{}, err
	}
	return started, nil
}

func (s *Server) startDevice(ctx context.Context, origin broker.Origin, req TokenRequest, event *audit.Event) (DeviceStarted, error) {
	client, err := s.identify(req)
	if err != nil {
		return DeviceStarted{}, err
	}
	event.Client = client.id
	if err := s.deviceOff(errUnauthorizedClient); err != nil {
		return DeviceStarted{}, err
	}
	if client.app {
		return DeviceStarted{}, refuse(errUnauthorizedClient, "an app's people log in at /tvm/v1/login")
	}
	ask := devicecode.Request{Client: client.id}
	if origin.Address.IsValid() {
		ask.Address = origin.Address.String()
	}
	r := authRequest{scope: strings.Fields(req.Form.Get("scope"))}
	ask.Scope = r.granted()
	if len(req.DPoP) > 0 {
		wanted := proofWanted{method: http.MethodPost, address: s.base + "/oauth2/device_authorization"}
		if ask.Thumbprint, err = s.prove(ctx, req.DPoP, wanted); err != nil {
			return DeviceStarted{}, err
		}
	}
	device, user, err := s.cfg.Devices.Start(ctx, ask)
	if err != nil {
		return DeviceStarted{}, err
	}
	event.TokenDigest = digest(device)
	return DeviceStarted{
		DeviceCode: secret.New(device), UserCode: user, URL: s.base + "/device",
		Complete: s.base + "/device?" + url.Values{"user_code": {user}}.Encode(), Life: devicecode.Life, Interval: devicecode.Interval,
	}, nil
}

// deviceAnswer is what an approval hands to the program that polls.
type deviceAnswer struct {
	Family session.Family `json:"family"`
}

// poll answers the device grant (RFC 8628 section 3.4). Everything is judged
// before the answer is taken, because it is given once.
func (s *Server) poll(ctx context.Context, origin broker.Origin, c client, form url.Values, thumbprint string, event *audit.Event) (Issued, string, error) {
	if err := s.deviceOff(errUnsupportedGrant); err != nil {
		return Issued{}, "", err
	}
	code := form.Get("device_code")
	if code == "" || len(code) > maxToken {
		return Issued{}, "", refuse(errInvalidRequest, "device_code is missing or malformed")
	}
	event.Via, event.TokenDigest = string(broker.ViaDevice), digest(code)
	ask, err := s.cfg.Devices.ByDevice(ctx, code)
	switch {
	case errors.Is(err, devicecode.ErrNotFound):
		return Issued{}, "", refuse(errExpiredToken, "the device code has ended, was used already or is not known: start again").because(err)
	case err != nil:
		return Issued{}, "", fmt.Errorf("device code: %w", err)
	case ask.Client != c.id:
		return Issued{}, "", refuse(errInvalidGrant, "the device code was given to another client")
	case ask.Thumbprint != "" && ask.Thumbprint != thumbprint:
		return Issued{}, "", refuse(errInvalidProof, "the device code is bound to the key of another proof than this request's")
	}
	polled, err := s.cfg.Devices.Poll(ctx, code)
	switch {
	case errors.Is(err, devicecode.ErrNotFound): // another poll was faster
		return Issued{}, "", refuse(errInvalidGrant, "the device code was used already").because(err)
	case err != nil:
		return Issued{}, "", fmt.Errorf("device code: %w", err)
	case polled.State == devicecode.Waiting:
		return Issued{}, "", refuse(errAuthorizationPending, "the person has not answered yet").because(errUnrecorded)
	case polled.State == devicecode.TooSoon:
		s.cfg.Broker.TurnedAway(ctx, origin, "token.device_code")
		return Issued{}, "", refuse(errSlowDown, "poll less often: wait five seconds longer than so far").because(errUnrecorded)
	case polled.State == devicecode.Denied:
		return Issued{}, "", refuse(errAccessDenied, "the person did not allow it")
	}
	var answer deviceAnswer
	if err := json.Unmarshal(polled.Answer, &answer); err != nil {
		return Issued{}, "", fmt.Errorf("device code: the store's data cannot be read: %w", err)
	}
	return s.deviceTokens(ctx, answer.Family, thumbprint, event)
}

func (s *Server) deviceTokens(ctx context.Context, family session.Family, thumbprint string, event *audit.Event) (Issued, string, error) {
	describe(event, broker.CallerOfFamily(family))
	pair := s.pair(family, thumbprint)
	if err := s.begin(ctx, family, pair); err != nil {
		return Issued{}, "", err
	}
	event.TokenDigest = digest(pair.Access)
	issued := s.issued(family, pair)
	var err error
	if slices.Contains(family.Scope, scopeOpenID) {
		issued.IDToken, err = s.idToken(ctx, session.Code{Client: family.Client, Family: family}, pair.Access)
	}
	return issued, family.ID, err
}

// FindDevice gives what a person is asked who typed a code. Tries are limited by
// person and address, whether they hit or not.
func (s *Server) FindDevice(ctx context.Context, origin broker.Origin, caller broker.Caller, user string) (DeviceAsk, error) {
	if err := s.deviceOff(errUnauthorizedClient); err != nil {
		return DeviceAsk{}, broker.Fail(broker.InvalidRequest, "device_flow_off", "Connecting devices by a code is switched off here.").Because(err)
	}
	if err := s.limitTries(ctx, origin, caller); err != nil {
		return DeviceAsk{}, err
	}
	ask, err := s.cfg.Devices.ByUser(ctx, user)
	if err != nil {
		return DeviceAsk{}, s.unknownDevice(ctx, origin, caller, err)
	}
	if address, failed := netip.ParseAddr(ask.Address); failed == nil {
		ask.Address = address.Unmap().String()
	}
	found := DeviceAsk{
		UserCode: devicecode.Shown(user), Address: ask.Address, Asked: ask.Asked,
		As: caller, Until: s.familyEnd(caller),
	}
	if c, ok := s.clientOf(ask.Client); ok {
		found.Client = c.name
	}
	found.As.Via = broker.ViaDevice
	found.SignIn, err = s.deviceSignIn(caller, ask, found.UserCode)
	return found, err
}

// deviceSignIn demands a sign-in that came after the device asked: who is sent a
// link while signed in must notice that something is asked of them.
func (s *Server) deviceSignIn(caller broker.Caller, ask devicecode.Request, user string) (*SignIn, error) {
	switch {
	case caller.Since.Before(ask.Asked):
		return &SignIn{ReturnTo: "/device?" + url.Values{"user_code": {user}}.Encode(), Fresh: true}, nil
	case provenAt(caller).Before(ask.Asked.Add(-providerClock)):
		return nil, broker.Fail(broker.StepUp, "not_fresh", "Your identity provider did not ask you again who you are. Connecting a device needs a fresh sign-in.")
	}
	return nil, nil
}

// AnswerDevice approves or denies. The caller of AnswerDevice has made sure that
// the answer comes from the page that FindDevice fed.
func (s *Server) AnswerDevice(ctx context.Context, origin broker.Origin, caller broker.Caller, user string, approve bool) error {
	if err := s.deviceOff(errUnauthorizedClient); err != nil {
		return broker.Fail(broker.InvalidRequest, "device_flow_off", "Connecting devices by a code is switched off here.").Because(err)
	}
	event := s.event(origin, "device.approve")
	if !approve {
		event.Event = "device.deny"
	}
	event.Via = string(broker.ViaBrowser)
	describe(&event, caller)
	ask, err := s.cfg.Devices.ByUser(ctx, user)
	if err != nil {
		return s.unknownDevice(ctx, origin, caller, err)
	}
	event.Client, event.Detail = ask.Client, "asked from "+ask.Address
	if signIn, err := s.deviceSignIn(caller, ask, user); approve && (err != nil || signIn != nil) {
		return errors.Join(err, broker.Fail(broker.StepUp, "not_fresh", "Connecting a device needs a fresh sign-in. Enter the code again."))
	}
	// Recorded before it has happened: afterwards the device may be gone with it.
	if err := s.conclude(ctx, event, nil); err != nil {
		return err
	}
	answer, err := json.Marshal(deviceAnswer{session.Family{
		ID: rand.Text(), Session: caller.Session, Client: ask.Client, Via: string(broker.ViaDevice), Scope: ask.Scope,
		Identity: caller.Identity, Since: caller.Since, Until: s.familyEnd(caller), ProviderEnd: caller.ProviderEnd,
	}})
	if err != nil {
		return fmt.Errorf("answer to a device: %w", err)
	}
	if err := s.cfg.Devices.Answer(ctx, user, approve, answer); err != nil {
		return s.unknownDevice(ctx, origin, caller, err)
	}
	return nil
}

// unknownDevice records a try that missed.
func (s *Server) unknownDevice(ctx context.Context, origin broker.Origin, caller broker.Caller, err error) error {
	if !errors.Is(err, devicecode.ErrNotFound) {
		return fmt.Errorf("device: %w", err)
	}
	shown := broker.Fail(broker.InvalidRequest, "unknown_user_code", "This code is not known, has ended or was answered already. Compare it with your terminal, or start again there.").Because(err)
	event := s.event(origin, "device.code")
	event.Via = string(broker.ViaBrowser)
	describe(&event, caller)
	if failed := s.conclude(ctx, event, shown); failed != nil {
		return failed
	}
	return shown
}

func (s *Server) limitTries(ctx context.Context, origin broker.Origin, caller broker.Caller) error {
	who := caller.Identity
	if err := s.limited(ctx, origin, "device.code", s.cfg.DeviceTries.Subject("device.code", who.Provider, who.Subject)); err != nil {
		return err
	}
	return s.limited(ctx, origin, "device.code", s.cfg.DeviceTries.Address("device.code", origin.Address))
}
