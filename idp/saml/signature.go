package saml

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// signedInfo is what a ds:Signature says, read from the canonical bytes of its
// SignedInfo.
type signedInfo struct {
	canonical []byte // the bytes that the signature value signs
	value     []byte // the signature value

	methodURI string
	method    algorithm

	uri       string
	reference method
	digest    crypto.Hash
	sum       []byte
	inclusive bool // a form other than exclusive canonicalisation, anywhere
}

// verified is what one signature covers.
type verified struct {
	bytes []byte // the canonical bytes: what is read
	cert  *x509.Certificate
}

// verify is the authority on signatures (SECURITY rules 5 and 6): the
// ds:Signature, a direct child of its parent, has one Reference to that parent,
// transforms that only take the signature out and canonicalise, an algorithm of
// the allow-list, and a value that one of the certificates made. KeyInfo is not
// read. It gives the canonical bytes that were signed.
func verify(signature *node, certs []*x509.Certificate, at time.Time, r *record) (verified, *idp.Rejection) {
	parent := signature.parent
	info, fault := readSignature(signature)
	if fault != nil {
		return verified{}, fault
	}
	cert := info.signer(certs)
	if cert == nil {
		return verified{}, idp.Reject("signature", "the signature (%s) of %s was made by none of the provider's %d certificates", shorten(info.methodURI), parent.local, len(certs))
	}
	id := parent.value("ID")
	if info.uri != "" && info.uri != "#"+id {
		return verified{}, idp.Reject("signature-reference", "the signature in %s refers to %q and not to its parent %q", parent.local, shorten(info.uri), shorten("#"+id))
	}
	covered := canonical(parent, signature, info.reference)
	h := info.digest.New()
	h.Write(covered)
	if subtle.ConstantTimeCompare(h.Sum(nil), info.sum) != 1 {
		return verified{}, idp.Reject("digest", "%s was changed after it was signed: its digest is not the signed one", parent.local)
	}
	info.judge(parent, cert, at, r)
	return verified{bytes: covered, cert: cert}, nil
}

// signer is the first certificate whose key made the signature.
func (s *signedInfo) signer(certs []*x509.Certificate) *x509.Certificate {
	for _, cert := range certs {
		if s.method.verify(cert.PublicKey, s.canonical, s.value) {
			return cert
		}
	}
	return nil
}

// judge records what is weak or worth a note about a signature that holds.
func (s *signedInfo) judge(parent *node, cert *x509.Certificate, at time.Time, r *record) {
	r.fits("signature", "%s is signed by %s (%s)", parent.local, shorten(cert.Subject.String()), shorten(s.methodURI[strings.LastIndexByte(s.methodURI, '#')+1:]))
	if s.method.hash == crypto.SHA1 || s.digest == crypto.SHA1 {
		r.weak(weakSHA1, "%s is signed with SHA-1; let the provider use SHA-256", parent.local)
	}
	if shortRSA(cert.PublicKey) {
		r.weak(weakRSA, "the provider's RSA key has under 2048 bits")
	}
	if s.uri == "" {
		r.weak(weakEmptyURI, "the signature in %s names no ID", parent.local)
	}
	if s.inclusive {
		r.weak(weakInclusive, "the signature in %s does not use exclusive canonicalisation", parent.local)
	}
	if s.method.pss {
		r.note(notedPSS, "RSA-PSS")
	}
	if at.Before(cert.NotBefore) || at.After(cert.NotAfter) {
		r.note(notedCertificate, "the certificate is valid from %s to %s; the pinned key counts", cert.NotBefore.UTC().Format(time.DateOnly), cert.NotAfter.UTC().Format(time.DateOnly))
	}
}

func form(format string, args ...any) *idp.Rejection {
	return idp.Reject("signature-form", format, args...)
}

// readSignature reads a ds:Signature of exactly the expected shape.
func readSignature(signature *node) (*signedInfo, *idp.Rejection) {
	kids, fault := only(signature, "SignedInfo", "SignatureValue", "KeyInfo")
	if fault != nil {
		return nil, fault
	}
	info, value := kids["SignedInfo"], kids["SignatureValue"]
	if info == nil || value == nil {
		return nil, form("a ds:Signature without SignedInfo or SignatureValue")
	}
	if fault := bare(info, value); fault != nil {
		return nil, fault
	}
	s := &signedInfo{}
	if s.value, fault = octets(value); fault != nil {
		return nil, fault
	}
	how, fault := canonicalization(info.child(spaceSignature, "CanonicalizationMethod"))
	if fault != nil {
		return nil, fault
	}
	s.canonical, s.inclusive = canonical(info, nil, how), how.inclusive
	again, fault := gate(s.canonical, messageLimits) // what is verified is what is read
	if fault != nil {
		return nil, fault
	}
	return s, s.read(again)
}

// bare refuses comments in what is signed, and mark-up in values.
func bare(parts ...*node) *idp.Rejection {
	for _, part := range parts {
		if !part.walk(func(n *node) bool { return !n.commented() }) {
			return form("a comment inside ds:%s", part.local)
		}
	}
	return nil
}

// only gives the child elements of n by name; each may occur once, all are of
// XML Signature, and there is no text between them.
func only(n *node, names ...string) (map[string]*node, *idp.Rejection) {
	if n.loose() {
		return nil, form("text inside ds:%s", n.local)
	}
	kids := make(map[string]*node, len(names))
	for _, kid := range n.elements() {
		switch {
		case kid.space != spaceSignature || !slices.Contains(names, kid.local):
			return nil, form("%s inside ds:%s", shorten(kid.qualified()), n.local)
		case kids[kid.local] != nil:
			return nil, form("two ds:%s inside ds:%s", kid.local, n.local)
		}
		kids[kid.local] = kid
	}
	return kids, nil
}

// octets decodes the base64 text of an element.
func octets(n *node) ([]byte, *idp.Rejection) {
	text, simple := n.content()
	if !simple {
		return nil, form("elements inside ds:%s", n.local)
	}
	raw, err := base64.StdEncoding.DecodeString(squeeze(text))
	if err != nil || len(raw) == 0 {
		return nil, form("ds:%s is not base64", n.local)
	}
	return raw, nil
}

// squeeze takes all XML white space out.
func squeeze(text string) string {
	if !strings.ContainsAny(text, " \t\r\n") {
		return text
	}
	return strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(text)
}

// canonicalization reads a CanonicalizationMethod or the Transform that
// canonicalises.
func canonicalization(n *node) (method, *idp.Rejection) {
	if n == nil {
		return method{}, form("a ds:Signature without CanonicalizationMethod")
	}
	uri := n.value("Algorithm")
	var m method
	switch uri {
	case exclusive, exclusiveComments:
	case inclusive10, inclusive10Comments:
		m.inclusive = true
	case inclusive11, inclusive11Comments:
		m.inclusive, m.version11 = true, true
	default:
		return method{}, idp.Reject("algorithm", "the canonicalisation %q is not accepted", shorten(uri))
	}
	for i, kid := range n.elements() {
		if m.inclusive || i > 0 || !kid.is(exclusive, "InclusiveNamespaces") || len(kid.kids) > 0 {
			return method{}, form("%s inside ds:%s", shorten(kid.qualified()), n.local)
		}
		for _, prefix := range strings.Fields(kid.value("PrefixList")) {
			if prefix == "#default" {
				prefix = ""
			}
			m.prefixes = append(m.prefixes, prefix)
		}
	}
	if n.loose() || len(m.prefixes) > messageLimits.namespaces {
		return method{}, form("unexpected content of ds:%s", n.local)
	}
	return m, nil
}

// read takes everything from the parsed canonical SignedInfo.
func (s *signedInfo) read(info *node) *idp.Rejection {
	kids, fault := only(info, "CanonicalizationMethod", "SignatureMethod", "Reference")
	if fault != nil {
		return fault
	}
	how, ref := kids["SignatureMethod"], kids["Reference"]
	if how == nil || ref == nil {
		return form("a SignedInfo without SignatureMethod or Reference")
	}
	if fault := s.readMethod(how); fault != nil {
		return fault
	}
	var ok bool
	if s.uri, ok = ref.attr("URI"); !ok {
		return form("a Reference without URI")
	}
	parts, fault := only(ref, "Transforms", "DigestMethod", "DigestValue")
	if fault != nil {
		return fault
	}
	if parts["DigestMethod"] == nil || parts["DigestValue"] == nil {
		return form("a Reference without DigestMethod or DigestValue")
	}
	uri := parts["DigestMethod"].value("Algorithm")
	if s.digest = digests[uri]; s.digest == 0 || len(parts["DigestMethod"].elements()) > 0 {
		return idp.Reject("algorithm", "the digest %q is not accepted", shorten(uri))
	}
	if s.sum, fault = octets(parts["DigestValue"]); fault != nil {
		return fault
	}
	if len(s.sum) != s.digest.Size() || bytes.Equal(s.sum, s.digest.New().Sum(nil)) {
		return form("the DigestValue has the wrong length or is that of nothing")
	}
	return s.readTransforms(parts["Transforms"])
}

func (s *signedInfo) readMethod(n *node) *idp.Rejection {
	s.methodURI = n.value("Algorithm")
	var known bool
	if s.method, known = algorithms[s.methodURI]; known {
		if len(n.elements()) > 0 || n.loose() {
			return form("unexpected content of ds:SignatureMethod")
		}
		return nil
	}
	if s.methodURI != spacePSS+"rsa-pss" {
		return idp.Reject("algorithm", "the signature method %q is not accepted", shorten(s.methodURI))
	}
	s.method = algorithm{hash: crypto.SHA256, pss: true} // the defaults of RFC 9231 section 2.3.10
	for _, params := range n.elements() {
		for _, p := range params.elements() {
			if p.is(spaceSignature, "DigestMethod") {
				s.method.hash = digests[p.value("Algorithm")]
			}
		}
	}
	if s.method.hash == 0 {
		return idp.Reject("algorithm", "the digest of the RSA-PSS signature is not accepted")
	}
	return nil
}

// readTransforms accepts the enveloped signature, then one canonicalisation;
// without the latter XML Signature says inclusive.
func (s *signedInfo) readTransforms(n *node) *idp.Rejection {
	var list []*node
	if n != nil {
		if list = n.children(spaceSignature, "Transform"); len(list) != len(n.elements()) || n.loose() {
			return form("unexpected content of ds:Transforms")
		}
	}
	if len(list) == 0 || len(list) > 2 || list[0].value("Algorithm") != transformEnveloped || len(list[0].kids) > 0 {
		return idp.Reject("algorithm", "the transforms are not the enveloped signature and one canonicalisation but %s", transformNames(list))
	}
	s.reference = method{inclusive: true}
	if len(list) == 2 {
		var fault *idp.Rejection
		if s.reference, fault = canonicalization(list[1]); fault != nil {
			return fault
		}
	}
	s.inclusive = s.inclusive || s.reference.inclusive
	return nil
}

func transformNames(list []*node) string {
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = shorten(n.value("Algorithm"))
	}
	return shorten(fmt.Sprintf("%q", names))
}
