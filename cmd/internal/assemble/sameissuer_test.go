package assemble

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func sameIssuer(op *idptest.OP, name, client string, audiences ...string) config.Provider {
	p := config.Provider{
		Name: at(name), Type: at("oidc"), Issuer: at(op.Issuer), ClientID: at(client), Audiences: audiences, AllowPrivate: true,
		ClockSkew: time.Minute, JWKSMaxAge: 10 * time.Minute, Pos: config.Pos{File: "rolecall.yaml", Line: 20},
	}
	p.Groups.Claim = at("groups")
	return p
}

func at(s string) config.Text {
	return config.Text{Value: s, Pos: config.Pos{File: "rolecall.yaml", Line: 21}}
}

// exchanged brings evidence and gives whose it is: the status and reason where it is
// nobody's.
func (w world) exchanged(t *testing.T, kind, evidence string) (provider, refused string) {
	t.Helper()
	resp, err := http.PostForm(w.URL+"/oauth2/token", url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {evidence},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:" + kind},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Token       string `json:"access_token"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Token == "" {
		return "", answer.Error + " " + answer.Description
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.URL+"/api/v1/identity", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+answer.Token)
	who, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = who.Body.Close() }()
	var identity idp.Identity
	if err := json.NewDecoder(who.Body).Decode(&identity); err != nil {
		t.Fatal(err)
	}
	return identity.Provider, ""
}

// Two clients at one identity provider are two providers here: whose a token is says
// its audience, whatever the order in the file.
func TestTwoProvidersOfOneIssuerAreToldApartByAudience(t *testing.T) {
	t.Parallel()
	op, other := idptest.StartOP(t, time.Now), idptest.StartOP(t, time.Now)
	w := run(t, func(c *config.Config) {
		c.Providers = append(c.Providers,
			sameIssuer(op, "web", "web-client"), sameIssuer(op, "ci", "ci-client", "https://ci.example.com"), sameIssuer(other, "elsewhere", "third-client"))
	})
	for name, test := range map[string]struct {
		audience any
		azp      string
		provider string
		refused  string
	}{
		"the first":                             {"web-client", "", "web", ""},
		"the second":                            {"ci-client", "", "ci", ""},
		"the second by a further audience":      {"https://ci.example.com", "", "ci", ""},
		"the second as a list":                  {[]string{"ci-client"}, "", "ci", ""},
		"both, asked for by the first":          {[]string{"web-client", "ci-client"}, "web-client", "web", ""},
		"both, asked for by the second":         {[]string{"ci-client", "web-client"}, "ci-client", "ci", ""},
		"both, asked for by nobody":             {[]string{"web-client", "ci-client"}, "", "", "(azp)"},
		"both, asked for by a third":            {[]string{"web-client", "ci-client"}, "third-client", "", "(azp)"},
		"a client of another issuer":            {"third-client", "", "", "(audience)"},
		"nobody":                                {[]string{}, "", "", "(malformed)"},
		"an audience that is no text":           {7, "", "", "(malformed)"},
		"a client whose name is spelled anew":   {"CI-client", "", "", "(audience)"},
		"an audience that begins like a client": {"ci-client/", "", "", "(audience)"},
	} {
		claims := op.Claims()
		claims["aud"] = test.audience
		if test.azp != "" {
			claims["azp"] = test.azp
		}
		provider, refused := w.exchanged(t, "id_token", op.Sign(op.Key(), claims, nil))
		if provider != test.provider || (refused == "") != (test.refused == "") || !strings.Contains(refused, test.refused) {
			t.Errorf("%s: is of %q, refused %q", name, provider, refused)
		}
	}
	stranger := idptest.StartOP(t, time.Now)
	if _, refused := w.exchanged(t, "id_token", stranger.Sign(stranger.Key(), stranger.Claims(), nil)); !strings.Contains(refused, "issuer is not") {
		t.Errorf("an issuer of nobody here: %q", refused)
	}
}

// Whose claims are not those of a provider's condition is refused, and not passed on
// to another provider of the issuer that asks less.
func TestARefusalByTheProviderThatIsMeantIsTheEnd(t *testing.T) {
	t.Parallel()
	op := idptest.StartOP(t, time.Now)
	w := run(t, func(c *config.Config) {
		strict := sameIssuer(op, "strict", "strict-client")
		strict.Require = at(`claims.email == "root@example.com"`)
		c.Providers = append(c.Providers, strict, sameIssuer(op, "lax", "lax-client"))
	})
	claims := op.Claims()
	claims["aud"], claims["azp"] = []string{"strict-client", "lax-client"}, "strict-client"
	if provider, refused := w.exchanged(t, "id_token", op.Sign(op.Key(), claims, nil)); provider != "" || !strings.Contains(refused, "(require)") {
		t.Errorf("is of %q, refused %q", provider, refused)
	}
}

func TestProvidersThatExchangeCouldNotTellApart(t *testing.T) {
	t.Parallel()
	op, other := idptest.StartOP(t, time.Now), idptest.StartOP(t, time.Now)
	for name, test := range map[string]struct {
		providers []config.Provider
		faults    int
	}{
		"other clients":                         {[]config.Provider{sameIssuer(op, "a", "x"), sameIssuer(op, "b", "y")}, 0},
		"the same client elsewhere":             {[]config.Provider{sameIssuer(op, "a", "x"), sameIssuer(other, "b", "x")}, 0},
		"the same client":                       {[]config.Provider{sameIssuer(op, "a", "x"), sameIssuer(op, "b", "x")}, 1},
		"a further audience that is a client":   {[]config.Provider{sameIssuer(op, "a", "x"), sameIssuer(op, "b", "y", "x")}, 1},
		"a client that is a further audience":   {[]config.Provider{sameIssuer(op, "a", "x", "y"), sameIssuer(op, "b", "y")}, 1},
		"the same further audience":             {[]config.Provider{sameIssuer(op, "a", "x", "z"), sameIssuer(op, "b", "y", "w", "z")}, 1},
		"three of them, each pair is said once": {[]config.Provider{sameIssuer(op, "a", "x"), sameIssuer(op, "b", "x"), sameIssuer(op, "c", "x")}, 3},
	} {
		c := &config.Config{Server: config.Server{URL: at("https://sso.example.com")}, Providers: test.providers}
		_, err := Check(Options{Config: c, Now: time.Now})
		faults, _ := errors.AsType[config.Faults](err)
		if len(faults) != test.faults || len(faults) > 0 && (faults[0].Pos.Line != 20 || !strings.Contains(faults[0].Message, "already")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The same for SAML: two service providers at one identity provider.
func TestTwoServiceProvidersOfOneIdPAreToldApartByAudience(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	metadata := filepath.Join(t.TempDir(), "idp.xml")
	if err := os.WriteFile(metadata, i.Metadata(), 0o600); err != nil {
		t.Fatal(err)
	}
	w := run(t, func(c *config.Config) {
		for _, name := range []string{"first", "second"} {
			c.Providers = append(c.Providers, config.Provider{
				Name: at(name), Type: at("saml"), MetadataFile: at(metadata), Exchange: true, ClockSkew: time.Minute,
			})
		}
	})
	var got []string
	for _, name := range []string{"first", "second", "third"} {
		provider, refused := w.exchanged(t, "saml2", base64.RawURLEncoding.EncodeToString(i.Response(idptest.SAMLAnswer{
			At: time.Now(), Audience: w.URL + "/saml/" + name + "/metadata", ACS: w.URL + "/oauth2/token",
		})))
		got = append(got, provider)
		if name == "third" && !strings.Contains(refused, "(audience)") {
			t.Errorf("an assertion for nobody here: %q", refused)
		}
	}
	if diff := cmp.Diff([]string{"first", "second", ""}, got); diff != "" {
		t.Errorf("providers (-want +got):\n%s", diff)
	}
}
