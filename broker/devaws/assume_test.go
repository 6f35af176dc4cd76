package devaws_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/rolecall/rolecall/broker/devaws"
)

// allow is a trust policy of one statement that allows the actions to the principal.
func allow(principal, actions, condition string) string {
	statement := fmt.Sprintf(`"Effect":"Allow","Principal":{"AWS":%q},"Action":%s`, principal, actions)
	if condition != "" {
		statement += `,"Condition":` + condition
	}
	return `{"Version":"2012-10-17","Statement":[{` + statement + `}]}`
}

const every = `["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]`

func tags(pairs ...string) (out []types.Tag) {
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.Tag{Key: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
	}
	return out
}

// trusted are orders of the user "broker" for a role with a trust policy.
var trusted = map[string]struct {
	trust string
	order func(*sts.AssumeRoleInput)
	ok    bool
}{
	"the broker by its ARN":                      {allow(brokerARN, `"sts:AssumeRole"`, ""), nil, true},
	"the broker by its account":                  {allow("arn:aws:iam::999988887777:root", `"sts:AssumeRole"`, ""), nil, true},
	"anybody":                                    {allow("*", `"sts:AssumeRole"`, ""), nil, true},
	"somebody else":                              {allow("arn:aws:iam::999988887777:user/other", every, ""), nil, false},
	"another account":                            {allow("arn:aws:iam::111122223333:root", every, ""), nil, false},
	"another action":                             {allow(brokerARN, `"sts:AssumeRoleWithSAML"`, ""), nil, false},
	"tags where TagSession is allowed":           {allow(brokerARN, `["sts:AssumeRole","sts:TagSession"]`, ""), withTags("team", "a"), true},
	"tags where it is not":                       {allow(brokerARN, `"sts:AssumeRole"`, ""), withTags("team", "a"), false},
	"a source identity where it may be set":      {allow(brokerARN, `["sts:AssumeRole","sts:SetSourceIdentity"]`, ""), withIdentity("alice"), true},
	"a source identity where it may not":         {allow(brokerARN, `["sts:AssumeRole","sts:TagSession"]`, ""), withIdentity("alice"), false},
	"the external id":                            {allow(brokerARN, every, `{"StringEquals":{"sts:ExternalId":"tenant-7"}}`), withExternal("tenant-7"), true},
	"another external id":                        {allow(brokerARN, every, `{"StringEquals":{"sts:ExternalId":"tenant-7"}}`), withExternal("tenant-8"), false},
	"no external id":                             {allow(brokerARN, every, `{"StringEquals":{"sts:ExternalId":"tenant-7"}}`), nil, false},
	"a session name of the pattern":              {allow(brokerARN, every, `{"StringLike":{"sts:RoleSessionName":"ali*"}}`), nil, true},
	"a session name of another":                  {allow(brokerARN, every, `{"StringLike":{"sts:RoleSessionName":"bob*"}}`), nil, false},
	"a source identity that is required":         {allow(brokerARN, every, `{"StringLike":{"sts:SourceIdentity":"corp=*"}}`), withIdentity("corp=alice"), true},
	"the same, not given":                        {allow(brokerARN, every, `{"StringLike":{"sts:SourceIdentity":"corp=*"}}`), nil, false},
	"a tag that is required":                     {allow(brokerARN, every, `{"StringEquals":{"aws:RequestTag/team":"a"}}`), withTags("Team", "a"), true},
	"the same with another value":                {allow(brokerARN, every, `{"StringEquals":{"aws:RequestTag/team":"a"}}`), withTags("team", "b"), false},
	"tag keys within the list":                   {allow(brokerARN, every, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team","unit"]}}`), withTags("team", "a"), true},
	"a tag key outside the list":                 {allow(brokerARN, every, `{"ForAllValues:StringEquals":{"aws:TagKeys":["team","unit"]}}`), withTags("role", "a"), false},
	"a transitive key within the list":           {allow(brokerARN, every, `{"ForAllValues:StringEquals":{"sts:TransitiveTagKeys":["team"]}}`), withTransitive("team"), true},
	"a transitive key outside the list":          {allow(brokerARN, every, `{"ForAllValues:StringEquals":{"sts:TransitiveTagKeys":["team"]}}`), withTransitive("role"), false},
	"the caller's own tag":                       {allow("*", every, `{"StringEquals":{"aws:PrincipalTag/unit":"identity"}}`), nil, true},
	"the caller's tag as a variable":             {allow("*", every, `{"StringEquals":{"aws:RequestTag/unit":"${aws:PrincipalTag/unit}"}}`), withTags("unit", "identity"), true},
	"the caller's tag as a variable, other":      {allow("*", every, `{"StringEquals":{"aws:RequestTag/unit":"${aws:PrincipalTag/unit}"}}`), withTags("unit", "x"), false},
	"the caller's ARN":                           {allow("*", every, `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::999988887777:user/bro*"}}`), nil, true},
	"the caller's account":                       {allow("*", every, `{"StringEquals":{"aws:PrincipalAccount":"999988887777"}}`), nil, true},
	"the hour":                                   {allow("*", every, `{"DateLessThan":{"aws:CurrentTime":"2026-11-23T09:00:01Z"}}`), nil, true},
	"an hour that is over":                       {allow("*", every, `{"DateLessThan":{"aws:CurrentTime":"2026-11-23T09:00:00Z"}}`), nil, false},
	"TLS, which is not there":                    {allow("*", every, `{"Bool":{"aws:SecureTransport":"true"}}`), nil, false},
	"the loopback address":                       {allow("*", every, `{"IpAddress":{"aws:SourceIp":"127.0.0.0/8"}}`), nil, true},
	"the region of the scope":                    {allow("*", every, `{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}`), nil, true},
	"a second factor, which a key does not have": {allow("*", every, `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`), nil, false},
}

func withTags(key, value string) func(*sts.AssumeRoleInput) {
	return func(in *sts.AssumeRoleInput) { in.Tags = tags(key, value) }
}

func withTransitive(key string) func(*sts.AssumeRoleInput) {
	return func(in *sts.AssumeRoleInput) { in.Tags, in.TransitiveTagKeys = tags(key, "x"), []string{key} }
}

func withIdentity(name string) func(*sts.AssumeRoleInput) {
	return func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String(name) }
}

func withExternal(id string) func(*sts.AssumeRoleInput) {
	return func(in *sts.AssumeRoleInput) { in.ExternalId = aws.String(id) }
}

func TestTheTrustPolicyDecides(t *testing.T) {
	t.Parallel()
	for name, test := range trusted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, map[string]string{"Admin": test.trust})
			in := order("Admin")
			if test.order != nil {
				test.order(in)
			}
			_, err := c.broker().AssumeRole(t.Context(), in)
			if test.ok && err != nil {
				t.Error(err)
			}
			if !test.ok {
				refusedWith(t, err, "AccessDenied",
					"User: "+brokerARN+" is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::111122223333:role/Admin")
			}
		})
	}
}

func TestARoleThatDoesNotExistLooksLikeOneThatIsRefused(t *testing.T) {
	t.Parallel()
	c := start(t, map[string]string{"Admin": allow("111122223333", every, "")})
	_, unknown := c.broker().AssumeRole(t.Context(), order("Nobody"))
	_, refused := c.broker().AssumeRole(t.Context(), order("Admin"))
	refusedWith(t, unknown, "AccessDenied", "resource: arn:aws:iam::111122223333:role/Nobody")
	refusedWith(t, refused, "AccessDenied", "resource: arn:aws:iam::111122223333:role/Admin")
	// Even where what was asked for would be wrong for the role.
	long := order("Admin")
	long.DurationSeconds, long.Policy = aws.Int32(43200), aws.String("no policy")
	_, err := c.broker().AssumeRole(t.Context(), long)
	refusedWith(t, err, "AccessDenied", "")
}

func TestBadOrdersAreRefusedWithSTSsCodes(t *testing.T) {
	t.Parallel()
	const good = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
	for name, test := range map[string]struct {
		change     func(*sts.AssumeRoleInput)
		code, text string
	}{
		"a duration over the role's":  {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(7201) }, "ValidationError", "exceeds the MaxSessionDuration set for this role."},
		"a duration over STS's":       {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(43201) }, "ValidationError", "Member must have value less than or equal to 43200"},
		"a duration under STS's":      {func(in *sts.AssumeRoleInput) { in.DurationSeconds = aws.Int32(899) }, "ValidationError", "greater than or equal to 900"},
		"a role that is no ARN":       {func(in *sts.AssumeRoleInput) { in.RoleArn = aws.String("arn:aws:s3:::a-bucket/key") }, "ValidationError", "Request ARN is invalid"},
		"a session name with a space": {func(in *sts.AssumeRoleInput) { in.RoleSessionName = aws.String("a b") }, "ValidationError", "at 'roleSessionName'"},
		"a policy that is no JSON":    {func(in *sts.AssumeRoleInput) { in.Policy = aws.String("{") }, "MalformedPolicyDocument", "Syntax errors in policy."},
		"a policy with a principal": {func(in *sts.AssumeRoleInput) {
			in.Policy = aws.String(strings.Replace(good, `"Action"`, `"Principal":"*","Action"`, 1))
		}, "MalformedPolicyDocument", ""},
		"a policy without a resource":       {func(in *sts.AssumeRoleInput) { in.Policy = aws.String(strings.Replace(good, `,"Resource":"*"`, ``, 1)) }, "MalformedPolicyDocument", ""},
		"a policy with an effect of a kind": {func(in *sts.AssumeRoleInput) { in.Policy = aws.String(strings.Replace(good, "Allow", "Maybe", 1)) }, "MalformedPolicyDocument", ""},
		"a managed policy that is no ARN": {func(in *sts.AssumeRoleInput) {
			in.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:role/ReadOnly")}}
		}, "ValidationError", ""},
		"too many tags to pack":        {func(in *sts.AssumeRoleInput) { in.Tags = manyTags() }, "PackedPolicyTooLarge", "Packed size of session tags consumes "},
		"the same tag in two cases":    {func(in *sts.AssumeRoleInput) { in.Tags = tags("a", "1", "A", "2") }, "ValidationError", "Duplicate tag keys"},
		"a transitive key without tag": {func(in *sts.AssumeRoleInput) { in.TransitiveTagKeys = []string{"team"} }, "InvalidParameterValue", "transitive tag key"},
		"a code of a device": {func(in *sts.AssumeRoleInput) {
			in.SerialNumber, in.TokenCode = aws.String("arn:aws:iam::1:mfa/a"), aws.String("123456")
		}, "AccessDenied", "MultiFactorAuthentication failed"},
		"a source identity with spaces": {withIdentity("a b"), "ValidationError", "at 'sourceIdentity'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, map[string]string{"Admin": devaws.TrustPolicy("", brokerARN)}, func(cfg *devaws.Config) {
				cfg.Roles[0].MaxSessionDuration = 2 * time.Hour
			})
			in := order("Admin")
			test.change(in)
			_, err := c.broker().AssumeRole(t.Context(), in)
			refusedWith(t, err, test.code, test.text)
			in = order("Admin")
			in.Policy, in.DurationSeconds = aws.String(good), aws.Int32(7200)
			if out := c.assume(c.broker(), in); packed(out) < 1 || packed(out) > 20 {
				t.Errorf("a short policy packs to %d %%", packed(out))
			}
		})
	}
}

// manyTags are tags that hardly compress.
func manyTags() (out []types.Tag) {
	for i := range 50 {
		out = append(out, tags(fmt.Sprintf("key-%d", i), fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i)})))...)
	}
	return out
}

// hub is a role that a session of which assumes "Spoke" with.
func hub(t *testing.T, spoke string) *cloud {
	return start(t, map[string]string{"Hub": devaws.TrustPolicy("", brokerARN), "Spoke": spoke})
}

const hubARN = "arn:aws:iam::111122223333:role/Hub"

func TestAChainedRoleLastsAnHourAtMost(t *testing.T) {
	t.Parallel()
	c := hub(t, devaws.TrustPolicy("", hubARN))
	in := order("Hub")
	in.DurationSeconds = aws.Int32(43200)
	first := c.as(c.assume(c.broker(), in).Credentials)
	in = order("Spoke")
	in.DurationSeconds = aws.Int32(3601)
	_, err := first.AssumeRole(t.Context(), in)
	refusedWith(t, err, "ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	out := c.assume(first, order("Spoke"))
	who, err := c.as(out.Credentials).GetCallerIdentity(t.Context(), nil)
	if err != nil || *who.Arn != "arn:aws:sts::111122223333:assumed-role/Spoke/alice" {
		t.Error(who, err)
	}
}

func TestTheRolesMaximumIsCheckedBeforeChaining(t *testing.T) {
	t.Parallel()
	c := start(t, map[string]string{"Hub": devaws.TrustPolicy("", "*")}, func(cfg *devaws.Config) { cfg.Roles[0].MaxSessionDuration = 0 })
	in := order("Hub")
	first := c.as(c.assume(c.broker(), in).Credentials)
	in.DurationSeconds = aws.Int32(3601)
	_, err := first.AssumeRole(t.Context(), in)
	refusedWith(t, err, "ValidationError", "MaxSessionDuration")
}

func TestTransitiveTagsTravelAndCannotBeOverridden(t *testing.T) {
	t.Parallel()
	c := hub(t, allow(hubARN, every, `{"StringEquals":{"aws:PrincipalTag/team":"platform"}}`))
	in := order("Hub")
	in.Tags, in.TransitiveTagKeys = tags("Team", "platform", "unit", "x"), []string{"team"}
	first := c.as(c.assume(c.broker(), in).Credentials)

	in = order("Spoke")
	in.Tags = tags("unit", "y")
	second := c.as(c.assume(first, in).Credentials)
	// The tag is still the session's, two hops on.
	in = order("Spoke")
	in.Tags = tags("TEAM", "other")
	_, err := first.AssumeRole(t.Context(), in)
	refusedWith(t, err, "InvalidParameterValue", "conflicts with a transitive tag key from the calling session")
	_, err = second.AssumeRole(t.Context(), order("Spoke"))
	refusedWith(t, err, "AccessDenied", "") // Spoke trusts Hub only
}

func TestInheritedValuesNeedTheirPermissionsAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		actions string
		change  func(*sts.AssumeRoleInput)
		ok      bool
	}{
		"an inherited tag without TagSession":                     {`["sts:AssumeRole","sts:SetSourceIdentity"]`, withTransitive("team"), false},
		"an inherited tag with it":                                {`["sts:AssumeRole","sts:TagSession"]`, withTransitive("team"), true},
		"a tag that is not transitive":                            {`"sts:AssumeRole"`, withTags("team", "a"), true},
		"an inherited source identity without SetSourceIdentity":  {`["sts:AssumeRole","sts:TagSession"]`, withIdentity("alice"), false},
		"an inherited source identity with it":                    {`["sts:AssumeRole","sts:SetSourceIdentity"]`, withIdentity("alice"), true},
		"nothing inherited, and no further permission than these": {`"sts:AssumeRole"`, func(*sts.AssumeRoleInput) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := hub(t, allow(hubARN, test.actions, ""))
			in := order("Hub")
			test.change(in)
			_, err := c.as(c.assume(c.broker(), in).Credentials).AssumeRole(t.Context(), order("Spoke"))
			if test.ok && err != nil {
				t.Error(err)
			}
			if !test.ok {
				refusedWith(t, err, "AccessDenied", "User: arn:aws:sts::111122223333:assumed-role/Hub/alice is not")
			}
		})
	}
}

func TestASourceIdentityStaysThroughAChain(t *testing.T) {
	t.Parallel()
	c := hub(t, allow(hubARN, every, `{"StringEquals":{"sts:SourceIdentity":"alice","aws:SourceIdentity":"alice"}}`))
	in := order("Hub")
	in.SourceIdentity = aws.String("alice")
	first := c.as(c.assume(c.broker(), in).Credentials)
	if out := c.assume(first, order("Spoke")); *out.SourceIdentity != "alice" {
		t.Error(*out.SourceIdentity)
	}
	open := hub(t, devaws.TrustPolicy("", "*"))
	first = open.as(open.assume(open.broker(), in).Credentials)
	changed := order("Spoke")
	changed.SourceIdentity = aws.String("mallory")
	_, err := first.AssumeRole(t.Context(), changed)
	refusedWith(t, err, "ValidationError", "The source identity is already set for this assume role session")
}
