package stswire

import (
	"regexp"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

// AssumeRoleWithWebIdentity is the operation of that name; nobody signs it, the
// token is the proof.
type AssumeRoleWithWebIdentity struct {
	RoleARN         string
	RoleSessionName string
	Token           secret.String
	ProviderID      string // of the old OAuth 2.0 providers
	DurationSeconds int
	Policy          string
	PolicyARNs      []string
}

// AssumeRoleWithSAML is the operation of that name; the assertion is the proof.
type AssumeRoleWithSAML struct {
	RoleARN         string
	PrincipalARN    string
	Assertion       secret.String // base64 of a samlp:Response
	DurationSeconds int
	Policy          string
	PolicyARNs      []string
}

// GetFederationToken is the operation of that name.
type GetFederationToken struct {
	Name            string
	DurationSeconds int
	Policy          string
	PolicyARNs      []string
	Tags            []iam.Tag
}

var (
	tokenShape      = model(4, 20000, `[\s\S]*`, `[\s\S]*`)
	assertionShape  = model(4, 100000, `[\s\S]*`, `[\s\S]*`)
	providerIDShape = model(4, 2048, `[\s\S]*`, `[\s\S]*`)
	shortNameShape  = model(2, 32, `[\w+=,.@-]*`, `[\w+=,.@-]*`)

	roleSeconds       = span{int(iam.MinDuration.Seconds()), int(iam.MaxDuration.Seconds()), defaultSeconds}
	federationSeconds = span{int(iam.MinDuration.Seconds()), 129600, 43200}
)

// AssumeRoleWithWebIdentity reads the operation.
func (c *Call) AssumeRoleWithWebIdentity() (AssumeRoleWithWebIdentity, error) {
	var v validation
	op := AssumeRoleWithWebIdentity{
		RoleARN:         v.required(c.params, "RoleArn", arnShape),
		RoleSessionName: v.required(c.params, "RoleSessionName", nameShape),
		Token:           v.hidden(c.params, "WebIdentityToken", tokenShape),
		ProviderID:      v.optional(c.params, "ProviderId", providerIDShape),
		Policy:          v.optional(c.params, "Policy", policyShape),
	}
	var err error
	if op.DurationSeconds, op.PolicyARNs, err = v.common(c.params, roleSeconds); err != nil {
		return AssumeRoleWithWebIdentity{}, err
	}
	return op, v.fault()
}

// AssumeRoleWithSAML reads the operation.
func (c *Call) AssumeRoleWithSAML() (AssumeRoleWithSAML, error) {
	var v validation
	op := AssumeRoleWithSAML{
		RoleARN:      v.required(c.params, "RoleArn", arnShape),
		PrincipalARN: v.required(c.params, "PrincipalArn", arnShape),
		Assertion:    v.hidden(c.params, "SAMLAssertion", assertionShape),
		Policy:       v.optional(c.params, "Policy", policyShape),
	}
	var err error
	if op.DurationSeconds, op.PolicyARNs, err = v.common(c.params, roleSeconds); err != nil {
		return AssumeRoleWithSAML{}, err
	}
	return op, v.fault()
}

// GetFederationToken reads the operation.
func (c *Call) GetFederationToken() (GetFederationToken, error) {
	var v validation
	op := GetFederationToken{
		Name:   v.required(c.params, "Name", shortNameShape),
		Policy: v.optional(c.params, "Policy", policyShape),
	}
	var err error
	if op.DurationSeconds, op.PolicyARNs, err = v.common(c.params, federationSeconds); err != nil {
		return GetFederationToken{}, err
	}
	if op.Tags, err = v.tags(c.params); err != nil {
		return GetFederationToken{}, err
	}
	if err := v.fault(); err != nil {
		return GetFederationToken{}, err
	}
	return op, checkTags(op.Tags)
}

// common reads what these operations share.
func (v *validation) common(p params, s span) (int, []string, error) {
	duration, err := v.seconds(p, s)
	if err != nil {
		return 0, nil, err
	}
	arns, err := v.list(p, "PolicyArns", ".arn", maxPolicyARNs, arnShape)
	return duration, arns, err
}

// hidden is required for a secret, which no message repeats.
func (v *validation) hidden(p params, name string, s shape) secret.String {
	value, ok := p[name]
	if !ok {
		return secret.New(v.required(p, name, s))
	}
	var inner validation
	inner.check(value, member(name), s)
	for _, rule := range inner.broken {
		v.add("", member(name), shownValue.ReplaceAllString(rule, ""))
	}
	return secret.New(value)
}

// shownValue is what validation.add writes before the rule.
var shownValue = regexp.MustCompile(`(?s)^.*failed to satisfy constraint: `)

// WebIdentityResult answers AssumeRoleWithWebIdentity.
type WebIdentityResult struct {
	AssumeRoleResult
	Subject, Audience, Provider string
}

// SAMLResult answers AssumeRoleWithSAML.
type SAMLResult struct {
	AssumeRoleResult
	Subject, SubjectType, Issuer, Audience, NameQualifier string
}

// FederationTokenResult answers GetFederationToken.
type FederationTokenResult struct {
	Credentials      iam.Credentials // AssumedRoleARN is the federated user's
	FederatedUserID  string          // ACCOUNT:NAME
	PackedPolicySize int
}

func (a WebIdentityResult) wire() (string, any) {
	return "AssumeRoleWithWebIdentity", struct {
		fields
		Subject  string `xml:"SubjectFromWebIdentityToken"`
		Audience string
		Provider string
	}{a.fields(), a.Subject, a.Audience, a.Provider}
}

func (a SAMLResult) wire() (string, any) {
	return "AssumeRoleWithSAML", struct {
		fields
		Subject, SubjectType, Issuer, Audience, NameQualifier string
	}{a.fields(), a.Subject, a.SubjectType, a.Issuer, a.Audience, a.NameQualifier}
}

func (a FederationTokenResult) wire() (string, any) {
	type user struct {
		FederatedUserID string `xml:"FederatedUserId"`
		Arn             string
	}
	return "GetFederationToken", struct {
		FederatedUser    user
		Credentials      wireCredentials
		PackedPolicySize int `xml:",omitempty"`
	}{user{a.FederatedUserID, a.Credentials.AssumedRoleARN}, wireKeys(a.Credentials), a.PackedPolicySize}
}

// fields are what the AssumeRole family answers with.
type fields struct {
	SourceIdentity   string `xml:",omitempty"`
	AssumedRoleUser  wireUser
	Credentials      wireCredentials
	PackedPolicySize int `xml:",omitempty"`
}

func (a AssumeRoleResult) fields() fields {
	return fields{
		SourceIdentity:  a.SourceIdentity,
		AssumedRoleUser: wireUser{a.AssumedRoleID, a.Credentials.AssumedRoleARN},
		Credentials:     wireKeys(a.Credentials), PackedPolicySize: a.PackedPolicySize,
	}
}

func wireKeys(c iam.Credentials) wireCredentials {
	return wireCredentials{c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal(), c.Expires.UTC().Format(time.RFC3339)}
}
