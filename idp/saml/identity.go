package saml

import (
	"slices"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// classes says which authentication methods (RFC 8176) an AuthnContextClassRef
// stands for; docs/providers/saml.md has the same table. What is not here says
// nothing about how the person signed in.
var classes = map[string][]string{
	"urn:oasis:names:tc:SAML:2.0:ac:classes:Password":                   {"pwd"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport": {"pwd"},
	"https://refeds.org/profile/sfa":                                    {"pwd"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:X509":                       {"swk"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:TLSClient":                  {"swk"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:Smartcard":                  {"sc"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos":                   {"kerb"},
	"urn:federation:authentication:windows":                             {"wia"},

	"urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI":                {"sc", "mfa"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:SoftwarePKI":                 {"swk", "mfa"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken":               {"otp", "mfa"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:MobileOneFactorContract":     {"swk"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract":     {"mfa"},
	"urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorUnregistered": {"mfa"},
	"http://schemas.microsoft.com/claims/multipleauthn":                  {"mfa"},
	"https://refeds.org/profile/mfa":                                     {"mfa"},
	"http://idmanagement.gov/ns/assurance/aal/2":                         {"mfa"},
	"http://idmanagement.gov/ns/assurance/aal/3":                         {"mfa"},
	"urn:rsa:names:tc:SAML:2.0:ac:classes:FIDO":                          {"hwk"},
}

// methodReferences is where Entra ID and AD FS say how the person signed in, as
// classes; the AuthnContext of Entra ID is Password even after MFA.
const methodReferences = "http://schemas.microsoft.com/claims/authnmethodsreferences"

// groupsLink is what Entra ID sends instead of more than 150 groups: an address
// to ask for them. Taking its absence of groups for "no groups" would let the
// person out of every deny.
const groupsLink = "http://schemas.microsoft.com/claims/groups.link"

// login makes the Login of a statement that passed every check.
func (j *judgement) login(s *statement) (*idp.Login, *idp.Rejection) {
	name, fault := j.subject(s)
	if fault != nil {
		return nil, fault
	}
	attrs, fault := j.attributeMap(s)
	if fault != nil {
		return nil, fault
	}
	identity, fault := j.identity(name.value, attrs)
	if fault != nil {
		return nil, fault
	}
	login := &idp.Login{
		Identity: identity, IssuedAt: s.issueInstant,
		Once: idp.Once{Key: "assertion:" + s.id, Until: s.until().Add(j.Skew)},
		Upstream: idp.Upstream{
			NameID: name.value, NameIDFormat: name.format,
			NameQualifier: name.qualifier, SPNameQualifier: name.spQualifier,
			SessionIndex: s.authn[0].index,
		},
	}
	login.Identity.AuthenticatedAt = s.authn[0].instant
	login.Identity.Methods = append([]string{}, classes[s.authn[0].class]...)
	future := false
	for _, a := range s.authn {
		if a.instant.Before(login.Identity.AuthenticatedAt) {
			login.Identity.AuthenticatedAt = a.instant
		}
		if j.early(a.instant) {
			future = true
		}
		if !a.end.IsZero() && (login.NotAfter.IsZero() || a.end.Before(login.NotAfter)) {
			login.NotAfter = a.end
		}
		login.Identity.Methods = slices.DeleteFunc(login.Identity.Methods, func(m string) bool { return !slices.Contains(classes[a.class], m) })
	}
	if future { // which would be younger than any max_auth_age
		login.Identity.AuthenticatedAt = time.Time{}
		j.note(notedFuture, "the person signs in after now (%s), so when is not known", stamp(j.At))
	}
	for _, class := range attrs[methodReferences] {
		for _, m := range classes[class] {
			if !slices.Contains(login.Identity.Methods, m) {
				login.Identity.Methods = append(login.Identity.Methods, m)
			}
		}
	}
	j.fits("identity", "%s, %d groups, %d attributes", shorten(identity.Subject), len(identity.Groups), len(identity.Attributes))
	return login, nil
}

// identity maps the attributes by the configuration.
func (j *judgement) identity(subject string, attrs map[string][]string) (idp.Identity, *idp.Rejection) {
	if len(attrs[groupsLink]) > 0 && j.Mapping.Groups != "" && len(attrs[j.Mapping.Groups]) == 0 {
		return idp.Identity{}, idp.Reject("groups-overage", "the person has more groups than Entra ID sends in an assertion, so none came; let it send the groups assigned to the application only")
	}
	identity, err := j.Mapping.Identity(j.Provider, subject, attrs)
	if err != nil {
		return idp.Identity{}, asRejection(err)
	}
	if j.AWSAttributes {
		roles, fault := awsRoles(attrs[awsRole])
		if fault != nil {
			return idp.Identity{}, fault
		}
		identity.Groups = append(slices.Clone(identity.Groups), roles...)
	}
	return identity, nil
}

// until is when the assertion has ended in every respect.
func (s *statement) until() time.Time {
	until := s.notOnOrAfter
	for _, c := range s.confirmations {
		if c.notOnOrAfter.After(until) {
			until = c.notOnOrAfter
		}
	}
	return until
}

// subject gives the name of the person, decrypted if need be. It may be absent
// only where the configuration takes the subject from an attribute.
func (j *judgement) subject(s *statement) (nameID, *idp.Rejection) {
	if s.encryptedID != nil {
		var fault *idp.Rejection
		if s.nameID, fault = j.decryptID(s); fault != nil {
			return nameID{}, fault
		}
		j.note(notedEncryptedID, "the NameID was encrypted")
	}
	if s.nameID == nil {
		if j.Mapping.Subject == "" {
			return nameID{}, idp.Reject("subject", "the Subject has no NameID")
		}
		return nameID{}, nil
	}
	if subject := j.assertion.child(spaceAssertion, "Subject"); subject != nil {
		if n := subject.child(spaceAssertion, "NameID"); n != nil && n.commented() {
			j.note(notedComment, "a comment inside NameID; the full text counts")
		}
	}
	if q := s.nameID.spQualifier; q != "" && q != j.EntityID {
		j.note(notedQualifier, "the SPNameQualifier is %q", shorten(q))
	}
	if s.nameID.format == formatTransient && j.Mapping.Subject == "" {
		j.note(notedTransient, "the NameID is transient: a new person at every sign-in; set subject.attribute")
	}
	return *s.nameID, nil
}

// attributeMap merges the attributes by Name. One with a value that is not text
// is left out whole, or refused where the identity is read from it.
func (j *judgement) attributeMap(s *statement) (map[string][]string, *idp.Rejection) {
	attrs := make(map[string][]string, len(s.attributes))
	merged := false
	odd := map[string]bool{}
	for _, a := range s.attributes {
		values, twice := attrs[a.name]
		merged = merged || twice
		if values == nil {
			values = []string{}
		}
		attrs[a.name] = append(values, a.values...)
		odd[a.name] = odd[a.name] || a.structured
	}
	if merged {
		j.note(notedMerged, "attributes of one Name are merged")
	}
	for name, structured := range odd {
		if !structured {
			continue
		}
		if m := j.Mapping; name == m.Groups || name == m.Username || name == m.Subject {
			return nil, idp.Reject("attribute", "a value of %q is not text", shorten(name))
		}
		delete(attrs, name)
		j.note(notedStructured, "%q has a value that is not text and is left out", shorten(name))
	}
	return attrs, nil
}
