package idptest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/etree"
)

const (
	samlAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	samlProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	samlPassword  = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
	dsigSpace     = "http://www.w3.org/2000/09/xmldsig#"
)

// SAMLKey is a signing or encryption key with its certificate.
type SAMLKey struct {
	Signer      crypto.Signer
	Certificate *x509.Certificate
}

// SAMLIdP is a SAML identity provider without a server: it gives metadata and
// signs whatever it is told to say.
type SAMLIdP struct {
	EntityID string
	SSO      string // HTTP-Redirect and HTTP-POST
	SLO      string // the same; none by default
	// Keys are published; the first signs.
	Keys []SAMLKey

	t testing.TB
}

// SAMLAnswer is what a Response says. The zero value of a field is what a good
// provider would say.
type SAMLAnswer struct {
	RequestID string // InResponseTo of Response and confirmation; "" leaves both out
	ACS       string // Destination and Recipient
	Audience  string
	At        time.Time // when it is issued; the person signed in then

	NameID       string // default "alice"
	NameIDFormat string // default persistent
	Attributes   map[string][]string
	Class        string // AuthnContextClassRef; default PasswordProtectedTransport
	ID           string // of the assertion; default random

	// Signed is "assertion" (default), "response", "both" or "none".
	Signed string
	// Key signs instead of the provider's first.
	Key SAMLKey
	// Signing changes how it is signed.
	Signing SAMLSigning
	// EncryptTo encrypts the assertion, after it is signed and before the Response is.
	EncryptTo *SAMLEncryption
	// Before edits the Response before anything is signed, After when all is: the attack.
	Before, After func(response *etree.Element)
}

// sharedKey spares each test the making of an RSA key.
var sharedKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// NewSAMLKey certifies a signer; nil is an RSA key of 2048 bits that all tests of
// the process share. The certificate is valid in this century.
func NewSAMLKey(t testing.TB, signer crypto.Signer) SAMLKey {
	t.Helper()
	if signer == nil {
		signer = sharedKey()
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "idptest"},
		NotBefore:    time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatalf("idptest: certificate: %v", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("idptest: certificate: %v", err)
	}
	return SAMLKey{signer, cert}
}

// NewSAMLIdP makes a provider named https://idp.example.com/metadata.
func NewSAMLIdP(t testing.TB) *SAMLIdP {
	t.Helper()
	return &SAMLIdP{
		EntityID: "https://idp.example.com/metadata",
		SSO:      "https://idp.example.com/sso",
		Keys:     []SAMLKey{NewSAMLKey(t, nil)},
		t:        t,
	}
}

// Metadata is the provider's EntityDescriptor.
func (i *SAMLIdP) Metadata() []byte {
	var keys strings.Builder
	for _, key := range i.Keys {
		fmt.Fprintf(&keys, `<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="%s"><ds:X509Data><ds:X509Certificate>%s</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>`,
			dsigSpace, base64.StdEncoding.EncodeToString(key.Certificate.Raw))
	}
	return []byte(`<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" ID="_metadata" entityID="` + i.EntityID + `">` +
		`<md:IDPSSODescriptor protocolSupportEnumeration="` + samlProtocol + `">` + keys.String() + i.logoutServices() +
		`<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="` + i.SSO + `"/>` +
		`<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="` + i.SSO + `"/>` +
		`</md:IDPSSODescriptor></md:EntityDescriptor>`)
}

// Post is the value of the form field SAMLResponse.
func (i *SAMLIdP) Post(a SAMLAnswer) string {
	return base64.StdEncoding.EncodeToString(i.Response(a))
}

// Response makes and signs a samlp:Response.
func (i *SAMLIdP) Response(a SAMLAnswer) []byte {
	i.t.Helper()
	i.fill(&a)
	response := i.parse(i.text(a))
	if a.Before != nil {
		a.Before(response)
	}
	assertion := child(response, "Assertion")
	if a.Signed == "assertion" || a.Signed == "both" {
		i.Sign(assertion, a.Key, a.Signing)
	}
	if a.EncryptTo != nil {
		i.encrypt(response, assertion, *a.EncryptTo)
	}
	if a.Signed == "response" || a.Signed == "both" {
		i.Sign(response, a.Key, a.Signing)
	}
	if a.After != nil {
		a.After(response)
	}
	return i.write(response)
}

func (i *SAMLIdP) fill(a *SAMLAnswer) {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	set(&a.NameID, "alice")
	set(&a.NameIDFormat, "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent")
	set(&a.Class, samlPassword)
	set(&a.ID, "_a"+rand.Text())
	set(&a.Signed, "assertion")
	if a.Key.Signer == nil {
		a.Key = i.Keys[0]
	}
	if a.At.IsZero() {
		a.At = time.Now()
	}
}

// text is the Response before it is signed.
func (i *SAMLIdP) text(a SAMLAnswer) string {
	at := func(d time.Duration) string { return a.At.Add(d).UTC().Format("2006-01-02T15:04:05.000Z") }
	answers := ""
	if a.RequestID != "" {
		answers = ` InResponseTo="` + escape(a.RequestID) + `"`
	}
	var attributes strings.Builder
	for _, name := range slices.Sorted(maps.Keys(a.Attributes)) {
		fmt.Fprintf(&attributes, `<saml:Attribute Name="%s" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">`, escape(name))
		for _, value := range a.Attributes[name] {
			fmt.Fprintf(&attributes, `<saml:AttributeValue xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="xs:string">%s</saml:AttributeValue>`, escape(value))
		}
		attributes.WriteString(`</saml:Attribute>`)
	}
	statement := ""
	if attributes.Len() > 0 {
		statement = `<saml:AttributeStatement>` + attributes.String() + `</saml:AttributeStatement>`
	}
	return `<samlp:Response xmlns:samlp="` + samlProtocol + `" xmlns:saml="` + samlAssertion + `" ID="_r` + rand.Text() + `" Version="2.0" IssueInstant="` + at(0) + `" Destination="` + escape(a.ACS) + `"` + answers + `>` +
		`<saml:Issuer>` + escape(i.EntityID) + `</saml:Issuer>` +
		`<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>` +
		`<saml:Assertion ID="` + escape(a.ID) + `" Version="2.0" IssueInstant="` + at(0) + `">` +
		`<saml:Issuer>` + escape(i.EntityID) + `</saml:Issuer>` +
		`<saml:Subject><saml:NameID Format="` + escape(a.NameIDFormat) + `">` + escape(a.NameID) + `</saml:NameID>` +
		`<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="` + at(5*time.Minute) + `" Recipient="` + escape(a.ACS) + `"` + answers + `/></saml:SubjectConfirmation></saml:Subject>` +
		`<saml:Conditions NotBefore="` + at(-time.Minute) + `" NotOnOrAfter="` + at(5*time.Minute) + `"><saml:AudienceRestriction><saml:Audience>` + escape(a.Audience) + `</saml:Audience></saml:AudienceRestriction></saml:Conditions>` +
		`<saml:AuthnStatement AuthnInstant="` + at(0) + `" SessionIndex="_s1"><saml:AuthnContext><saml:AuthnContextClassRef>` + escape(a.Class) + `</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
		statement + `</saml:Assertion></samlp:Response>`
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

func (i *SAMLIdP) parse(text string) *etree.Element {
	i.t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(text); err != nil {
		i.t.Fatalf("idptest: %v in %s", err, text)
	}
	return doc.Root()
}

func (i *SAMLIdP) write(el *etree.Element) []byte {
	i.t.Helper()
	doc := etree.NewDocument()
	doc.SetRoot(el)
	text, err := doc.WriteToBytes()
	if err != nil {
		i.t.Fatalf("idptest: %v", err)
	}
	return text
}

// child is the first child element of that name.
func child(el *etree.Element, tag string) *etree.Element {
	for _, kid := range el.ChildElements() {
		if kid.Tag == tag {
			return kid
		}
	}
	return nil
}
