package oidc

import (
	"crypto/elliptic"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func pushing(mode string) func(*config.Provider) {
	return func(s *config.Provider) { s.PushedRequests = text(mode) }
}

func TestSignInWithAPushedRequest(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*config.Provider){
		"with a secret by basic": nil,
		"with a secret by post":  func(s *config.Provider) { s.ClientAuth = text(authPost) },
		"with no secret":         func(s *config.Provider) { s.ClientSecret = secret.String{} },
		"with a key": func(s *config.Provider) {
			s.ClientSecret, s.ClientKey = secret.String{}, config.ClientKey{Key: pkcs8(t, curveKey(t, elliptic.P256()))}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, change)
			p.op.ClientSecret = p.config.ClientSecret.Reveal()
			if p.client.key != nil {
				p.op.ClientKey = p.client.key.Public()
			}
			p.op.Behave(idptest.Behaviour{Pushes: true})
			address, pending := p.begin(idp.Want{Handle: "canary-handle", Fresh: true})
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			// the browser carries a name and nothing else: what was asked cannot be changed
			if q := u.Query(); len(q) != 2 || q.Get("client_id") != p.op.ClientID || !strings.HasPrefix(q.Get("request_uri"), "urn:ietf:params:oauth:request_uri:") {
				t.Errorf("the browser carries %v", q)
			}
			if _, err := p.Finish(t.Context(), pending, answer(p.op.Visit(address))); err != nil {
				t.Fatal(err)
			}
			if p.op.Hits("/par") != 1 {
				t.Errorf("%d pushed requests", p.op.Hits("/par"))
			}
		})
	}
}

func TestWhenARequestIsPushed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		mode              string
		offered, demanded bool
		want              string // pushed, plain, or nothing for refused
	}{
		"offered":                                 {"", true, false, "pushed"},
		"offered and left to discovery":           {"auto", true, false, "pushed"},
		"offered and switched off":                {"off", true, false, "plain"},
		"offered and demanded here":               {"require", true, false, "pushed"},
		"demanded there":                          {"auto", true, true, "pushed"},
		"demanded there and switched off here":    {"off", true, true, ""},
		"not offered":                             {"auto", false, false, "plain"},
		"not offered and demanded here":           {"require", false, false, ""},
		"demanded there and not offered (broken)": {"auto", false, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, pushing(c.mode))
			p.op.Behave(idptest.Behaviour{Pushes: c.offered, Discovery: func(d map[string]any) { d["require_pushed_authorization_requests"] = c.demanded }})
			to, _, err := p.Begin(t.Context(), idp.Want{Handle: "h"})
			got := "plain"
			switch {
			case err != nil:
				unavailable(t, err)
				got = ""
			case strings.Contains(to.URL, "request_uri="):
				got = "pushed"
			}
			if got != c.want {
				t.Errorf("%q, want %q (%v)", got, c.want, err)
			}
		})
	}
}

func TestAPushedRequestThatIsNotTaken(t *testing.T) {
	t.Parallel()
	reply := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		}
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		goes  bool // through the browser, where nobody demands otherwise
	}{
		"an outage":               {reply(503, "canary"), true},
		"a refusal of the way":    {reply(400, `{"error":"invalid_request","error_description":"canary"}`), true},
		"no JSON":                 {reply(201, "canary"), true},
		"no name":                 {reply(201, `{"expires_in":60}`), true},
		"a name that is a number": {reply(201, `{"request_uri":1,"expires_in":60}`), true},
		"a name with line breaks": {reply(201, `{"request_uri":"urn:a\r\nSet-Cookie: canary","expires_in":60}`), true},
		"a name twice":            {reply(201, `{"request_uri":"urn:a","request_uri":"urn:b","expires_in":60}`), true},
		"a name of endless size":  {reply(201, `{"request_uri":"`+strings.Repeat("a", 5000)+`","expires_in":60}`), true},
		"not knowing our secret":  {reply(401, `{"error":"invalid_client","error_description":"canary"}`), false},
		"a redirect elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/?canary", http.StatusTemporaryRedirect)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, mode := range []string{"auto", "require"} {
				p := start(t, pushing(mode))
				p.op.Behave(idptest.Behaviour{Pushes: true, Serve: map[string]http.HandlerFunc{"/par": c.serve}})
				to, _, err := p.Begin(t.Context(), idp.Want{Handle: "h"})
				if goes := c.goes && mode == "auto"; goes != (err == nil) || goes && strings.Contains(to.URL, "request_uri") {
					t.Errorf("%s: %s, %v", mode, to.URL, err)
				} else if err != nil {
					unavailable(t, err)
				}
			}
		})
	}
}
