package broker_test

import (
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/revocation"
)

// revocations are kept in the bench's store and known at once.
type revocations struct {
	Store revocation.Store
	*revocation.List
}

func (b *bench) revoke(t *testing.T, target string) {
	t.Helper()
	r := revocation.Revocation{Kind: revocation.User, Target: target, At: b.clock.Now()}
	if _, err := b.revoked.Store.AddRevocation(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := b.revoked.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A response of the provider that somebody kept in a drawer is no way around.
func TestAnAnswerThatNobodyAskedForMustBeNewerThanTheRevocation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.provider.login.IssuedAt = b.clock.Now()
	b.clock.advance(time.Minute)
	b.revoke(t, "initiated=subject-alice")
	b.provider.login.Identity.Provider = "initiated"
	_, err := b.unasked(t.Context(), "initiated", "", "")
	refused(t, err, broker.Unauthenticated, "revoked")
	b.clock.advance(time.Minute)
	b.provider.login.IssuedAt, b.provider.login.Once.Key = b.clock.Now(), "newer"
	if in, err := b.unasked(t.Context(), "initiated", "", ""); err != nil || in.Confirm == nil {
		t.Errorf("a newer one: %v", err)
	}
}

func TestALoginThatWaitsForItsClickDoesNotOutliveARevocation(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.provider.login.Identity.Provider, b.provider.login.IssuedAt = "initiated", b.clock.Now()
	in, err := b.unasked(t.Context(), "initiated", "", "")
	if err != nil {
		t.Fatal(err)
	}
	b.clock.advance(time.Minute)
	b.revoke(t, "initiated=subject-alice")
	_, err = b.confirm(t.Context(), "initiated", in.Confirm.Handle, in.Confirm.Browser, false)
	refused(t, err, broker.Unauthenticated, "revoked")
}

// Whoever signs in here after a revocation proves themselves anew, so nothing is
// barred, whatever the provider's clock says.
func TestASignInThatBeganHereIsAsGoodAsNew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.revoke(t, "corp=subject-alice")
	b.clock.advance(time.Second)
	b.provider.login.IssuedAt = b.clock.Now().Add(-30 * time.Second) // a clock that is behind
	handle, browser := b.begin(t, "")
	if _, err := b.finish(t.Context(), handle, browser); err != nil {
		t.Error(err)
	}
}

func TestEvidenceOfBeforeARevocationIsRefusedAtExchange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		made time.Duration // after the revocation; none is unknown
		none bool
		ok   bool
	}{
		"made before":                     {made: -time.Second},
		"made at that instant":            {},
		"made after":                      {made: time.Second, ok: true},
		"made in the future, by its word": {made: time.Hour, ok: true},
		"which does not say when":         {none: true, ok: true},
	} {
		b := newBenchOf(t, yaml+forPrograms)
		token := b.issue(b.ci, "token", "deploy", "build")
		login := b.ci.logins[token]
		if !c.none {
			login.IssuedAt = b.clock.Now().Add(c.made)
		}
		b.ci.logins[token] = login
		b.revoke(t, "ci=job:deploy")
		b.clock.advance(time.Minute)
		_, err := b.exchange(t.Context(), token, "")
		if c.ok && err != nil {
			t.Errorf("evidence %s: %v", name, err)
		}
		if !c.ok {
			refused(t, err, broker.Unauthenticated, "revoked")
			if r := b.recorded(t, "exchange"); len(r) != 1 || r[0]["reason"] != "revoked" || r[0]["outcome"] != "refused" {
				t.Errorf("evidence %s is recorded %v", name, r)
			}
		}
	}
}
