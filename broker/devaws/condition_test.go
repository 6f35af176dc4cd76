package devaws

import (
	"strings"
	"testing"
	"time"
)

// request is what the conditions below are asked about.
var request = keys{
	"sts:externalid":        {"Tenant-1*"},
	"sts:sourceidentity":    {"alice"},
	"aws:tagkeys":           {"team", "email"},
	"aws:requesttag/team":   {"platform"},
	"aws:principaltag/team": {"platform"},
	"aws:principaltag/star": {"*"},
	"aws:principalarn":      {"arn:aws:iam::999988887777:role/service/broker"},
	"aws:currenttime":       {"2026-11-23T09:00:00Z"},
	"aws:epochtime":         {"1795424400"},
	"aws:securetransport":   {"false"},
	"aws:sourceip":          {"10.1.2.3"},
	"x:age":                 {"300"},
	"x:empty":               {},
}

// conditions are blocks and whether they hold for the request. The meanings are
// those of the IAM User Guide, "IAM JSON policy elements: Condition operators".
var conditions = map[string]bool{
	`"StringEquals":{"sts:SourceIdentity":"alice"}`:                                       true,
	`"StringEquals":{"STS:sourceidentity":"alice"}`:                                       true,
	`"StringEquals":{"sts:SourceIdentity":"Alice"}`:                                       false,
	`"StringEquals":{"sts:SourceIdentity":["bob","alice"]}`:                               true,
	`"StringEquals":{"sts:SourceIdentity":"ali*"}`:                                        false,
	`"StringEquals":{"sts:ExternalId":"Tenant-1*"}`:                                       true,
	`"StringEquals":{"x:absent":"alice"}`:                                                 false,
	`"StringEquals":{"x:empty":"alice"}`:                                                  false,
	`"StringEqualsIfExists":{"x:absent":"alice"}`:                                         true,
	`"StringEqualsIfExists":{"sts:SourceIdentity":"bob"}`:                                 false,
	`"StringEquals":{"sts:SourceIdentity":"alice","sts:ExternalId":"other"}`:              false,
	`"StringEquals":{"sts:SourceIdentity":"alice"},"Bool":{"aws:SecureTransport":"true"}`: false,
	`"StringNotEquals":{"sts:SourceIdentity":"bob"}`:                                      true,
	`"StringNotEquals":{"sts:SourceIdentity":["bob","alice"]}`:                            false,
	`"StringNotEquals":{"x:absent":"bob"}`:                                                true,
	`"StringEqualsIgnoreCase":{"sts:SourceIdentity":"ALICE"}`:                             true,
	`"StringNotEqualsIgnoreCase":{"sts:SourceIdentity":"ALICE"}`:                          false,
	`"StringLike":{"sts:SourceIdentity":"a*e"}`:                                           true,
	`"StringLike":{"sts:SourceIdentity":"al?ce"}`:                                         true,
	`"StringLike":{"sts:SourceIdentity":"*"}`:                                             true,
	`"StringLike":{"sts:SourceIdentity":"al?"}`:                                           false,
	`"StringLike":{"sts:SourceIdentity":"A*"}`:                                            false,
	`"StringLike":{"sts:SourceIdentity":""}`:                                              false,
	`"StringLike":{"x:absent":"*"}`:                                                       false,
	`"StringNotLike":{"sts:SourceIdentity":"b*"}`:                                         true,
	`"StringNotLike":{"sts:SourceIdentity":"a*"}`:                                         false,
	`"StringNotLikeIfExists":{"x:absent":"a*"}`:                                           true,
	`"stringlike":{"sts:SourceIdentity":"a*"}`:                                            true,
	`"ForAllValues:StringEquals":{"aws:TagKeys":["team","email","unit"]}`:                 true,
	`"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}`:                                false,
	`"ForAllValues:StringEquals":{"sts:TransitiveTagKeys":["team"]}`:                      true,
	`"ForAllValues:StringNotEquals":{"aws:TagKeys":["unit"]}`:                             true,
	`"ForAllValues:StringNotEquals":{"aws:TagKeys":["email"]}`:                            false,
	`"ForAllValues:StringLike":{"aws:TagKeys":["t*","e*"]}`:                               true,
	`"ForAnyValue:StringEquals":{"aws:TagKeys":["email"]}`:                                true,
	`"ForAnyValue:StringEquals":{"aws:TagKeys":["unit"]}`:                                 false,
	`"ForAnyValue:StringEquals":{"sts:TransitiveTagKeys":["team"]}`:                       false,
	`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["team"]}`:                              true,
	`"ForAnyValue:StringNotEquals":{"aws:TagKeys":["team","email"]}`:                      false,
	`"Null":{"sts:ExternalId":"false"}`:                                                   true,
	`"Null":{"sts:ExternalId":"true"}`:                                                    false,
	`"Null":{"x:absent":true}`:                                                            true,
	`"Null":{"x:absent":false}`:                                                           false,
	`"Bool":{"aws:SecureTransport":"false"}`:                                              true,
	`"Bool":{"aws:SecureTransport":"False"}`:                                              true,
	`"Bool":{"aws:SecureTransport":true}`:                                                 false,
	`"Bool":{"aws:MultiFactorAuthPresent":"false"}`:                                       false,
	`"BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}`:                                true,
	`"NumericLessThan":{"x:age":"301"}`:                                                   true,
	`"NumericLessThan":{"x:age":300}`:                                                     false,
	`"NumericLessThanEquals":{"x:age":"300"}`:                                             true,
	`"NumericGreaterThan":{"x:age":"299.5"}`:                                              true,
	`"NumericGreaterThanEquals":{"x:age":"301"}`:                                          false,
	`"NumericEquals":{"x:age":"300.0"}`:                                                   true,
	`"NumericNotEquals":{"x:age":"300"}`:                                                  false,
	`"NumericLessThan":{"sts:SourceIdentity":"300"}`:                                      false,
	`"DateLessThan":{"aws:CurrentTime":"2026-11-23T09:00:01Z"}`:                           true,
	`"DateLessThan":{"aws:CurrentTime":"2026-11-23T09:00:00Z"}`:                           false,
	`"DateLessThanEquals":{"aws:CurrentTime":"2026-11-23T10:00:00+01:00"}`:                true,
	`"DateGreaterThan":{"aws:CurrentTime":"2026-11-23"}`:                                  true,
	`"DateGreaterThanEquals":{"aws:EpochTime":"1795424400"}`:                              true,
	`"DateGreaterThan":{"aws:EpochTime":1795424400}`:                                      false,
	`"DateEquals":{"aws:CurrentTime":"2026-11-23T09:00:00Z"}`:                             true,
	`"DateNotEquals":{"aws:CurrentTime":"2026-11-23T09:00:00Z"}`:                          false,
	`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::999988887777:role/service/broker"}`:    true,
	`"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/service/*"}`:                      true,
	`"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::*:role/service/brok?r"}`:               true,
	`"ArnLike":{"aws:PrincipalArn":"arn:*:role/service/broker"}`:                          false,
	`"ArnLike":{"aws:PrincipalArn":"*"}`:                                                  false,
	`"ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/other/*"}`:                     true,
	`"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::*:role/service/*"}`:                 false,
	`"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}`:                                           true,
	`"IpAddress":{"aws:SourceIp":["192.0.2.1","10.1.2.3"]}`:                               true,
	`"IpAddress":{"aws:SourceIp":"2001:db8::/32"}`:                                        false,
	`"NotIpAddress":{"aws:SourceIp":"10.0.0.0/8"}`:                                        false,
	`"StringEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/team}"}`:                   true,
	`"StringEquals":{"aws:RequestTag/Team":"${AWS:principaltag/TEAM}"}`:                   true,
	`"StringLike":{"aws:RequestTag/team":"plat${*}"}`:                                     false,
	`"StringLike":{"sts:ExternalId":"Tenant-1${*}"}`:                                      true,
	`"StringLike":{"aws:RequestTag/team":"${aws:PrincipalTag/star}"}`:                     false,
	`"StringEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/unit}"}`:                   false,
	`"StringEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/unit, 'platform'}"}`:       true,
	`"StringEquals":{"aws:RequestTag/team":"${aws:TagKeys}"}`:                             false,
	`"StringEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/team"}`:                    false,
	`"StringNotEquals":{"aws:RequestTag/team":"${aws:PrincipalTag/team}"}`:                false,
}

func TestConditionsHoldAsIAMSays(t *testing.T) {
	t.Parallel()
	for block, want := range conditions {
		policy := mustTrust(t, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Condition":{`+block+`}}}`)
		if got := policy.allows("sts:AssumeRole", someone, request); got != want {
			t.Errorf("%s: %t", block, got)
		}
	}
}

func TestAPatternOfManyRunsIsMatchedInTime(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	if like(wild(strings.Repeat("a*", 1000)+"b"), strings.Repeat("a", 5000)) {
		t.Error("matched")
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}
