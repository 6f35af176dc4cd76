package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/broker/iam"
)

// awsAttribute begins the attributes that AWS reads of an assertion.
const awsAttribute = "https://aws.amazon.com/SAML/Attributes/"

// fillOwn takes from the person's attributes what AWS will take from the assertion
// that the same provider makes of them. A role that it does not name, AWS would
// refuse; so it is withheld here, with the reason.
func (o oneGrant) fillOwn(out *Granted) string {
	out.OwnAssertion = true
	attribute := func(name string) []string { return o.id.Attributes[awsAttribute+name] }
	if !slices.ContainsFunc(attribute("Role"), func(pair string) bool { return pairs(pair, out.Role.String(), out.SAMLProvider) }) {
		return fmt.Sprintf("the provider's assertion does not name %s with %s in the attribute %sRole", out.Role, out.SAMLProvider, awsAttribute)
	}
	name := attribute("RoleSessionName")
	if len(name) != 1 || !iam.ValidName(name[0]) {
		return fmt.Sprintf("the provider's assertion has no attribute %sRoleSessionName that AWS takes", awsAttribute)
	}
	out.SessionName, out.SourceIdentity = name[0], ""
	switch source := attribute("SourceIdentity"); {
	case len(source) == 1 && iam.ValidName(source[0]):
		out.SourceIdentity = source[0]
	case len(source) > 0:
		return fmt.Sprintf("the attribute %sSourceIdentity of the provider's assertion is none that AWS takes", awsAttribute)
	}
	out.Tags, out.TransitiveTags = nil, attribute("TransitiveTagKeys")
	for name, values := range o.id.Attributes {
		if key, isTag := strings.CutPrefix(name, awsAttribute+"PrincipalTag:"); isTag && len(values) == 1 {
			out.Tags = append(out.Tags, iam.Tag{Key: key, Value: values[0]})
		}
	}
	slices.SortFunc(out.Tags, func(a, b iam.Tag) int { return strings.Compare(a.Key, b.Key) })
	return ""
}

// pairs reports whether a value of the Role attribute is the pair of role and
// provider, in either order.
func pairs(pair, role, provider string) bool {
	first, second, ok := strings.Cut(pair, ",")
	first, second = strings.TrimSpace(first), strings.TrimSpace(second)
	return ok && (first == role && second == provider || first == provider && second == role)
}
