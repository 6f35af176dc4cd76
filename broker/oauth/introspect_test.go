package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker/oauth"
)

func (w *world) introspect(t *testing.T, token string) oauth.Introspection {
	t.Helper()
	got, err := w.server.Introspect(t.Context(), origin, oauth.TokenRequest{Form: url.Values{"client_id": {"rolecall-cli"}, "token": {token}}})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestIntrospectionTellsItsOwnClientWhatATokenIsWorth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := w.prover(t)
	issued := w.tokens(t, prove(t, key, "POST", tokenURL, ""))
	access := w.introspect(t, issued.AccessToken.Reveal())
	if !access.Active || access.Client != "rolecall-cli" || access.Username == "" || access.Type != "DPoP" || access.Thumbprint == "" || !access.Until.After(w.clock) {
		t.Errorf("access token: %+v", access)
	}
	refresh := w.introspect(t, issued.RefreshToken.Reveal())
	if !refresh.Active || refresh.Type != "" || !refresh.Until.After(access.Until) {
		t.Errorf("refresh token: %+v", refresh)
	}
	for name, token := range map[string]string{
		"of nobody": "rca_" + strings.Repeat("A", 43), "short": "x", "endless": strings.Repeat("A", 1<<16),
	} {
		if got := w.introspect(t, token); got.Active || got.Username != "" || got.Client != "" {
			t.Errorf("a token %s: %+v", name, got)
		}
	}
	exchanged, err := w.server.Exchange(t.Context(), origin, evidence("good"))
	if err != nil {
		t.Fatal(err)
	}
	if got := w.introspect(t, exchanged.AccessToken.Reveal()); got.Active {
		t.Errorf("a token that was not given to this client: %+v", got)
	}
	if err := w.server.Revoke(t.Context(), origin, oauth.TokenRequest{Form: url.Values{"client_id": {"rolecall-cli"}, "token": {issued.AccessToken.Reveal()}}}); err != nil {
		t.Fatal(err)
	}
	if got := w.introspect(t, issued.AccessToken.Reveal()); got.Active {
		t.Errorf("after its revocation: %+v", got)
	}
}

func TestIntrospectionNeedsAClientAndAToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, form := range map[string]url.Values{
		"nobody":         {"token": {"x"}},
		"another client": {"client_id": {"somebody"}, "token": {"x"}},
		"no token":       {"client_id": {"rolecall-cli"}},
		"two tokens":     {"client_id": {"rolecall-cli"}, "token": {"x", "y"}},
	} {
		if got, err := w.server.Introspect(t.Context(), origin, oauth.TokenRequest{Form: form}); err == nil || got.Active {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
