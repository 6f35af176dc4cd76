package oidc

import (
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

// audience is that of machines' tokens, by default server.url.
const audience = "https://broker.example"

// keysOnFile is a provider whose issuer is not on loopback: its keys are a file.
func keysOnFile(t *testing.T, change func(*config.Provider)) party {
	t.Helper()
	c := newClock()
	op := idptest.StartOP(t, c.now)
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, op.JWKS(), 0o600); err != nil {
		t.Fatal(err)
	}
	return party{provider(t, op, c, func(s *config.Provider) {
		s.JWKSFile, s.AllowPrivate, s.ClientID = text(file), false, text(audience)
		s.Groups, s.Username = config.From{}, config.From{}
		change(s)
	}), op, c, t}
}

// brings judges a token with these claims, changed, as token exchange does.
func (p party) brings(claims map[string]any, changes ...func(map[string]any)) (idp.Login, error) {
	p.t.Helper()
	claims = maps.Clone(claims)
	for _, change := range changes {
		change(claims)
	}
	return p.Verify(p.t.Context(), p.op.Sign(p.op.Key(), claims, nil))
}

func texts(list ...string) []config.Text {
	var out []config.Text
	for _, s := range list {
		out = append(out, text(s))
	}
	return out
}

// preset sets one and its issuer, as package config fills it in.
func presetAt(name, issuer string, more ...func(*config.Provider)) func(*config.Provider) {
	return func(s *config.Provider) {
		s.Preset, s.Issuer = text(name), text(issuer)
		for _, change := range more {
			change(s)
		}
	}
}

func requiring(condition string) func(*config.Provider) {
	return func(s *config.Provider) { s.Require = text(condition) }
}

// judged runs cases of one provider: claims changed, and the reason for a refusal.
func judged(t *testing.T, p party, claims map[string]any, cases []claimCase) {
	t.Helper()
	for _, c := range cases {
		_, err := p.brings(claims, c.change)
		if c.reason != "" {
			t.Log(c.name)
			refused(t, err, c.reason)
		} else if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func as(map[string]any) {}

func TestGoogleLetsInThePeopleOfItsDomains(t *testing.T) {
	t.Parallel()
	p := keysOnFile(t, presetAt("google", "https://accounts.google.com", username("email"), func(s *config.Provider) { s.HostedDomains = texts("example.com", "example.org") }))
	claims := idptest.Google("https://accounts.google.com", audience, p.clock.now())
	judged(t, p, claims, []claimCase{
		{"of the domain", as, ""},
		{"of the other domain", set("hd", "example.org"), ""},
		{"an issuer without its scheme", set("iss", "accounts.google.com"), ""},
		{"a consumer, whose address looks like the company's", drop("hd"), "hosted-domain"},
		{"of another organization, with a guest's address", set("hd", "evil.example"), "hosted-domain"},
		{"of the domain in other letters", set("hd", "EXAMPLE.COM"), "hosted-domain"},
		{"of a domain that ends so", set("hd", "notexample.com"), "hosted-domain"},
		{"of several domains", set("hd", []string{"example.com"}), "hosted-domain"},
		{"an address that is not verified", set("email_verified", false), "email-unverified"},
	})
	for _, issuer := range []string{"http://accounts.google.com", "https://accounts.google.com/", "accounts.google.com/", "//accounts.google.com"} {
		if _, err := p.brings(claims, set("iss", issuer)); err != idp.ErrNotMine {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

// Only Google's issuer has two spellings.
func TestAnIssuerWithoutItsSchemeIsGooglesOnly(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*config.Provider){
		presetAt("", "https://accounts.google.com"), presetAt("google", "https://op.example.com"), presetAt("okta", "https://accounts.google.com"),
	} {
		p := keysOnFile(t, change)
		claims := idptest.Google("accounts.google.com", audience, p.clock.now())
		if _, err := p.brings(claims); err != idp.ErrNotMine {
			t.Errorf("%s at %s: %v", p.config.Preset.Value, p.config.Issuer.Value, err)
		}
		if _, err := p.brings(claims, set("iss", "op.example.com")); err != idp.ErrNotMine {
			t.Errorf("%s at %s: %v", p.config.Preset.Value, p.config.Issuer.Value, err)
		}
	}
}

func TestTheAccountChooserOfGoogleIsToldTheDomain(t *testing.T) {
	t.Parallel()
	for want, domains := range map[string][]config.Text{"example.com": texts("example.com"), "*": texts("example.com", "example.org"), "": nil} {
		p := start(t, func(s *config.Provider) { s.Preset, s.HostedDomains = text("google"), domains })
		address, _ := p.begin(idp.Want{})
		u, err := url.Parse(address)
		if err != nil || u.Query().Get("hd") != want {
			t.Errorf("hd=%s, want %s (%v)", u.Query().Get("hd"), want, err)
		}
	}
}

func TestCognitoSendsIDTokensOnly(t *testing.T) {
	t.Parallel()
	const pool = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example"
	p := keysOnFile(t, presetAt("cognito", pool, func(s *config.Provider) {
		s.Groups.Claim, s.Username.Claim = text("cognito:groups"), text("email")
	}))
	now := p.clock.now()
	claims := map[string]any{
		"iss": pool, "aud": audience, "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "token_use": "id", "cognito:username": "janedoe", "cognito:groups": []string{"platform"},
		"email": "jane@example.com", "email_verified": "true", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "auth_time": now.Unix(),
	}
	judged(t, p, claims, []claimCase{
		{"an ID token, whose email_verified is text", as, ""},
		{"email_verified as a boolean", set("email_verified", true), ""},
		{"an address that is not verified, as text", set("email_verified", "false"), "email-unverified"},
		{"an access token of the same pool", set("token_use", "access"), "typ"},
		{"a token that does not say", drop("token_use"), "typ"},
	})
	if login, err := p.brings(claims); err != nil || len(login.Identity.Groups) != 1 || login.Identity.Groups[0] != "platform" {
		t.Errorf("%+v, %v", login.Identity, err)
	}
	if _, err := p.brings(claims, set("iss", "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Another")); err != idp.ErrNotMine {
		t.Errorf("another pool: %v", err)
	}
}

// Access tokens are signed by the same keys; some can be had for a client as their
// audience, and are not what tells a program's or a person's identity here.
func TestAccessTokensThatAreForUsAreRefused(t *testing.T) {
	t.Parallel()
	for preset, cases := range map[string][]claimCase{
		"okta": {{"its client", set("cid", "0oa1"), "typ"}, {"its scopes", set("scp", []string{"openid"}), "typ"}, {"an ID token", as, ""}},
		"keycloak": {
			{"a bearer token", set("typ", "Bearer"), "typ"}, {"a refresh token", set("typ", "Refresh"), "typ"}, {"a number", set("typ", 1), "typ"},
			{"an ID token", set("typ", "ID"), ""}, {"a token that does not say", as, ""},
		},
	} {
		p := keysOnFile(t, presetAt(preset, "https://op.example.com"))
		judged(t, p, idptest.Google("https://op.example.com", audience, p.clock.now()), cases)
	}
}

// Auth0 takes names of its own claims that are URLs only; dots and slashes in them
// are no path.
func TestANamespacedClaimIsOneName(t *testing.T) {
	t.Parallel()
	p := keysOnFile(t, presetAt("auth0", "https://example.eu.auth0.com/", func(s *config.Provider) { s.Groups.Claim = text("https://example.com/groups") }))
	claims := idptest.Google("https://example.eu.auth0.com/", audience, p.clock.now())
	claims["https://example.com/groups"] = []string{"platform"}
	claims["https:"] = map[string]any{"": map[string]any{"example.com": map[string]any{"groups": []string{"admins"}}}}
	login, err := p.brings(claims)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"platform"}, login.Identity.Groups); diff != "" {
		t.Error(diff)
	}
}

func TestKeycloaksRolesAreInsideAnObject(t *testing.T) {
	t.Parallel()
	for path, want := range map[string][]string{
		"/realm_access/roles":              {"offline_access", "platform"},
		"/resource_access/rolecall/roles":  {"deploy"},
		"/resource_access/my~1app/roles":   {"slash"},
		"/resource_access/another/roles":   {},
		"realm_access.roles":               {"a claim of that very name"},
		"/realm_access.roles":              {"a claim of that very name"},
		"/https:~1~1example.com~1groups":   {"namespaced"},
		"/resource_access/rolecall/absent": {},
	} {
		p := keysOnFile(t, presetAt("keycloak", "https://sso.example.com/realms/staff", func(s *config.Provider) { s.Groups.Claim = text(path) }))
		claims := idptest.Google("https://sso.example.com/realms/staff", audience, p.clock.now())
		claims["realm_access"] = map[string]any{"roles": []string{"offline_access", "platform"}}
		claims["resource_access"] = map[string]any{
			"rolecall": map[string]any{"roles": []string{"deploy"}}, "my/app": map[string]any{"roles": []string{"slash"}},
		}
		claims["realm_access.roles"] = []string{"a claim of that very name"}
		claims["/realm_access/roles"] = []string{"a claim that looks like the path"}
		claims["https://example.com/groups"] = []string{"namespaced"}
		login, err := p.brings(claims)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if diff := cmp.Diff(want, login.Identity.Groups); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
		for name := range login.Identity.Attributes {
			if name == "/realm_access/roles" && path == name {
				t.Errorf("%s: the path is an attribute", path)
			}
		}
	}
}
