package awssetup

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
)

func target(name string) policy.Target {
	return policy.Target{
		Grant: name, Mode: "assume-role", Providers: []string{"corp"}, MaxDuration: time.Hour,
		Role: iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: name},
	}
}

func TestRolesThatDifferInOneCharacterAreTwoResources(t *testing.T) {
	t.Parallel()
	s, err := New(Config{Targets: []policy.Target{target("a-b"), target("a_b"), target("ab"), target("a.b")}, Principal: "arn:aws:iam::999988887777:user/b"})
	if err != nil {
		t.Fatal(err)
	}
	for name, render := range map[string]func() ([]byte, error){"terraform": s.Terraform, "cloudformation": s.CloudFormation} {
		text, err := render()
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), `"assumed by rolecall"`); n != 4 || !json.Valid(text) {
			t.Errorf("%s has %d roles", name, n)
		}
	}
}

// Terraform reads ${ in a JSON string as its own; an external id may hold anything
// that an id may, a path anything that AWS allows.
func TestTerraformReadsNothingInAPolicy(t *testing.T) {
	t.Parallel()
	if got := literal(`{"a":"${aws:username} %{x}"}`); got != `{"a":"$${aws:username} %%{x}"}` {
		t.Error(got)
	}
}

func TestARoleOfSeveralGrantsHasAStatementForEach(t *testing.T) {
	t.Parallel()
	second := target("Admin")
	second.Mode, second.Providers, second.OwnSource = "web-identity", []string{"staff"}, true
	s, err := New(Config{Targets: []policy.Target{target("Admin"), second}, Principal: "arn:aws:iam::999988887777:user/b", Issuer: "https://sso.example.com/x", Audience: "sts.amazonaws.com"})
	if err != nil {
		t.Fatal(err)
	}
	document := s.TrustPolicies()["arn:aws:iam::111122223333:role/Admin"]
	if len(document.Statement) != 2 || document.Statement[0].Action[0] != "sts:AssumeRole" || document.Statement[1].Action[0] != "sts:AssumeRoleWithWebIdentity" {
		t.Fatalf("%+v", document)
	}
	for _, st := range document.Statement {
		for _, action := range st.Action {
			if action == "sts:TagSession" {
				t.Error("a grant without tags lets sessions be tagged")
			}
		}
	}
	if text := document.text(); !strings.Contains(text, `"sso.example.com/x:sub":["staff=*","staff~*"]`) || !strings.Contains(text, `"sts:SourceIdentity":["*"]`) {
		t.Error(text)
	}
}

// What the person's own provider says in its assertion is its own: the trust policy
// holds to the provider and to whom it makes the assertion out, and nothing of ours
// is put in its place.
func TestARoleByPeoplesOwnAssertionsTrustsTheirProvider(t *testing.T) {
	t.Parallel()
	own := target("Admin")
	own.Mode, own.OwnAssertion, own.OwnSource, own.SAMLProvider = "saml", true, true, "arn:aws:iam::111122223333:saml-provider/corp"
	s, err := New(Config{Targets: []policy.Target{own}, ACS: map[string]string{"corp": "https://signin.aws.amazon.com/saml"}})
	if err != nil {
		t.Fatal(err)
	}
	text := s.TrustPolicies()["arn:aws:iam::111122223333:role/Admin"].text()
	for _, want := range []string{`"Federated":"arn:aws:iam::111122223333:saml-provider/corp"`, `"SAML:aud":["https://signin.aws.amazon.com/saml"]`, "sts:AssumeRoleWithSAML"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if strings.Contains(text, "sub") || strings.Contains(text, "SourceIdentity\"") && strings.Contains(text, "StringLike") {
		t.Error(text)
	}
	for _, render := range []func() ([]byte, error){s.Terraform, s.CloudFormation} {
		if out, err := render(); err != nil || strings.Contains(string(out), "aws_iam_saml_provider") || strings.Contains(string(out), "AWS::IAM::SAMLProvider") {
			t.Errorf("%v: %s", err, out)
		}
	}
	if len(s.Notes) != 1 || !strings.Contains(s.Notes[0], "its") && !strings.Contains(s.Notes[0], "that one's metadata") {
		t.Errorf("%q", s.Notes)
	}
}
