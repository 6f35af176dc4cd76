package broker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// typed is a directory of two people, ann and max, whose password is "right"; max
// has a second factor, whose code is the next one of 1, 2, 3.
type typed struct {
	mu    sync.Mutex
	known map[string]bool
	codes int
	tries int
	err   error
	now   func() time.Time
}

func (p *typed) login(name string, methods ...string) idp.Login {
	return idp.Login{Identity: idp.Identity{Provider: "people", Subject: "s-" + name, Username: name + "@example.com", Methods: methods, AuthenticatedAt: p.now()}}
}

func (p *typed) VerifyPassword(_ context.Context, username string, password secret.String) (idp.Login, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tries++
	switch {
	case p.err != nil:
		return idp.Login{}, p.err
	case password.Reveal() != "right" || (username != "ann@example.com" && username != "max@example.com"):
		return idp.Login{}, idp.Reject("wrong-credentials", "the password of %s is not that", username)
	case username == "max@example.com":
		return idp.Login{}, &idp.Challenge{Kind: "totp", Identity: p.login("max").Identity, Data: []byte("max")}
	}
	return p.login("ann", "pwd"), nil
}

func (p *typed) AnswerChallenge(_ context.Context, data []byte, answer secret.String) (idp.Login, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if string(data) != "max" || answer.Reveal() != fmt.Sprint(p.codes+1) {
		return idp.Login{}, idp.Reject("wrong-credentials", "wrong")
	}
	p.codes++
	return p.login("max", "pwd", "otp", "mfa"), nil
}

func (p *typed) Knows(_ context.Context, username, holder string) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.known[username+" "+holder], nil
}

func (p *typed) Remember(_ context.Context, subject, holder string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[subject[len("s-"):]+"@example.com "+holder] = true
	return nil
}

func (p *typed) BeginLogin(_ context.Context, holder string) (json.RawMessage, error) {
	return json.Marshal(holder)
}

func (p *typed) LoginByPasskey(_ context.Context, holder string, credential []byte) (idp.Login, error) {
	if string(credential) != holder {
		return idp.Login{}, idp.Reject("passkey", "no")
	}
	return p.login("ann", "hwk", "user", "mfa"), nil
}

func at(n int) broker.Origin {
	return broker.Origin{RequestID: "REQUEST", Address: netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)})}
}

func (b *bench) typeIn(n int, name, password, holder string) (broker.SignedIn, error) {
	return b.SignInByPassword(context.Background(), broker.PasswordRequest{
		Origin: at(n), Provider: "people", ReturnTo: "/keys", Username: name, Password: secret.New(password), Holder: holder,
	})
}

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return broker.Shown(err).Reason
}

func TestAPasswordTypedHereSignsIn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in, err := b.typeIn(1, "ann@example.com", "right", "")
	if err != nil || in.Question != nil || in.ReturnTo != "/keys" || in.Holder == "" {
		t.Fatalf("%+v, %v", in, err)
	}
	caller, err := b.Session(t.Context(), origin, in.Token.Reveal())
	if err != nil || caller.Identity.Subject != "s-ann" || caller.Via != broker.ViaBrowser {
		t.Errorf("%+v, %v", caller, err)
	}
	again, err := b.typeIn(1, "ann@example.com", "right", in.Holder)
	if err != nil || again.Holder != in.Holder {
		t.Errorf("a browser that is known gets %q after %q: %v", again.Holder, in.Holder, err)
	}
	for name, password := range map[string]string{"ann@example.com": "wrong", "nobody@example.com": "right", "": ""} {
		in, err := b.typeIn(2, name, password, "")
		if reasonOf(err) != "wrong_credentials" || !in.Token.IsZero() {
			t.Errorf("%s: %v", name, err)
		}
	}
	records := b.recorded(t, "signin")
	if len(records) != 5 || records[2]["outcome"] != "refused" || records[2]["reason"] != "wrong_credentials" || records[0]["provider"] != "people" {
		t.Errorf("recorded %v", records)
	}
}

func TestAProviderThatTakesNoPasswordsTakesNone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, provider := range []string{"corp", "ci", "nobody", ""} {
		_, err := b.SignInByPassword(t.Context(), broker.PasswordRequest{Origin: origin, Provider: provider, Username: "ann@example.com", Password: secret.New("right")})
		_, asked := b.AnswerQuestion(t.Context(), broker.AnswerRequest{Origin: origin, Provider: provider})
		_, _, begun := b.BeginPasskey(t.Context(), broker.PasskeyRequest{Origin: origin, Provider: provider})
		if reasonOf(err) != "unknown_provider" || reasonOf(asked) != "unknown_provider" || reasonOf(begun) != "unknown_provider" {
			t.Errorf("%q: %v, %v, %v", provider, err, asked, begun)
		}
	}
	if _, err := b.Begin(t.Context(), broker.BeginRequest{Origin: origin, Provider: "people", Type: "directory"}); reasonOf(err) != "unknown_provider" {
		t.Errorf("a redirect to a provider without one: %v", err)
	}
}

func TestASecondFactorIsAskedForInTheSameBrowser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in, err := b.typeIn(1, "max@example.com", "right", "")
	if err != nil || in.Question == nil || in.Question.Kind != "totp" || !in.Token.IsZero() {
		t.Fatalf("%+v, %v", in, err)
	}
	answer := func(q broker.Question, browser, code string) (broker.SignedIn, error) {
		return b.AnswerQuestion(t.Context(), broker.AnswerRequest{Origin: at(1), Provider: "people", Browser: browser, Handle: q.Handle, Answer: secret.New(code)})
	}
	if _, err := answer(*in.Question, "another-browser", "1"); reasonOf(err) != "no_pending_signin" {
		t.Errorf("another browser: %v", err)
	}
	wrong, err := answer(*in.Question, in.Question.Browser, "9")
	if reasonOf(err) != "wrong_credentials" || wrong.Question == nil || wrong.Question.Handle == in.Question.Handle {
		t.Fatalf("a wrong code: %+v, %v", wrong, err)
	}
	if _, err := answer(*in.Question, in.Question.Browser, "1"); reasonOf(err) != "no_pending_signin" {
		t.Errorf("the first question again: %v", err)
	}
	done, err := answer(*wrong.Question, in.Question.Browser, "1")
	if err != nil || done.ReturnTo != "/keys" {
		t.Fatalf("%+v, %v", done, err)
	}
	caller, err := b.Session(t.Context(), origin, done.Token.Reveal())
	if err != nil || !caller.Identity.MFA() {
		t.Errorf("%+v, %v", caller.Identity, err)
	}
	if _, err := answer(*wrong.Question, in.Question.Browser, "2"); reasonOf(err) != "no_pending_signin" {
		t.Errorf("a question that was answered: %v", err)
	}
	in, err = b.typeIn(1, "max@example.com", "right", "")
	if err != nil {
		t.Fatal(err)
	}
	b.clock.advance(10 * time.Minute)
	if _, err := answer(*in.Question, in.Question.Browser, "2"); reasonOf(err) != "no_pending_signin" {
		t.Errorf("ten minutes later: %v", err)
	}
}

// A question of one kind of sign-in is no answer to another.
func TestAQuestionIsNoOtherPendingSignIn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	handle, browser := b.begin(t, "")
	if _, err := b.AnswerQuestion(t.Context(), broker.AnswerRequest{Origin: origin, Provider: "people", Browser: browser, Handle: handle, Answer: secret.New("1")}); reasonOf(err) != "no_pending_signin" {
		t.Errorf("a redirect that is under way, as a question: %v", err)
	}
	in, err := b.typeIn(1, "max@example.com", "right", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.finish(t.Context(), in.Question.Handle, in.Question.Browser); reasonOf(err) != "no_pending_signin" {
		t.Errorf("a question, as a redirect: %v", err)
	}
}

func TestStrangersAreSlowedAndAKnownBrowserIsNot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in, err := b.typeIn(1, "ann@example.com", "right", "")
	if err != nil {
		t.Fatal(err)
	}
	judged := b.typed.tries
	for i := range 100 {
		_, err = b.typeIn(100+i, "ann@example.com", "wrong", "forged-"+fmt.Sprint(i))
	}
	if reasonOf(err) != "rate_limited" || b.typed.tries-judged > 30 {
		t.Errorf("%v after %d tries", err, b.typed.tries-judged)
	}
	if _, err := b.typeIn(300, "ann@example.com", "right", ""); reasonOf(err) != "rate_limited" {
		t.Errorf("from anywhere: %v", err)
	}
	if _, err := b.typeIn(2, "Ann@example.com ", "right", in.Holder); reasonOf(err) == "rate_limited" {
		t.Errorf("from the known browser: %v", err)
	}
	for i := range 40 { // codes, by somebody who knows the password
		in, err := b.typeIn(500+i, "max@example.com", "right", "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = b.AnswerQuestion(t.Context(), broker.AnswerRequest{Origin: at(500 + i), Provider: "people", Browser: in.Question.Browser, Handle: in.Question.Handle, Answer: secret.New("9")})
		if i == 39 && reasonOf(err) != "rate_limited" {
			t.Errorf("the fortieth code: %v", err)
		}
	}
}

func TestAFaultIsNoWrongPassword(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.typed.err = errors.New("the store is gone")
	_, err := b.typeIn(1, "ann@example.com", "right", "")
	if broker.CodeOf(err) != broker.Internal {
		t.Errorf("%v", err)
	}
	b.typed.err = nil
	b.record.fail()
	if in, err := b.typeIn(1, "ann@example.com", "right", ""); reasonOf(err) != "audit" || !in.Token.IsZero() {
		t.Errorf("without a record: %+v, %v", in, err)
	}
	if in, err := b.typeIn(1, "max@example.com", "right", ""); reasonOf(err) != "audit" || in.Question != nil {
		t.Errorf("a question without a record: %+v, %v", in, err)
	}
}

func TestAPasskeySignsInTheBrowserThatAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ask := broker.PasskeyRequest{Origin: origin, Provider: "people", ReturnTo: "/why"}
	options, browser, err := b.BeginPasskey(t.Context(), ask)
	if err != nil || string(options) != `"`+browser+`"` {
		t.Fatalf("%s, %s, %v", options, browser, err)
	}
	ask.Browser, ask.Credential = "another", []byte(browser)
	if _, err := b.SignInByPasskey(t.Context(), ask); broker.CodeOf(err) != broker.AccessDenied {
		t.Errorf("another browser: %v", err)
	}
	ask.Browser = browser
	in, err := b.SignInByPasskey(t.Context(), ask)
	if err != nil || in.ReturnTo != "/why" {
		t.Fatalf("%+v, %v", in, err)
	}
	if caller, err := b.Session(t.Context(), origin, in.Token.Reveal()); err != nil || !caller.Identity.MFA() {
		t.Errorf("%+v, %v", caller, err)
	}
}
