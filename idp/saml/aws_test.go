package saml_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

const awsRole = "https://aws.amazon.com/SAML/Attributes/Role"

func TestRolesForAWSAreGroupsWhereTheConfigurationSaysSo(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	const admin, provider = "arn:aws:iam::111122223333:role/team/Admin,a", "arn:aws:iam::111122223333:saml-provider/corp"
	const china = "arn:aws-cn:iam::444455556666:role/R"
	long := "arn:aws:iam::111122223333:role/" + strings.Repeat("x", 600)
	for name, test := range map[string]struct {
		trusted bool
		values  []string
		groups  []string
		reason  string
	}{
		"not trusted":                    {false, []string{admin + "," + provider}, []string{"platform", "developers"}, ""},
		"role first, role last, twice":   {true, []string{admin + "," + provider, " " + provider + " , " + admin + " ", "arn:aws-cn:iam::444455556666:saml-provider/x," + china}, []string{"platform", "developers", admin, china}, ""},
		"none":                           {true, nil, []string{"platform", "developers"}, ""},
		"a role alone":                   {true, []string{admin}, nil, "attribute"},
		"a group's name":                 {true, []string{"platform"}, nil, "attribute"},
		"two roles":                      {true, []string{"arn:aws:iam::111122223333:role/A,arn:aws:iam::111122223333:role/B"}, nil, "attribute"},
		"a provider twice":               {true, []string{provider + "," + provider}, nil, "attribute"},
		"a pattern":                      {true, []string{"arn:aws:iam::111122223333:role/*," + provider}, nil, "attribute"},
		"a short account":                {true, []string{"arn:aws:iam::1111:role/A," + provider}, nil, "attribute"},
		"a line end in the name":         {true, []string{"arn:aws:iam::111122223333:role/A\nB," + provider}, nil, "attribute"},
		"a name that is too long":        {true, []string{long + "," + provider}, nil, "attribute"},
		"one good and one broken is all": {true, []string{admin + "," + provider, "x"}, nil, "attribute"},
	} {
		answer := good()
		if test.values != nil {
			answer.Attributes[awsRole] = test.values
		}
		c := standard(t, i)
		c.AWSAttributes = test.trusted
		v := saml.Judge(i.Response(answer), c)
		if test.reason != "" {
			refused(t, v, test.reason)
			continue
		}
		if v.Err() != nil || !cmp.Equal(v.Identity.Groups, test.groups) {
			t.Errorf("%s: %v %v", name, v.Err(), v.Identity)
		}
	}
}
