package assemble

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

const setupYAML = `
server: {url: %q, listen: "127.0.0.1:0"}
store: %q
aws: {region: eu-west-1, endpoint: %q}
providers:
  - {name: corp, type: saml, metadata_url: "https://idp.example.com/metadata", subject: {attribute: uid}}
  - {name: other, type: saml, metadata_url: "https://idp2.example.com/metadata", subject: {attribute: uid}}
accounts:
  - {id: "111122223333", name: production, external_id: abc-123, saml_provider: "arn:aws:iam::111122223333:saml-provider/rolecall"}
  - {id: "444455556666", name: spoke, external_id: spoke-1, hub_role: "arn:aws:iam::111122223333:role/Hub"}
grants:
  - {name: web, providers: [corp], groups: [platform], role: production/Web, mode: web-identity, tags: {team: core}, transitive_tags: [team]}
  - {name: saml, providers: [corp], groups: [platform], role: production/SAML, mode: saml, tags: {team: core}}
  - {name: assume, providers: [corp], groups: [platform], role: production/Assume, duration: 2h, tags: {team: core}}
  - {name: plain, providers: [corp], groups: [platform], role: production/Plain}
  - {name: chained, providers: [corp], groups: [platform], role: spoke/Chained, tags: {team: core}}
`

const setupUser = "arn:aws:iam::999988887777:user/broker"

// newSetupWorld is a daemon and an AWS whose roles have exactly the trust policies
// that `rolecalld aws` prints.
func newSetupWorld(t *testing.T) (*Daemon, *policy.Policy, prover) {
	t.Helper()
	front, cloud := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	url, awsURL := "http://"+front.Listener.Addr().String(), "http://"+cloud.Listener.Addr().String()
	text := fmt.Sprintf(setupYAML, url, "sqlite:"+filepath.Join(t.TempDir(), "rolecall.db"), awsURL)
	loaded, err := config.Parse("rolecall.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	own := credentials.NewStaticCredentialsProvider("AKIABROKER0000000001", "broker/secret", "")
	d, err := New(t.Context(), Options{Config: loaded, Log: slog.New(slog.DiscardHandler), Now: time.Now, AWS: own})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	front.Config.Handler, cloud.Config.Handler = d.Handler(), setupAWS(t, d, loaded, awsURL, url)
	for _, s := range []*httptest.Server{front, cloud} {
		s.Start()
		t.Cleanup(s.Close)
	}
	compiled, err := Policy(loaded)
	if err != nil {
		t.Fatal(err)
	}
	published, err := d.newIssuer(loaded)
	if err != nil {
		t.Fatal(err)
	}
	return d, compiled, d.newProofs(published)
}

type prover = func(context.Context, idp.Identity, vend.Spec) (secret.String, error)

// proven binds an order to its proof.
func proven(prove prover, as idp.Identity, spec vend.Spec) vend.Spec {
	bound := spec
	spec.Proof = func(ctx context.Context) (secret.String, error) { return prove(ctx, as, bound) }
	return spec
}

func setupAWS(t *testing.T, d *Daemon, loaded *config.Config, awsURL, issuer string) *devaws.AWS {
	t.Helper()
	setup, err := AWSSetup(loaded, setupUser, "")
	if err != nil {
		t.Fatal(err)
	}
	metadata, err := d.newAssertions().Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	made := devaws.Config{
		URL: awsURL, Accounts: []devaws.Account{{ID: "111122223333"}, {ID: "444455556666"}, {ID: "999988887777"}},
		Users:         []devaws.User{{ARN: setupUser, AccessKeyID: "AKIABROKER0000000001", SecretAccessKey: secret.New("broker/secret")}},
		OIDCProviders: []devaws.OIDCProvider{{Account: "111122223333", URL: issuer, Audiences: []string{"sts.amazonaws.com"}}},
		SAMLProviders: []devaws.SAMLProvider{{ARN: "arn:aws:iam::111122223333:saml-provider/rolecall", Metadata: string(metadata)}},
	}
	for arn, document := range setup.TrustPolicies() {
		parsed, err := iam.ParseRoleARN(arn)
		if err != nil {
			t.Fatal(err)
		}
		trust, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		made.Roles = append(made.Roles, devaws.Role{ARN: parsed, Trust: string(trust), MaxSessionDuration: 2 * time.Hour})
	}
	handler, err := devaws.New(made)
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

// order makes the order for a person as broker does, past the policy's decision
// about that person: what is tested is AWS's side alone.
func setupOrder(t *testing.T, p *policy.Policy, role string, as idp.Identity) vend.Spec {
	t.Helper()
	arn, err := p.ResolveRole(role)
	if err != nil {
		t.Fatal(err)
	}
	who := idp.Identity{Provider: "corp", Subject: "u-1", Username: "alice", Groups: []string{"platform"}}
	decision := p.Decide(who, policy.Ask{Role: arn, Time: time.Now()})
	if len(decision.Granted) != 1 {
		t.Fatalf("%+v", decision)
	}
	g := decision.Granted[0]
	return vend.Spec{
		Role: g.Role, Mode: g.Mode, SessionName: g.SessionName, SourceIdentity: as.Provider + "=" + as.Subject, Tags: g.Tags, TransitiveTags: g.TransitiveTags,
		Duration: g.Duration, HubRole: g.HubRole, ExternalID: g.ExternalID, SAMLProvider: g.SAMLProvider,
	}
}

// The issue: its trust policies are accepted by the stand-in's evaluator in a
// test, and refuse a foreign subject.
func TestPrintedTrustPoliciesAdmitTheirPeopleAndNobodyElse(t *testing.T) {
	t.Parallel()
	d, p, prove := newSetupWorld(t)
	ours := idp.Identity{Provider: "corp", Subject: "u-1"}
	for _, role := range []string{"production/Web", "production/SAML", "production/Assume", "production/Plain", "spoke/Chained"} {
		for name, c := range map[string]struct {
			as     idp.Identity
			change func(*vend.Spec)
			ok     bool
		}{
			"its people":             {ours, func(*vend.Spec) {}, true},
			"a foreign subject":      {idp.Identity{Provider: "other", Subject: "u-1"}, func(*vend.Spec) {}, false},
			"a name that looks like": {idp.Identity{Provider: "corpx", Subject: "u-1"}, func(*vend.Spec) {}, false},
			"a tag that no grant has": {ours, func(s *vend.Spec) {
				s.Tags = []iam.Tag{{Key: "admin", Value: "yes"}}
				s.TransitiveTags = nil
			}, false},
		} {
			t.Run(role+" "+name, func(t *testing.T) {
				t.Parallel()
				spec := setupOrder(t, p, role, c.as)
				c.change(&spec)
				spec.Session = role + name
				_, err := d.vendor.Vend(t.Context(), proven(prove, c.as, spec))
				refused, isRefused := errors.AsType[*vend.Refused](err)
				if c.ok && err != nil || !c.ok && (!isRefused || refused.Code != "AccessDenied") {
					t.Errorf("%v", err)
				}
			})
		}
	}
	t.Run("without the external id", func(t *testing.T) {
		t.Parallel()
		for _, role := range []string{"production/Assume", "spoke/Chained"} {
			spec := setupOrder(t, p, role, ours)
			spec.ExternalID = secret.String{}
			if _, err := d.vendor.Vend(t.Context(), spec); err == nil {
				t.Errorf("%s: a confused deputy", role)
			}
		}
	})
}
