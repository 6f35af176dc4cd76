package tvm

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/apps"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/cors"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

const (
	deviceID   = "dev-abcdefghijklmnopqrstuvwxyz"
	identityID = "id-abcdefghijklmnopqrstuvwxyz"
	nonce      = "the-next-nonce"
)

// fake plays the services: what it was asked, and what it answers.
type fake struct {
	register apps.RegisterRequest
	rotate   apps.RotateRequest
	revoked  string
	order    broker.Order
	what     string
	people   string // what fakePeople heard

	stranger error // what Authenticate answers
	err      error // what everything else answers
	known    bool  // the device was there already
	stale    bool
}

func identifiedFake(f *fake) apps.Identified {
	return apps.Identified{Device: deviceID, IdentityID: identityID, New: !f.known, Guest: true,
		Tokens: apps.Tokens{Access: secret.New("rca_a"), Refresh: secret.New("rcr_r"), ExpiresIn: 10 * time.Minute}}
}

func (f *fake) Register(_ context.Context, _ broker.Origin, req apps.RegisterRequest) (apps.Identified, error) {
	f.register = req
	return identifiedFake(f), f.err
}

func (f *fake) Rotate(_ context.Context, _ broker.Origin, req apps.RotateRequest) (apps.Identified, error) {
	f.rotate = req
	return identifiedFake(f), f.err
}

func (f *fake) Devices(context.Context, broker.Caller) ([]apps.Listed, error) {
	return []apps.Listed{{Device: deviceID, Created: time.Date(2026, 11, 24, 9, 0, 0, 999, time.FixedZone("x", 3600)), Current: true}}, f.err
}

func (f *fake) Revoke(_ context.Context, _ broker.Origin, _ broker.Caller, id string) error {
	f.revoked = id
	return f.err
}

func (f *fake) LogIn(context.Context, broker.Origin, broker.Caller, idp.Login) (apps.Identified, error) {
	return identifiedFake(f), f.err
}

func (f *fake) Nonce() string { return nonce }

func (f *fake) Authenticate(_ context.Context, _ broker.Origin, what string, _ apps.Request) (broker.Caller, error) {
	f.what = what
	return broker.Caller{App: "notes", Device: deviceID, Guest: true}, f.stranger
}

func (f *fake) Vend(_ context.Context, _ broker.Origin, caller broker.Caller, order broker.Order) (broker.Vended, error) {
	f.order = order
	if caller.App != "notes" || caller.Device != deviceID {
		return broker.Vended{}, broker.Fail(broker.Internal, "caller", "")
	}
	return broker.Vended{Stale: f.stale, Credentials: iam.Credentials{
		AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: secret.New("sk"), SessionToken: secret.New("st"),
		Expires: time.Date(2026, 11, 24, 12, 50, 58, 999, time.UTC), AccountID: "111122223333"}}, f.err
}

type problems struct{}

func (problems) Problem(w http.ResponseWriter, _ *http.Request, p endpoint.Problem) error {
	w.WriteHeader(p.Status)
	return nil
}

const base = "https://sso.example.com"

func serve(t *testing.T, f *fake) http.Handler {
	t.Helper()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	return endpoint.New(endpoint.Config{URL: u, Problems: problems{}, Log: slog.New(slog.DiscardHandler), Now: time.Now},
		Endpoint{Devices: f, Door: f, Vendor: f, People: fakePeople{f}, Origins: cors.Of("https://notes.example.com"), URL: base})
}

// ask sends a request with a proof that the fake does not judge.
func ask(t *testing.T, h http.Handler, method, path, body string) (*http.Request, *http.Response) {
	t.Helper()
	r := httptest.NewRequest(method, base+path, strings.NewReader(body))
	r.Header.Set("DPoP", "proof")
	if path != "/tvm/v1/devices" || method != http.MethodPost {
		r.Header.Set("Authorization", "DPoP rca_a")
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	again := httptest.NewRequest(method, base+path, strings.NewReader(body))
	again.Header = r.Header
	return again, w.Result()
}
