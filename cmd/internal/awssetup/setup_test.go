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

// IAM takes no trust policy that names a role which is not there: hubs come first, in
// a stack, in a plan and over the accounts of a set.
func TestHubsAreMadeBeforeTheirSpokes(t *testing.T) {
	t.Parallel()
	near, far := target("Near"), target("Far")
	hub := iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "Hub"}
	far.Role.Account, far.Account.ID = "444455556666", "444455556666"
	near.HubRole, far.HubRole = hub, hub
	s, err := New(Config{Targets: []policy.Target{far, near}, Principal: "arn:aws:iam::999988887777:user/b"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.CloudFormation()
	if err != nil {
		t.Fatal(err)
	}
	var template struct {
		Metadata  struct{ Rolecall struct{ Deploy []string } }
		Resources map[string]struct{ DependsOn []string }
	}
	if err := json.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	if got := template.Resources["Role111122223333Near"].DependsOn; len(got) != 1 || got[0] != "Role111122223333Hub" {
		t.Errorf("near: %v", got)
	}
	if got := template.Resources["Role444455556666Far"].DependsOn; len(got) != 0 {
		t.Errorf("a stack cannot wait for another's: %v", got)
	}
	deploy := template.Metadata.Rolecall.Deploy
	if len(deploy) != 3 || !strings.Contains(deploy[0], "CAPABILITY_NAMED_IAM") || !strings.HasSuffix(deploy[1], "--accounts 111122223333") || !strings.HasSuffix(deploy[2], "--accounts 444455556666") {
		t.Errorf("%q", deploy)
	}
	if text, err = s.Terraform(); err != nil {
		t.Fatal(err)
	}
	var plan struct {
		Resource struct {
			Roles map[string]struct {
				DependsOn []string `json:"depends_on"`
			} `json:"aws_iam_role"`
		}
	}
	if err := json.Unmarshal(text, &plan); err != nil {
		t.Fatal(err)
	}
	for _, spoke := range []string{"role_111122223333Near", "role_444455556666Far"} {
		if got := plan.Resource.Roles[spoke].DependsOn; len(got) != 1 || got[0] != "aws_iam_role.role_111122223333Hub" {
			t.Errorf("%s: %v", spoke, got)
		}
	}
	if got := plan.Resource.Roles["role_111122223333Hub"].DependsOn; len(got) != 0 {
		t.Errorf("the hub waits for %v", got)
	}
}

func TestATemplateThatCloudFormationWouldNotTakeIsSaid(t *testing.T) {
	t.Parallel()
	var many []policy.Target
	for i := range 501 {
		many = append(many, target("Role"+strings.Repeat("x", 20)+string(rune('a'+i%26))+string(rune('a'+i/26))))
	}
	s, err := New(Config{Targets: many, Principal: "arn:aws:iam::999988887777:user/b"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CloudFormation(); err != nil || len(s.Notes) != 2 || !strings.Contains(s.Notes[0], "--template-url") || !strings.Contains(s.Notes[1], "501 resources") {
		t.Errorf("%v %q", err, s.Notes)
	}
}
