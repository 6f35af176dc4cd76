package oauth_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// world is an authorization server with everything around it.
type world struct {
	*memory
	server  *oauth.Server
	clock   time.Time
	events  []audit.Event
	deaf    error // what the audit answers
	mute    error // what the issuer answers
	limited map[string]bool
	away    []string
	minted  []issuer.IDToken
}

func (w *world) Append(_ context.Context, e audit.Event) error {
	w.events = append(w.events, e)
	return w.deaf
}

func (w *world) TurnedAway(_ context.Context, _ broker.Origin, what string) {
	w.away = append(w.away, what)
}

// Admit implements oauth.Broker: the evidence "good" is carol's.
func (w *world) Admit(_ context.Context, _ broker.Origin, e broker.Evidence) (broker.Caller, error) {
	if e.Token.Reveal() != "good" {
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "expired", "The token was not accepted (expired).")
	}
	return broker.Caller{
		Identity: idp.Identity{Provider: "ci", Subject: "carol-id", Username: "carol"}, Session: "hash-of-evidence",
		Via: broker.ViaExchange, Since: w.clock, NotAfter: w.clock.Add(5 * time.Minute),
	}, nil
}

func (w *world) Address(kind string, _ netip.Addr) limit.Decision {
	return limit.Decision{Allowed: !w.limited["address "+kind], RetryAfter: 7 * time.Second}
}

func (w *world) Subject(kind, provider, subject string) limit.Decision {
	return limit.Decision{Allowed: !w.limited["subject "+kind+" "+provider+" "+subject], RetryAfter: 7 * time.Second}
}

func (w *world) URL() string { return "https://issuer.example.com" }

func (w *world) MintIDToken(_ context.Context, t issuer.IDToken) (string, error) {
	defer w.lock()()
	w.minted = append(w.minted, t)
	if w.mute != nil {
		return "", w.mute
	}
	return "id-token", nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), limited: map[string]bool{}, memory: newMemory()}
	w.server = oauth.New(w.config(w))
	return w
}

func (w *world) config(record oauth.Auditor) oauth.Config {
	now := func() time.Time { return w.clock }
	sessions := session.NewSessions(session.Config{Store: w, Now: now})
	return oauth.Config{
		URL: "https://sso.example.com/", Sessions: sessions, Tokens: session.NewTokens(w, now),
		Issuer: w, Broker: w, Replay: w, Limit: w, Audit: record, RefreshMax: 12 * time.Hour,
		Log: slog.New(slog.DiscardHandler), Now: now,
	}
}

// silent is an auditor for concurrent tests.
type silent struct{}

func (silent) Append(context.Context, audit.Event) error { return nil }

// refuses expects an OAuth error, and its record.
func (w *world) refuses(t *testing.T, request oauth.TokenRequest, code string) {
	t.Helper()
	issued, err := w.server.Token(t.Context(), origin, request)
	refusal, ok := errors.AsType[*oauth.Error](err)
	if !ok || string(refusal.Code) != code || refusal.Description == "" {
		t.Errorf("got %v, want %s", err, code)
	}
	if !issued.AccessToken.IsZero() || !issued.RefreshToken.IsZero() || !issued.IDToken.IsZero() {
		t.Errorf("a refusal came with %+v", issued)
	}
	if e := w.last(t); e.Outcome != audit.Refused || e.Reason != code || e.RequestID != "request-1" {
		t.Errorf("recorded %+v", e)
	}
}

// dead expects that neither token is good for anything.
func (w *world) dead(t *testing.T, issued oauth.Issued) {
	t.Helper()
	if _, err := w.server.Authenticate(t.Context(), origin, bearer(issued.AccessToken.Reveal())); broker.CodeOf(err) != broker.Unauthenticated {
		t.Errorf("the access token still works: %v", err)
	}
	if got, err := w.server.Token(t.Context(), origin, refreshment(issued.RefreshToken.Reveal())); err == nil {
		t.Errorf("the refresh token still works: %+v", got)
	}
}

// allEnded expects that no family that was made is alive.
func (w *world) allEnded(t *testing.T) {
	t.Helper()
	if len(w.families) == 0 {
		t.Error("no family was made, so nothing is shown")
	}
	for id := range w.families {
		if !w.ended[id] {
			t.Errorf("the family %s is alive", id)
		}
	}
}

// last is the latest record.
func (w *world) last(t *testing.T) audit.Event {
	t.Helper()
	if len(w.events) == 0 {
		t.Fatal("nothing was recorded")
	}
	return w.events[len(w.events)-1]
}

var origin = broker.Origin{RequestID: "request-1", Address: netip.MustParseAddr("192.0.2.7")}

const (
	redirectURI = "http://127.0.0.1:49152/callback"
	verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 appendix B
	challenge   = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// alice signed in an hour ago.
func (w *world) alice() *broker.Caller {
	return &broker.Caller{
		Identity: idp.Identity{Provider: "corp", Subject: "alice-id", Username: "alice", Groups: []string{"platform"}, Methods: []string{"pwd", "mfa"},
			AuthenticatedAt: w.clock.Add(-time.Hour)},
		Session: "session-1", Via: broker.ViaBrowser, Since: w.clock.Add(-time.Hour), NotAfter: w.clock.Add(11 * time.Hour),
	}
}

// ask is a good request of the CLI with changes; an empty value removes.
func ask(changes ...string) url.Values {
	v := url.Values{
		"response_type": {"code"}, "client_id": {"rolecall-cli"}, "redirect_uri": {redirectURI}, "scope": {"openid offline_access"},
		"state": {"state-1"}, "nonce": {"nonce-1"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	change(v, changes...)
	return v
}

func change(v url.Values, changes ...string) {
	for i := 0; i < len(changes); i += 2 {
		if changes[i+1] == "" {
			v.Del(changes[i])
		} else {
			v.Set(changes[i], changes[i+1])
		}
	}
}

// code lets alice approve a request and gives the code.
func (w *world) code(t *testing.T, changes ...string) string {
	t.Helper()
	next, err := w.server.Decide(t.Context(), origin, ask(changes...), w.alice(), true)
	if err != nil {
		t.Fatal(err)
	}
	code := query(t, next.Redirect).Get("code")
	if code == "" {
		t.Fatalf("no code in %+v", next)
	}
	return code
}

// query is the query of a redirect to the client.
func query(t *testing.T, redirect string) url.Values {
	t.Helper()
	base, q, _ := strings.Cut(redirect, "?")
	if base != redirectURI {
		t.Fatalf("the redirect goes to %q", redirect)
	}
	values, err := url.ParseQuery(q)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// redemption is the form that turns a code into tokens.
func redemption(code string, changes ...string) oauth.TokenRequest {
	form := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"rolecall-cli"}, "code": {code},
		"redirect_uri": {redirectURI}, "code_verifier": {verifier},
	}
	change(form, changes...)
	return oauth.TokenRequest{Form: form}
}

func refreshment(token string, changes ...string) oauth.TokenRequest {
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {"rolecall-cli"}, "refresh_token": {token}}
	change(form, changes...)
	return oauth.TokenRequest{Form: form}
}

// tokens signs alice's CLI in.
func (w *world) tokens(t *testing.T, proofs ...string) oauth.Issued {
	t.Helper()
	request := redemption(w.code(t))
	request.DPoP = proofs
	issued, err := w.server.Token(t.Context(), origin, request)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}
