package oauth_test

import (
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/dpop"
)

func evidence(text string, proofs ...string) oauth.ExchangeRequest {
	return oauth.ExchangeRequest{Evidence: broker.Evidence{Token: secret.New(text)}, DPoP: proofs}
}

func TestExchangedAccessTokensStandForTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issued, err := w.server.Exchange(t.Context(), origin, evidence("good"))
	if err != nil || issued.Type != "Bearer" || issued.ExpiresIn != 10*time.Minute {
		t.Fatalf("%+v, %v", issued, err)
	}
	if !issued.RefreshToken.IsZero() || !issued.IDToken.IsZero() {
		t.Error("an exchange gives an access token and nothing else")
	}
	caller, err := w.server.Authenticate(t.Context(), origin, bearer(issued.AccessToken.Reveal()))
	if err != nil || caller.Identity.Username != "carol" || caller.Via != broker.ViaExchange {
		t.Errorf("%+v, %v", caller, err)
	}
	if caller.Session == "" {
		t.Error("without a session of its own two programs would share a cache")
	}
	if e := w.last(t); e.Event != "token.exchange" || e.Outcome != audit.Granted || e.Username != "carol" || e.TokenDigest == "" {
		t.Errorf("recorded %+v", e)
	}
	other, err := w.server.Exchange(t.Context(), origin, evidence("good"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.server.Authenticate(t.Context(), origin, bearer(other.AccessToken.Reveal()))
	if err != nil || second.Session == caller.Session {
		t.Errorf("two exchanges share the session %s: %v", second.Session, err)
	}
	w.clock = w.clock.Add(10*time.Minute + time.Second)
	if _, err := w.server.Authenticate(t.Context(), origin, bearer(issued.AccessToken.Reveal())); broker.CodeOf(err) != broker.Unauthenticated {
		t.Errorf("after ten minutes: %v", err)
	}
}

func TestExchangeRefusesBadEvidenceAndBadProofs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.server.Exchange(t.Context(), origin, evidence("bad")); broker.CodeOf(err) != broker.Unauthenticated {
		t.Errorf("bad evidence: %v", err)
	}
	for name, proofs := range map[string][]string{"no proof at all": {"x.y.z"}, "two proofs": {"a", "b"}} {
		if _, err := w.server.Exchange(t.Context(), origin, evidence("good", proofs...)); err == nil {
			t.Errorf("%s was accepted", name)
		}
		if e := w.last(t); e.Reason != "invalid_dpop_proof" {
			t.Errorf("%s: recorded %+v", name, e)
		}
	}
	w.deaf = audit.ErrFailed
	issued, err := w.server.Exchange(t.Context(), origin, evidence("good"))
	if broker.CodeOf(err) != broker.Unavailable || !issued.AccessToken.IsZero() {
		t.Errorf("without a record: %+v, %v", issued, err)
	}
	w.allEnded(t)
}

func TestAProofAtTheExchangeBindsTheAccessToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, other := w.prover(t), w.prover(t)
	issued, err := w.server.Exchange(t.Context(), origin, evidence("good", prove(t, key, "POST", tokenURL, "")))
	if err != nil || issued.Type != "DPoP" {
		t.Fatalf("%+v, %v", issued, err)
	}
	token := issued.AccessToken.Reveal()
	if _, err := w.server.Authenticate(t.Context(), origin, bearer(token)); broker.CodeOf(err) != broker.Unauthenticated {
		t.Errorf("as Bearer: %v", err)
	}
	const me = "https://sso.example.com/api/v1/identity"
	for who, fits := range map[*dpop.Prover]bool{key: true, other: false} {
		_, err := w.server.Authenticate(t.Context(), origin, oauth.AuthInput{
			Authorization: []string{"DPoP " + token}, DPoP: []string{prove(t, who, "GET", me, token)}, Method: "GET", URL: me,
		})
		if (err == nil) != fits {
			t.Errorf("with a key that fits %v: %v", fits, err)
		}
	}
}
