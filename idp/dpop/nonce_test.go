package dpop_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/dpop"
)

const here = "https://sso.example.com/tvm/v1/credentials"

// nonces are those of a server whose clock is the test's.
func nonces(t *testing.T, key byte, clock *time.Time) *dpop.Nonces {
	t.Helper()
	n, err := dpop.NewNonces(bytes.Repeat([]byte{key}, 32), func() time.Time { return *clock })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestANonceIsGoodForTwoMinutes(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC) // a minute begins
	clock := start
	a, sameKey, otherKey := nonces(t, 1, &clock), nonces(t, 1, &clock), nonces(t, 2, &clock)
	nonce := a.Next()
	if again := sameKey.Next(); nonce != again {
		t.Error("two nodes with one key have different nonces")
	}
	if nonce == otherKey.Next() {
		t.Error("two keys have one nonce")
	}
	for after, good := range map[time.Duration]bool{
		0: true, 59 * time.Second: true, time.Minute: true, 2*time.Minute - time.Nanosecond: true,
		2 * time.Minute: false, time.Hour: false, -time.Nanosecond: false,
	} {
		clock = start.Add(after)
		if until := a.Until(nonce); until.IsZero() == good || good && !until.Equal(start.Add(2*time.Minute)) {
			t.Errorf("after %s: good until %s, want %t", after, until, good)
		}
	}
	clock = start
	for _, bad := range []string{"", nonce[1:], nonce + "A", "AAAAAAAAAAAAAAAAAAAAAA", otherKey.Next()} {
		if !a.Until(bad).IsZero() {
			t.Errorf("%q is good", bad)
		}
	}
	if _, err := dpop.NewNonces(make([]byte, 16), time.Now); err == nil {
		t.Error("a short key is taken")
	}
}

func TestWithANonceTheClockOfTheClientDoesNotCount(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 11, 24, 9, 0, 30, 0, time.UTC)
	n := nonces(t, 1, &clock)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	proof := func(at time.Time, nonce string) string {
		p, err := dpop.NewProver(key, func() time.Time { return at })
		if err != nil {
			t.Fatal(err)
		}
		text, err := p.ProveNonce("POST", here, "", nonce)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	long := clock.AddDate(-20, 0, 0)
	for name, c := range map[string]struct {
		at       time.Time
		nonce    string
		optional bool
		reason   string
	}{
		"a nonce and a right clock":                 {clock, n.Next(), false, ""},
		"a nonce and a wrong clock":                 {long, n.Next(), false, ""},
		"no nonce":                                  {clock, "", false, dpop.ReasonNonce},
		"a wrong nonce":                             {clock, "wrong", false, dpop.ReasonNonce},
		"no nonce where there may be one":           {clock, "", true, ""},
		"no nonce and a wrong clock, there":         {long, "", true, dpop.ReasonNonce},
		"no nonce and a clock that is ahead, there": {clock.Add(time.Hour), "", true, dpop.ReasonNonce},
		"a nonce and a wrong clock, there":          {long, n.Next(), true, ""},
		"a wrong nonce and a right clock, there":    {clock, "wrong", true, dpop.ReasonNonce},
	} {
		got, err := dpop.Verify(proof(c.at, c.nonce), dpop.Want{Method: "POST", URL: here, Now: clock, Nonces: n, NonceOptional: c.optional, P256: true})
		rejected, _ := errors.AsType[*idp.Rejection](err)
		switch {
		case c.reason == "" && err != nil, c.reason != "" && (rejected == nil || rejected.Reason != c.reason):
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		case err == nil && (!got.Until.After(clock) || got.Until.Sub(clock) > 2*time.Minute):
			t.Errorf("%s: good until %s", name, got.Until)
		}
	}
}

// What costs a signature comes after what costs a hash.
func TestTheNonceIsJudgedBeforeTheSignature(t *testing.T) {
	t.Parallel()
	clock := now
	_, err := dpop.Verify(rfcProof[:len(rfcProof)-4]+"AAAA", dpop.Want{Method: "POST", URL: here, Now: now, Nonces: nonces(t, 1, &clock)})
	if rejected, ok := errors.AsType[*idp.Rejection](err); !ok || rejected.Reason != dpop.ReasonNonce {
		t.Errorf("got %v", err)
	}
}

func FuzzProofWithNonce(f *testing.F) {
	f.Add(rfcProof)
	f.Add(rfcWithToken)
	f.Add("eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6Im5vbmUifQ.eyJub25jZSI6IngifQ.")
	f.Add("e30.eyJub25jZSI6MX0.AA")
	f.Fuzz(func(t *testing.T, proof string) {
		clock := now
		n, err := dpop.NewNonces(make([]byte, 32), func() time.Time { return clock })
		if err != nil {
			t.Fatal(err)
		}
		got, err := dpop.Verify(proof, dpop.Want{Method: "POST", URL: here, Now: now, Nonces: n, P256: true})
		if _, ok := errors.AsType[*idp.Rejection](err); err != nil && !ok {
			t.Errorf("an error that is no refusal: %v", err)
		}
		if err == nil { // nobody can know the nonce and sign by chance
			t.Errorf("accepted %q as %+v", proof, got)
		}
	})
}
