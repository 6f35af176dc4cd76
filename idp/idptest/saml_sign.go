package idptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // for tests that it is refused
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"
)

// SAMLSigning changes how a document is signed. The zero value is RSA (or
// ECDSA) with SHA-256 and exclusive canonicalisation.
type SAMLSigning struct {
	// Hash is the hash of signature and digest; PSS makes an RSA-PSS signature.
	Hash crypto.Hash
	PSS  bool
	// ASN1 writes an ECDSA signature as some libraries do, not as the standard says.
	ASN1 bool
	// URI replaces "#ID", if it is not nil.
	URI *string
	// Canonicalization replaces the exclusive form (an algorithm of goxmldsig).
	Canonicalization string
	// Prefixes is the PrefixList of InclusiveNamespaces.
	Prefixes string
	// KeyInfo adds a certificate to the signature.
	KeyInfo *SAMLKey
	// SignedInfo edits the SignedInfo before it is signed, Signature when it is.
	SignedInfo, Signature func(*etree.Element)
}

var (
	hashNames   = map[crypto.Hash]string{crypto.SHA1: "sha1", crypto.SHA256: "sha256", crypto.SHA384: "sha384", crypto.SHA512: "sha512"}
	hashDigests = map[crypto.Hash]string{
		crypto.SHA1: dsigSpace + "sha1", crypto.SHA256: "http://www.w3.org/2001/04/xmlenc#sha256",
		crypto.SHA384: "http://www.w3.org/2001/04/xmldsig-more#sha384", crypto.SHA512: "http://www.w3.org/2001/04/xmlenc#sha512",
	}
)

// Sign puts an enveloped signature behind the Issuer of an element, or first.
func (i *SAMLIdP) Sign(el *etree.Element, key SAMLKey, s SAMLSigning) {
	i.t.Helper()
	if s.Hash == 0 {
		s.Hash = crypto.SHA256
	}
	if s.Canonicalization == "" {
		s.Canonicalization = dsig.CanonicalXML10ExclusiveAlgorithmId.String()
	}
	uri := "#" + el.SelectAttrValue("ID", "")
	if s.URI != nil {
		uri = *s.URI
	}
	h := s.Hash.New()
	h.Write(i.canonical(el, s))
	signature := etree.NewElement("ds:Signature")
	signature.CreateAttr("xmlns:ds", dsigSpace)
	info := signature.CreateElement("ds:SignedInfo")
	info.CreateElement("ds:CanonicalizationMethod").CreateAttr("Algorithm", s.Canonicalization)
	info.CreateElement("ds:SignatureMethod").CreateAttr("Algorithm", s.method(key))
	reference := info.CreateElement("ds:Reference")
	reference.CreateAttr("URI", uri)
	transforms := reference.CreateElement("ds:Transforms")
	transforms.CreateElement("ds:Transform").CreateAttr("Algorithm", dsigSpace+"enveloped-signature")
	transform := transforms.CreateElement("ds:Transform")
	transform.CreateAttr("Algorithm", s.Canonicalization)
	if s.Prefixes != "" {
		list := transform.CreateElement("ec:InclusiveNamespaces")
		list.CreateAttr("xmlns:ec", dsig.CanonicalXML10ExclusiveAlgorithmId.String())
		list.CreateAttr("PrefixList", s.Prefixes)
	}
	reference.CreateElement("ds:DigestMethod").CreateAttr("Algorithm", hashDigests[s.Hash])
	reference.CreateElement("ds:DigestValue").SetText(base64.StdEncoding.EncodeToString(h.Sum(nil)))
	if s.SignedInfo != nil {
		s.SignedInfo(info)
	}
	at := 0
	if issuer := child(el, "Issuer"); issuer != nil {
		at = issuer.Index() + 1
	}
	el.InsertChildAt(at, signature)
	s.Prefixes = ""
	signature.CreateElement("ds:SignatureValue").SetText(base64.StdEncoding.EncodeToString(i.value(key, i.canonical(info, s), s)))
	if s.KeyInfo != nil {
		signature.CreateElement("ds:KeyInfo").CreateElement("ds:X509Data").CreateElement("ds:X509Certificate").
			SetText(base64.StdEncoding.EncodeToString(s.KeyInfo.Certificate.Raw))
	}
	if s.Signature != nil {
		s.Signature(signature)
	}
}

func (s SAMLSigning) method(key SAMLKey) string {
	const more = "http://www.w3.org/2001/04/xmldsig-more#"
	_, isRSA := key.Signer.Public().(*rsa.PublicKey)
	switch {
	case isRSA && s.PSS:
		return "http://www.w3.org/2007/05/xmldsig-more#" + hashNames[s.Hash] + "-rsa-MGF1"
	case isRSA && s.Hash == crypto.SHA1:
		return dsigSpace + "rsa-sha1"
	case isRSA:
		return more + "rsa-" + hashNames[s.Hash]
	}
	return more + "ecdsa-" + hashNames[s.Hash]
}

// canonical is goxmldsig's form of an element where it stands.
func (i *SAMLIdP) canonical(el *etree.Element, s SAMLSigning) []byte {
	i.t.Helper()
	var c dsig.Canonicalizer
	switch dsig.AlgorithmID(s.Canonicalization) {
	case dsig.CanonicalXML10RecAlgorithmId:
		c = dsig.MakeC14N10RecCanonicalizer()
	case dsig.CanonicalXML11AlgorithmId:
		c = dsig.MakeC14N11Canonicalizer()
	default:
		c = dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList(s.Prefixes)
	}
	context, err := etreeutils.NSBuildParentContext(el)
	if err != nil {
		i.t.Fatalf("idptest: %v", err)
	}
	detached, err := etreeutils.NSDetatch(context, el)
	if err != nil {
		i.t.Fatalf("idptest: %v", err)
	}
	text, err := c.Canonicalize(detached)
	if err != nil {
		i.t.Fatalf("idptest: %v", err)
	}
	return text
}

// value is the signature value.
func (i *SAMLIdP) value(key SAMLKey, text []byte, s SAMLSigning) []byte {
	i.t.Helper()
	h := s.Hash.New()
	h.Write(text)
	var options crypto.SignerOpts = s.Hash
	if s.PSS {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.Hash}
	}
	if private, ok := key.Signer.(*ecdsa.PrivateKey); ok && !s.ASN1 {
		r, v, err := ecdsa.Sign(rand.Reader, private, h.Sum(nil))
		if err != nil {
			i.t.Fatalf("idptest: sign: %v", err)
		}
		size := (private.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), v.FillBytes(make([]byte, size))...)
	}
	value, err := key.Signer.Sign(rand.Reader, h.Sum(nil), options)
	if err != nil {
		i.t.Fatalf("idptest: sign: %v", err)
	}
	return value
}
