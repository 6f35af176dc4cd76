package broker_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

const forPrograms = `
  - {name: build, providers: [ci, once], groups: [build], role: production/Program, duration: 1h}
  - {name: not-by-exchange, providers: [ci], groups: [build], role: production/Admin, when: 'request.via != "exchange"'}
`

// issue makes a verifier know a token.
func (b *bench) issue(v *verifier, token, name string, groups ...string) string {
	token = v.issuer + "." + token
	v.logins[token] = idp.Login{
		Identity: idp.Identity{Provider: v.issuer, Subject: "job:" + name, Username: name, Groups: groups},
		Once:     idp.Once{Key: "payload-of-" + token, Until: b.clock.Now().Add(6 * time.Minute)},
	}
	return token
}

func (b *bench) exchange(ctx context.Context, token, role string) (broker.Vended, error) {
	return b.Exchange(ctx, broker.ExchangeRequest{
		Origin: origin, Evidence: broker.Evidence{Token: secret.New(token)}, Order: broker.Order{Role: role},
	})
}

// A provider that knows the issuer but is not meant does not keep the others from
// being asked; what it says is said if nobody else takes the token.
func TestTheNearestProviderSpeaksWhereNoneTakesAToken(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	notForMe := &idp.Rejection{Reason: "audience", Detail: "the token is for somebody else", Cause: idp.ErrNotMine}
	b.ci.issuer, b.ci.err = "once", notForMe // both know this issuer now
	token := b.issue(b.once, "token-of-a-job", "deploy", "build")
	if vended, err := b.exchange(t.Context(), token, "production/Program"); err != nil || vended.Role.Name != "Program" {
		t.Fatalf("the second provider of an issuer: %+v, %v", vended, err)
	}
	b.once.err = notForMe
	_, err := b.exchange(t.Context(), "once.unknown", "production/Program")
	refused(t, err, broker.Unauthenticated, "audience")
	refusals := b.recorded(t, "exchange")
	if last := refusals[len(refusals)-1]; last["reason"] != "audience" || last["provider"] != "ci" {
		t.Errorf("recorded %v", last)
	}
	_, err = b.exchange(t.Context(), "nobody.unknown", "production/Program")
	refused(t, err, broker.Unauthenticated, "unknown_issuer")
}

func TestExchangeGivesCredentialsByATokenAlone(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	token := b.issue(b.ci, "token-of-a-job", "deploy", "build")
	for _, role := range []string{"production/Program", "arn:aws:iam::111122223333:role/Program", ""} {
		vended, err := b.exchange(t.Context(), token, role)
		if err != nil || vended.Role.Name != "Program" || vended.Credentials.AccessKeyID == "" {
			t.Fatalf("role %q: %+v, %v", role, vended, err)
		}
	}
	if b.calls.n != 1 {
		t.Errorf("%d orders at STS; the cache is keyed by the token", b.calls.n)
	}
	other := b.issue(b.ci, "another-token", "deploy", "build")
	if _, err := b.exchange(t.Context(), other, ""); err != nil || b.calls.n != 2 {
		t.Errorf("another token of the same job: %v after %d orders; want one of its own", err, b.calls.n)
	}
	for i, r := range b.recorded(t, "credentials") {
		if r["via"] != "exchange" || r["provider"] != "ci" || r["session"] == "" || strings.Contains(fmt.Sprint(r), "token-of-a-job") {
			t.Errorf("record %d: %v", i, r)
		}
	}
}

func TestWhatExchangeRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		token, role string
		saml        bool
		code        broker.Code
		reason      string
	}{
		"a token that its provider refuses":         {token: "ci.expired", code: broker.Unauthenticated, reason: "expired"},
		"a token of no provider":                    {token: "evil.token", code: broker.Unauthenticated, reason: "unknown_issuer"},
		"an assertion where no provider takes it":   {token: "ci.good", saml: true, code: broker.InvalidRequest, reason: "no_provider"},
		"a role of somebody else":                   {token: "ci.good", role: "production/Vault", code: broker.AccessDenied, reason: "role_not_granted"},
		"a role whose condition shuts exchange out": {token: "ci.good", role: "production/Admin", code: broker.AccessDenied, reason: "role_not_granted"},
		"no role where none is granted":             {token: "ci.nobody", code: broker.AccessDenied, reason: "no_role"},
		"no role where several are granted":         {token: "ci.several", code: broker.InvalidRequest, reason: "role_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBenchOf(t, yaml+forPrograms)
			b.issue(b.ci, "good", "deploy", "build")
			b.issue(b.ci, "nobody", "nobody")
			several := b.issue(b.ci, "several", "alice", "platform")
			login := b.ci.logins[several]
			login.Identity.Provider = "corp" // as if a provider vouched for another: several grants
			b.ci.logins[several] = login
			_, err := b.Exchange(t.Context(), broker.ExchangeRequest{
				Origin: origin, Evidence: broker.Evidence{Token: secret.New(test.token), SAML: test.saml}, Order: broker.Order{Role: test.role},
			})
			refused(t, err, test.code, test.reason)
			if b.calls.n != 0 {
				t.Error("STS was asked")
			}
			records := append(b.recorded(t, "exchange"), b.recorded(t, "credentials")...)
			if len(records) != 1 || records[0]["outcome"] != "refused" || records[0]["reason"] != test.reason || records[0]["via"] != "exchange" {
				t.Errorf("recorded %v", records)
			}
		})
	}
}

func TestAProviderThatIsAwayStopsTheExchange(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	b.ci.err = fmt.Errorf("keys: %w", idp.ErrUnavailable)
	_, err := b.exchange(t.Context(), "ci.whatever", "")
	refused(t, err, broker.Unavailable, "provider_unavailable")
	if b.once.asked.Load() != 0 {
		t.Error("the next provider was asked, although the token is the first one's")
	}
}

func TestOversizedEvidenceIsTooLarge(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	b.ci.err = idp.Reject("too-large", "more than 16 KB")
	_, err := b.exchange(t.Context(), "ci.whatever", "")
	refused(t, err, broker.TooLarge, "too_large")
}

func TestATokenCountsOnceWhereTheProviderSaysSo(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	token := b.issue(b.once, "job", "deploy", "build")
	if _, err := b.exchange(t.Context(), token, ""); err != nil {
		t.Fatal(err)
	}
	_, err := b.exchange(t.Context(), token, "")
	refused(t, err, broker.Unauthenticated, "replay")
	many := b.issue(b.ci, "job", "deploy-2", "build")
	for range 3 {
		if _, err := b.exchange(t.Context(), many, ""); err != nil {
			t.Fatalf("a token of another provider may come again: %v", err)
		}
	}
}

func TestAOneTimeTokenIsSpentByWhatIsRefusedAfterIt(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	token := b.issue(b.once, "job", "deploy", "build")
	_, err := b.exchange(t.Context(), token, "production/Vault")
	refused(t, err, broker.AccessDenied, "role_not_granted")
	_, err = b.exchange(t.Context(), token, "production/Program")
	refused(t, err, broker.Unauthenticated, "replay")
}

func TestExchangeIsLimitedByAddressBeforeAnythingIsParsed(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	var err error
	for range 21 {
		_, err = b.exchange(t.Context(), "ci.expired", "")
	}
	refused(t, err, broker.RateLimited, "rate_limited")
	if b.ci.asked.Load() != 20 {
		t.Errorf("%d tokens were parsed", b.ci.asked.Load())
	}
}

func TestExchangeIsLimitedBySubject(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	token := b.issue(b.ci, "job", "deploy", "build")
	var err error
	for range 11 {
		_, err = b.exchange(t.Context(), token, "")
	}
	refused(t, err, broker.RateLimited, "rate_limited")
}

func TestNothingIsExchangedWithoutARecord(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	token := b.issue(b.ci, "job", "deploy", "build")
	b.record.fail()
	vended, err := b.exchange(t.Context(), token, "")
	refused(t, err, broker.Unavailable, "audit")
	if vended.Credentials.AccessKeyID != "" {
		t.Error("credentials left all the same")
	}
}

func TestOfTwoWhoBringAOneTimeTokenOneWins(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	token := b.issue(b.once, "job", "deploy", "build")
	results := make(chan error, 2)
	for range 2 {
		go func() {
			_, err := b.Admit(t.Context(), origin, broker.Evidence{Token: secret.New(token)})
			results <- err
		}()
	}
	first, second := <-results, <-results
	if (first == nil) == (second == nil) {
		t.Errorf("%v and %v", first, second)
	}
	for _, err := range []error{first, second} {
		if err != nil && !strings.Contains(err.Error(), replay.ErrReplayed.Error()) {
			t.Error(err)
		}
	}
}

func TestATokenThatSignedSomebodyInIsNoEvidenceForAProgram(t *testing.T) {
	t.Parallel()
	b := newBenchOf(t, yaml+forPrograms)
	token := b.issue(b.ci, "person", "deploy", "build")
	login := b.ci.logins[token]
	login.Once.AtSignIn = true
	b.ci.logins[token] = login
	for range 2 { // a token with a nonce that a program got for itself counts as often as any
		if _, err := b.exchange(t.Context(), token, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.used.Use(t.Context(), "ci", login.Once.Key, login.Once.Until); err != nil { // as SignIn does
		t.Fatal(err)
	}
	_, err := b.exchange(t.Context(), token, "")
	refused(t, err, broker.Unauthenticated, "replay")
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = b.exchange(t.Context(), token, "")
	refused(t, err, broker.Unavailable, "store")
}
