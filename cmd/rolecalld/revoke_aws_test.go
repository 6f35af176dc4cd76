package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

const revocationYAML = `
server: {url: "http://127.0.0.1:8400"}
aws: {region: eu-west-1, endpoint: %q, revocation_role: ops/rolecall-revocation}
providers:
  - {name: corp, type: saml, metadata_url: "https://idp.example.com/metadata", subject: {attribute: uid}}
accounts:
  - {id: "111122223333", name: production, external_id: prod-1}
  - {id: "444455556666", name: spoke, external_id: spoke-1, hub_role: "arn:aws:iam::111122223333:role/Hub"}
grants:
  - {name: admin, groups: [platform], role: production/Admin, duration: 1h}
  - {name: spoke, groups: [platform], role: spoke/Admin, duration: 1h}
`

const (
	vendingUser  = "arn:aws:iam::999988887777:user/broker"
	operatorUser = "arn:aws:iam::999988887777:user/operator"
	vendingKey   = "AKIAVENDING000000001"
	operatorKey  = "AKIAOPERATOR00000001"
	keyWord      = "some/secret+key/of/forty/characters/0000"
)

// program is one command line in this process.
func program(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	d := &daemon{getenv: os.LookupEnv, stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now}
	if got := d.run(t.Context(), args); got != want {
		t.Fatalf("rolecalld %s: exit code %d, not %d\n%s%s", strings.Join(args, " "), got, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// template is a CloudFormation template, as far as it makes roles.
type template struct {
	Resources map[string]struct {
		Type, Condition string
		Properties      struct {
			RoleName, Path, Name, URL string
			AssumeRolePolicyDocument  json.RawMessage
			MaxSessionDuration        int
			Policies                  []struct {
				PolicyName     string
				PolicyDocument json.RawMessage
			}
		}
	}
}

// roles are the roles as a StackSet over all accounts would make them.
func (c template) roles(t *testing.T) []devaws.Role {
	t.Helper()
	var roles []devaws.Role
	for name, r := range c.Resources {
		if r.Type != "AWS::IAM::Role" {
			continue
		}
		account := strings.TrimPrefix(r.Condition, "InAccount")
		arn, err := iam.ParseRoleARN("arn:aws:iam::" + account + ":role" + r.Properties.Path + r.Properties.RoleName)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		made := devaws.Role{ARN: arn, Trust: string(r.Properties.AssumeRolePolicyDocument), MaxSessionDuration: time.Duration(r.Properties.MaxSessionDuration) * time.Second}
		for _, p := range r.Properties.Policies {
			made.Permissions = string(p.PolicyDocument)
		}
		roles = append(roles, made)
	}
	return roles
}

// fromTemplate is an AWS made of what `rolecalld aws cloudformation` printed.
func fromTemplate(t *testing.T) (cloud *devaws.AWS, url, config string) {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	url = "http://" + server.Listener.Addr().String()
	config = filepath.Join(t.TempDir(), "rolecall.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, revocationYAML, url), 0o600); err != nil {
		t.Fatal(err)
	}
	text, notes := program(t, 0, "aws", "cloudformation", "--config", config, "--principal", vendingUser, "--operator", operatorUser)
	if notes != "" {
		t.Error(notes)
	}
	var parsed template
	if err := json.Unmarshal([]byte(text), &parsed); err != nil {
		t.Fatal(err)
	}
	user := func(arn, key string) devaws.User {
		return devaws.User{ARN: arn, AccessKeyID: key, SecretAccessKey: secret.New(keyWord)}
	}
	cloud, err := devaws.New(devaws.Config{
		URL: url, Accounts: []devaws.Account{{ID: "111122223333"}, {ID: "444455556666"}, {ID: "999988887777"}},
		Users: []devaws.User{user(vendingUser, vendingKey), user(operatorUser, operatorKey)},
		Roles: append(parsed.roles(t), devaws.Role{
			ARN: iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "Untouched"}, Trust: devaws.TrustPolicy("", "111122223333", "444455556666"),
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	server.Config.Handler = cloud
	server.Start()
	t.Cleanup(server.Close)
	return cloud, url, config
}

// hop assumes a role.
func hop(t *testing.T, url string, as aws.CredentialsProvider, role, id, person string) (aws.CredentialsProvider, error) {
	t.Helper()
	in := &sts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("alice")}
	if id != "" {
		in.ExternalId = &id
	}
	if person != "" {
		in.SourceIdentity = &person
	}
	out, err := sts.New(sts.Options{Region: "eu-west-1", BaseEndpoint: &url, Credentials: as}).AssumeRole(t.Context(), in)
	if err != nil {
		return nil, err
	}
	return credentials.NewStaticCredentialsProvider(*out.Credentials.AccessKeyId, *out.Credentials.SecretAccessKey, *out.Credentials.SessionToken), nil
}

// The whole of it, through the program, the real SDK and the roles that the
// program itself printed: what is out is cut off, by the revocation role alone.
func TestRevokingInAWSCutsOffWhatIsOut(t *testing.T) {
	cloud, url, config := fromTemplate(t)
	broker := credentials.NewStaticCredentialsProvider(vendingKey, keyWord, "")
	must := func(got aws.CredentialsProvider, err error) aws.CredentialsProvider {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	const admin, spoke, untouched = "arn:aws:iam::111122223333:role/Admin", "arn:aws:iam::444455556666:role/Admin", "arn:aws:iam::111122223333:role/Untouched"
	hub := must(hop(t, url, broker, "arn:aws:iam::111122223333:role/Hub", "spoke-1", ""))
	alice := must(hop(t, url, broker, admin, "prod-1", "corp=alice"))
	bob := must(hop(t, url, broker, admin, "prod-1", "corp=bob"))
	chained := must(hop(t, url, hub, spoke, "spoke-1", "corp=alice"))
	for _, s := range []aws.CredentialsProvider{alice, bob, chained} {
		must(hop(t, url, s, untouched, "", ""))
	}

	t.Setenv("AWS_ACCESS_KEY_ID", operatorKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", keyWord)
	t.Setenv("AWS_SESSION_TOKEN", "")
	said, _ := program(t, 0, "revoke", "--config", config, "--user", "corp=alice", "--aws")
	for _, want := range []string{
		"AWS credentials that are out already end by ", "written as the revocation role",
		admin + ": made", spoke + ": made", "To undo it:", "aws iam delete-role-policy --role-name Admin --policy-name rolecall-revoke",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}
	for name, s := range map[string]aws.CredentialsProvider{"alice's": alice, "alice's through the hub": chained} {
		if _, err := hop(t, url, s, untouched, "", ""); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
			t.Errorf("%s credentials: %v", name, err)
		}
	}
	must(hop(t, url, bob, untouched, "", ""))
	for _, name := range []string{"111122223333:role/Hub", "111122223333:role/Untouched", "111122223333:role/ops/rolecall-revocation"} {
		arn, err := iam.ParseRoleARN("arn:aws:iam::" + name)
		if got := cloud.InlinePolicies(arn); err != nil || len(got) != 0 {
			t.Errorf("%s has %v, %v", name, got, err)
		}
	}
	record, err := os.ReadFile(filepath.Join(filepath.Dir(config), "audit-operator.jsonl"))
	if err != nil || strings.Count(string(record), `"event":"revoke-aws"`) != 3 || strings.Count(string(record), `"event":"revoke-aws","outcome":"granted"`) != 2 {
		t.Errorf("%v\n%s", err, record)
	}
	// What the printed policy lets that role do, and no more.
	revoker := must(hop(t, url, credentials.NewStaticCredentialsProvider(operatorKey, keyWord, ""), "arn:aws:iam::111122223333:role/ops/rolecall-revocation", "prod-1", ""))
	if _, err := hop(t, url, credentials.NewStaticCredentialsProvider(operatorKey, keyWord, ""), "arn:aws:iam::111122223333:role/ops/rolecall-revocation", "", ""); err == nil {
		t.Error("the revocation role asks for no external id")
	}
	client := awsiam.New(awsiam.Options{Region: "eu-west-1", BaseEndpoint: &url, Credentials: revoker})
	for name, may := range map[string]bool{"Admin": true, "Hub": false, "Untouched": false, "rolecall-revocation": false} {
		_, err := client.PutRolePolicy(t.Context(), &awsiam.PutRolePolicyInput{
			RoleName: &name, PolicyName: aws.String("rolecall-revoke"), PolicyDocument: aws.String(cloud.InlinePolicies(iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "Admin"})["rolecall-revoke"]),
		})
		if (err == nil) != may {
			t.Errorf("a policy on %s: %v", name, err)
		}
	}
	program(t, 0, "audit", "verify", filepath.Join(filepath.Dir(config), "audit-operator.jsonl"))

	// With the broker's own keys nothing of it can be done, and that is said.
	t.Setenv("AWS_ACCESS_KEY_ID", vendingKey)
	said, errs := program(t, 1, "revoke", "--config", config, "--grant", "admin", "--aws")
	if !strings.Contains(said, "NOT CHANGED: assume arn:aws:iam::111122223333:role/ops/rolecall-revocation: AccessDenied") ||
		!strings.Contains(said, "by hand") || !strings.Contains(said, "put-role-policy --role-name Admin") || !strings.Contains(errs, "not every role was changed") {
		t.Errorf("%s%s", said, errs)
	}
	must(hop(t, url, bob, untouched, "", ""))
}

func TestTheRevocationRoleIsNobodysOfTheOthers(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "rolecall.yaml")
	text := strings.Replace(fmt.Sprintf(revocationYAML, "http://127.0.0.1:1"), "revocation_role: ops/rolecall-revocation", "revocation_role: Admin", 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := program(t, 2, "check", "--config", config); !strings.Contains(errs, "rolecall.yaml:3: aws.revocation_role: the grant \"admin\" gives arn:aws:iam::111122223333:role/Admin to people") {
		t.Error(errs)
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, revocationYAML, "http://127.0.0.1:1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs := program(t, 2, "aws", "terraform", "--config", config, "--principal", vendingUser, "--operator", vendingUser); !strings.Contains(errs, "must not be who changes policies") {
		t.Error(errs)
	}
	if _, errs := program(t, 0, "aws", "terraform", "--config", config, "--principal", vendingUser); !strings.Contains(errs, "aws.revocation_role is left out: name with --operator") {
		t.Error(errs)
	}
}
