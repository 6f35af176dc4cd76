package saml_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

func curveKey(t testing.TB, curve elliptic.Curve) idptest.SAMLKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return idptest.NewSAMLKey(t, key)
}

// at is the element at a path of tags.
func at(el *etree.Element, path string) *etree.Element { return el.FindElement("./" + path) }

func insert(t testing.TB, parent *etree.Element, index int, text string) {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		t.Fatal(err)
	}
	parent.InsertChildAt(index, doc.Root())
}

func TestSignaturesThatMustBeAccepted(t *testing.T) {
	t.Parallel()
	p256, p384, p521 := curveKey(t, elliptic.P256()), curveKey(t, elliptic.P384()), curveKey(t, elliptic.P521())
	foreign := curveKey(t, elliptic.P256())
	tests := map[string]struct {
		key  idptest.SAMLKey
		how  idptest.SAMLSigning
		note []string
	}{
		"RSA with SHA-256":          {},
		"RSA with SHA-384":          {how: idptest.SAMLSigning{Hash: crypto.SHA384}},
		"RSA with SHA-512":          {how: idptest.SAMLSigning{Hash: crypto.SHA512}},
		"RSA-PSS":                   {how: idptest.SAMLSigning{PSS: true}, note: []string{"rsa-pss"}},
		"RSA-PSS with SHA-512":      {how: idptest.SAMLSigning{PSS: true, Hash: crypto.SHA512}, note: []string{"rsa-pss"}},
		"ECDSA on P-256 as r and s": {key: p256},
		"ECDSA on P-384 as r and s": {key: p384, how: idptest.SAMLSigning{Hash: crypto.SHA384}},
		"ECDSA on P-521 as r and s": {key: p521, how: idptest.SAMLSigning{Hash: crypto.SHA512}},
		"ECDSA as ASN.1":            {key: p256, how: idptest.SAMLSigning{ASN1: true}},
		"a KeyInfo with another certificate, which is not read": {how: idptest.SAMLSigning{KeyInfo: &foreign}},
		"a second configured certificate (rollover)":            {key: p384},
		"InclusiveNamespaces":                                   {how: idptest.SAMLSigning{Prefixes: "xs saml"}},
		"line ends in the signature value": {how: idptest.SAMLSigning{Signature: func(s *etree.Element) {
			v := at(s, "SignatureValue")
			v.SetText("\n  " + v.Text()[:20] + "\n\t " + v.Text()[20:] + "\n")
		}}},
	}
	for name, test := range tests {
		for _, signed := range []string{"assertion", "response", "both"} {
			t.Run(name+", signed "+signed, func(t *testing.T) {
				t.Parallel()
				i := idptest.NewSAMLIdP(t)
				i.Keys = append(i.Keys, p256, p384, p521)
				answer := good()
				answer.Signed, answer.Key, answer.Signing = signed, test.key, test.how
				v := saml.Judge(i.Response(answer), standard(t, i))
				accepted(t, v, test.note...)
				if v.Identity.Subject != "alice" {
					t.Errorf("subject %q", v.Identity.Subject)
				}
			})
		}
	}
}

func TestDocumentsThatMustBeAccepted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before func(*testing.T, *etree.Element)
		edit   func(*idptest.SAMLAnswer)
		notes  []string
	}{
		"several audiences in one restriction": {before: func(t *testing.T, r *etree.Element) {
			at(r, "Assertion/Conditions/AudienceRestriction").CreateElement("saml:Audience").SetText("https://other.example.com")
		}},
		"several confirmations of which one holds": {before: func(t *testing.T, r *etree.Element) {
			insert(t, at(r, "Assertion/Subject"), 1, `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData Recipient="https://other.example.com/acs" NotOnOrAfter="2026-11-24T10:05:00Z" InResponseTo="_other"/></saml:SubjectConfirmation>`)
		}},
		"a holder-of-key confirmation without data beside the bearer one": {before: func(t *testing.T, r *etree.Element) {
			insert(t, at(r, "Assertion/Subject"), 2, `<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"/>`)
		}},
		"two restrictions that both name us": {before: func(t *testing.T, r *etree.Element) {
			insert(t, at(r, "Assertion/Conditions"), 0, `<saml:AudienceRestriction><saml:Audience>`+entityID+`</saml:Audience></saml:AudienceRestriction>`)
		}},
		"OneTimeUse and ProxyRestriction": {before: func(t *testing.T, r *etree.Element) {
			c := at(r, "Assertion/Conditions")
			c.CreateElement("saml:OneTimeUse")
			c.CreateElement("saml:ProxyRestriction").CreateAttr("Count", "0")
		}},
		"no Issuer of the Response": {before: func(t *testing.T, r *etree.Element) { r.RemoveChild(at(r, "Issuer")) }, notes: []string{"no-response-issuer"}},
		"a transient NameID": {edit: func(a *idptest.SAMLAnswer) {
			a.NameIDFormat = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
		}, notes: []string{"transient-nameid"}},
		"an SPNameQualifier of somebody else": {before: func(t *testing.T, r *etree.Element) {
			at(r, "Assertion/Subject/NameID").CreateAttr("SPNameQualifier", "https://other.example.com")
		}, notes: []string{"foreign-SPNameQualifier"}},
		"times without zone are UTC": {before: func(t *testing.T, r *etree.Element) {
			at(r, "Assertion/Conditions").CreateAttr("NotOnOrAfter", "2026-11-24T10:05:00.123")
		}},
		"times with an offset": {before: func(t *testing.T, r *etree.Element) {
			at(r, "Assertion/Conditions").CreateAttr("NotOnOrAfter", "2026-11-24T12:05:00+02:00")
		}},
		"Extensions of the Response": {before: func(t *testing.T, r *etree.Element) {
			insert(t, r, 1, `<samlp:Extensions><x:thing xmlns:x="urn:example:x" ID="_x">text</x:thing></samlp:Extensions>`)
		}},
		"an empty attribute": {before: func(t *testing.T, r *etree.Element) {
			at(r, "Assertion/AttributeStatement").CreateElement("saml:Attribute").CreateAttr("Name", "empty")
		}},
		"a nil value": {before: func(t *testing.T, r *etree.Element) {
			insert(t, at(r, "Assertion/AttributeStatement"), 0, `<saml:Attribute Name="none"><saml:AttributeValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/></saml:Attribute>`)
		}},
		"a value that is not text is left out": {before: func(t *testing.T, r *etree.Element) {
			insert(t, at(r, "Assertion/AttributeStatement"), 0, `<saml:Attribute Name="odd"><saml:AttributeValue><x xmlns="urn:x"/>y</saml:AttributeValue></saml:Attribute>`)
		}, notes: []string{"structured-attribute-value"}},
		"characters beyond ASCII and references": {edit: func(a *idptest.SAMLAnswer) {
			a.NameID = `Zoë <O'Brien> & "Söhne" 漢字 😀`
		}},
	}
	for name, test := range tests {
		for _, signed := range []string{"assertion", "response"} {
			t.Run(name+", signed "+signed, func(t *testing.T) {
				t.Parallel()
				i := idptest.NewSAMLIdP(t)
				answer := good()
				answer.Signed = signed
				if test.before != nil {
					answer.Before = func(r *etree.Element) { test.before(t, r) }
				}
				if test.edit != nil {
					test.edit(&answer)
				}
				accepted(t, saml.Judge(i.Response(answer), standard(t, i)), test.notes...)
			})
		}
	}
}

// Entra and others write default namespaces, with the signature in one of its own.
func TestDefaultNamespacesMustBeAccepted(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Before = func(r *etree.Element) {
		a := at(r, "Assertion")
		a.CreateAttr("xmlns", "urn:oasis:names:tc:SAML:2.0:assertion")
		var strip func(*etree.Element)
		strip = func(el *etree.Element) {
			el.Space = ""
			for _, kid := range el.ChildElements() {
				strip(kid)
			}
		}
		strip(a)
	}
	v := saml.Judge(i.Response(answer), standard(t, i))
	accepted(t, v)
	if !cmp.Equal(v.Identity.Groups, []string{"platform", "developers"}) {
		t.Errorf("groups %q", v.Identity.Groups)
	}
}

func TestAllNineHundredGroupsArrive(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	groups := make([]string, 900)
	for n := range groups {
		groups[n] = fmt.Sprintf("team-%04d", n)
	}
	answer := good()
	answer.Attributes = map[string][]string{"groups": groups, "mail": {"alice@example.com"}}
	v := saml.Judge(i.Response(answer), standard(t, i))
	accepted(t, v)
	if !cmp.Equal(v.Identity.Groups, groups) {
		t.Errorf("%d groups", len(v.Identity.Groups))
	}
	answer.Attributes["groups"] = append(groups, "one more")
	refused(t, saml.Judge(i.Response(answer), standard(t, i)), "too-many-values")
}

func TestRepeatedAttributesAreMerged(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Before = func(r *etree.Element) {
		again := at(r, "Assertion").CreateElement("saml:AttributeStatement").CreateElement("saml:Attribute")
		again.CreateAttr("Name", "groups")
		again.CreateElement("saml:AttributeValue").SetText("third")
	}
	v := saml.Judge(i.Response(answer), standard(t, i))
	accepted(t, v, "duplicate-attribute-names")
	if want := []string{"platform", "developers", "third"}; !cmp.Equal(v.Identity.Groups, want) {
		t.Errorf("groups %q, want %q", v.Identity.Groups, want)
	}
}

func TestACommentInNameIDDoesNotCutIt(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.NameID = "admin@example.com.evil.test"
	answer.After = func(r *etree.Element) {
		name := at(r, "Assertion/Subject/NameID")
		name.SetText("admin@example.com")
		name.CreateComment("")
		name.CreateText(".evil.test")
	}
	v := saml.Judge(i.Response(answer), standard(t, i))
	accepted(t, v, "comment-inside-nameid")
	if v.Identity.Subject != "admin@example.com.evil.test" {
		t.Errorf("subject %q", v.Identity.Subject)
	}
}

func TestTheSubjectOfAnAttributeNeedsNoNameID(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Before = func(r *etree.Element) { s := at(r, "Assertion/Subject"); s.RemoveChild(at(s, "NameID")) }
	c := standard(t, i)
	refused(t, saml.Judge(i.Response(answer), c), "subject")
	c.Mapping.Subject = "mail"
	v := saml.Judge(i.Response(answer), c)
	accepted(t, v)
	if v.Identity.Subject != "alice@example.com" {
		t.Errorf("subject %q", v.Identity.Subject)
	}
}

func TestAPinnedCertificateOutsideItsValidityIsNoted(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "old"}, NotBefore: moment.AddDate(-3, 0, 0), NotAfter: moment.AddDate(-1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, i.Keys[0].Signer.Public(), i.Keys[0].Signer)
	if err != nil {
		t.Fatal(err)
	}
	if i.Keys[0].Certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	accepted(t, saml.Judge(i.Response(good()), standard(t, i)), "idp-cert-outside-validity")
	if w := provider(t, i, nil).Warnings(); len(w) != 1 {
		t.Errorf("warnings: %v", w)
	}
}

func TestMethodsFollowTheAuthenticationContext(t *testing.T) {
	t.Parallel()
	for class, want := range map[string][]string{
		"urn:oasis:names:tc:SAML:2.0:ac:classes:Password":                   {"pwd"},
		"urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport": {"pwd"},
		"urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken":              {"otp", "mfa"},
		"http://schemas.microsoft.com/claims/multipleauthn":                 {"mfa"},
		"https://refeds.org/profile/mfa":                                    {"mfa"},
		"urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified":                {},
		"urn:oasis:names:tc:SAML:2.0:ac:classes:password":                   {},
	} {
		i := idptest.NewSAMLIdP(t)
		answer := good()
		answer.Class = class
		v := saml.Judge(i.Response(answer), standard(t, i))
		accepted(t, v)
		if !slices.Equal(v.Identity.Methods, want) {
			t.Errorf("%s gives %q, want %q", class, v.Identity.Methods, want)
		}
	}
}

// Entra ID says Password in the AuthnContext and MFA in an attribute.
func TestMethodReferencesOfMicrosoftCount(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Attributes["http://schemas.microsoft.com/claims/authnmethodsreferences"] = []string{
		"urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "http://schemas.microsoft.com/claims/multipleauthn",
	}
	v := saml.Judge(i.Response(answer), standard(t, i))
	accepted(t, v)
	if !slices.Equal(v.Identity.Methods, []string{"pwd", "mfa"}) {
		t.Errorf("methods %q", v.Identity.Methods)
	}
}

// Of several AuthnStatements the least counts.
func TestOfSeveralAuthnStatementsTheLeastCounts(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	answer := good()
	answer.Class = "https://refeds.org/profile/mfa"
	end := moment.Add(2 * time.Hour)
	answer.Before = func(r *etree.Element) {
		a := at(r, "Assertion")
		at(a, "AuthnStatement").CreateAttr("SessionNotOnOrAfter", end.Add(time.Hour).Format(time.RFC3339))
		insert(t, a, len(a.Child), `<saml:AuthnStatement AuthnInstant="2026-11-24T08:00:00Z" SessionNotOnOrAfter="`+end.Format(time.RFC3339)+`"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>`)
	}
	v := saml.Judge(i.Response(answer), standard(t, i))
	accepted(t, v)
	if len(v.Identity.Methods) > 0 || !v.Identity.AuthenticatedAt.Equal(moment.Add(-2*time.Hour)) || !v.Login.NotAfter.Equal(end) {
		t.Errorf("methods %q, at %s, until %s", v.Identity.Methods, v.Identity.AuthenticatedAt, v.Login.NotAfter)
	}
}

// Entra ID sends nobody's groups where there are too many, and a deny by group
// must not be escaped by being in many.
func TestGroupsThatDidNotComeAreNotNoGroups(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	const link = "http://schemas.microsoft.com/claims/groups.link"
	answer := good()
	answer.Attributes = map[string][]string{link: {"https://graph.windows.net/x/users/y/getMemberObjects"}}
	refused(t, saml.Judge(i.Response(answer), standard(t, i)), "groups-overage")

	answer.Attributes["groups"] = []string{"platform"}
	if v := saml.Judge(i.Response(answer), standard(t, i)); v.Err() != nil {
		t.Errorf("with groups beside the link: %v", v.Err())
	}
	delete(answer.Attributes, "groups")
	c := standard(t, i)
	c.Mapping.Groups = ""
	if v := saml.Judge(i.Response(answer), c); v.Err() != nil {
		t.Errorf("where groups do not matter: %v", v.Err())
	}
}
