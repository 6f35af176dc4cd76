package broker_test

import (
	"context"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// unasked posts an answer that nobody asked for.
func (b *bench) unasked(ctx context.Context, provider, browser, relay string) (broker.SignedIn, error) {
	b.provider.unasked = true
	return b.SignIn(ctx, broker.SignInRequest{Origin: origin, Provider: provider, Type: "saml", Browser: browser,
		Answer: idp.Answer{Form: url.Values{"RelayState": {relay}}}})
}

func (b *bench) confirm(ctx context.Context, provider, handle, browser string, refused bool) (broker.SignedIn, error) {
	return b.ConfirmSignIn(ctx, broker.ConfirmRequest{Origin: origin, Provider: provider, Type: "saml", Browser: browser, Handle: handle, Refused: refused})
}

func TestWhoeverIsSentUnaskedIsAskedFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.provider.login.NotAfter = b.clock.Now().Add(30 * time.Minute)
	in, err := b.unasked(t.Context(), "initiated", "", "https://evil.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	if in.Confirm == nil || !in.Token.IsZero() || in.Confirm.Username != "alice" || in.Confirm.Subject != "subject-alice" || in.Confirm.Label != "Tiles" {
		t.Fatalf("got %+v", in)
	}
	if records := b.recorded(t, "signin"); len(records) != 1 || records[0]["outcome"] != nil || records[0]["reason"] != "idp_initiated" {
		t.Errorf("recorded %v", records)
	}
	done, err := b.confirm(t.Context(), "initiated", in.Confirm.Handle, in.Confirm.Browser, false)
	if err != nil {
		t.Fatal(err)
	}
	if done.ReturnTo != "/" {
		t.Errorf("the person goes to %q: whoever sent them chose that", done.ReturnTo)
	}
	caller, err := b.Session(t.Context(), origin, done.Token.Reveal())
	if err != nil || caller.Identity.Username != "alice" || !caller.NotAfter.Equal(b.provider.login.NotAfter) {
		t.Errorf("the session is %+v, %v", caller, err)
	}
	if records := b.recorded(t, "signin"); len(records) != 2 || records[1]["outcome"] != "granted" || records[1]["reason"] != "idp_initiated" {
		t.Errorf("recorded %v", records)
	}
}

// Login CSRF: the attacker has an answer about themselves, and wants the victim's
// browser to be signed in by it.
func TestNobodyIsSignedInAsSomebodyElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	attackers := session.NewHandle()
	in, err := b.unasked(t.Context(), "initiated", attackers, "")
	if err != nil {
		t.Fatal(err)
	}
	if in.Confirm.Browser != attackers {
		t.Error("the browser that has a state cookie gets another one")
	}
	for name, browser := range map[string]string{"the victim's browser": session.NewHandle(), "a browser without a cookie": ""} {
		_, err := b.confirm(t.Context(), "initiated", in.Confirm.Handle, browser, false)
		refused(t, err, broker.InvalidRequest, "no_pending_signin")
		if err == nil {
			t.Error(name)
		}
	}
	for name, handle := range map[string]string{"a handle of the attacker's choice": "x", "another handle": session.NewHandle(), "none": ""} {
		if _, err := b.confirm(t.Context(), "initiated", handle, attackers, false); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := b.confirm(t.Context(), "initiated", in.Confirm.Handle, attackers, false); err != nil {
		t.Errorf("the attempts of others spent the question: %v", err)
	}
}

func TestAConfirmationIsNoPendingSignInAndTheReverse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in, err := b.unasked(t.Context(), "initiated", "", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.unasked(t.Context(), "initiated", in.Confirm.Browser, in.Confirm.Handle)
	refused(t, err, broker.InvalidRequest, "no_pending_signin")

	handle, browser := b.begin(t, "")
	_, err = b.confirm(t.Context(), "initiated", handle, browser, false)
	refused(t, err, broker.InvalidRequest, "no_pending_signin")

	if in, err = b.unasked(t.Context(), "initiated", "", ""); err == nil {
		t.Error("one answer was asked about twice")
	}
	refused(t, err, broker.AccessDenied, "replay")
	if in.Confirm != nil {
		t.Error("a refusal came with a question")
	}
}

func TestOnlyAProviderThatMaySendsPeopleUnasked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, err := b.unasked(t.Context(), "corp", session.NewHandle(), "")
	refused(t, err, broker.InvalidRequest, "no_pending_signin")
	if b.provider.asked.Load() != 0 {
		t.Error("the provider parsed an answer that nobody asked for")
	}
	in, err := b.unasked(t.Context(), "initiated", "", "")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.confirm(t.Context(), "corp", in.Confirm.Handle, in.Confirm.Browser, false)
	refused(t, err, broker.InvalidRequest, "unsolicited")
	_, err = b.ConfirmSignIn(t.Context(), broker.ConfirmRequest{Origin: origin, Provider: "nobody", Type: "saml"})
	refused(t, err, broker.InvalidRequest, "unknown_provider")

	b.provider.err = idp.Reject("in-response-to", "the Response answers another browser's request")
	_, err = b.unasked(t.Context(), "initiated", "", "")
	refused(t, err, broker.AccessDenied, "in-response-to")
}

func TestAQuestionIsAnsweredOnceAndSoon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in, err := b.unasked(t.Context(), "initiated", "", "")
	if err != nil {
		t.Fatal(err)
	}
	var opened atomic.Int32
	var group sync.WaitGroup
	for range 5 {
		group.Go(func() {
			if _, err := b.confirm(t.Context(), "initiated", in.Confirm.Handle, in.Confirm.Browser, false); err == nil {
				opened.Add(1)
			}
		})
	}
	group.Wait()
	if opened.Load() != 1 {
		t.Errorf("one click opened %d sessions", opened.Load())
	}

	b.provider.login = b.login("alice", "platform")
	if in, err = b.unasked(t.Context(), "initiated", "", ""); err != nil {
		t.Fatal(err)
	}
	_, err = b.confirm(t.Context(), "initiated", in.Confirm.Handle, in.Confirm.Browser, true)
	refused(t, err, broker.AccessDenied, "cancelled")
	_, err = b.confirm(t.Context(), "initiated", in.Confirm.Handle, in.Confirm.Browser, false)
	refused(t, err, broker.InvalidRequest, "no_pending_signin")

	b.provider.login = b.login("alice", "platform")
	if in, err = b.unasked(t.Context(), "initiated", "", ""); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(10 * time.Minute)
	_, err = b.confirm(t.Context(), "initiated", in.Confirm.Handle, in.Confirm.Browser, false)
	refused(t, err, broker.InvalidRequest, "no_pending_signin")
}

func TestWithoutARecordNobodyIsAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.record.fail()
	in, err := b.unasked(t.Context(), "initiated", "", "")
	refused(t, err, broker.Unavailable, "audit")
	if in.Confirm != nil {
		t.Error("a question was asked that no record knows of")
	}
}
