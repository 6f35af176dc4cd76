package devaws_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
)

// acting is IAM as a user of the tools account whose identity policy is given.
func acting(t *testing.T, permissions string, change ...func(*devaws.Config)) (*cloud, *awsiam.Client) {
	t.Helper()
	c := start(t, nil, append([]func(*devaws.Config){func(cfg *devaws.Config) {
		cfg.Users[0].Permissions = permissions
		for _, name := range []string{"Reader", "Writer"} {
			arn, err := iam.ParseRoleARN("arn:aws:iam::" + tools + ":role/" + name)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Roles = append(cfg.Roles, devaws.Role{ARN: arn, Trust: devaws.TrustPolicy("", tools), Tags: []iam.Tag{{Key: "team", Value: "core"}}})
		}
	}}, change...)...)
	at := time.Now() // the SDK signs by it
	c.now.Store(&at)
	return c, awsiam.New(awsiam.Options{Region: "eu-west-1", BaseEndpoint: &c.url, Credentials: credentials.NewStaticCredentialsProvider(brokerKey, brokerWord, "")})
}

func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

const anything = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"*"}}`

// Who may write what is decided by the caller's identity policy, as IAM decides it.
func TestIdentityPoliciesDecideAtIAM(t *testing.T) {
	t.Parallel()
	statement := func(inside string) string { return `{"Version":"2012-10-17","Statement":[` + inside + `]}` }
	const allow = `{"Effect":"Allow","Action":"iam:PutRolePolicy","Resource":"arn:aws:iam::999988887777:role/Writer"}`
	for name, c := range map[string]struct{ permissions, reader, writer string }{
		"none":                   {"", "AccessDenied", "AccessDenied"},
		"one role":               {statement(allow), "AccessDenied", ""},
		"in another spelling":    {statement(strings.Replace(allow, "iam:Put", "IAM:put", 1)), "AccessDenied", ""},
		"a wildcard":             {statement(`{"Effect":"Allow","Action":["iam:Get*","iam:*RolePolicy"],"Resource":"arn:aws:iam::*:role/*"}`), "", ""},
		"another action":         {statement(`{"Effect":"Allow","Action":"iam:GetRolePolicy","Resource":"*"}`), "AccessDenied", "AccessDenied"},
		"all but one action":     {statement(`{"Effect":"Allow","NotAction":"iam:PutRolePolicy","Resource":"*"}`), "AccessDenied", "AccessDenied"},
		"all but one role":       {statement(`{"Effect":"Allow","Action":"*","NotResource":"arn:aws:iam::999988887777:role/Writer"}`), "", "AccessDenied"},
		"a deny wins":            {statement(allow + `,{"Effect":"Deny","Action":"iam:*","Resource":"*"}`), "AccessDenied", "AccessDenied"},
		"a condition that holds": {statement(strings.TrimSuffix(allow, "}") + `,"Condition":{"StringEquals":{"aws:PrincipalTag/unit":"identity"}}}`), "AccessDenied", ""},
		"one that does not":      {statement(strings.TrimSuffix(allow, "}") + `,"Condition":{"StringEquals":{"aws:PrincipalTag/unit":"other"}}}`), "AccessDenied", "AccessDenied"},
		"a variable":             {statement(`{"Effect":"Allow","Action":"iam:PutRolePolicy","Resource":"arn:aws:iam::999988887777:role/${aws:PrincipalTag/unit}"}`), "AccessDenied", "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, client := acting(t, c.permissions)
			for role, want := range map[string]string{"Reader": c.reader, "Writer": c.writer} {
				_, err := client.PutRolePolicy(t.Context(), &awsiam.PutRolePolicyInput{RoleName: &role, PolicyName: aws.String("p"), PolicyDocument: aws.String(anything)})
				if (err == nil) != (want == "") || err != nil && codeOf(err) != want {
					t.Errorf("%s: %v", role, err)
				}
			}
		})
	}
}

func TestInlinePoliciesAreKeptAsIAMKeepsThem(t *testing.T) {
	t.Parallel()
	c, client := acting(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
	put := func(role, name, text string) error {
		_, err := client.PutRolePolicy(t.Context(), &awsiam.PutRolePolicyInput{RoleName: &role, PolicyName: &name, PolicyDocument: &text})
		return err
	}
	get := func(name string) (string, error) {
		out, err := client.GetRolePolicy(t.Context(), &awsiam.GetRolePolicyInput{RoleName: aws.String("Writer"), PolicyName: &name})
		if err != nil {
			return "", err
		}
		return *out.PolicyDocument, nil
	}
	if _, err := get("p"); codeOf(err) != "NoSuchEntity" {
		t.Errorf("%v", err)
	}
	if err := put("Writer", "p", anything); err != nil {
		t.Fatal(err)
	}
	if text, err := get("p"); err != nil || strings.ContainsAny(text, `"{ `) || !strings.Contains(text, "%22Deny%22") {
		t.Errorf("it must be percent-encoded: %s, %v", text, err)
	}
	large := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"s3:*","Resource":"` + strings.Repeat("x", 5200) + `"}}`
	for name, c := range map[string]struct{ role, policy, text, code string }{
		"no role":          {"Nobody", "p", anything, "NoSuchEntity"},
		"no policy":        {"Writer", "q", `{"Statement":1}`, "MalformedPolicyDocument"},
		"half of the room": {"Writer", "q", large, ""},
		"in its place":     {"Writer", "q", large + "\n", ""},
	} {
		if err := put(c.role, c.policy, c.text); (err == nil) != (c.code == "") || err != nil && codeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := put("Writer", "r", large); codeOf(err) != "LimitExceeded" {
		t.Errorf("%v", err)
	}
	arn, err := iam.ParseRoleARN("arn:aws:iam::" + tools + ":role/Writer")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeleteRolePolicy(t.Context(), &awsiam.DeleteRolePolicyInput{RoleName: aws.String("Writer"), PolicyName: aws.String("q")}); err != nil || len(c.aws.InlinePolicies(arn)) != 1 {
		t.Errorf("%v, %v", err, c.aws.InlinePolicies(arn))
	}
	if _, err := client.CreateUser(t.Context(), &awsiam.CreateUserInput{UserName: aws.String("x")}); codeOf(err) != "InvalidAction" {
		t.Errorf("%v", err)
	}
	// A signature for STS is none for IAM, and the other way.
	stsClient := sts.New(sts.Options{Region: "eu-west-1", BaseEndpoint: &c.url, Credentials: credentials.NewStaticCredentialsProvider(brokerKey, brokerWord, "")})
	if _, err := stsClient.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Error(err)
	}
	wrong := awsiam.New(awsiam.Options{Region: "eu-west-1", BaseEndpoint: &c.url, Credentials: credentials.NewStaticCredentialsProvider(brokerKey, brokerWord+"x", "")})
	if _, err := wrong.ListRoles(t.Context(), &awsiam.ListRolesInput{}); codeOf(err) != "SignatureDoesNotMatch" {
		t.Errorf("%v", err)
	}
}
