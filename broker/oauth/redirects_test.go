package oauth_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/oauth"
)

// An app gets its answer at one of its own addresses, letter by letter, and at no
// other client's (RFC 8252 sections 7.1 and 7.2, RFC 9700 section 2.1).
func TestAnAppIsAnsweredAtItsOwnAddressesOnly(t *testing.T) {
	t.Parallel()
	const claimed, scheme, withQuery = "https://notes.example.com/callback", "com.example.notes:/callback", "https://notes.example.com/cb?app=1"
	apps := map[string]oauth.App{
		"notes": {Label: "Notes", RedirectURIs: []string{claimed, scheme, withQuery, ""}, Providers: []string{"corp"}},
		"desk":  {Label: "Desk", RedirectURIs: []string{"http://127.0.0.1/back", "http://[::1]:8000/back"}, Providers: []string{"corp"}},
		"other": {Label: "Other", RedirectURIs: []string{"https://other.example.com/callback"}, Providers: []string{"corp"}},
		"bare":  {Label: "Bare", Providers: []string{"corp"}},
	}
	for _, test := range []struct {
		client, uri string
		good        bool
	}{
		{"desk", "http://127.0.0.1/back", true}, {"desk", "http://127.0.0.1:49152/back", true}, {"desk", "http://[::1]:8000/back", true},
		{"desk", "http://[::1]:8001/back", false}, {"desk", "http://[::1]/back", false}, {"desk", "http://127.0.0.1:0/back", false},
		{"desk", "http://127.0.0.1:80@evil.example/back", false}, {"desk", "http://127.0.0.1:65536/back", false}, {"desk", "http://127.0.0.1.evil.example/back", false},
		{"desk", "http://localhost:49152/back", false}, {"desk", "http://127.0.0.1:49152/back/", false}, {"desk", "http://127.0.0.1:49152/back?x=1", false},
		{"notes", claimed, true}, {"notes", scheme, true}, {"notes", withQuery, true},
		{"notes", "", false}, {"notes", claimed + "/", false}, {"notes", claimed + "?x=1", false}, {"notes", claimed + "#x", false},
		{"notes", "https://notes.example.com/callback/../evil", false}, {"notes", "https://notes.example.com/Callback", false},
		{"notes", "HTTPS://notes.example.com/callback", false}, {"notes", "https://notes.example.com:443/callback", false},
		{"notes", "https://notes.example.com.evil.example/callback", false}, {"notes", "https://notes.example.com@evil.example/callback", false},
		{"notes", "http://notes.example.com/callback", false}, {"notes", "com.example.notes:/callback2", false}, {"notes", "com.example.notes://callback", false},
		{"notes", "https://other.example.com/callback", false}, {"notes", redirectURI, false}, {"notes", "javascript:alert(1)", false},
		{"other", claimed, false}, {"bare", "", false}, {"bare", redirectURI, false}, {"rolecall-cli", claimed, false}, {"nobody", claimed, false},
	} {
		w := newWorld(t)
		c := w.config(w)
		c.Apps = apps
		server := oauth.New(c)
		asked := ask("client_id", test.client)
		asked.Set("redirect_uri", test.uri)
		next, err := server.Decide(t.Context(), origin, asked, w.alice(), true)
		if !test.good {
			if broker.CodeOf(err) != broker.InvalidRequest || next.Redirect != "" || next.Consent != nil || next.SignIn != nil {
				t.Errorf("%s at %q: %+v, %v", test.client, test.uri, next, err)
			}
			continue
		}
		rest, ok := strings.CutPrefix(next.Redirect, test.uri)
		got, bad := url.ParseQuery(strings.TrimLeft(rest, "?&"))
		if err != nil || !ok || bad != nil || got.Get("code") == "" || got.Get("state") != "state-1" || strings.Count(next.Redirect, "?") != 1 {
			t.Errorf("%s at %q: %+v, %v", test.client, test.uri, next, err)
		}
	}
}
