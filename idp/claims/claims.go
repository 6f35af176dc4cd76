// Package claims turns what a provider says about a person (SAML attributes,
// OpenID Connect claims) into an idp.Identity. It holds the rules that all
// providers share: how many values, how long, which characters, and which of
// them becomes the subject, the user name and the groups.
//
// Nothing is cut, rewritten or skipped to make it fit: whoever has 900 groups has
// all 900, and what does not fit refuses the sign-in with a *idp.Rejection:
//
//	too-many-values   more than MaxValues attributes, values of one, or twice that in all
//	value-too-long    a value or a name over MaxLength bytes
//	characters        not UTF-8, or control characters
//	subject           the subject is missing, empty or several
//	username          the user name is missing, empty or several
package claims

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rolecall/rolecall/idp"
)

// Limits of one identity.
const (
	// MaxValues bounds the values of one attribute, and the number of attributes.
	// All values together are bounded by twice as many.
	MaxValues = 900
	// MaxLength bounds one value and one name, in bytes.
	MaxLength = 1024
)

// Mapping says which attribute or claim becomes what.
type Mapping struct {
	// Groups names the attribute that holds the groups; empty is no groups.
	Groups string
	// Username names the attribute that holds the user name; empty takes the subject.
	Username string
	// Subject names the attribute that holds the stable subject; empty takes the
	// subject that the caller gives.
	Subject string
}

// Identity judges the attributes and makes the identity. The subject is the
// provider's own name for the person (NameID, sub). Methods and AuthenticatedAt
// are the caller's to fill in. The identity shares no memory with attrs; Groups and
// Attributes are never nil.
func (m Mapping) Identity(provider, subject string, attrs map[string][]string) (idp.Identity, error) {
	id := idp.Identity{Provider: provider, Subject: subject, Methods: []string{}}
	if err := judgeAll(attrs); err != nil {
		return idp.Identity{}, err
	}
	id.Attributes = make(map[string][]string, len(attrs))
	for name, values := range attrs {
		id.Attributes[name] = slices.Clone(values)
	}
	var err error
	if m.Subject != "" {
		if id.Subject, err = single("subject", m.Subject, attrs); err != nil {
			return idp.Identity{}, err
		}
	}
	if err := judgeName("subject", "the subject", id.Subject); err != nil {
		return idp.Identity{}, err
	}
	id.Username = id.Subject
	if m.Username != "" {
		if id.Username, err = single("username", m.Username, attrs); err != nil {
			return idp.Identity{}, err
		}
	}
	if err := judgeName("username", "the user name", id.Username); err != nil {
		return idp.Identity{}, err
	}
	id.Groups, err = m.groups(attrs)
	if err != nil {
		return idp.Identity{}, err
	}
	return id, nil
}

// groups are the values of the attribute in the provider's order, each once;
// empty ones are no group.
func (m Mapping) groups(attrs map[string][]string) ([]string, error) {
	groups := []string{}
	if m.Groups == "" {
		return groups, nil
	}
	seen := make(map[string]bool, len(attrs[m.Groups]))
	for _, group := range attrs[m.Groups] {
		if group == "" || seen[group] {
			continue
		}
		if strings.ContainsFunc(group, unicode.IsControl) {
			return nil, idp.Reject("characters", "a group in %q holds control characters", m.Groups)
		}
		seen[group] = true
		groups = append(groups, group)
	}
	return groups, nil
}

// single reads an attribute that must have one value.
func single(reason, name string, attrs map[string][]string) (string, error) {
	switch values := attrs[name]; len(values) {
	case 0:
		return "", idp.Reject(reason, "the provider sent no %q, which the configuration reads the %s from", name, reason)
	case 1:
		return values[0], nil
	default:
		return "", idp.Reject(reason, "the provider sent %d values of %q, which the configuration reads the %s from", len(values), name, reason)
	}
}

// judgeName bounds what names a person: present, and no control characters.
func judgeName(reason, what, value string) error {
	if strings.TrimSpace(value) == "" {
		return idp.Reject(reason, "%s is empty", what)
	}
	if err := judgeText(what, value); err != nil {
		return err
	}
	if strings.ContainsFunc(value, unicode.IsControl) {
		return idp.Reject("characters", "%s holds control characters", what)
	}
	return nil
}

// judgeAll bounds every attribute.
func judgeAll(attrs map[string][]string) error {
	if len(attrs) > MaxValues {
		return idp.Reject("too-many-values", "the provider sent %d attributes; the limit is %d", len(attrs), MaxValues)
	}
	total := 0
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		count := len(attrs[name])
		if total += count; count > MaxValues || total > 2*MaxValues {
			return idp.Reject("too-many-values", "the provider sent %d values of an attribute, %d so far; the limits are %d and %d: send only the groups that matter here", count, total, MaxValues, 2*MaxValues)
		}
		if err := judgeText("the name of an attribute", name); err != nil {
			return err
		}
		if name == "" || strings.ContainsFunc(name, unicode.IsControl) {
			return idp.Reject("characters", "the name of an attribute is empty or holds control characters")
		}
		for _, value := range attrs[name] {
			if err := judgeText("a value of "+name, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// judgeText bounds any text. Tab and line ends are text (an address has lines).
func judgeText(what, text string) error {
	switch {
	case len(text) > MaxLength:
		return idp.Reject("value-too-long", "%s has %d bytes; the limit is %d", what, len(text), MaxLength)
	case !utf8.ValidString(text):
		return idp.Reject("characters", "%s is not UTF-8", what)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) }):
		return idp.Reject("characters", "%s holds control characters", what)
	}
	return nil
}
