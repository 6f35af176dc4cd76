package oauth_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/oauth"
	"github.com/rolecall/rolecall/broker/session"
)

func revocation(token string, changes ...string) oauth.TokenRequest {
	form := url.Values{"token": {token}, "client_id": {"rolecall-cli"}}
	change(form, changes...)
	return oauth.TokenRequest{Form: form}
}

func TestRevokingEitherTokenEndsBoth(t *testing.T) {
	t.Parallel()
	for kind, pick := range map[string]func(oauth.Issued) string{
		"access_token":  func(i oauth.Issued) string { return i.AccessToken.Reveal() },
		"refresh_token": func(i oauth.Issued) string { return i.RefreshToken.Reveal() },
	} {
		for _, hint := range []string{"", "access_token", "refresh_token", "unheard_of"} {
			w := newWorld(t)
			issued, other := w.tokens(t), w.tokens(t)
			if err := w.server.Revoke(t.Context(), origin, revocation(pick(issued), "token_type_hint", hint)); err != nil {
				t.Errorf("%s as %q: %v", kind, hint, err)
			}
			if e := w.last(t); e.Event != "revoke" || e.Outcome != audit.Granted || e.Username != "alice" {
				t.Errorf("recorded %+v", e)
			}
			w.dead(t, issued)
			if _, err := w.server.Authenticate(t.Context(), origin, bearer(other.AccessToken.Reveal())); err != nil {
				t.Errorf("another family ended too: %v", err)
			}
		}
	}
}

func TestRevokingATokenThatIsNoneIsNoError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, token := range []string{"x", strings.Repeat("A", 43), strings.Repeat("A", 100_000)} {
		if err := w.server.Revoke(t.Context(), origin, revocation(token)); err != nil {
			t.Errorf("%d bytes: %v", len(token), err)
		}
	}
}

func TestRevokingASpentRefreshTokenEndsTheFamily(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.tokens(t)
	second, err := w.server.Token(t.Context(), origin, refreshment(first.RefreshToken.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.server.Revoke(t.Context(), origin, revocation(first.RefreshToken.Reveal())); err != nil {
		t.Fatal(err)
	}
	w.dead(t, second)
}

func TestRevocationsThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issued := w.tokens(t)
	token := issued.RefreshToken.Reveal()
	repeated := revocation(token)
	repeated.Form.Add("token", "again")
	for name, c := range map[string]struct {
		request oauth.TokenRequest
		code    oauth.ErrorCode
	}{
		"no token":          {revocation(""), "invalid_request"},
		"no client":         {revocation(token, "client_id", ""), "invalid_client"},
		"an unknown client": {revocation(token, "client_id", "other"), "invalid_client"},
		"two tokens":        {repeated, "invalid_request"},
	} {
		err := w.server.Revoke(t.Context(), origin, c.request)
		if refusal, ok := errors.AsType[*oauth.Error](err); !ok || refusal.Code != c.code {
			t.Errorf("%s: got %v", name, err)
		}
	}
	w.limited["address token"] = true
	if err := w.server.Revoke(t.Context(), origin, revocation(token)); broker.CodeOf(err) != broker.RateLimited {
		t.Errorf("got %v", err)
	}
	if _, err := w.server.Authenticate(t.Context(), origin, bearer(issued.AccessToken.Reveal())); err != nil {
		t.Errorf("a refused revocation ended the tokens: %v", err)
	}
}

func TestARevocationThatDidNotHappenIsNotConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issued := w.tokens(t)
	w.fails = errors.New("disk broken")
	if err := w.server.Revoke(t.Context(), origin, revocation(issued.RefreshToken.Reveal())); !errors.Is(err, w.fails) {
		t.Errorf("got %v", err)
	}
	w.fails, w.deaf = nil, errors.New("disk full")
	if err := w.server.Revoke(t.Context(), origin, revocation(issued.RefreshToken.Reveal())); broker.CodeOf(err) != broker.Unavailable {
		t.Errorf("got %v", err)
	}
}

// There is one client today; what belongs to another must be safe from it all the same.
func TestWhatWasGivenToAnotherClientIsNotTakenOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := func() time.Time { return w.clock }
	family := session.Family{ID: "family-1", Session: "session-1", Client: "phone", Scope: []string{"offline_access"}, Since: w.clock, Until: w.clock.Add(time.Hour)}
	code := session.NewHandle()
	err := session.NewSessions(session.Config{Store: w, Now: now}).KeepCode(t.Context(), code,
		session.Code{Client: "phone", RedirectURI: redirectURI, Challenge: challenge, Family: family})
	if err != nil {
		t.Fatal(err)
	}
	w.refuses(t, redemption(code), "invalid_grant")

	tokens := session.NewTokens(w, now)
	pair := session.Pair{Access: session.NewHandle(), AccessUntil: w.clock.Add(time.Minute), Refresh: session.NewHandle()}
	if err := tokens.Begin(t.Context(), family, pair); err != nil {
		t.Fatal(err)
	}
	w.refuses(t, refreshment(pair.Refresh), "invalid_grant")
	for _, token := range []string{pair.Access, pair.Refresh} {
		if err := w.server.Revoke(t.Context(), origin, revocation(token)); err != nil {
			t.Errorf("got %v, which tells that there is such a token", err)
		}
	}
	if _, err := tokens.Refresh(t.Context(), pair.Refresh); err != nil {
		t.Errorf("another client ended the tokens: %v", err)
	}
}
