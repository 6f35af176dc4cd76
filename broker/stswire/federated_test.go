package stswire

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

const roleARN = "arn:aws:iam::111122223333:role/Dev"

func formOf(pairs ...string) string {
	v := url.Values{"Version": {"2011-06-15"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func TestAWebIdentityOrderIsReadWhole(t *testing.T) {
	t.Parallel()
	call := read(t, post(formOf("Action", "AssumeRoleWithWebIdentity", "RoleArn", roleARN, "RoleSessionName", "alice", "WebIdentityToken", "a.b.c",
		"Policy", "{}", "PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess", "DurationSeconds", "900",
		"Tags.member.1.Key", "team", "Tags.member.1.Value", "evil", "SourceIdentity", "evil")))
	got, err := call.AssumeRoleWithWebIdentity()
	if err != nil {
		t.Fatal(err)
	}
	want := AssumeRoleWithWebIdentity{
		RoleARN: roleARN, RoleSessionName: "alice", Token: secret.New("a.b.c"), DurationSeconds: 900,
		Policy: "{}", PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"},
	}
	if got.Token.Reveal() != "a.b.c" {
		t.Error("the token is another")
	}
	got.Token, want.Token = secret.String{}, secret.String{}
	if diff := cmp.Diff(want, got); diff != "" { // tags and source identity come from the token only
		t.Error(diff)
	}
}

func TestASAMLOrderIsReadWhole(t *testing.T) {
	t.Parallel()
	got, err := read(t, post(formOf("Action", "AssumeRoleWithSAML", "RoleArn", roleARN, "PrincipalArn", "arn:aws:iam::111122223333:saml-provider/P",
		"SAMLAssertion", "PGE+"))).AssumeRoleWithSAML()
	if err != nil || got.Assertion.Reveal() != "PGE+" || got.PrincipalARN != "arn:aws:iam::111122223333:saml-provider/P" || got.DurationSeconds != 3600 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAFederationTokenOrderIsReadWhole(t *testing.T) {
	t.Parallel()
	got, err := read(t, post(formOf("Action", "GetFederationToken", "Name", "alice", "Policy", "{}", "Tags.member.1.Key", "team", "Tags.member.1.Value", "core"))).GetFederationToken()
	want := GetFederationToken{Name: "alice", DurationSeconds: 43200, Policy: "{}", Tags: []iam.Tag{{Key: "team", Value: "core"}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if got, err = read(t, post(formOf("Action", "GetFederationToken", "Name", "alice", "DurationSeconds", "129600"))).GetFederationToken(); err != nil || got.DurationSeconds != 129600 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestFederatedOrdersOutOfSTSsLimitsAreRefused(t *testing.T) {
	t.Parallel()
	web := func(c *Call) error { _, err := c.AssumeRoleWithWebIdentity(); return err }
	saml := func(c *Call) error { _, err := c.AssumeRoleWithSAML(); return err }
	token := func(c *Call) error { _, err := c.GetFederationToken(); return err }
	for name, c := range map[string]struct {
		read func(*Call) error
		form []string
		text string
	}{
		"no token":                  {web, []string{"RoleArn", roleARN, "RoleSessionName", "alice"}, "at 'webIdentityToken' failed to satisfy constraint: Member must not be null"},
		"a token that is too long":  {web, []string{"RoleArn", roleARN, "RoleSessionName", "alice", "WebIdentityToken", strings.Repeat("s", 20001)}, "Member must have length less than or equal to 20000"},
		"a token that is too short": {web, []string{"RoleArn", roleARN, "RoleSessionName", "alice", "WebIdentityToken", "sss"}, "at 'webIdentityToken' failed to satisfy constraint: Member must have length greater than or equal to 4"},
		"no session name":           {web, []string{"RoleArn", roleARN, "WebIdentityToken", "ssss"}, "at 'roleSessionName'"},
		"an assertion too long":     {saml, []string{"RoleArn", roleARN, "PrincipalArn", roleARN, "SAMLAssertion", strings.Repeat("s", 100001)}, "less than or equal to 100000"},
		"no principal":              {saml, []string{"RoleArn", roleARN, "SAMLAssertion", "ssss"}, "at 'principalArn'"},
		"a name over 32":            {token, []string{"Name", strings.Repeat("a", 33)}, "less than or equal to 32"},
		"a name of one":             {token, []string{"Name", "a"}, "greater than or equal to 2"},
		"a life over 36 hours":      {token, []string{"Name", "alice", "DurationSeconds", "129601"}, "less than or equal to 129600"},
		"a role's over 12 hours":    {saml, []string{"RoleArn", roleARN, "PrincipalArn", roleARN, "SAMLAssertion", "ssss", "DurationSeconds", "43201"}, "less than or equal to 43200"},
		"a reserved tag":            {token, []string{"Name", "alice", "Tags.member.1.Key", "aws:x", "Tags.member.1.Value", "1"}, "reserved prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := fault(t, c.read(read(t, post(formOf(append(c.form, "Action", "X")...)))))
			if e.Code != "ValidationError" || !strings.Contains(e.Message, c.text) {
				t.Errorf("%s: %s", e.Code, e.Message)
			}
			if strings.Contains(e.Message, "sss") {
				t.Errorf("the message repeats the proof: %s", e.Message)
			}
		})
	}
}

func TestFederatedAnswersAreSTSs(t *testing.T) {
	t.Parallel()
	role := AssumeRoleResult{
		Credentials:   iam.Credentials{AccessKeyID: "ASIAEXAMPLE000000001", SecretAccessKey: secret.New("s"), SessionToken: secret.New("t"), Expires: time.Unix(0, 0), AssumedRoleARN: "arn:x"},
		AssumedRoleID: "AROA:alice", SourceIdentity: "alice",
	}
	for name, c := range map[string]struct {
		answer Answer
		want   []string
	}{
		"web identity": {WebIdentityResult{AssumeRoleResult: role, Subject: "corp=1", Audience: "sts", Provider: "arn:p"}, []string{
			"<AssumeRoleWithWebIdentityResponse", "<AssumeRoleWithWebIdentityResult>", "<SubjectFromWebIdentityToken>corp=1</SubjectFromWebIdentityToken>",
			"<Audience>sts</Audience>", "<Provider>arn:p</Provider>", "<AssumedRoleId>AROA:alice</AssumedRoleId>", "<SourceIdentity>alice</SourceIdentity>",
		}},
		"SAML": {SAMLResult{AssumeRoleResult: role, Subject: "corp=1", SubjectType: "persistent", Issuer: "i", Audience: "a", NameQualifier: "q"}, []string{
			"<AssumeRoleWithSAMLResult>", "<Subject>corp=1</Subject>", "<SubjectType>persistent</SubjectType>", "<Issuer>i</Issuer>", "<NameQualifier>q</NameQualifier>", "<Expiration>1970-01-01T00:00:00Z</Expiration>",
		}},
		"federation token": {FederationTokenResult{Credentials: role.Credentials, FederatedUserID: "1:alice", PackedPolicySize: 3}, []string{
			"<GetFederationTokenResult>", "<FederatedUserId>1:alice</FederatedUserId>", "<Arn>arn:x</Arn>", "<PackedPolicySize>3</PackedPolicySize>",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			WriteAnswer(w, requestID, c.answer)
			for _, part := range c.want {
				if !strings.Contains(w.Body.String(), part) {
					t.Errorf("no %s in:\n%s", part, w.Body)
				}
			}
		})
	}
}
