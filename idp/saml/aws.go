package saml

import (
	"encoding/base64"
	"regexp"
	"slices"

	"github.com/rolecall/rolecall/idp"
)

// awsRole is the attribute by which an application for AWS names roles: each value
// is the ARN of a role and that of the SAML provider in its account, in either
// order. The other attributes for AWS (RoleSessionName, SourceIdentity,
// PrincipalTag:KEY, TransitiveTagKeys, SessionDuration) have one plain value or
// several, and are read by their Names like any attribute.
const awsRole = "https://aws.amazon.com/SAML/Attributes/Role"

var awsRoleForms = func() [2]*regexp.Regexp {
	const role = `(arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}?)`
	const provider = `arn:aws[a-z-]*:iam::\d{12}:saml-provider/[\w.-]{1,128}`
	return [2]*regexp.Regexp{
		regexp.MustCompile(`^\s*` + role + `\s*,\s*` + provider + `\s*$`),
		regexp.MustCompile(`^\s*` + provider + `\s*,\s*` + role + `\s*$`),
	}
}()

// awsRoles gives the roles that an application for AWS names, each once. They are
// groups like any other: grants say what comes of them. A value of another form
// refuses the whole, so that nobody has half of their roles.
func awsRoles(values []string) ([]string, *idp.Rejection) {
	var roles []string
	for _, value := range values {
		found := awsRoleForms[0].FindStringSubmatch(value)
		if found == nil {
			found = awsRoleForms[1].FindStringSubmatch(value)
		}
		if found == nil {
			return nil, idp.Reject("attribute", "a value of %q is not the ARN of a role and that of a SAML provider: %q", awsRole, shorten(value))
		}
		if !slices.Contains(roles, found[1]) {
			roles = append(roles, found[1])
		}
	}
	return roles, nil
}

// awsSignIn is the address that AWS demands as the Recipient of an assertion.
var awsSignIn = regexp.MustCompile(`^https://([a-z0-9-]+\.)?signin\.(aws\.amazon\.com|amazonaws-us-gov\.com|amazonaws\.cn)/saml$`)

// forAWS reports whether assertions are made out to AWS (acs_url) and only brought
// to us, to be passed on.
func (p *Provider) forAWS() bool { return awsSignIn.MatchString(p.acsURL) }

// arrival is where browsers bring responses: acs_url, or our own address where
// acs_url is AWS's.
func (p *Provider) arrival() string {
	if p.forAWS() {
		return p.config.URL + "/saml/" + p.config.Provider.Name.Value + "/acs"
	}
	return p.acsURL
}

func (p *Provider) destinations() []string {
	if p.forAWS() {
		return []string{p.arrival()}
	}
	return nil
}

// maxPassedOn is what STS takes of an assertion, in characters of base64.
const maxPassedOn = 100_000

// passOn gives a login with the very bytes that were verified, for STS. It reads
// neither what is encrypted nor what is too large.
func passOn(verdict Verdict, document []byte) (idp.Login, error) {
	for _, step := range verdict.Steps {
		if step.Step == notedEncrypted || step.Step == notedEncryptedID {
			return idp.Login{}, idp.Reject("encrypted", "AWS cannot read an encrypted assertion: switch encryption off for this application at the provider")
		}
	}
	text := base64.StdEncoding.EncodeToString(document)
	if len(text) > maxPassedOn {
		return idp.Login{}, idp.Reject("too-large", "the response has %d characters, and AWS takes %d: let the provider name fewer roles or groups", len(text), maxPassedOn)
	}
	login := verdict.Login
	login.Proof = idp.Seal(text)
	return login, nil
}
