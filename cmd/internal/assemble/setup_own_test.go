package assemble

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/issuer"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
)

const ownYAML = `
server: {url: "https://sso.example.com", trusted_proxies: [10.0.0.0/8]}
providers:
  - {name: corp, type: saml, metadata_url: "https://idp.example.com/metadata", subject: {attribute: uid}, acs_url: "https://signin.aws.amazon.com/saml", sp_entity_id: "urn:amazon:webservices"}
accounts:
  - {id: "111122223333", name: production, saml_provider: "arn:aws:iam::111122223333:saml-provider/corp"}
grants:
  - {name: own, groups: [platform], providers: [corp], role: production/Admin, mode: saml, assertion: user}
`

// someProvider makes assertions for AWS, as an identity provider of a company does.
func someProvider(t *testing.T, entityID string) *issuer.Assertions {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return issuer.NewAssertions(issuer.AssertionConfig{
		EntityID: entityID, Portal: "https://idp.example.com/", Now: time.Now,
		Signers: func(context.Context) ([]crypto.Signer, error) { return []crypto.Signer{key}, nil },
	})
}

// The printed trust policy takes what the company's provider makes out to AWS, with
// the tags and the source identity that it decides, and nobody else's word.
func TestThePrintedTrustPolicyTakesPeoplesOwnAssertions(t *testing.T) {
	t.Parallel()
	loaded, err := config.Parse("rolecall.yaml", []byte(ownYAML), noEnv)
	if err != nil {
		t.Fatal(err)
	}
	setup, err := AWSSetup(loaded, "", "")
	if err != nil {
		t.Fatal(err)
	}
	role, err := iam.ParseRoleARN("arn:aws:iam::111122223333:role/Admin")
	if err != nil {
		t.Fatal(err)
	}
	trust, err := json.Marshal(setup.TrustPolicies()[role.String()])
	if err != nil {
		t.Fatal(err)
	}
	corp, impostor, other := someProvider(t, "https://idp.example.com"), someProvider(t, "https://idp.example.com"), someProvider(t, "https://other.example.com")
	const corpARN, otherARN = "arn:aws:iam::111122223333:saml-provider/corp", "arn:aws:iam::111122223333:saml-provider/other"
	server := httptest.NewUnstartedServer(nil)
	url := "http://" + server.Listener.Addr().String()
	made := devaws.Config{URL: url, Accounts: []devaws.Account{{ID: "111122223333"}}, Roles: []devaws.Role{{ARN: role, Trust: string(trust)}}}
	for arn, idp := range map[string]*issuer.Assertions{corpARN: corp, otherARN: other} {
		metadata, err := idp.Metadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		made.SAMLProviders = append(made.SAMLProviders, devaws.SAMLProvider{ARN: arn, Metadata: string(metadata)})
	}
	if server.Config.Handler, err = devaws.New(made); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	vendor, err := vend.NewSAML(vend.Config{Region: "eu-west-1", Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		idp  *issuer.Assertions
		arn  string
		code string
	}{
		"the company's own provider":          {corp, corpARN, ""},
		"somebody with its name but no key":   {impostor, corpARN, "InvalidIdentityToken"},
		"another provider that account knows": {other, otherARN, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := vend.Spec{Role: role, Mode: "saml", SAMLProvider: c.arn, SessionName: "alice", Duration: time.Hour}
			spec.Proof = func(ctx context.Context) (secret.String, error) {
				text, err := c.idp.Sign(ctx, issuer.Assertion{
					Provider: "corp", Subject: "u-1", Role: role, SAMLProvider: c.arn, SessionName: "alice",
					Tags: []iam.Tag{{Key: "team", Value: "core"}}, SourceIdentity: "e-1042",
				})
				return secret.New(text), err
			}
			got, err := vendor.Vend(t.Context(), spec)
			refused, _ := errors.AsType[*vend.Refused](err)
			switch {
			case c.code == "" && (err != nil || !strings.HasSuffix(got.Credentials.AssumedRoleARN, "assumed-role/Admin/alice")):
				t.Errorf("%v", err)
			case c.code != "" && (refused == nil || refused.Code != c.code):
				t.Errorf("%v", err)
			}
		})
	}
}

// IAM takes 1000 characters at least, and a parameter of CloudFormation holds 4096.
func TestOurMetadataFitsAParameterOfCloudFormation(t *testing.T) {
	t.Parallel()
	metadata, err := someProvider(t, "https://a-long-name-of-a-broker.identity.engineering.example.com/with/a/path/aws-saml").Metadata(t.Context())
	if err != nil || len(metadata) < 1000 || len(metadata) > 4096 {
		t.Errorf("%d bytes, %v", len(metadata), err)
	}
}
