package devaws_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/broker/devaws"
)

// foreignIssuer is an issuer that nobody of ours wrote: it says whatever a test
// tells it to.
type foreignIssuer struct {
	*httptest.Server
	key       *rsa.PrivateKey
	discovery func(url string) map[string]any
}

func newForeignIssuer(t *testing.T) *foreignIssuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	f := &foreignIssuer{key: key, discovery: func(url string) map[string]any { return map[string]any{"issuer": url, "jwks_uri": url + "/keys"} }}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var document any = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k", Algorithm: "RS256", Use: "sig"}}}
		if r.URL.Path != "/keys" {
			document = f.discovery(f.URL)
		}
		_ = json.NewEncoder(w).Encode(document)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *foreignIssuer) token(t *testing.T, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: f.key, KeyID: "k"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// claims are good ones, changed by pairs; nil takes one away.
func (f *foreignIssuer) claims(changes ...any) map[string]any {
	c := map[string]any{
		"iss": f.URL, "sub": "repo:x", "aud": "sts.amazonaws.com", "iat": morning.Unix(), "exp": morning.Add(5 * time.Minute).Unix(),
	}
	for i := 0; i < len(changes); i += 2 {
		name, _ := changes[i].(string)
		if changes[i+1] == nil {
			delete(c, name)
			continue
		}
		c[name] = changes[i+1]
	}
	return c
}

func (c *cloud) webIdentity(role, token string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return c.client("", "", "").AssumeRoleWithWebIdentity(c.t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String("arn:aws:iam::" + production + ":role/" + role), RoleSessionName: aws.String("alice"), WebIdentityToken: aws.String(token),
	})
}

func startWith(t *testing.T, f *foreignIssuer, condition string) *cloud {
	t.Helper()
	provider := devaws.OIDCProvider{Account: production, URL: f.URL, Audiences: []string{"sts.amazonaws.com", "second"}}
	name := strings.TrimPrefix(f.URL, "http://")
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Federated":"` + provider.ARN() + `"},"Action":["sts:AssumeRoleWithWebIdentity","sts:TagSession"]` +
		strings.ReplaceAll(condition, "ISSUER", name) + `}]}`
	return start(t, map[string]string{"Admin": trust, "AWSOnly": devaws.TrustPolicy("", "*")}, func(cfg *devaws.Config) {
		cfg.OIDCProviders = []devaws.OIDCProvider{provider}
	})
}

func TestAWebIdentityTokenIsJudgedAsSTSDoes(t *testing.T) {
	t.Parallel()
	f := newForeignIssuer(t)
	at := func(d time.Duration) int64 { return morning.Add(d).Unix() }
	for name, c := range map[string]struct {
		role   string
		claims map[string]any
		code   string
	}{
		"a good one":                       {"Admin", f.claims(), ""},
		"the other audience of the list":   {"Admin", f.claims("aud", "second"), ""},
		"a list of one audience":           {"Admin", f.claims("aud", []string{"second"}), ""},
		"two audiences without azp":        {"Admin", f.claims("aud", []string{"second", "third"}), "InvalidIdentityToken"},
		"two audiences and azp":            {"Admin", f.claims("aud", []string{"x", "y"}, "azp", "second"), ""},
		"azp that is none of ours":         {"Admin", f.claims("azp", "third"), "InvalidIdentityToken"},
		"another audience":                 {"Admin", f.claims("aud", "third"), "InvalidIdentityToken"},
		"no subject":                       {"Admin", f.claims("sub", nil), "InvalidIdentityToken"},
		"no iat":                           {"Admin", f.claims("iat", nil), "InvalidIdentityToken"},
		"no exp":                           {"Admin", f.claims("exp", nil), "InvalidIdentityToken"},
		"a fraction of a second":           {"Admin", f.claims("exp", float64(at(time.Minute))+0.5), "InvalidIdentityToken"},
		"expired":                          {"Admin", f.claims("exp", at(-5*time.Minute)), "ExpiredTokenException"},
		"expired within the skew":          {"Admin", f.claims("exp", at(-4*time.Minute)), ""},
		"issued in the future":             {"Admin", f.claims("iat", at(6*time.Minute)), "InvalidIdentityToken"},
		"not yet valid":                    {"Admin", f.claims("nbf", at(6*time.Minute)), "InvalidIdentityToken"},
		"another issuer":                   {"Admin", f.claims("iss", "https://elsewhere.example.com"), "InvalidIdentityToken"},
		"an issuer with a slash":           {"Admin", f.claims("iss", f.URL+"/"), "InvalidIdentityToken"},
		"a tag of two values":              {"Admin", f.claims("https://aws.amazon.com/tags", map[string]any{"principal_tags": map[string]any{"a": []string{"1", "2"}}}), "InvalidIdentityToken"},
		"a tag":                            {"Admin", f.claims("https://aws.amazon.com/tags", map[string]any{"principal_tags": map[string]any{"a": []string{"1"}}}), ""},
		"a source identity, not trusted":   {"Admin", f.claims("https://aws.amazon.com/source_identity", "alice"), "AccessDenied"},
		"the one role it may have":         {"Admin", f.claims("https://aws.amazon.com/roles", []string{"arn:aws:iam::" + production + ":role/Admin"}), ""},
		"another role than it may have":    {"Admin", f.claims("https://aws.amazon.com/roles", []string{"arn:aws:iam::" + production + ":role/X"}), "AccessDenied"},
		"a role that trusts anybody's key": {"AWSOnly", f.claims(), "AccessDenied"},
		"a role that is not there":         {"Nobody", f.claims(), "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := startWith(t, f, "").webIdentity(c.role, f.token(t, c.claims))
			if c.code == "" && err != nil {
				t.Error(err)
			}
			if c.code != "" {
				refusedWith(t, err, c.code, "")
			}
		})
	}
}

func TestConditionsOnAWebIdentity(t *testing.T) {
	t.Parallel()
	f := newForeignIssuer(t)
	for condition, ok := range map[string]bool{
		`{"StringEquals":{"ISSUER:aud":"sts.amazonaws.com"}}`: true, `{"StringEquals":{"ISSUER:aud":"second"}}`: false,
		`{"StringLike":{"ISSUER:sub":"repo:*"}}`: true, `{"StringLike":{"ISSUER:sub":"tenant/*"}}`: false,
		`{"StringEquals":{"sts:RoleSessionName":"alice"}}`: true, `{"Null":{"aws:PrincipalArn":"true"}}`: true,
		`{"ForAnyValue:StringEquals":{"ISSUER:amr":"authenticated"}}`: false,
	} {
		_, err := startWith(t, f, `,"Condition":`+condition).webIdentity("Admin", f.token(t, f.claims()))
		if (err == nil) != ok {
			t.Errorf("%s: %v", condition, err)
		}
	}
}

func TestAnIssuerThatDoesNotPublishRightlyProvesNothing(t *testing.T) {
	t.Parallel()
	for name, discovery := range map[string]func(string) map[string]any{
		"the document of another": func(url string) map[string]any {
			return map[string]any{"issuer": url + "/x", "jwks_uri": url + "/keys"}
		},
		"no keys": func(url string) map[string]any { return map[string]any{"issuer": url} },
		"keys that are not there": func(url string) map[string]any {
			return map[string]any{"issuer": url, "jwks_uri": "http://127.0.0.1:1/"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForeignIssuer(t)
			f.discovery = discovery
			_, err := startWith(t, f, "").webIdentity("Admin", f.token(t, f.claims()))
			refusedWith(t, err, "InvalidIdentityToken", "Couldn't retrieve verification key")
		})
	}
}

func TestProvidersThatIAMWouldNotTakeAreFaults(t *testing.T) {
	t.Parallel()
	base := devaws.Config{URL: "http://127.0.0.1:8402", Accounts: []devaws.Account{{ID: production}}}
	for name, change := range map[string]func(*devaws.Config){
		"an OIDC provider of no account": func(c *devaws.Config) {
			c.OIDCProviders = []devaws.OIDCProvider{{Account: tools, URL: "https://x", Audiences: []string{"a"}}}
		},
		"an OIDC provider for nobody": func(c *devaws.Config) {
			c.OIDCProviders = []devaws.OIDCProvider{{Account: production, URL: "https://x"}}
		},
		"an OIDC provider without address": func(c *devaws.Config) {
			c.OIDCProviders = []devaws.OIDCProvider{{Account: production, URL: "x", Audiences: []string{"a"}}}
		},
		"a SAML provider of no account": func(c *devaws.Config) {
			c.SAMLProviders = []devaws.SAMLProvider{{ARN: "arn:aws:iam::999988887777:saml-provider/p", Metadata: "<a/>"}}
		},
		"a SAML provider without metadata": func(c *devaws.Config) {
			c.SAMLProviders = []devaws.SAMLProvider{{ARN: "arn:aws:iam::111122223333:saml-provider/p"}}
		},
		"metadata without a certificate": func(c *devaws.Config) {
			c.SAMLProviders = []devaws.SAMLProvider{{ARN: "arn:aws:iam::111122223333:saml-provider/p", Metadata: `<EntityDescriptor entityID="x"/>`}}
		},
	} {
		cfg := base
		change(&cfg)
		if _, err := devaws.New(cfg); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAnUnsignedCallerGetsNothingElse(t *testing.T) {
	t.Parallel()
	f := newForeignIssuer(t)
	c := startWith(t, f, "")
	_, err := c.client("", "", "").GetCallerIdentity(t.Context(), nil)
	if api, ok := errors.AsType[smithy.APIError](err); ok && api.ErrorCode() == "" || err == nil {
		t.Errorf("%v", err)
	}
}
