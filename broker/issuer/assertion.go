package issuer

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

// AssertionConfig is what Assertions are made of. All fields are required.
type AssertionConfig struct {
	// EntityID is the broker as a SAML identity provider; Portal is where its
	// metadata sends people to sign in.
	EntityID, Portal string
	// Signers gives the RSA keys: the first signs, all are published.
	Signers func(ctx context.Context) ([]crypto.Signer, error)
	Now     func() time.Time
}

// Assertions makes the broker's own SAML assertions for AWS. It is safe for
// concurrent use.
type Assertions struct{ config AssertionConfig }

// NewAssertions makes an Assertions.
func NewAssertions(config AssertionConfig) *Assertions { return &Assertions{config} }

// Assertion says what an assertion for AssumeRoleWithSAML is to contain.
type Assertion struct {
	Provider     string // with Subject: who
	Subject      string
	Role         iam.RoleARN
	SAMLProvider string // ARN of the provider that the account knows the broker as
	SessionName  string
	// Tags, TransitiveTags and SourceIdentity become those of the session.
	Tags           []iam.Tag
	TransitiveTags []string
	SourceIdentity string
}

// recipients are the addresses that AWS expects to be the assertion's, by partition.
var recipients = map[string]string{
	"aws": "https://signin.aws.amazon.com/saml", "aws-us-gov": "https://signin.amazonaws-us-gov.com/saml", "aws-cn": "https://signin.amazonaws.cn/saml",
}

const (
	spaceAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	spaceProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	spaceMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	spaceSignature = "http://www.w3.org/2000/09/xmldsig#"
	exclusive      = "http://www.w3.org/2001/10/xml-exc-c14n#"
	awsAttribute   = "https://aws.amazon.com/SAML/Attributes/"
)

// Sign makes a samlp:Response with one signed assertion, in base64, as STS takes it.
func (a *Assertions) Sign(ctx context.Context, t Assertion) (string, error) {
	recipient := recipients[t.Role.Partition]
	signers, err := a.config.Signers(ctx)
	if err == nil && (recipient == "" || len(signers) == 0) {
		err = errors.New("no key, or no address of AWS for the partition")
	}
	if err != nil {
		return "", fmt.Errorf("assertion for AWS: %w", err)
	}
	now := a.config.Now().UTC()
	at := func(d time.Duration) string { return now.Add(d).Format("2006-01-02T15:04:05.000Z") }
	id := "_" + rand.Text()
	before, after := a.assertion(t, id, recipient, at)
	signature, err := sign(signers[0], id, before+after)
	if err != nil {
		return "", fmt.Errorf("assertion for AWS: %w", err)
	}
	response := &canon{}
	response.open("samlp:Response", "xmlns:samlp", spaceProtocol, "Destination", recipient, "ID", "_"+rand.Text(), "IssueInstant", at(0), "Version", "2.0")
	response.leaf("saml:Issuer", a.config.EntityID, "xmlns:saml", spaceAssertion)
	response.open("samlp:Status")
	response.leaf("samlp:StatusCode", "", "Value", "urn:oasis:names:tc:SAML:2.0:status:Success")
	response.close()
	response.WriteString(before + signature + after)
	response.close()
	return base64.StdEncoding.EncodeToString([]byte(response.String())), nil
}

// assertion is the assertion in canonical form, cut where the signature goes.
func (a *Assertions) assertion(t Assertion, id, recipient string, at func(time.Duration) string) (before, after string) {
	head := &canon{}
	head.open("saml:Assertion", "xmlns:saml", spaceAssertion, "ID", id, "IssueInstant", at(0), "Version", "2.0")
	head.leaf("saml:Issuer", a.config.EntityID)
	c := &canon{names: head.names}
	c.open("saml:Subject")
	c.leaf("saml:NameID", subject(t.Provider, t.Subject), "Format", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent")
	c.open("saml:SubjectConfirmation", "Method", "urn:oasis:names:tc:SAML:2.0:cm:bearer")
	c.leaf("saml:SubjectConfirmationData", "", "NotOnOrAfter", at(awsTokenLife), "Recipient", recipient)
	c.close()
	c.close()
	c.open("saml:Conditions", "NotBefore", at(-time.Minute), "NotOnOrAfter", at(awsTokenLife))
	c.open("saml:AudienceRestriction")
	c.leaf("saml:Audience", recipient)
	c.close()
	c.close()
	c.open("saml:AuthnStatement", "AuthnInstant", at(0), "SessionIndex", id)
	c.open("saml:AuthnContext")
	c.leaf("saml:AuthnContextClassRef", "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified")
	c.close()
	c.close()
	c.open("saml:AttributeStatement")
	attribute := func(name string, values ...string) {
		c.open("saml:Attribute", "Name", awsAttribute+name, "NameFormat", "urn:oasis:names:tc:SAML:2.0:attrname-format:uri")
		for _, value := range values {
			c.leaf("saml:AttributeValue", value)
		}
		c.close()
	}
	attribute("Role", t.Role.String()+","+t.SAMLProvider)
	attribute("RoleSessionName", t.SessionName)
	if t.SourceIdentity != "" {
		attribute("SourceIdentity", t.SourceIdentity)
	}
	for _, tag := range t.Tags {
		attribute("PrincipalTag:"+tag.Key, tag.Value)
	}
	if len(t.TransitiveTags) > 0 {
		attribute("TransitiveTagKeys", t.TransitiveTags...)
	}
	c.close()
	c.close()
	return head.String(), c.String()
}

// sign makes the ds:Signature of an element that is in exclusive canonical form.
func sign(key crypto.Signer, id, canonical string) (string, error) {
	digest := sha256.Sum256([]byte(canonical))
	info := &canon{}
	info.open("ds:SignedInfo", "xmlns:ds", spaceSignature)
	info.leaf("ds:CanonicalizationMethod", "", "Algorithm", exclusive)
	info.leaf("ds:SignatureMethod", "", "Algorithm", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
	info.open("ds:Reference", "URI", "#"+id)
	info.open("ds:Transforms")
	info.leaf("ds:Transform", "", "Algorithm", spaceSignature+"enveloped-signature")
	info.leaf("ds:Transform", "", "Algorithm", exclusive)
	info.close()
	info.leaf("ds:DigestMethod", "", "Algorithm", "http://www.w3.org/2001/04/xmlenc#sha256")
	info.leaf("ds:DigestValue", base64.StdEncoding.EncodeToString(digest[:]))
	info.close()
	info.close()
	sum := sha256.Sum256([]byte(info.String()))
	value, err := key.Sign(rand.Reader, sum[:], crypto.SHA256)
	if err != nil {
		return "", err
	}
	c := &canon{}
	c.open("ds:Signature", "xmlns:ds", spaceSignature)
	c.WriteString(info.String())
	c.leaf("ds:SignatureValue", base64.StdEncoding.EncodeToString(value))
	c.close()
	return c.String(), nil
}

// Metadata is the document that an account's SAML provider is made from.
func (a *Assertions) Metadata(ctx context.Context) ([]byte, error) {
	signers, err := a.config.Signers(ctx)
	if err != nil {
		return nil, fmt.Errorf("metadata for AWS: %w", err)
	}
	c := &canon{}
	c.open("md:EntityDescriptor", "xmlns:md", spaceMetadata, "entityID", a.config.EntityID)
	c.open("md:IDPSSODescriptor", "WantAuthnRequestsSigned", "false", "protocolSupportEnumeration", spaceProtocol)
	for _, key := range signers {
		der, err := certificate(key, a.config.EntityID)
		if err != nil {
			return nil, fmt.Errorf("metadata for AWS: %w", err)
		}
		c.open("md:KeyDescriptor", "use", "signing")
		c.open("ds:KeyInfo", "xmlns:ds", spaceSignature)
		c.open("ds:X509Data")
		c.leaf("ds:X509Certificate", base64.StdEncoding.EncodeToString(der))
		c.close()
		c.close()
		c.close()
	}
	c.leaf("md:NameIDFormat", "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent")
	c.leaf("md:SingleSignOnService", "", "Binding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect", "Location", a.config.Portal)
	c.close()
	c.close()
	return []byte(c.String() + "\n"), nil
}

// certificate carries a key; it is the same for the same key and name.
func certificate(key crypto.Signer, name string) ([]byte, error) {
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(spki, name...))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(sum[:8]), Subject: pkix.Name{CommonName: "rolecall"},
		NotBefore: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
		SignatureAlgorithm: x509.SHA256WithRSA,
	}
	return x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
}

// canon writes XML in exclusive canonical form: whoever calls gives namespaces
// first and attributes in the order of their names.
type canon struct {
	strings.Builder
	names []string
}

var (
	canonText  = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#xD;")
	canonValue = strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;", "\t", "&#x9;", "\n", "&#xA;", "\r", "&#xD;")
)

func (c *canon) open(name string, attributes ...string) {
	c.WriteString("<" + name)
	for i := 0; i < len(attributes); i += 2 {
		c.WriteString(" " + attributes[i] + `="` + canonValue.Replace(attributes[i+1]) + `"`)
	}
	c.WriteString(">")
	c.names = append(c.names, name)
}

func (c *canon) close() {
	last := len(c.names) - 1
	c.WriteString("</" + c.names[last] + ">")
	c.names = c.names[:last]
}

func (c *canon) leaf(name, text string, attributes ...string) {
	c.open(name, attributes...)
	c.WriteString(canonText.Replace(text))
	c.close()
}
