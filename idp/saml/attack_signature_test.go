package saml_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"testing"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

func rsaKey(t testing.TB, bits int) idptest.SAMLKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return idptest.NewSAMLKey(t, key)
}

func text(s string) *string { return &s }

func TestSignaturesThatMustBeRefused(t *testing.T) {
	t.Parallel()
	stranger := rsaKey(t, 2048)
	empty := sha256.Sum256(nil)
	tests := map[string]struct {
		key    idptest.SAMLKey
		how    idptest.SAMLSigning
		signed string
		attack func(r *etree.Element)
		reason string
	}{
		"no signature at all":                         {signed: "none", reason: "unsigned"},
		"the signature stripped":                      {attack: func(r *etree.Element) { a := at(r, "Assertion"); a.RemoveChild(at(a, "Signature")) }, reason: "unsigned"},
		"an empty Signature":                          {attack: func(r *etree.Element) { clear(at(r, "Assertion/Signature")) }, reason: "signature-form"},
		"an empty SignatureValue":                     {attack: func(r *etree.Element) { at(r, "Assertion/Signature/SignatureValue").SetText("") }, reason: "signature-form"},
		"another key":                                 {key: stranger, reason: "signature"},
		"another key that brings its own certificate": {key: stranger, how: idptest.SAMLSigning{KeyInfo: &stranger}, reason: "signature"},
		"the name changed after signing":              {attack: func(r *etree.Element) { at(r, "Assertion/Subject/NameID").SetText("admin") }, reason: "digest"},
		"a blank added after signing":                 {attack: func(r *etree.Element) { at(r, "Assertion/Subject").CreateText(" ") }, reason: "digest"},
		"an attribute of the assertion changed":       {attack: func(r *etree.Element) { at(r, "Assertion").CreateAttr("IssueInstant", "2026-11-24T10:00:01Z") }, reason: "digest"},
		"an attribute of the signed Response changed": {signed: "response", attack: func(r *etree.Element) { r.CreateAttr("Consent", "x") }, reason: "digest"},
		"the digest of nothing (void canonicalisation)": {how: idptest.SAMLSigning{SignedInfo: func(s *etree.Element) {
			at(s, "Reference/DigestValue").SetText(base64.StdEncoding.EncodeToString(empty[:]))
		}}, reason: "signature-form"},
		"a reference to another ID": {how: idptest.SAMLSigning{URI: text("#_other")}, reason: "signature-reference"},
		"a reference without #":     {how: idptest.SAMLSigning{SignedInfo: func(s *etree.Element) { u := at(s, "Reference").SelectAttr("URI"); u.Value = "x" + u.Value[1:] }}, reason: "signature-reference"},
		"a reference to a URL":      {how: idptest.SAMLSigning{URI: text("http://127.0.0.1:1/x")}, reason: "signature-reference"},
		"a reference by XPointer":   {how: idptest.SAMLSigning{URI: text("#xpointer(/)")}, reason: "signature-reference"},
		"two References":            {how: idptest.SAMLSigning{SignedInfo: func(s *etree.Element) { s.AddChild(at(s, "Reference").Copy()) }}, reason: "signature-form"},
		"no Reference":              {how: idptest.SAMLSigning{SignedInfo: func(s *etree.Element) { s.RemoveChild(at(s, "Reference")) }}, reason: "signature-form"},
		"two SignedInfo": {attack: func(r *etree.Element) {
			s := at(r, "Assertion/Signature")
			s.InsertChildAt(0, at(s, "SignedInfo").Copy())
		}, reason: "signature-form"},
		"a ds:Object":           {attack: func(r *etree.Element) { at(r, "Assertion/Signature").CreateElement("ds:Object").SetText("x") }, reason: "signature-form"},
		"text in the Signature": {attack: func(r *etree.Element) { at(r, "Assertion/Signature").CreateText("x") }, reason: "signature-form"},
		"an element in DigestValue": {attack: func(r *etree.Element) {
			at(r, "Assertion/Signature/SignedInfo/Reference/DigestValue").CreateElement("ds:x")
		}, reason: "signature-form"},
		"a comment in DigestValue (SAMLStorm)": {attack: func(r *etree.Element) {
			at(r, "Assertion/Signature/SignedInfo/Reference/DigestValue").CreateComment("x")
		}, reason: "signature-form"},
		"a comment in SignatureValue":  {attack: func(r *etree.Element) { at(r, "Assertion/Signature/SignatureValue").CreateComment("x") }, reason: "signature-form"},
		"an element in SignatureValue": {attack: func(r *etree.Element) { at(r, "Assertion/Signature/SignatureValue").CreateElement("ds:x") }, reason: "signature-form"},
		"HMAC":                         {how: method("http://www.w3.org/2000/09/xmldsig#hmac-sha1"), reason: "algorithm"},
		"DSA":                          {how: method("http://www.w3.org/2000/09/xmldsig#dsa-sha1"), reason: "algorithm"},
		"MD5":                          {how: method("http://www.w3.org/2001/04/xmldsig-more#rsa-md5"), reason: "algorithm"},
		"an algorithm of the attacker": {how: method("urn:evil"), reason: "algorithm"},
		"ECDSA named, RSA signed":      {how: method("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"), reason: "signature"},
		"an XSLT transform":            {how: transform("http://www.w3.org/TR/1999/REC-xslt-19991116"), reason: "algorithm"},
		"an XPath transform":           {how: transform("http://www.w3.org/TR/1999/REC-xpath-19991116"), reason: "algorithm"},
		"a base64 transform":           {how: transform("http://www.w3.org/2000/09/xmldsig#base64"), reason: "algorithm"},
		"exclusive canonicalisation twice": {how: idptest.SAMLSigning{SignedInfo: func(s *etree.Element) {
			ts := at(s, "Reference/Transforms")
			ts.AddChild(at(ts, "Transform[2]").Copy())
		}}, reason: "algorithm"},
		"no Transforms":               {how: idptest.SAMLSigning{SignedInfo: func(s *etree.Element) { r := at(s, "Reference"); r.RemoveChild(at(r, "Transforms")) }}, reason: "algorithm"},
		"a digest of the attacker":    {how: idptest.SAMLSigning{SignedInfo: func(s *etree.Element) { at(s, "Reference/DigestMethod").CreateAttr("Algorithm", "urn:evil") }}, reason: "algorithm"},
		"an unknown canonicalisation": {how: idptest.SAMLSigning{SignedInfo: func(s *etree.Element) { at(s, "CanonicalizationMethod").CreateAttr("Algorithm", "urn:evil") }}, reason: "algorithm"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := idptest.NewSAMLIdP(t)
			answer := good()
			answer.Key, answer.Signing, answer.Signed, answer.After = test.key, test.how, test.signed, test.attack
			refused(t, saml.Judge(i.Response(answer), standard(t, i)), test.reason)
		})
	}
}

func clear(el *etree.Element) {
	for len(el.Child) > 0 {
		el.RemoveChildAt(0)
	}
}

func method(uri string) idptest.SAMLSigning {
	return idptest.SAMLSigning{SignedInfo: func(s *etree.Element) { at(s, "SignatureMethod").CreateAttr("Algorithm", uri) }}
}

func transform(uri string) idptest.SAMLSigning {
	return idptest.SAMLSigning{SignedInfo: func(s *etree.Element) { at(s, "Reference/Transforms/Transform[2]").CreateAttr("Algorithm", uri) }}
}

// Weak signatures hold, so that one can say whose document it is; nobody signs in.
func TestWeakSignaturesAreFindings(t *testing.T) {
	t.Parallel()
	short, curve := rsaKey(t, 1024), curveKey(t, elliptic.P256())
	tests := map[string]struct {
		key  idptest.SAMLKey
		how  idptest.SAMLSigning
		code string
	}{
		"SHA-1":                      {how: idptest.SAMLSigning{Hash: crypto.SHA1}, code: "sha1"},
		"ECDSA with SHA-1":           {key: curve, how: idptest.SAMLSigning{Hash: crypto.SHA1}, code: "sha1"},
		"RSA of 1024 bits":           {key: short, code: "rsa-1024"},
		"an empty reference":         {how: idptest.SAMLSigning{URI: text("")}, code: "empty-reference-URI"},
		"inclusive canonicalisation": {how: idptest.SAMLSigning{Canonicalization: dsig.CanonicalXML10RecAlgorithmId.String()}, code: "non-exclusive-c14n"},
		"Canonical XML 1.1":          {how: idptest.SAMLSigning{Canonicalization: dsig.CanonicalXML11AlgorithmId.String()}, code: "non-exclusive-c14n"},
	}
	for name, test := range tests {
		for _, signed := range []string{"assertion", "response"} {
			t.Run(name+", signed "+signed, func(t *testing.T) {
				t.Parallel()
				i := idptest.NewSAMLIdP(t)
				i.Keys = append(i.Keys, short, curve)
				answer := good()
				answer.Key, answer.Signing, answer.Signed = test.key, test.how, signed
				c := standard(t, i)
				c.Allow = []string{test.code} // which cannot be allowed
				v := saml.Judge(i.Response(answer), c)
				refused(t, v, test.code)
				if len(v.Findings) != 1 || v.Findings[0].Code != test.code || v.Identity == nil || v.Identity.Subject != "alice" {
					t.Errorf("findings %+v, identity %+v", v.Findings, v.Identity)
				}
			})
		}
	}
}

// A key of the metadata that is not for RSA or ECDSA signs nothing.
func TestACertificateOfAnotherKindVerifiesNothing(t *testing.T) {
	t.Parallel()
	i := idptest.NewSAMLIdP(t)
	document := i.Response(good())
	i.Keys = []idptest.SAMLKey{ed25519Key(t)}
	refused(t, saml.Judge(document, standard(t, i)), "signature")
}

func ed25519Key(t *testing.T) idptest.SAMLKey {
	t.Helper()
	der, _ := base64.StdEncoding.DecodeString("MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC")
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return idptest.NewSAMLKey(t, key.(crypto.Signer))
}
