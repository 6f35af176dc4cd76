package issuer_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/google/go-cmp/cmp"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/issuer"
)

const (
	entityID = "https://sso.example.com/aws/metadata"
	awsSAML  = "https://signin.aws.amazon.com/saml"
)

func rsaKeys(t *testing.T, n int) []crypto.Signer {
	t.Helper()
	var signers []crypto.Signer
	for range n {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		signers = append(signers, key)
	}
	return signers
}

func assertions(signers []crypto.Signer, err error) *issuer.Assertions {
	return issuer.NewAssertions(issuer.AssertionConfig{
		EntityID: entityID, Portal: "https://sso.example.com/?a=1&b=<2>", Now: func() time.Time { return now },
		Signers: func(context.Context) ([]crypto.Signer, error) { return signers, err },
	})
}

func forAlice() issuer.Assertion {
	return issuer.Assertion{
		Provider: "corp", Subject: "alice", SessionName: "alice@example.com", SourceIdentity: "corp=alice",
		Role:         iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "Admin"},
		SAMLProvider: "arn:aws:iam::111122223333:saml-provider/rolecall",
		Tags:         []iam.Tag{{Key: "team", Value: "platform"}}, TransitiveTags: []string{"team"},
	}
}

// opened verifies the one assertion of a response as STS would: with the
// certificate of the metadata and somebody else's XML signatures.
func opened(t *testing.T, a *issuer.Assertions, t0 issuer.Assertion) *saml.Assertion {
	t.Helper()
	encoded, err := a.Sign(t.Context(), t0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	document := etree.NewDocument()
	if err := document.ReadFromBytes(raw); err != nil {
		t.Fatalf("%v\n%s", err, raw)
	}
	found := document.FindElements("//Assertion")
	if len(found) != 1 {
		t.Fatalf("%d assertions\n%s", len(found), raw)
	}
	context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: certificates(t, a)})
	context.Clock = dsig.NewFakeClockAt(now)
	verified, err := context.Validate(found[0])
	if err != nil {
		t.Fatalf("the signature: %v\n%s", err, raw)
	}
	checked := etree.NewDocument()
	checked.SetRoot(verified)
	checked.WriteSettings = etree.WriteSettings{CanonicalText: true, CanonicalAttrVal: true, CanonicalEndTags: true}
	text, err := checked.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	var out saml.Assertion
	if err := xml.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

func certificates(t *testing.T, a *issuer.Assertions) []*x509.Certificate {
	t.Helper()
	text, err := a.Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var metadata saml.EntityDescriptor
	if err := xml.Unmarshal(text, &metadata); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var found []*x509.Certificate
	for _, d := range metadata.IDPSSODescriptors[0].KeyDescriptors {
		der, err := base64.StdEncoding.DecodeString(d.KeyInfo.X509Data.X509Certificates[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, c)
	}
	return found
}

func attributesOf(a *saml.Assertion) map[string][]string {
	found := map[string][]string{}
	for _, statement := range a.AttributeStatements {
		for _, attribute := range statement.Attributes {
			for _, v := range attribute.Values {
				found[strings.TrimPrefix(attribute.Name, "https://aws.amazon.com/SAML/Attributes/")] = append(found[attribute.Name], v.Value)
			}
		}
	}
	return found
}

// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml_assertions.html
func TestTheAssertionForAWSIsWhatAWSAsksFor(t *testing.T) {
	t.Parallel()
	got := opened(t, assertions(rsaKeys(t, 1), nil), forAlice())
	confirmation := got.Subject.SubjectConfirmations[0]
	if got.Issuer.Value != entityID || got.Subject.NameID.Value != "corp=alice" || !strings.HasSuffix(got.Subject.NameID.Format, ":persistent") ||
		confirmation.Method != "urn:oasis:names:tc:SAML:2.0:cm:bearer" || confirmation.SubjectConfirmationData.Recipient != awsSAML ||
		got.Conditions.AudienceRestrictions[0].Audience.Value != awsSAML || len(got.AuthnStatements) != 1 {
		t.Errorf("%+v", got)
	}
	if life := got.Conditions.NotOnOrAfter.Sub(now); life <= 0 || life > 5*time.Minute || !got.Conditions.NotBefore.Before(now) ||
		!confirmation.SubjectConfirmationData.NotOnOrAfter.Equal(got.Conditions.NotOnOrAfter) {
		t.Errorf("good from %s to %s, %s", got.Conditions.NotBefore, got.Conditions.NotOnOrAfter, confirmation.SubjectConfirmationData.NotOnOrAfter)
	}
	want := map[string][]string{
		"Role":            {"arn:aws:iam::111122223333:role/Admin,arn:aws:iam::111122223333:saml-provider/rolecall"},
		"RoleSessionName": {"alice@example.com"}, "SourceIdentity": {"corp=alice"},
		"PrincipalTag:team": {"platform"}, "TransitiveTagKeys": {"team"},
	}
	if diff := cmp.Diff(want, attributesOf(got)); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

// Each partition has its own address: an assertion for one is of no use in another.
func TestAnAssertionIsForOnePartitionOnly(t *testing.T) {
	t.Parallel()
	a := assertions(rsaKeys(t, 1), nil)
	for partition, want := range map[string]string{
		"aws": awsSAML, "aws-us-gov": "https://signin.amazonaws-us-gov.com/saml", "aws-cn": "https://signin.amazonaws.cn/saml",
	} {
		order := forAlice()
		order.Role.Partition = partition
		got := opened(t, a, order)
		if got.Conditions.AudienceRestrictions[0].Audience.Value != want || got.Subject.SubjectConfirmations[0].SubjectConfirmationData.Recipient != want {
			t.Errorf("%s: %+v", partition, got.Conditions)
		}
	}
	order := forAlice()
	order.Role.Partition = "aws-iso"
	if text, err := a.Sign(t.Context(), order); err == nil || text != "" {
		t.Errorf("a partition whose address is not known: %q %v", text, err)
	}
}

// Values come from identity providers. None may become markup, another attribute
// or another role, and none may change on the way.
func TestAValueStaysAValue(t *testing.T) {
	t.Parallel()
	a := assertions(rsaKeys(t, 1), nil)
	for _, value := range []string{
		`</saml:AttributeValue></saml:Attribute><saml:Attribute Name="https://aws.amazon.com/SAML/Attributes/Role"><saml:AttributeValue>x`,
		`&amp;&lt;`, `a"b'c`, "]]>", "<!-- x -->", "<!DOCTYPE a>", "&#x41;", "line\nline", "tab\ttab", "carriage\rreturn", " blanks ", "é — 日本 🔑", "",
	} {
		order := forAlice()
		order.Tags = []iam.Tag{{Key: "team", Value: value}, {Key: `k"<&>`, Value: "v"}}
		order.SourceIdentity = value
		got := attributesOf(opened(t, a, order))
		if want := []string{value}; !cmp.Equal(got["PrincipalTag:team"], want) || (value != "" && !cmp.Equal(got["SourceIdentity"], want)) {
			t.Errorf("%q arrives as %q and %q", value, got["PrincipalTag:team"], got["SourceIdentity"])
		}
		if len(got["Role"]) != 1 || len(got[`PrincipalTag:k"<&>`]) != 1 {
			t.Errorf("%q makes roles %q of %v", value, got["Role"], got)
		}
	}
}

func TestTwoAssertionsNeverShareAnID(t *testing.T) {
	t.Parallel()
	a := assertions(rsaKeys(t, 1), nil)
	seen := map[string]bool{}
	for range 5 {
		id := opened(t, a, forAlice()).ID
		if seen[id] || len(id) < 20 || id[0] != '_' { // xs:ID begins with no digit
			t.Errorf("the id %q", id)
		}
		seen[id] = true
	}
}

func TestATouchedAssertionNoLongerVerifies(t *testing.T) {
	t.Parallel()
	a := assertions(rsaKeys(t, 1), nil)
	encoded, err := a.Sign(t.Context(), forAlice())
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.StdEncoding.DecodeString(encoded)
	for from, to := range map[string]string{"role/Admin,": "role/Owner,", ">corp=alice<": ">corp=mallory<", "2.0:assertion\" ID=\"_": "2.0:assertion\" ID=\"_x"} {
		document := etree.NewDocument()
		if err := document.ReadFromString(strings.Replace(string(raw), from, to, 1)); err != nil {
			t.Fatal(err)
		}
		context := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: certificates(t, a)})
		context.Clock = dsig.NewFakeClockAt(now)
		if _, err := context.Validate(document.FindElement("//Assertion")); err == nil {
			t.Errorf("%q for %q still verifies", to, from)
		}
	}
}

// Accounts import the metadata by hand: it may change only with the keys, and the
// next key must be in it before it signs.
func TestTheMetadataNamesEveryKeyAndIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	signers := rsaKeys(t, 2)
	a := assertions(signers, nil)
	first, err := a.Metadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	again, err := assertions(signers, nil).Metadata(t.Context())
	if err != nil || string(first) != string(again) {
		t.Errorf("another start publishes another document (%v)", err)
	}
	if strings.Contains(string(first), "PRIVATE") {
		t.Error("a private key is in it")
	}
	found := certificates(t, a)
	if len(found) != 2 {
		t.Fatalf("%d certificates of two keys", len(found))
	}
	for i, c := range found {
		if public, ok := c.PublicKey.(*rsa.PublicKey); !ok || !public.Equal(signers[i].Public()) || c.IsCA {
			t.Errorf("certificate %d: %v", i, c.Subject)
		}
		if now.Before(c.NotBefore) || now.AddDate(10, 0, 0).After(c.NotAfter) {
			t.Errorf("certificate %d is good from %s to %s", i, c.NotBefore, c.NotAfter)
		}
	}
	var metadata saml.EntityDescriptor
	if err := xml.Unmarshal(first, &metadata); err != nil || metadata.EntityID != entityID || metadata.IDPSSODescriptors[0].SingleSignOnServices[0].Location != "https://sso.example.com/?a=1&b=<2>" {
		t.Errorf("%v\n%s", err, first)
	}
}

func TestWithoutAKeyThereIsNoAssertion(t *testing.T) {
	t.Parallel()
	broken := errors.New("the store is closed")
	for name, a := range map[string]*issuer.Assertions{"no keys": assertions(nil, nil), "keys that cannot be read": assertions(nil, broken)} {
		if text, err := a.Sign(t.Context(), forAlice()); err == nil || text != "" {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
	if _, err := assertions(nil, broken).Metadata(t.Context()); !errors.Is(err, broken) {
		t.Errorf("metadata: %v", err)
	}
}
