package saml

import (
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
