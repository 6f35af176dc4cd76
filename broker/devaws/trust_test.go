package devaws

import (
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

func TestTrustPoliciesThatAreNotUnderstoodWholeAreRefused(t *testing.T) {
	t.Parallel()
	statement := func(inside string) string { return `{"Version":"2012-10-17","Statement":[{` + inside + `}]}` }
	const allow = `"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"`
	for name, text := range map[string]string{
		"nothing":                        ``,
		"no JSON":                        `Allow all`,
		"two documents":                  statement(allow) + statement(allow),
		"no statement":                   `{"Version":"2012-10-17","Statement":[]}`,
		"a version of the future":        `{"Version":"2030-01-01","Statement":{` + allow + `}}`,
		"an unknown element":             statement(allow + `,"Extra":1`),
		"NotAction":                      statement(`"Effect":"Allow","Principal":"*","NotAction":"sts:AssumeRole"`),
		"NotPrincipal":                   statement(`"Effect":"Allow","NotPrincipal":{"AWS":"*"},"Action":"sts:AssumeRole"`),
		"Resource, which IAM prohibits":  statement(allow + `,"Resource":"*"`),
		"no effect":                      statement(`"Principal":"*","Action":"sts:AssumeRole"`),
		"an effect in lower case":        statement(`"Effect":"allow","Principal":"*","Action":"sts:AssumeRole"`),
		"no principal":                   statement(`"Effect":"Allow","Action":"sts:AssumeRole"`),
		"an empty principal":             statement(`"Effect":"Allow","Principal":{},"Action":"sts:AssumeRole"`),
		"a principal as bare text":       statement(`"Effect":"Allow","Principal":"arn:aws:iam::111122223333:root","Action":"sts:AssumeRole"`),
		"a wildcard inside a principal":  statement(`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/*"},"Action":"sts:AssumeRole"`),
		"a principal of an unknown kind": statement(`"Effect":"Allow","Principal":{"Azure":"x"},"Action":"sts:AssumeRole"`),
		"no action":                      statement(`"Effect":"Allow","Principal":"*"`),
		"an action of another service":   statement(`"Effect":"Allow","Principal":"*","Action":"s3:GetObject"`),
		"an unknown operator":            statement(allow + `,"Condition":{"StringSounds":{"sts:ExternalId":"x"}}`),
		"an unknown set operator":        statement(allow + `,"Condition":{"ForSome:StringLike":{"sts:ExternalId":"x"}}`),
		"IfExists of Null":               statement(allow + `,"Condition":{"NullIfExists":{"sts:ExternalId":"true"}}`),
		"a condition without values":     statement(allow + `,"Condition":{"StringLike":{"sts:ExternalId":[]}}`),
		"Null of a text":                 statement(allow + `,"Condition":{"Null":{"sts:ExternalId":"maybe"}}`),
		"Bool of a number":               statement(allow + `,"Condition":{"Bool":{"aws:SecureTransport":"1"}}`),
		"Numeric of a text":              statement(allow + `,"Condition":{"NumericLessThan":{"aws:MultiFactorAuthAge":"old"}}`),
		"Date of a text":                 statement(allow + `,"Condition":{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}`),
		"IpAddress of a name":            statement(allow + `,"Condition":{"IpAddress":{"aws:SourceIp":"localhost"}}`),
		"a value that is an object":      statement(allow + `,"Condition":{"StringLike":{"sts:ExternalId":{}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := parseTrust(text); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestANewStandInNamesEveryFaultOfItsConfiguration(t *testing.T) {
	t.Parallel()
	admin := iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "Admin"}
	underPath := admin
	underPath.Path = "/team/"
	foreign := admin
	foreign.Account = "444455556666"
	_, err := New(Config{
		URL:      "http://127.0.0.1:1",
		Accounts: []Account{{ID: "111122223333"}, {ID: "12"}},
		Roles: []Role{
			{ARN: admin, Trust: TrustPolicy("", "*")},
			{ARN: underPath, Trust: TrustPolicy("", "*")},
			{ARN: foreign, Trust: TrustPolicy("", "*")},
			{ARN: admin, Trust: `{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:*","Condition":{"Odd":{"a":"b"}}}}`},
			{ARN: admin, Trust: TrustPolicy("", "*"), MaxSessionDuration: 13 * time.Hour},
		},
		Users: []User{{ARN: "arn:aws:iam::111122223333:role/x"}, {ARN: "arn:aws:iam::111122223333:user/x", AccessKeyID: "short"}},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		`account "12"`, "role/team/Admin: the account has a role of this name", "444455556666:role/Admin: its account", `operator "Odd"`,
		"MaxSessionDuration 13h", `user "arn:aws:iam::111122223333:role/x"`, "user/x: want an access key",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %s:\n%v", want, err)
		}
	}
}

func TestAnOriginIsNeeded(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "127.0.0.1:1", "http://127.0.0.1:1/sts", "ftp://127.0.0.1", "http://127.0.0.1?x=y"} {
		if _, err := New(Config{URL: address}); err == nil {
			t.Errorf("%q was accepted", address)
		}
	}
}

// someone is a session of a role in account 999988887777.
var someone = caller{
	partition: "aws", account: "999988887777", arn: "arn:aws:sts::999988887777:assumed-role/broker/node1",
	principal: "arn:aws:iam::999988887777:role/service/broker", id: "AROA12345678901234567", userID: "AROA12345678901234567:node1",
}

func TestWhoIsAPrincipal(t *testing.T) {
	t.Parallel()
	for principal, want := range map[string]bool{
		`"*"`:                    true,
		`{"AWS":"*"}`:            true,
		`{"AWS":"999988887777"}`: true,
		`{"AWS":"arn:aws:iam::999988887777:root"}`:                      true,
		`{"AWS":["111122223333","999988887777"]}`:                       true,
		`{"AWS":"arn:aws:iam::999988887777:role/service/broker"}`:       true,
		`{"AWS":"arn:aws:sts::999988887777:assumed-role/broker/node1"}`: true,
		`{"AWS":"AROA12345678901234567"}`:                               true,
		`{"AWS":"arn:aws:iam::999988887777:role/broker"}`:               false,
		`{"AWS":"arn:aws:sts::999988887777:assumed-role/broker/node2"}`: false,
		`{"AWS":"arn:aws:iam::999988887777:role/service/broker2"}`:      false,
		`{"AWS":"arn:aws:iam::999988887777:user/broker"}`:               false,
		`{"AWS":"111122223333"}`:                                        false,
		`{"AWS":"arn:aws-cn:iam::999988887777:root"}`:                   false,
		`{"Federated":"arn:aws:iam::999988887777:saml-provider/x"}`:     false,
		`{"Service":"ec2.amazonaws.com"}`:                               false,
		`{"Service":"ec2.amazonaws.com","AWS":"999988887777"}`:          true,
	} {
		policy := mustTrust(t, `{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Principal":`+principal+`}}`)
		if got := policy.allows("sts:AssumeRole", someone, keys{}); got != want {
			t.Errorf("%s: %t", principal, got)
		}
	}
}

func mustTrust(t *testing.T, text string) *trust {
	t.Helper()
	policy, err := parseTrust(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return policy
}

func TestWhatAnActionCovers(t *testing.T) {
	t.Parallel()
	for action, want := range map[string]bool{
		`"sts:AssumeRole"`: true, `"STS:assumerole"`: true, `"sts:*"`: true, `"*"`: true, `"sts:Assume*"`: true, `"sts:AssumeRol?"`: true,
		`["sts:TagSession","sts:AssumeRole"]`: true, `"sts:TagSession"`: false, `"sts:AssumeRoleWithSAML"`: false, `"sts:AssumeRole?"`: false,
	} {
		policy := mustTrust(t, `{"Statement":{"Effect":"Allow","Principal":"*","Action":`+action+`}}`)
		if got := policy.allows("sts:AssumeRole", someone, keys{}); got != want {
			t.Errorf("%s: %t", action, got)
		}
	}
}

func TestADenyWinsWhereverItStands(t *testing.T) {
	t.Parallel()
	const allow = `{"Effect":"Allow","Principal":"*","Action":"sts:*"}`
	const deny = `{"Effect":"Deny","Principal":{"AWS":"999988887777"},"Action":"sts:AssumeRole"}`
	for name, test := range map[string]struct {
		statements string
		want       bool
	}{
		"allow alone":                     {allow, true},
		"deny after":                      {allow + "," + deny, false},
		"deny before":                     {deny + "," + allow, false},
		"deny alone":                      {deny, false},
		"a deny for everybody":            {allow + `,{"Effect":"Deny","Principal":{"AWS":"*"},"Action":"*"}`, false},
		"a deny whose condition fails":    {allow + `,{"Effect":"Deny","Principal":"*","Action":"*","Condition":{"Null":{"sts:ExternalId":"false"}}}`, true},
		"a deny of a missing external id": {allow + `,{"Effect":"Deny","Principal":"*","Action":"*","Condition":{"Null":{"sts:ExternalId":"true"}}}`, false},
		"a deny of somebody else":         {allow + `,{"Effect":"Deny","Principal":{"AWS":"111122223333"},"Action":"*"}`, true},
		"a deny of another external id":   {allow + `,{"Effect":"Deny","Principal":"*","Action":"*","Condition":{"StringNotEquals":{"sts:ExternalId":"x"}}}`, false},
		"a deny of another action":        {allow + `,{"Effect":"Deny","Principal":"*","Action":"sts:TagSession"}`, true},
		"no statement for this action":    {`{"Effect":"Allow","Principal":"*","Action":"sts:TagSession"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			policy := mustTrust(t, `{"Version":"2012-10-17","Statement":[`+test.statements+`]}`)
			if got := policy.allows("sts:AssumeRole", someone, keys{}); got != test.want {
				t.Error(got)
			}
		})
	}
}

func FuzzParseTrust(f *testing.F) {
	f.Add(TrustPolicy("x", "*"))
	f.Add(`{"Statement":{"Effect":"Deny","Principal":{"AWS":["*"]},"Action":["*"],"Condition":{"ForAnyValue:StringLikeIfExists":{"a":["${b,'c'}*",1,true]}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		policy, err := parseTrust(text)
		if err != nil {
			return
		}
		policy.allows("sts:AssumeRole", someone, keys{"sts:externalid": {"x"}, "a": {"b", "c"}})
	})
}
