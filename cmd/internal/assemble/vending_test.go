package assemble

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

const modesYAML = `
server: {url: %q, listen: "127.0.0.1:0"}
store: %q
aws: {region: eu-west-1, endpoint: %q}
providers:
  - {name: corp, type: saml, metadata_url: "https://idp.example.com/metadata", subject: {attribute: uid}}
accounts:
  - {id: "111122223333", name: production, saml_provider: "arn:aws:iam::111122223333:saml-provider/rolecall"}
grants:
  - {name: web, groups: [platform], role: production/Web, mode: web-identity, duration: 2h, tags: {team: "{{ identity.attributes.team }}"}, transitive_tags: [team]}
  - {name: saml, groups: [platform], role: production/SAML, mode: saml, duration: 2h, tags: {team: core}}
  - {name: token, groups: [platform], role: production/Token, mode: federation-token, duration: 2h, policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Action: "s3:Get*", Resource: "*"}]}}
  - {name: assume, groups: [platform], role: production/Assume, duration: 1h}
`

// modesWorld is a daemon whose grants are of every mode, and an AWS that trusts it.
type modesWorld struct {
	*Daemon
	aws *devaws.AWS
	ear *ear // hears every call of AWS
}

func newModesWorld(t *testing.T) *modesWorld {
	t.Helper()
	front, cloud := httptest.NewUnstartedServer(nil), httptest.NewUnstartedServer(nil)
	url, awsURL := "http://"+front.Listener.Addr().String(), "http://"+cloud.Listener.Addr().String()
	text := fmt.Sprintf(modesYAML, url, "sqlite:"+filepath.Join(t.TempDir(), "rolecall.db"), awsURL)
	loaded, err := config.Parse("rolecall.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if len(loaded.Warnings) != 1 || !strings.Contains(loaded.Warnings[0].Message, "AWS would not take") {
		t.Errorf("warnings: %v", loaded.Warnings)
	}
	own := credentials.NewStaticCredentialsProvider("AKIABROKER0000000001", "broker/secret", "")
	d, err := New(t.Context(), Options{Config: loaded, Log: slog.New(slog.DiscardHandler), Now: time.Now, AWS: own})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	front.Config.Handler = d.Handler()
	w := &modesWorld{Daemon: d, aws: newModesAWS(t, d, awsURL, url)}
	w.ear = &ear{t: t, next: w.aws}
	cloud.Config.Handler = w.ear
	for _, s := range []*httptest.Server{front, cloud} {
		s.Start()
		t.Cleanup(s.Close)
	}
	return w
}

func newModesAWS(t *testing.T, d *Daemon, awsURL, issuer string) *devaws.AWS {
	t.Helper()
	metadata, err := d.newAssertions().Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	oidc := devaws.OIDCProvider{Account: "111122223333", URL: issuer, Audiences: []string{"sts.amazonaws.com"}}
	const samlARN, user = "arn:aws:iam::111122223333:saml-provider/rolecall", "arn:aws:iam::999988887777:user/broker"
	trust := func(action, kind, principal string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"` + kind + `":"` + principal +
			`"},"Action":["` + action + `","sts:TagSession","sts:SetSourceIdentity"],"Condition":{"StringEquals":{"sts:SourceIdentity":"corp=u-1"}}}]}`
	}
	role := func(name, trust string) devaws.Role {
		return devaws.Role{ARN: iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: name}, Trust: trust, MaxSessionDuration: 2 * time.Hour}
	}
	made, err := devaws.New(devaws.Config{
		URL: awsURL, Accounts: []devaws.Account{{ID: "111122223333"}, {ID: "999988887777"}},
		Users: []devaws.User{{ARN: user, AccessKeyID: "AKIABROKER0000000001", SecretAccessKey: secret.New("broker/secret")}},
		Roles: []devaws.Role{
			role("Web", trust("sts:AssumeRoleWithWebIdentity", "Federated", oidc.ARN())),
			role("SAML", trust("sts:AssumeRoleWithSAML", "Federated", samlARN)),
			role("Assume", trust("sts:AssumeRole", "AWS", user)),
		},
		OIDCProviders: []devaws.OIDCProvider{oidc}, SAMLProviders: []devaws.SAMLProvider{{ARN: samlARN, Metadata: string(metadata)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func modesCaller(subject string) broker.Caller {
	return broker.Caller{
		Identity: idp.Identity{
			Provider: "corp", Subject: subject, Username: "alice", Groups: []string{"platform"},
			Attributes: map[string][]string{"team": {"core"}}, Methods: []string{"pwd"},
		},
		Session: "s-" + subject, Via: broker.ViaBrowser, Since: time.Now(), NotAfter: time.Now().Add(12 * time.Hour),
	}
}

func TestEveryModeGivesCredentialsByTheOnePath(t *testing.T) {
	t.Parallel()
	w := newModesWorld(t)
	origin := broker.Origin{RequestID: "r", Address: netip.MustParseAddr("127.0.0.1")}
	for role, want := range map[string]string{
		"production/Web": "arn:aws:sts::111122223333:assumed-role/Web/alice", "production/SAML": "arn:aws:sts::111122223333:assumed-role/SAML/alice",
		"production/Token": "arn:aws:sts::999988887777:federated-user/alice", "production/Assume": "arn:aws:sts::111122223333:assumed-role/Assume/alice",
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			got, err := w.Broker().Vend(t.Context(), origin, modesCaller("u-1"), broker.Order{Role: role})
			if err != nil {
				t.Fatal(err)
			}
			if got.Credentials.AssumedRoleARN != want || aws.ToString(&got.Credentials.AccessKeyID) == "" {
				t.Errorf("%+v", got.Credentials)
			}
		})
	}
	if w.Bound.Queue() != 0 {
		t.Errorf("%d wait", w.Bound.Queue())
	}
}

// The trust policies of the stand-in want corp=u-1: whose proof says another gets nothing.
func TestAProofSaysWhoReallyAsks(t *testing.T) {
	t.Parallel()
	w := newModesWorld(t)
	for _, role := range []string{"production/Web", "production/SAML", "production/Assume"} {
		_, err := w.Broker().Vend(context.WithoutCancel(t.Context()), broker.Origin{RequestID: "r"}, modesCaller("u-2"), broker.Order{Role: role})
		if broker.CodeOf(err) != broker.AWSRefused {
			t.Errorf("%s: %v", role, err)
		}
	}
}
