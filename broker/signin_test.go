package broker_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

func TestASignInBecomesASession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	handle, browser := b.begin(t, "")
	in, err := b.finish(t.Context(), handle, browser)
	if err != nil {
		t.Fatal(err)
	}
	if in.ReturnTo != "/keys" {
		t.Errorf("the person goes to %q, want where the sign-in began", in.ReturnTo)
	}
	caller, err := b.Session(t.Context(), origin, in.Token.Reveal())
	if err != nil || caller.Identity.Username != "alice" || caller.Via != broker.ViaBrowser {
		t.Errorf("the session is %+v, %v", caller, err)
	}
	if strings.Contains(caller.Session, in.Token.Reveal()) {
		t.Error("the session's id holds the cookie's secret")
	}
	records := b.recorded(t, "signin")
	if len(records) != 1 || records[0]["outcome"] != "granted" || records[0]["subject"] != "subject-alice" || records[0]["request_id"] != "REQUEST" {
		t.Errorf("recorded %v", records)
	}
}

func TestAPendingSignInIsTakenOnceByItsBrowser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	handle, browser := b.begin(t, "")

	_, err := b.finish(t.Context(), handle, "")
	refused(t, err, broker.InvalidRequest, "no_pending_signin")
	_, err = b.finish(t.Context(), handle, session.NewHandle())
	refused(t, err, broker.InvalidRequest, "no_pending_signin")
	_, err = b.finish(t.Context(), session.NewHandle(), browser)
	refused(t, err, broker.InvalidRequest, "no_pending_signin")
	if b.provider.asked.Load() != 0 {
		t.Error("the provider parsed an answer that nobody waited for")
	}
	if _, err = b.finish(t.Context(), handle, browser); err != nil {
		t.Errorf("another browser's attempt used up the sign-in: %v", err)
	}
	_, err = b.finish(t.Context(), handle, browser)
	refused(t, err, broker.InvalidRequest, "no_pending_signin")

	late, browser := b.begin(t, browser)
	b.clock.advance(10*time.Minute + time.Second)
	_, err = b.finish(t.Context(), late, browser)
	refused(t, err, broker.InvalidRequest, "no_pending_signin")
}

func TestTwoTabsOfOneBrowserMaySignInAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, browser := b.begin(t, "")
	second, same := b.begin(t, browser)
	if same != browser {
		t.Fatal("the second tab got another state cookie, so the first can no longer end")
	}
	for _, handle := range []string{second, first} {
		b.provider.login = b.login("alice", "platform")
		if _, err := b.finish(t.Context(), handle, browser); err != nil {
			t.Error(err)
		}
	}
}

func TestAStateCookieOfSomebodysChoiceIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if _, browser := b.begin(t, "chosen"); browser == "chosen" {
		t.Error("the state cookie is what the request said")
	}
}

func TestAnAnswerOfAnotherProviderIsRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	handle, browser := b.begin(t, "")
	answer := idp.Answer{Form: map[string][]string{"RelayState": {handle}}}
	for provider, want := range map[string]string{"other": "wrong_provider", "nobody": "unknown_provider"} {
		_, err := b.SignIn(t.Context(), broker.SignInRequest{Origin: origin, Provider: provider, Type: "saml", Browser: browser, Answer: answer})
		refused(t, err, broker.InvalidRequest, want)
	}
	_, err := b.SignIn(t.Context(), broker.SignInRequest{Origin: origin, Provider: "corp", Type: "oidc", Browser: browser, Answer: answer})
	refused(t, err, broker.InvalidRequest, "unknown_provider")
	if b.provider.asked.Load() != 0 {
		t.Error("a provider saw another one's answer")
	}
}

func TestEvidenceCountsOnceEvenInParallel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	type way struct{ handle, browser string }
	ways := make([]way, 5)
	for i := range ways {
		ways[i].handle, ways[i].browser = b.begin(t, "")
	}
	var accepted, replayed atomic.Int32
	var group sync.WaitGroup
	for _, w := range ways {
		group.Go(func() {
			_, err := b.SignIn(t.Context(), broker.SignInRequest{Origin: origin, Provider: "corp", Type: "saml", Browser: w.browser,
				Answer: idp.Answer{Form: map[string][]string{"RelayState": {w.handle}}}})
			switch {
			case err == nil:
				accepted.Add(1)
			case broker.Shown(err).Reason == "replay":
				replayed.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if accepted.Load() != 1 || replayed.Load() != int32(len(ways)-1) {
		t.Errorf("one assertion opened %d sessions, %d replays", accepted.Load(), replayed.Load())
	}
}

func TestARefusalSaysItsReasonToTheRecordOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		code   broker.Code
		reason string
		says   string
	}{
		"a rejection":         {idp.Reject("expired", "NotOnOrAfter was at noon"), broker.AccessDenied, "expired", "NotOnOrAfter was at noon"},
		"a provider down":     {fmt.Errorf("keys: %w", idp.ErrUnavailable), broker.Unavailable, "provider_unavailable", ""},
		"an error of ours":    {errors.New("secret detail"), broker.Internal, "internal", ""},
		"a wrapped rejection": {fmt.Errorf("x: %w", idp.Reject("signature", "no key fits")), broker.AccessDenied, "signature", "no key fits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.provider.err = c.err
			handle, browser := b.begin(t, "")
			_, err := b.finish(t.Context(), handle, browser)
			refused(t, err, c.code, c.reason)
			if strings.Contains(broker.Shown(err).Message, "noon") {
				t.Error("the person reads the detail")
			}
			records := b.recorded(t, "signin")
			if len(records) != 1 || records[0]["reason"] != c.reason || records[0]["outcome"] == "granted" {
				t.Fatalf("recorded %v", records)
			}
			if c.says != "" && records[0]["detail"] != c.says {
				t.Errorf("the record's detail is %v, want %q", records[0]["detail"], c.says)
			}
		})
	}
}

func TestWithoutARecordNobodyIsSignedIn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	handle, browser := b.begin(t, "")
	b.record.fail()
	in, err := b.finish(t.Context(), handle, browser)
	refused(t, err, broker.Unavailable, "audit")
	if !in.Token.IsZero() {
		t.Error("a session token was handed out")
	}
}

func TestAnAddressThatAsksTooOftenWaits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 20 {
		b.begin(t, "")
	}
	_, err := b.Begin(t.Context(), broker.BeginRequest{Origin: origin, Provider: "corp", Type: "saml"})
	refused(t, err, broker.RateLimited, "rate_limited")
	if wait := broker.Shown(err).RetryAfter; wait <= 0 || wait > time.Minute {
		t.Errorf("wait %s", wait)
	}
	if err := b.tally.Flush(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	records := b.recorded(t, "signin")
	if len(records) != 1 || records[0]["reason"] != "rate_limited" || records[0]["address"] != "192.0.2.1" {
		t.Errorf("recorded %v, want one record of what was turned away", records)
	}
	b.clock.advance(time.Minute)
	b.begin(t, "")
}

func TestSignOutEndsTheSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	handle, browser := b.begin(t, "")
	in, err := b.finish(t.Context(), handle, browser)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing left to end
		if _, err := b.SignOut(t.Context(), origin, in.Token.Reveal(), browser); err != nil {
			t.Fatal(err)
		}
	}
	_, err = b.Session(t.Context(), origin, in.Token.Reveal())
	refused(t, err, broker.Unauthenticated, "no_session")
	if records := b.recorded(t, "signout"); len(records) != 1 {
		t.Errorf("recorded %v", records)
	}
}

func TestAProvidersOwnEndBoundsTheSession(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.provider.login.NotAfter = b.clock.Now().Add(30 * time.Minute)
	caller := b.caller(t)
	if !caller.NotAfter.Equal(b.provider.login.NotAfter) || !caller.ProviderEnd.Equal(b.provider.login.NotAfter) {
		t.Errorf("the session ends at %s, want %s", caller.NotAfter, b.provider.login.NotAfter)
	}
}

// Machines bring tokens: nobody is sent to their issuer, or believed to come from it.
func TestNobodySignsInWhereMachinesGetTheirTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.Begin(t.Context(), broker.BeginRequest{Origin: origin, Provider: "ci", Type: "oidc"})
	refused(t, err, broker.InvalidRequest, "unknown_provider")
	_, err = b.SignIn(t.Context(), broker.SignInRequest{Origin: origin, Provider: "ci", Type: "oidc", Browser: session.NewHandle()})
	refused(t, err, broker.InvalidRequest, "unknown_provider")
	for _, info := range b.SignInProviders() {
		if info.Name == "ci" || info.Name == "once" {
			t.Errorf("the sign-in page offers %s", info.Name)
		}
	}
}
