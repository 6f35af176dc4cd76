package broker_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/broker/vend/console"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// provider is an identity provider that says what a test told it to.
type provider struct {
	login idp.Login
	err   error
	// unasked lets it answer what nobody asked for.
	unasked bool
	asked   atomic.Int32
}

func (p *provider) Begin(_ context.Context, want idp.Want) (idp.Redirect, []byte, error) {
	return idp.Redirect{URL: "https://idp.example.com/sso?state=" + want.Handle}, []byte("pending"), nil
}

func (p *provider) Finish(_ context.Context, pending []byte, _ idp.Answer) (idp.Login, error) {
	p.asked.Add(1)
	if string(pending) != "pending" && (pending != nil || !p.unasked) {
		return idp.Login{}, errors.New("not my pending sign-in")
	}
	return p.login, p.err
}

// verifier knows tokens by their text.
type verifier struct {
	issuer string
	logins map[string]idp.Login
	err    error
	asked  atomic.Int64
}

func (v *verifier) Verify(_ context.Context, raw string) (idp.Login, error) {
	v.asked.Add(1)
	if !strings.HasPrefix(raw, v.issuer+".") {
		return idp.Login{}, idp.ErrNotMine
	}
	if login, ok := v.logins[raw]; ok {
		return login, nil
	}
	if v.err != nil {
		return idp.Login{}, v.err
	}
	return idp.Login{}, idp.Reject("expired", "the token expired long ago")
}

// switchable fails the record at a test's word.
type switchable struct {
	*audit.Log
	mu     sync.Mutex
	broken bool
}

func (s *switchable) Append(ctx context.Context, e audit.Event) error {
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	if broken {
		return audit.ErrFailed
	}
	return s.Log.Append(ctx, e)
}

func (s *switchable) Later(e audit.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return audit.ErrFailed
	}
	return s.Log.Later(e)
}

func (s *switchable) fail() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = true
}

// bench is a broker over a real store, a real record, the real SDK and the AWS
// stand-in; only the identity provider is played.
type bench struct {
	*broker.Broker
	clock      *clock
	provider   *provider
	ci, once   *verifier
	departures departures
	leaver     *leaver
	typed      *typed
	record     *switchable
	tally      *audit.Tally
	file       string
	calls      *counter
	sessions   *session.Sessions
	revoked    *revocations
	store      *sqlite.Store
	used       *replay.Cache
}

// counter counts orders that reach STS.
type counter struct {
	next vend.Vendor
	mu   sync.Mutex
	n    int
}

func (c *counter) Vend(ctx context.Context, s vend.Spec) (vend.Result, error) {
	c.mu.Lock()
	c.n++
	c.mu.Unlock()
	return c.next.Vend(ctx, s)
}

const yaml = `
server: {url: "https://sso.example.com"}
providers:
  - {name: corp, type: saml, metadata_url: "https://idp.example.com/metadata"}
  - {name: other, type: saml, metadata_url: "https://idp2.example.com/metadata"}
  - {name: ci, type: oidc, issuer: "https://ci.example.com", client_id: rolecall}
  - {name: once, type: oidc, issuer: "https://once.example.com", client_id: rolecall}
accounts:
  - {id: "111122223333", name: production}
grants:
  - {name: admin, providers: [corp], groups: [platform], role: production/Admin, duration: 1h}
  - {name: bounded, providers: [corp], groups: [platform], role: production/Bounded, policy_arns: ["arn:aws:iam::aws:policy/ReadOnlyAccess"]}
  - {name: mfa, providers: [corp], groups: [platform], role: production/Vault, require: {mfa: true}}
  - {name: programs, providers: [corp], groups: [platform], role: production/Program, console: false}
  - {name: missing, providers: [corp], groups: [platform], role: production/Missing}
`

func newBench(t *testing.T) *bench {
	t.Helper()
	return newBenchOf(t, yaml)
}

func newBenchOf(t *testing.T, text string) *bench {
	t.Helper()
	b := &bench{clock: &clock{now: time.Now().Truncate(time.Second)}, file: filepath.Join(t.TempDir(), "audit.jsonl")}
	log := slog.New(slog.DiscardHandler)
	c, err := config.Parse("rolecall.yaml", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := policy.Compile(policy.Config{Grants: c.Grants, Accounts: c.Accounts, Providers: c.Providers})
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	chain, err := audit.Open(audit.Config{File: b.file, Now: b.clock.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chain.Close() })
	b.store, b.used = store, replay.New(replay.Config{Store: store, Now: b.clock.Now})
	b.record = &switchable{Log: chain}
	b.tally = audit.NewTally(chain.Append, b.clock.Now)
	address, key := newAWS(t, b.clock)
	b.calls = &counter{next: newSTS(t, address, key)}
	b.sessions = session.NewSessions(session.Config{Store: store, Now: b.clock.Now, Sealer: newSealer(t)})
	b.provider = &provider{login: b.login("alice", "platform")}
	b.store = store
	b.revoked = &revocations{Store: store, List: revocation.New(store, log)}
	b.departures, b.leaver, b.typed = departures{}, &leaver{}, &typed{known: map[string]bool{}, now: b.clock.Now}
	b.ci, b.once = &verifier{issuer: "ci", logins: map[string]idp.Login{}}, &verifier{issuer: "once", logins: map[string]idp.Login{}}
	federation, err := console.New(console.Config{Endpoint: address, Issuer: "https://sso.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	b.Broker = broker.New(broker.Config{
		Providers: []broker.Provider{
			{ProviderInfo: broker.ProviderInfo{Name: "corp", Type: "saml"}, Redirector: b.provider},
			{ProviderInfo: broker.ProviderInfo{Name: "other", Type: "saml"}, Redirector: b.provider},
			{ProviderInfo: broker.ProviderInfo{Name: "initiated", Type: "saml", Label: "Tiles"}, Redirector: b.provider, Unsolicited: true},
			{ProviderInfo: broker.ProviderInfo{Name: "leaving", Type: "saml"}, Redirector: b.provider, Logout: b.leaver, Departures: b.leaver},
			{ProviderInfo: broker.ProviderInfo{Name: "ci", Type: "oidc"}, Verifier: b.ci, BackChannel: b.departures},
			{ProviderInfo: broker.ProviderInfo{Name: "once", Type: "oidc"}, Verifier: b.once, OneTime: true},
			{ProviderInfo: broker.ProviderInfo{Name: "people", Type: "directory"}, Password: b.typed, Known: b.typed, Passkeys: b.typed},
		},
		Policy: compiled, Vendor: vend.NewCache(b.calls, vend.CacheConfig{Now: b.clock.Now}), Federation: federation,
		Sessions: b.sessions, Replay: b.used,
		Limit: limit.New(limit.Config{PerAddress: config.Rate{Events: 20, Period: time.Minute}, PerSubject: config.Rate{Events: 10, Period: time.Minute}, Now: b.clock.Now}),
		Audit: b.record, Tally: b.tally, Revoked: b.revoked, OutliveSession: true, Log: log, Now: b.clock.Now,
		Guard: broker.Guard{Guesses: limit.NewGuesses(limit.GuessConfig{Now: b.clock.Now}), Gate: limit.NewGate(limit.GateConfig{})},
	})
	return b
}

const brokerUser = "arn:aws:iam::999988887777:user/rolecall"

// newAWS serves the stand-in, whose roles trust the broker's user.
func newAWS(t *testing.T, c *clock) (address string, key devaws.User) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	address = "http://" + server.Listener.Addr().String()
	key = devaws.User{ARN: brokerUser, AccessKeyID: "AKIAEXAMPLEEXAMPLE12", SecretAccessKey: secret.New("a-secret-of-the-broker-in-this-test-only")}
	cfg := devaws.Config{URL: address, Now: c.Now, Users: []devaws.User{key},
		Accounts: []devaws.Account{{ID: "111122223333", Name: "production"}, {ID: "999988887777", Name: "broker"}}}
	for _, name := range []string{"Admin", "Bounded", "Vault", "Program"} {
		role, err := iam.ParseRoleARN("arn:aws:iam::111122223333:role/" + name)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Roles = append(cfg.Roles, devaws.Role{ARN: role, Trust: devaws.TrustPolicy("", brokerUser)})
	}
	aws, err := devaws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = aws
	server.Start()
	t.Cleanup(server.Close)
	return address, key
}

func newSTS(t *testing.T, address string, key devaws.User) vend.Vendor {
	t.Helper()
	assume, err := vend.NewAssumeRole(vend.Config{
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey.Reveal(), ""),
		Region:      "us-east-1", Endpoint: address,
	})
	if err != nil {
		t.Fatal(err)
	}
	return assume
}

// login is an assertion that counts once.
func (b *bench) login(name string, groups ...string) idp.Login {
	return idp.Login{
		Identity: idp.Identity{Provider: "corp", Subject: "subject-" + name, Username: name, Groups: groups, AuthenticatedAt: b.clock.Now()},
		Once:     idp.Once{Key: "assertion-" + name + session.NewHandle(), Until: b.clock.Now().Add(5 * time.Minute)},
	}
}

var origin = broker.Origin{RequestID: "REQUEST", Address: netip.MustParseAddr("192.0.2.1")}

// begin starts a sign-in and gives the handle that the provider will echo.
func (b *bench) begin(t *testing.T, browser string) (handle, state string) {
	t.Helper()
	begun, err := b.Begin(t.Context(), broker.BeginRequest{Origin: origin, Provider: "corp", Type: "saml", ReturnTo: "/keys", Browser: browser})
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(begun.To.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("state"), begun.Browser
}

func (b *bench) finish(ctx context.Context, handle, browser string) (broker.SignedIn, error) {
	return b.SignIn(ctx, broker.SignInRequest{Origin: origin, Provider: "corp", Type: "saml", Browser: browser,
		Answer: idp.Answer{Form: url.Values{"RelayState": {handle}}}})
}

// caller signs somebody in and gives the caller of the session.
func (b *bench) caller(t *testing.T) broker.Caller {
	t.Helper()
	handle, browser := b.begin(t, "")
	in, err := b.finish(t.Context(), handle, browser)
	if err != nil {
		t.Fatal(err)
	}
	caller, err := b.Session(t.Context(), origin, in.Token.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return caller
}

// recorded gives the records of an event.
func (b *bench) recorded(t *testing.T, event string) []map[string]any {
	t.Helper()
	if err := b.record.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(b.file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var found []map[string]any
	for scan := bufio.NewScanner(f); scan.Scan(); {
		var r map[string]any
		if err := json.Unmarshal(scan.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		if r["event"] == event {
			found = append(found, r)
		}
	}
	return found
}

// refused fails the test unless err has the code and reason, and shows nothing of its cause.
func refused(t *testing.T, err error, code broker.Code, reason string) {
	t.Helper()
	shown := broker.Shown(err)
	if err == nil || shown.Code != code || shown.Reason != reason {
		t.Errorf("got %v, want %s for %s", err, code, reason)
	}
	if shown.Cause != nil && strings.Contains(shown.Message, shown.Cause.Error()) {
		t.Errorf("the message shows its cause: %s", shown.Message)
	}
}

func newSealer(t *testing.T) *keys.Sealer {
	t.Helper()
	sealer, err := keys.OpenSealer(filepath.Join(t.TempDir(), "rolecall.key"))
	if err != nil {
		t.Fatal(err)
	}
	return sealer
}
