package oauth2

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
	"github.com/rolecall/rolecall/idp/idptest/social"
)

// The broker binds the pending bytes to the browser; what is left to forge is the answer.
func TestAnAnswerThatIsNotOfThisSignIn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(url.Values)
		method string
		reason string
	}{
		"the state of another browser": {func(v url.Values) { v.Set("state", "handle-of-another-browser") }, "", "state"},
		"no state":                     {func(v url.Values) { v.Del("state") }, "", "state"},
		"two states":                   {func(v url.Values) { v.Add("state", "x") }, "", "malformed"},
		"two codes":                    {func(v url.Values) { v.Add("code", "x") }, "", "malformed"},
		"no code":                      {func(v url.Values) { v.Del("code") }, "", "malformed"},
		"a code without end":           {func(v url.Values) { v.Set("code", strings.Repeat("a", 5000)) }, "", "malformed"},
		"a code that nobody gave":      {func(v url.Values) { v.Set("code", "guess") }, "", "code"},
		"by POST":                      {nil, http.MethodPost, "malformed"},
		"a refusal":                    {func(v url.Values) { v.Set("error", "access_denied") }, "", "access-denied"},
		"an error":                     {func(v url.Values) { v.Set("error", "server_error") }, "", "idp-error"},
		"an error with markup":         {func(v url.Values) { v.Set("error", "<canary>") }, "", "idp-error"},
		"of another issuer":            {func(v url.Values) { v.Set("iss", "https://evil.example") }, "", "iss"},
		"of an issuer that is no URL":  {func(v url.Values) { v.Set("iss", "") }, "", "iss"},
		"of the provider's own":        {func(v url.Values) { v.Set("iss", "https://github.com/login/oauth") }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, g := startGitHub(t, octocat())
			address, pending := begin(t, p, idp.Want{})
			query := g.Visit(address)
			if test.change != nil {
				test.change(query)
			}
			if test.method == "" {
				test.method = http.MethodGet
			}
			_, err := p.Finish(t.Context(), pending, idp.Answer{Method: test.method, Query: query})
			if reason(err) != test.reason || err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("reason %q, want %q (%v)", reason(err), test.reason, err)
			}
		})
	}
}

// An attacker gives the victim's browser a code of their own, to have the victim work
// under the attacker's name; or takes the victim's code to their own browser.
func TestACodeOfAnotherSessionIsRefusedByItsVerifier(t *testing.T) {
	t.Parallel()
	p, g := startGitHub(t, octocat())
	one, pendingOne := begin(t, p, idp.Want{Handle: "one"})
	two, pendingTwo := begin(t, p, idp.Want{Handle: "two"})
	of := func(address, state string) url.Values {
		query := g.Visit(address)
		query.Set("state", state)
		return query
	}
	if _, err := finish(t, p, pendingOne, of(two, "one")); reason(err) != "code" {
		t.Errorf("the code of another session: %v", err)
	}
	if _, err := finish(t, p, pendingTwo, of(one, "two")); reason(err) != "code" {
		t.Errorf("the code of another session: %v", err)
	}
	query := of(one, "one")
	if _, err := finish(t, p, pendingOne, query); err != nil {
		t.Error(err)
	}
	if _, err := finish(t, p, pendingOne, query); reason(err) != "code" {
		t.Errorf("the same code again: %v", err)
	}
}

func TestASignInThatBeganAtAnotherClient(t *testing.T) {
	t.Parallel()
	p, g := startGitHub(t, octocat())
	address, pending := begin(t, p, idp.Want{})
	enterprise := start(t, g.Web, g.ClientID, g.ClientSecret, config.Provider{Preset: text("github"), EnterpriseURL: text("https://ghe.example.com")})
	other := start(t, g.Web, "other", g.ClientSecret, config.Provider{Preset: text("github")})
	query := g.Visit(address)
	for _, provider := range []*Provider{enterprise, other} {
		if _, err := finish(t, provider, pending, query); reason(err) != "issuer" {
			t.Errorf("%v: %v", provider.AuthURL(), err)
		}
	}
	if _, err := p.Finish(t.Context(), []byte("{"), idp.Answer{}); err == nil {
		t.Error("pending bytes that cannot be read are accepted")
	}
}

// A code that is refused is the person's matter; a client that is refused is ours.
func TestTheTokenEndpointSaysNo(t *testing.T) {
	t.Parallel()
	form := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
			_, _ = w.Write([]byte(body))
		}
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		reason  string
	}{
		"a code that has expired":           {form("error=bad_verification_code&error_description=canary"), "code"},
		"as the specification says":         {answer(400, `{"error":"invalid_grant","error_description":"canary"}`), "code"},
		"a person without verified address": {form("error=unverified_user_email"), "email-unverified"},
		"our secret is wrong":               {form("error=incorrect_client_credentials"), "unavailable"},
		"our redirect URI is wrong":         {form("error=redirect_uri_mismatch&error_uri=canary"), "unavailable"},
		"an error that cannot be shown":     {form("error=%0acanary"), "unavailable"},
		"a server that fails":               {answer(500, "canary"), "unavailable"},
		"no token":                          {answer(200, "{}"), "unavailable"},
		"no JSON":                           {answer(200, "canary"), "unavailable"},
		"a token of another type":           {answer(200, `{"access_token":"canary","token_type":"mac"}`), "malformed"},
		"too much":                          {answer(200, `{"access_token":"`+strings.Repeat("canary", 1<<18)+`"}`), "unavailable"},
		"sends elsewhere":                   {elsewhere("https://api.github.com/steal"), "unavailable"},
		"never":                             {never, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, g := startGitHub(t, octocat())
			g.Serve("github.com/login/oauth/access_token", test.handler)
			if _, err := signIn(t, p, g.Visit); reason(err) != test.reason {
				t.Errorf("reason %q, want %q (%v)", reason(err), test.reason, err)
			}
			if g.Hits("api.github.com/steal") != 0 {
				t.Error("the code and our secret went elsewhere")
			}
		})
	}
}

func TestTheAPIIsReachedAtItsOwnAddressOnly(t *testing.T) {
	t.Parallel()
	g := social.StartGitHub(t, "", octocat())
	stranger, err := fetch.New(fetch.Config{Proxy: g.Proxy}) // does not know the authority
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{
		Provider: config.Provider{Name: text("social"), Preset: text("github"), ClientID: text(g.ClientID), ClientSecret: secret.New(g.ClientSecret)},
		URL:      "https://sso.example.com", Fetch: stranger,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := signIn(t, p, g.Visit); reason(err) != "unavailable" {
		t.Errorf("a server with a certificate of its own making was believed: %v", err)
	}
}

func TestConfigurationsThatCannotWork(t *testing.T) {
	t.Parallel()
	client, err := fetch.New(fetch.Config{})
	if err != nil {
		t.Fatal(err)
	}
	good := func() config.Provider {
		return config.Provider{Name: text("social"), Preset: text("github"), ClientID: text("x"), ClientSecret: secret.New("y"), Pos: config.Pos{Line: 3}}
	}
	for name, change := range map[string]func(*config.Provider){
		"no preset":                   func(p *config.Provider) { p.Preset = config.Text{} },
		"another preset":              func(p *config.Provider) { p.Preset = text("gitlab") },
		"no client":                   func(p *config.Provider) { p.ClientID = config.Text{} },
		"no secret":                   func(p *config.Provider) { p.ClientSecret = secret.String{} },
		"an address with a path":      func(p *config.Provider) { p.EnterpriseURL = text("https://ghe.example.com/api/v3") },
		"an address with a user":      func(p *config.Provider) { p.EnterpriseURL = text("https://a@ghe.example.com") },
		"an organization without id":  func(p *config.Provider) { p.Organizations = texts("example=") },
		"an organization without end": func(p *config.Provider) { p.Organizations = texts("=1") },
		"an organization of number 0": func(p *config.Provider) { p.Organizations = texts("example=0") },
	} {
		section := good()
		change(&section)
		_, err := New(Config{Provider: section, Fetch: client})
		faults, ok := errors.AsType[config.Faults](err)
		if !ok || len(faults) != 1 || faults[0].Pos.Line == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{Provider: good(), Fetch: client}); err != nil {
		t.Error(err)
	}
}
