package oauth_test

import (
	"net/url"
	"strings"
	"testing"
)

// Whatever a stranger asks for, the browser is sent to a literal loopback
// address at /callback, to our own sign-in, or nowhere.
func FuzzAuthorizeSendsTheBrowserNowhereElse(f *testing.F) {
	for _, seed := range []url.Values{
		ask(), ask("redirect_uri", "http://[::1]:1/callback"), ask("redirect_uri", "http://127.0.0.1@evil.example/callback"),
		ask("redirect_uri", "http://127.0.0.1:1\r\nX: y/callback"), ask("prompt", "none"), ask("state", "\r\nLocation: https://evil.example/"),
		ask("max_age", "0", "signin_after", "9999999999999999999"), ask("code_challenge_method", "plain"),
	} {
		f.Add(seed.Encode(), true)
		f.Add(seed.Encode(), false)
	}
	f.Fuzz(func(t *testing.T, query string, signedIn bool) {
		params, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		w := newWorld(t)
		caller := w.alice()
		if !signedIn {
			caller = nil
		}
		next, err := w.server.Decide(t.Context(), origin, params, caller, true)
		if err != nil {
			if next.Redirect != "" || next.SignIn != nil || next.Consent != nil {
				t.Errorf("an error and %+v", next)
			}
			return
		}
		to := next.Redirect
		if next.SignIn != nil {
			to = next.SignIn.ReturnTo
			if !strings.HasPrefix(to, "/oauth2/authorize?") {
				t.Errorf("returns to %q", to)
			}
		} else {
			u, err := url.Parse(to)
			if err != nil || u.Scheme != "http" || u.Path != "/callback" || u.User != nil || u.Fragment != "" || u.Hostname() != "127.0.0.1" && u.Hostname() != "::1" {
				t.Errorf("redirects to %q: %v", to, err)
			}
			if u.Query().Has("code") && (caller == nil || params.Get("code_challenge_method") != "S256") {
				t.Errorf("a code for %q", query)
			}
		}
		if strings.ContainsAny(to, "\r\n\\ ") {
			t.Errorf("%q could break out of the header", to)
		}
	})
}

// Whatever is sent as a verifier, only the one that the challenge was made from redeems the code.
func FuzzOnlyTheVerifierRedeemsTheCode(f *testing.F) {
	for _, seed := range []string{verifier, challenge, "", verifier + "a", strings.Repeat("a", 128), verifier[:42] + "K"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		w := newWorld(t)
		request := redemption(w.code(t))
		request.Form.Set("code_verifier", sent)
		issued, err := w.server.Token(t.Context(), origin, request)
		if (err == nil) != (sent == verifier) || (err != nil) != issued.AccessToken.IsZero() {
			t.Errorf("%q: %v", sent, err)
		}
	})
}
