package device_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/devicecode"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/device"
	"github.com/rolecall/rolecall/broker/endpoint/token"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// site is the device flow on a loopback port over a real store. Its /login signs
// alice in at once, with stale by a provider that saw her long ago.
type site struct {
	url      string
	sessions *session.Sessions
	cookies  endpoint.Cookies

	mu     sync.Mutex
	shift  time.Duration
	stale  bool
	events []audit.Event
	logins []url.Values
}

func (s *site) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.shift)
}

func (s *site) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shift += d
}

func newSite(t *testing.T) *site {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	s := &site{url: "http://" + server.Listener.Addr().String()}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	log := slog.New(slog.DiscardHandler)
	s.sessions = session.NewSessions(session.Config{Store: store, Now: s.now})
	published, err := issuer.New(issuer.Config{URL: s.url, DeviceFlow: true, Now: s.now})
	if err != nil {
		t.Fatal(err)
	}
	authorization := oauth.New(oauth.Config{
		URL: s.url, Sessions: s.sessions, Tokens: session.NewTokens(store, s.now), Issuer: published, Broker: s,
		Devices:     devicecode.New(store, s.now),
		DeviceTries: limit.New(limit.Config{PerSubject: config.Rate{Events: 5, Period: 10 * time.Minute}, Now: s.now}),
		Replay:      replay.New(replay.Config{Store: store, Now: s.now}), Limit: limit.New(limit.Config{Now: s.now}), Audit: s,
		RefreshMax: 12 * time.Hour, Log: log, Now: s.now,
	})
	address, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = endpoint.New(endpoint.Config{URL: address, Problems: pages{}, Log: log, Now: s.now},
		token.Endpoint{Service: authorization, Extensions: authorization, Sessions: s, Metadata: published, Cookies: s.cookies, Now: s.now},
		device.Endpoint{Service: authorization, Sessions: s, Pages: pages{}, Cookies: s.cookies}, s)
	server.Start()
	t.Cleanup(server.Close)
	return s
}

func (s *site) Mount(mux *endpoint.Mux) {
	mux.Page("GET /login", func(w http.ResponseWriter, r *http.Request) error {
		seen := s.now()
		s.mu.Lock()
		s.logins = append(s.logins, r.URL.Query())
		if s.stale {
			seen = seen.Add(-time.Hour)
		}
		s.mu.Unlock()
		value, made, err := s.sessions.Create(r.Context(), session.New{Via: "browser", Login: idp.Login{Identity: idp.Identity{
			Provider: "corp", Subject: "alice-id", Username: "alice", AuthenticatedAt: seen,
		}}})
		if err != nil {
			return err
		}
		s.cookies.SetSession(w, secret.New(value), made.Expires)
		http.Redirect(w, r, r.URL.Query().Get("return_to"), http.StatusSeeOther)
		return nil
	})
}

func (s *site) Session(ctx context.Context, _ broker.Origin, value string) (broker.Caller, error) {
	found, err := s.sessions.Get(ctx, value)
	if errors.Is(err, session.ErrNotFound) {
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "no_session", "Sign in.")
	}
	return broker.CallerOf(found), err
}

// Roles closes one role to devices.
func (s *site) Roles(_ context.Context, _ broker.Origin, caller broker.Caller) ([]broker.Role, error) {
	open, _ := iam.ParseRoleARN("arn:aws:iam::111122223333:role/Developer")
	shut, _ := iam.ParseRoleARN("arn:aws:iam::111122223333:role/Admin")
	roles := []broker.Role{{ARN: open, AccountName: "production"}, {ARN: shut, AccountName: "production"}}
	if caller.Via == broker.ViaDevice {
		roles[1].Withheld = "device_flow"
	}
	return roles, nil
}

func (s *site) Append(_ context.Context, e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	return nil
}

func (s *site) TurnedAway(context.Context, broker.Origin, string) {}

func (s *site) Admit(context.Context, broker.Origin, broker.Evidence) (broker.Caller, error) {
	return broker.Caller{}, errors.New("not here")
}

// recorded counts records.
func (s *site) recorded(event string, outcome audit.Outcome) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, e := range s.events {
		if e.Event == event && e.Outcome == outcome {
			n++
		}
	}
	return n
}

type pages struct{}

func (pages) Device(w http.ResponseWriter, _ *http.Request, v device.View) error {
	client := ""
	if v.Ask != nil {
		client = v.Ask.Client
	}
	_, err := fmt.Fprintf(w, "who=%s code=%s client=%s here=%s roles=%d closed=%v proof=%s outcome=%s|", v.Username, v.UserCode, client, v.Here, v.Roles, v.Closed, v.Proof, v.Outcome)
	return err
}

func (pages) Problem(w http.ResponseWriter, _ *http.Request, p endpoint.Problem) error {
	w.WriteHeader(p.Status)
	_, err := io.WriteString(w, "problem: "+p.Reason+": "+p.Message)
	return err
}

// browser is a browser with its cookies.
type browser struct {
	*http.Client
	t *testing.T
	s *site
}

func (s *site) browser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{&http.Client{Jar: jar}, t, s}
}

func (b *browser) read(resp *http.Response, err error) (int, string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func (b *browser) open(address string) (int, string) {
	b.t.Helper()
	return b.read(b.Get(address))
}

// post adds the CSRF token that our pages would hold.
func (b *browser) post(form url.Values) (int, string) {
	b.t.Helper()
	if !form.Has("csrf") {
		at, _ := url.Parse(b.s.url)
		r := &http.Request{Header: http.Header{}}
		for _, c := range b.Jar.Cookies(at) {
			r.AddCookie(c)
		}
		form.Set("csrf", b.s.cookies.CSRF(r))
	}
	return b.read(b.PostForm(b.s.url+"/device", form))
}

var proofIn = regexp.MustCompile(`proof=([\w-]+)`)

// question types a code and gives the proof of the question.
func (b *browser) question(code string) (page, proof string) {
	b.t.Helper()
	status, page := b.post(url.Values{"user_code": {code}})
	found := proofIn.FindStringSubmatch(page)
	if status != http.StatusOK || found == nil {
		b.t.Fatalf("%d %s", status, page)
	}
	return page, found[1]
}

func (s *site) client() *oauth2.Config {
	return &oauth2.Config{ClientID: "rolecall-cli", Scopes: []string{"offline_access"}, Endpoint: oauth2.Endpoint{
		DeviceAuthURL: s.url + "/oauth2/device_authorization", TokenURL: s.url + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams,
	}}
}

func (s *site) start(t *testing.T) *oauth2.DeviceAuthResponse {
	t.Helper()
	started, err := s.client().DeviceAuth(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return started
}

// poll asks once, as a client that does not wait.
func (s *site) poll(t *testing.T, code string) (token map[string]any) {
	t.Helper()
	resp, err := http.PostForm(s.url+"/oauth2/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "client_id": {"rolecall-cli"}, "device_code": {code},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if err := json.NewDecoder(resp.Body).Decode(&token); err != nil {
		t.Fatal(err)
	}
	return token
}

func TestAStockClientConnectsAsADevice(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	started := s.start(t)
	if started.VerificationURI != s.url+"/device" || started.Interval != 5 || time.Until(started.Expiry) > 10*time.Minute ||
		started.VerificationURIComplete != s.url+"/device?user_code="+started.UserCode {
		t.Errorf("%+v", started)
	}
	b := s.browser(t)
	if status, page := b.open(started.VerificationURI); status != http.StatusOK || !strings.Contains(page, "who=alice code= client= ") {
		t.Fatalf("%d %s", status, page)
	}
	page, proof := b.question(strings.ToLower(started.UserCode))
	if !strings.Contains(page, "client=rolecall CLI here=127.0.0.1 roles=1 closed=[production/Admin]") {
		t.Errorf("the question: %s", page)
	}
	if _, page := b.post(url.Values{"user_code": {started.UserCode}, "proof": {proof}, "decision": {"approve"}}); !strings.Contains(page, "outcome=approved") {
		t.Fatal(page)
	}
	token, err := s.client().DeviceAccessToken(t.Context(), &oauth2.DeviceAuthResponse{DeviceCode: started.DeviceCode, Interval: 1})
	if err != nil || token.AccessToken == "" || token.RefreshToken == "" || token.Type() != "Bearer" {
		t.Fatalf("%+v, %v", token, err)
	}
	if got := s.poll(t, started.DeviceCode); got["error"] != "expired_token" {
		t.Errorf("the code was redeemed twice: %v", got)
	}
	refreshed, err := s.client().TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil || refreshed.RefreshToken == token.RefreshToken {
		t.Errorf("%+v, %v", refreshed, err)
	}
	for event, n := range map[string]int{"device.start": 1, "device.approve": 1, "token.device_code": 1} {
		if got := s.recorded(event, audit.Granted); got != n {
			t.Errorf("%d records of %s", got, event)
		}
	}
}

func TestADeviceThatPollsTooOftenIsSlowedDown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	started := s.start(t)
	for i, want := range []string{"authorization_pending", "slow_down", "slow_down"} {
		if got := s.poll(t, started.DeviceCode); got["error"] != want {
			t.Errorf("poll %d: %v, want %s", i, got, want)
		}
	}
	s.pass(15 * time.Second)
	if got := s.poll(t, started.DeviceCode); got["error"] != "authorization_pending" {
		t.Errorf("after a rest: %v", got)
	}
	if n := s.recorded("token.device_code", audit.Refused); n != 0 {
		t.Errorf("%d records of a device that only waits", n)
	}
	s.pass(10 * time.Minute)
	if got := s.poll(t, started.DeviceCode); got["error"] != "expired_token" {
		t.Errorf("after its life: %v", got)
	}
}

func TestADeniedDeviceGetsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	started := s.start(t)
	b := s.browser(t)
	b.open(started.VerificationURI)
	_, proof := b.question(started.UserCode)
	if _, page := b.post(url.Values{"user_code": {started.UserCode}, "proof": {proof}, "decision": {"deny"}}); !strings.Contains(page, "outcome=denied") {
		t.Fatal(page)
	}
	if got := s.poll(t, started.DeviceCode); got["error"] != "access_denied" || got["access_token"] != nil {
		t.Errorf("%v", got)
	}
	if s.recorded("device.deny", audit.Granted) != 1 {
		t.Error("the denial is not recorded")
	}
}

// A person who is signed in and is sent a link must notice that something is asked.
func TestApprovalNeedsASignInAfterTheDeviceAsked(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	b := s.browser(t)
	b.open(s.url + "/device") // signed in, before the device asks
	s.pass(time.Second)
	started := s.start(t)
	if _, page := b.open(started.VerificationURIComplete); !strings.Contains(page, "code="+started.UserCode+" client= ") {
		t.Errorf("the complete address fills in and no more: %s", page)
	}
	if got := s.poll(t, started.DeviceCode); got["error"] != "authorization_pending" {
		t.Errorf("the complete address approved: %v", got)
	}
	before := len(s.logins)
	s.pass(time.Second)
	if _, page := b.post(url.Values{"user_code": {started.UserCode}}); !strings.Contains(page, "code="+started.UserCode+" client= ") {
		t.Errorf("after the fresh sign-in the code is filled in: %s", page)
	}
	if len(s.logins) != before+1 || s.logins[before].Get("fresh") != "1" {
		t.Fatalf("sign-ins %v", s.logins)
	}
	if page, _ := b.question(started.UserCode); !strings.Contains(page, "client=rolecall CLI") {
		t.Errorf("after it: %s", page)
	}
}

func TestAProviderThatDoesNotAskAgainIsNoFreshSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.stale = true
	started := s.start(t)
	b := s.browser(t)
	b.open(started.VerificationURI)
	if status, page := b.post(url.Values{"user_code": {started.UserCode}}); status != http.StatusUnauthorized || !strings.Contains(page, "not_fresh") {
		t.Errorf("%d %s", status, page)
	}
}

func TestAnswersThatDoNotComeFromTheQuestion(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	started, other := s.start(t), s.start(t)
	b := s.browser(t)
	b.open(started.VerificationURI)
	_, proof := b.question(started.UserCode)
	stranger := s.browser(t)
	stranger.open(started.VerificationURI)
	form := func(code, proof, decision string) url.Values {
		return url.Values{"user_code": {code}, "proof": {proof}, "decision": {decision}}
	}
	forged := form(started.UserCode, proof, "approve")
	forged.Set("csrf", "made-up")
	for name, answer := range map[string]struct {
		who  *browser
		form url.Values
	}{
		"without the proof":                 {b, form(started.UserCode, "", "approve")},
		"with the proof of another code":    {b, form(other.UserCode, proof, "approve")},
		"with the proof of another browser": {stranger, form(started.UserCode, proof, "approve")},
		"without a CSRF token":              {b, forged},
		"neither yes nor no":                {b, form(started.UserCode, proof, "maybe")},
		"twice":                             {b, url.Values{"user_code": {started.UserCode}, "proof": {proof}, "decision": {"approve", "deny"}}},
	} {
		if status, page := answer.who.post(answer.form); status/100 != 4 || strings.Contains(page, "outcome=approved") {
			t.Errorf("%s: %d %s", name, status, page)
		}
	}
	if got := s.poll(t, started.DeviceCode); got["error"] != "authorization_pending" {
		t.Errorf("%v", got)
	}
}

func TestTriesOfCodesAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	started := s.start(t)
	b := s.browser(t)
	b.open(started.VerificationURI)
	for range 5 {
		if status, page := b.post(url.Values{"user_code": {"BBBB-BBBB"}}); status != http.StatusBadRequest || !strings.Contains(page, "unknown_user_code") {
			t.Fatalf("%d %s", status, page)
		}
	}
	if status, _ := b.post(url.Values{"user_code": {started.UserCode}}); status != http.StatusTooManyRequests {
		t.Errorf("the sixth try: %d, although it is right", status)
	}
	if n := s.recorded("device.code", audit.Refused); n != 5 {
		t.Errorf("%d records of tries", n)
	}
}

func TestSigningOutEndsWhatADeviceGot(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	started := s.start(t)
	b := s.browser(t)
	b.open(started.VerificationURI)
	_, proof := b.question(started.UserCode)
	b.post(url.Values{"user_code": {started.UserCode}, "proof": {proof}, "decision": {"approve"}})
	if err := s.sessions.EndAll(t.Context(), "corp", "alice-id"); err != nil {
		t.Fatal(err)
	}
	if got := s.poll(t, started.DeviceCode); got["error"] != "invalid_grant" || got["access_token"] != nil {
		t.Errorf("%v", got)
	}
}
