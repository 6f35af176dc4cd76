package oauth_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/oauth"
)

func TestACodeBecomesTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issued := w.tokens(t)
	if issued.Type != "Bearer" || issued.ExpiresIn != 10*time.Minute || issued.RefreshToken.IsZero() || issued.IDToken.Reveal() != "id-token" {
		t.Errorf("got %+v", issued)
	}
	if diff := cmp.Diff([]string{"openid", "offline_access"}, issued.Scope); diff != "" {
		t.Error(diff)
	}
	want := issuer.IDToken{
		Audience: "rolecall-cli", Provider: "corp", Subject: "alice-id", Username: "alice", Nonce: "nonce-1",
		AccessToken: issued.AccessToken.Reveal(), AuthTime: w.clock.Add(-time.Hour), Methods: []string{"pwd", "mfa"},
	}
	if diff := cmp.Diff([]issuer.IDToken{want}, w.minted); diff != "" {
		t.Errorf("the ID token: %s", diff)
	}
	e := w.last(t)
	if e.Event != "token.authorization_code" || e.Outcome != audit.Granted || e.Username != "alice" || e.Session != "session-1" || e.TokenDigest == "" {
		t.Errorf("recorded %+v", e)
	}
	caller, err := w.server.Authenticate(t.Context(), origin, bearer(issued.AccessToken.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	alice := w.alice()
	alice.Via, alice.NotAfter = broker.ViaCLI, alice.Since.Add(12*time.Hour)
	if diff := cmp.Diff(*alice, caller); diff != "" {
		t.Errorf("the caller: %s", diff)
	}
}

func TestNothingIsGivenThatTheScopeDoesNotAskFor(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string][]string{
		"openid": {"openid"}, "offline_access": {"offline_access"}, "profile email admin": nil, "openid openid": {"openid"},
	} {
		w := newWorld(t)
		issued, err := w.server.Token(t.Context(), origin, redemption(w.code(t, "scope", scope)))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(issued.Scope, want) || issued.IDToken.IsZero() == slices.Contains(want, "openid") ||
			issued.RefreshToken.IsZero() == slices.Contains(want, "offline_access") {
			t.Errorf("%q: got %+v", scope, issued)
		}
	}
}

func TestRequestsForACodesTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes []string
		code    string
	}{
		"no grant type":                   {[]string{"grant_type", ""}, "invalid_request"},
		"the password grant":              {[]string{"grant_type", "password"}, "unsupported_grant_type"},
		"client credentials":              {[]string{"grant_type", "client_credentials"}, "unsupported_grant_type"},
		"token exchange":                  {[]string{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"}, "unsupported_grant_type"},
		"the device grant":                {[]string{"grant_type", "urn:ietf:params:oauth:grant-type:device_code"}, "unsupported_grant_type"},
		"no client":                       {[]string{"client_id", ""}, "invalid_client"},
		"another client":                  {[]string{"client_id", "other"}, "invalid_client"},
		"a secret of a public client":     {[]string{"client_secret", "x"}, "invalid_client"},
		"no code":                         {[]string{"code", ""}, "invalid_request"},
		"a code that was never given":     {[]string{"code", strings.Repeat("A", 43)}, "invalid_grant"},
		"an endless code":                 {[]string{"code", strings.Repeat("A", 100_000)}, "invalid_request"},
		"no redirect URI":                 {[]string{"redirect_uri", ""}, "invalid_request"},
		"another redirect URI":            {[]string{"redirect_uri", "http://127.0.0.1:49153/callback"}, "invalid_grant"},
		"no verifier":                     {[]string{"code_verifier", ""}, "invalid_request"},
		"a verifier of 42 characters":     {[]string{"code_verifier", verifier[:42]}, "invalid_request"},
		"a verifier of 129 characters":    {[]string{"code_verifier", strings.Repeat("a", 129)}, "invalid_request"},
		"a verifier of other characters":  {[]string{"code_verifier", verifier[:42] + "+"}, "invalid_request"},
		"a verifier with a line break":    {[]string{"code_verifier", verifier + "\n"}, "invalid_request"},
		"another verifier":                {[]string{"code_verifier", strings.ToUpper(verifier)}, "invalid_grant"},
		"the challenge as its verifier":   {[]string{"code_verifier", challenge}, "invalid_grant"},
		"a longer verifier than was made": {[]string{"code_verifier", verifier + "a"}, "invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.refuses(t, redemption(w.code(t), c.changes...), c.code)
		})
	}
	for _, parameter := range []string{"grant_type", "client_id", "code", "redirect_uri", "code_verifier"} {
		w := newWorld(t)
		request := redemption(w.code(t))
		request.Form.Add(parameter, "again")
		w.refuses(t, request, "invalid_request")
	}
}

func TestACodeCountsOnceEvenWithAWrongVerifier(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(t)
	w.refuses(t, redemption(code, "code_verifier", strings.ToUpper(verifier)), "invalid_grant")
	w.refuses(t, redemption(code), "invalid_grant")
}

func TestAMalformedRequestDoesNotSpendTheCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(t)
	w.refuses(t, redemption(code, "client_id", ""), "invalid_client") // as x/oauth2 probes
	if _, err := w.server.Token(t.Context(), origin, redemption(code)); err != nil {
		t.Error(err)
	}
}

func TestACodeUsedAgainEndsTheTokensItGave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(t)
	issued, err := w.server.Token(t.Context(), origin, redemption(code))
	if err != nil {
		t.Fatal(err)
	}
	w.refuses(t, redemption(code), "invalid_grant")
	w.dead(t, issued)
}

func TestACodeThatIsAMinuteOldIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(t)
	w.clock = w.clock.Add(time.Minute)
	w.refuses(t, redemption(code), "invalid_grant")
}

func TestASignOutEndsCodesAndTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issued, code := w.tokens(t), w.code(t)
	w.signOut("session-1")
	w.dead(t, issued)
	w.refuses(t, redemption(code), "invalid_grant")
}

func TestOfConcurrentUsesOfACodeNoTokensSurvive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(t)
	var wg sync.WaitGroup
	answers := make([]oauth.Issued, 8)
	server := oauth.New(w.config(silent{}))
	for i := range answers {
		wg.Go(func() { answers[i], _ = server.Token(t.Context(), origin, redemption(code)) })
	}
	wg.Wait()
	for _, issued := range answers {
		if !issued.AccessToken.IsZero() {
			w.dead(t, issued)
		}
	}
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.tokens(t)
	w.clock = w.clock.Add(time.Hour)
	second, err := w.server.Token(t.Context(), origin, refreshment(first.RefreshToken.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	if second.RefreshToken.IsZero() || second.RefreshToken.Equal(first.RefreshToken) || second.AccessToken.Equal(first.AccessToken) ||
		second.ExpiresIn != 10*time.Minute || !second.IDToken.IsZero() {
		t.Errorf("got %+v after %+v", second, first)
	}
	if e := w.last(t); e.Event != "token.refresh_token" || e.Outcome != audit.Granted || e.Username != "alice" {
		t.Errorf("recorded %+v", e)
	}
	if _, err := w.server.Authenticate(t.Context(), origin, bearer(second.AccessToken.Reveal())); err != nil {
		t.Error(err)
	}
	w.refuses(t, refreshment(first.RefreshToken.Reveal()), "invalid_grant")
	w.dead(t, second)
}

func TestOfConcurrentRefreshesNoTokensSurvive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.tokens(t)
	var wg sync.WaitGroup
	answers := make([]oauth.Issued, 8)
	server := oauth.New(w.config(silent{}))
	for i := range answers {
		wg.Go(func() {
			answers[i], _ = server.Token(t.Context(), origin, refreshment(first.RefreshToken.Reveal()))
		})
	}
	wg.Wait()
	for _, issued := range answers {
		if !issued.AccessToken.IsZero() {
			w.dead(t, issued)
		}
	}
}

func TestRefreshNeverPassesTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issued := w.tokens(t)
	w.clock = w.clock.Add(11*time.Hour - 4*time.Minute) // she signed in an hour before
	issued, err := w.server.Token(t.Context(), origin, refreshment(issued.RefreshToken.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	if issued.ExpiresIn != 4*time.Minute {
		t.Errorf("the access token lives %s", issued.ExpiresIn)
	}
	w.clock = w.clock.Add(4 * time.Minute)
	w.dead(t, issued)
}

func TestTokensEndWithTheProvidersSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.alice()
	alice.ProviderEnd = w.clock.Add(3 * time.Minute)
	next, err := w.server.Decide(t.Context(), origin, ask(), alice, true)
	if err != nil {
		t.Fatal(err)
	}
	issued, err := w.server.Token(t.Context(), origin, redemption(query(t, next.Redirect).Get("code")))
	if err != nil || issued.ExpiresIn != 3*time.Minute {
		t.Fatalf("got %+v, %v", issued, err)
	}
	w.clock = alice.ProviderEnd
	w.dead(t, issued)
}

func TestRefreshesThatAreRefusedSpendNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	issued := w.tokens(t)
	token := issued.RefreshToken.Reveal()
	w.refuses(t, refreshment(token, "scope", "openid admin"), "invalid_scope")
	w.refuses(t, refreshment(token, "client_id", "other"), "invalid_client")
	w.refuses(t, refreshment("", "refresh_token", ""), "invalid_request")
	w.refuses(t, refreshment(issued.AccessToken.Reveal()), "invalid_grant")
	w.refuses(t, refreshment(strings.Repeat("A", 43)), "invalid_grant")
	w.refuses(t, refreshment(strings.Repeat("A", 5000)), "invalid_request")
	w.limited["subject token corp alice-id"] = true
	if _, err := w.server.Token(t.Context(), origin, refreshment(token)); broker.CodeOf(err) != broker.RateLimited {
		t.Errorf("got %v", err)
	}
	w.limited = map[string]bool{}
	if _, err := w.server.Token(t.Context(), origin, refreshment(token, "scope", "openid")); err != nil {
		t.Errorf("the token was spent by a refusal: %v", err)
	}
}

func TestAClientMayNameItselfInTheAuthorizationHeaderWithoutASecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	basic := func(user, password string) []string {
		r := http.Request{Header: http.Header{}}
		r.SetBasicAuth(user, password)
		return r.Header.Values("Authorization")
	}
	request := redemption(w.code(t), "client_id", "")
	request.Authorization = basic("rolecall-cli", "")
	if _, err := w.server.Token(t.Context(), origin, request); err != nil {
		t.Error(err)
	}
	for name, values := range map[string][]string{
		"a secret": basic("rolecall-cli", "secret"), "a bearer token": {"Bearer x"}, "two headers": append(basic("rolecall-cli", ""), "Basic x"),
		"another client": basic("other", ""), "no base64": {"Basic *"},
	} {
		request := redemption(w.code(t), "client_id", "")
		request.Authorization = values
		if _, err := w.server.Token(t.Context(), origin, request); !clientFailed(err) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	request = redemption(w.code(t))
	request.Authorization = basic("other", "")
	w.refuses(t, request, "invalid_request")
}

func clientFailed(err error) bool {
	e, ok := errors.AsType[*oauth.Error](err)
	return ok && e.ClientFailed()
}

func TestWithoutARecordThereAreNoTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(t)
	w.deaf = errors.New("disk full")
	issued, err := w.server.Token(t.Context(), origin, redemption(code))
	if broker.CodeOf(err) != broker.Unavailable || !issued.AccessToken.IsZero() {
		t.Errorf("got %+v, %v", issued, err)
	}
	w.allEnded(t)
}

func TestTokensThatCannotBeAnsweredAreTakenBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(t)
	w.mute = errors.New("no key")
	issued, err := w.server.Token(t.Context(), origin, redemption(code))
	if !errors.Is(err, w.mute) || !issued.AccessToken.IsZero() {
		t.Errorf("got %+v, %v", issued, err)
	}
	if e := w.last(t); e.Outcome != audit.Failed {
		t.Errorf("recorded %+v", e)
	}
	w.allEnded(t)
}

func TestAStoreThatFailsGivesNoTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, issued := w.code(t), w.tokens(t)
	w.fails = errors.New("disk broken")
	for _, request := range []oauth.TokenRequest{redemption(code), refreshment(issued.RefreshToken.Reveal())} {
		if got, err := w.server.Token(t.Context(), origin, request); !errors.Is(err, w.fails) || !got.AccessToken.IsZero() {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

func TestTooManyTokenRequestsAreTurnedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code, before := w.code(t), len(w.events)
	w.limited["address token"] = true
	if _, err := w.server.Token(t.Context(), origin, redemption(code)); broker.CodeOf(err) != broker.RateLimited {
		t.Errorf("got %v", err)
	}
	if len(w.events) != before || !slices.Equal(w.away, []string{"token"}) {
		t.Errorf("recorded %d more, turned away %v", len(w.events)-before, w.away)
	}
}

func TestNoSecretReachesTheRecordOrAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	code := w.code(t)
	issued, err := w.server.Token(t.Context(), origin, redemption(code))
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{code, verifier, issued.AccessToken.Reveal(), issued.RefreshToken.Reveal()}
	var said []string
	for _, request := range []oauth.TokenRequest{redemption(code), refreshment(issued.RefreshToken.Reveal()), refreshment(issued.AccessToken.Reveal())} {
		_, err := w.server.Token(t.Context(), origin, request)
		said = append(said, err.Error())
	}
	_, err = w.server.Authenticate(t.Context(), origin, bearer(issued.AccessToken.Reveal()))
	said = append(said, err.Error())
	for _, e := range w.events {
		said = append(said, strings.Join([]string{e.Event, e.Reason, e.Detail, e.TokenDigest, e.Session, e.Subject}, " "))
	}
	for _, text := range said {
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in %q", text)
			}
		}
	}
}
