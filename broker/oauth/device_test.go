package oauth_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/devicecode"
	"github.com/rolecall/rolecall/broker/oauth"
)

// devices keeps one device authorization.
type devices struct {
	request devicecode.Request
	state   devicecode.State
	answer  []byte
	polls   int
}

func (d *devices) Start(_ context.Context, r devicecode.Request) (string, string, error) {
	d.request = r
	d.request.Asked = time.Date(2026, 11, 24, 11, 0, 0, 0, time.UTC)
	return "device", "WDJB-MJHT", nil
}

func (d *devices) ByUser(_ context.Context, user string) (devicecode.Request, error) {
	if user != "WDJB-MJHT" {
		return devicecode.Request{}, devicecode.ErrNotFound
	}
	return d.request, nil
}

func (d *devices) ByDevice(context.Context, string) (devicecode.Request, error) {
	return d.request, nil
}

func (d *devices) Answer(_ context.Context, _ string, approved bool, answer []byte) error {
	d.state, d.answer = devicecode.Denied, answer
	if approved {
		d.state = devicecode.Approved
	}
	return nil
}

func (d *devices) Poll(context.Context, string) (devicecode.Polled, error) {
	d.polls++
	return devicecode.Polled{State: d.state, Answer: d.answer}, nil
}

func device(proofs ...string) oauth.TokenRequest {
	return oauth.TokenRequest{DPoP: proofs, Form: url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"rolecall-cli"}, "device_code": {"device"},
	}}
}

func TestAProofAtTheDeviceEndpointBindsWhatIsIssued(t *testing.T) {
	t.Parallel()
	w, kept := newWorld(t), &devices{}
	c := w.config(w)
	c.Devices, c.DeviceTries = kept, w
	w.server = oauth.New(c)
	key, other := w.prover(t), w.prover(t)
	const endpoint = "https://sso.example.com/oauth2/device_authorization"
	start := device(prove(t, key, "POST", endpoint, ""))
	if _, err := w.server.StartDevice(t.Context(), origin, start); err != nil || kept.request.Thumbprint == "" {
		t.Fatalf("%+v, %v", kept.request, err)
	}
	w.refuses(t, device(), "invalid_dpop_proof")
	w.refuses(t, device(prove(t, other, "POST", tokenURL, "")), "invalid_dpop_proof")
	w.refuses(t, device(prove(t, key, "POST", endpoint, "")), "invalid_dpop_proof")
	if kept.polls != 0 {
		t.Error("a proof that does not fit spent the code")
	}
	var refusal *oauth.Error
	if _, err := w.server.Token(t.Context(), origin, device(prove(t, key, "POST", tokenURL, ""))); !errors.As(err, &refusal) || refusal.Code != "authorization_pending" {
		t.Errorf("with the right key: %v", err)
	}
	kept.state = devicecode.Denied
	w.refuses(t, device(prove(t, key, "POST", tokenURL, "")), "access_denied")
}

func TestTheDeviceFlowIsOffUnlessItIsSwitchedOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var refusal *oauth.Error
	if _, err := w.server.StartDevice(t.Context(), origin, device()); !errors.As(err, &refusal) || refusal.Code != "unauthorized_client" {
		t.Errorf("got %v", err)
	}
	w.refuses(t, device(), "unsupported_grant_type")
}
