package oauth_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/oauth"
)

// FuzzFormsOfStrangers: nobody who has no code, no token and no evidence gets a token
// or learns about one, whatever they post to whichever endpoint, and every refusal
// has a word of OAuth or of ours. (The codes and tokens of the world are not known
// to the fuzzer: they are random.)
func FuzzFormsOfStrangers(f *testing.F) {
	for _, form := range []url.Values{
		redemption("a-code").Form, refreshment("rcr_token").Form, device().Form, {"client_id": {"rolecall-cli"}, "token": {"rca_x"}, "token_type_hint": {"access_token"}},
		{"client_id": {"rolecall-cli"}, "scope": {"openid offline_access admin"}}, {"client_id": {"rolecall-cli", "other"}}, {"client_secret": {"x"}, "client_id": {"rolecall-cli"}},
	} {
		for endpoint := range 5 {
			f.Add(endpoint, form.Encode(), "", "")
			f.Add(endpoint, form.Encode(), "Basic cm9sZWNhbGwtY2xpOg==", "a.b.c")
		}
	}
	f.Fuzz(func(t *testing.T, endpoint int, body, authorization, proof string) {
		form, err := url.ParseQuery(body)
		if err != nil || form.Get("subject_token") == "good" {
			return
		}
		w := newWorld(t)
		w.tokens(t) // alice's, which nobody may come near
		before := len(w.families)
		request := oauth.TokenRequest{Form: form}
		if authorization != "" {
			request.Authorization = []string{authorization}
		}
		if proof != "" {
			request.DPoP = []string{proof}
		}
		var issued oauth.Issued
		switch uint(endpoint) % 5 { //nolint:gosec // any endpoint will do
		case 0:
			issued, err = w.server.Token(t.Context(), origin, request)
		case 1:
			err = w.server.Revoke(t.Context(), origin, request)
		case 2:
			var found oauth.Introspection
			if found, err = w.server.Introspect(t.Context(), origin, request); found.Active || found.Username != "" {
				t.Errorf("introspection says %+v", found)
			}
		case 3:
			issued, err = w.server.Exchange(t.Context(), origin, oauth.ExchangeRequest{DPoP: request.DPoP})
		case 4:
			_, err = w.server.StartDevice(t.Context(), origin, request) // switched off here
			if err == nil {
				t.Error("a device flow that is switched off began")
			}
		}
		if !issued.AccessToken.IsZero() || len(w.families) != before {
			t.Errorf("tokens for %q", body)
		}
		for id := range w.families {
			if w.ended[id] {
				t.Errorf("alice's tokens ended by %q", body)
			}
		}
		judgeRefusal(t, err)
	})
}

func judgeRefusal(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	refusal, ours := errors.AsType[*oauth.Error](err)
	shown, theirs := errors.AsType[*broker.Error](err)
	switch {
	case !ours && !theirs:
		t.Errorf("%T is no refusal: %v", err, err)
	case ours && (refusal.Code == "" || strings.ContainsAny(refusal.Description, "\"\\\r\n")):
		t.Errorf("RFC 6749 section 5.2 does not let this be said: %q", refusal.Description)
	case theirs && shown.Code == broker.Internal:
		t.Errorf("an internal error by what a stranger sent: %v", err)
	}
}

// FuzzAuthorizationHeader: only the token itself, by its own scheme, proves anybody.
func FuzzAuthorizationHeader(f *testing.F) {
	for _, seed := range []string{"Bearer TOKEN", "bearer TOKEN", "DPoP TOKEN", "Bearer  TOKEN", "Bearer TOKEN ", "Bearer TOKEN,Bearer TOKEN", "Basic TOKEN", "TOKEN", "", "Bearer TOKE\u004e"} {
		f.Add(seed, "")
		f.Add(seed, "a.b.c")
	}
	f.Fuzz(func(t *testing.T, header, proof string) {
		w := newWorld(t)
		access := w.tokens(t).AccessToken.Reveal()
		in := oauth.AuthInput{Authorization: []string{strings.ReplaceAll(header, "TOKEN", access)}, Method: "GET", URL: "https://sso.example.com/api/v1/roles"}
		if proof != "" {
			in.DPoP = []string{proof}
		}
		caller, err := w.server.Authenticate(t.Context(), origin, in)
		scheme, rest, _ := strings.Cut(header, " ")
		if good := strings.EqualFold(scheme, "Bearer") && rest == "TOKEN"; (err == nil) != good || (caller.Identity.Username == "alice") != good {
			t.Errorf("%q is %q, %v", header, caller.Identity.Username, err)
		}
		if err != nil && broker.CodeOf(err) != broker.Unauthenticated {
			t.Errorf("%q: %v", header, err)
		}
	})
}
