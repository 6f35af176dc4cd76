package saml

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/beevik/etree"
	crewjam "github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/rolecall/rolecall/idp"
)

// This file is the second opinion, and the only one that touches crewjam's
// package variables. Judge has verified and judged the document by then; crewjam
// reads the raw bytes with other code (encoding/xml, etree, goxmldsig) and must
// come to the same identity. It decides nothing about time, and its hook for
// signatures demands that goxmldsig's canonical form of the element is, byte for
// byte, the one that was verified here.
//
// Its refusal is overruled for two reasons only, both valid documents that it
// cannot read:
//
//   - several Audiences in one AudienceRestriction (it keeps the last);
//   - several SubjectConfirmations of which one holds (it demands all, and panics
//     on one without data).
//
// Even then its decoder reads the verified bytes, and the identity must be equal.

// century is wider than any lifetime that Judge accepts.
const century = 100 * 365 * 24 * time.Hour

// widen sets crewjam's package variables, once, so that they decide nothing.
var widen = sync.OnceFunc(func() {
	crewjam.MaxIssueDelay = century
	crewjam.MaxClockSkew = century
})

// library is what crewjam must know of an identity provider; one per metadata.
type library struct {
	descriptor *crewjam.EntityDescriptor
}

// newLibrary describes the provider. The one certificate keeps crewjam from
// refusing for want of one; it is never asked about a signature.
func newLibrary(m *Metadata) *library {
	widen()
	return &library{&crewjam.EntityDescriptor{
		EntityID: m.EntityID,
		IDPSSODescriptors: []crewjam.IDPSSODescriptor{{SSODescriptor: crewjam.SSODescriptor{RoleDescriptor: crewjam.RoleDescriptor{
			KeyDescriptors: []crewjam.KeyDescriptor{{Use: "signing", KeyInfo: crewjam.KeyInfo{X509Data: crewjam.X509Data{
				X509Certificates: []crewjam.X509Certificate{{Data: base64.StdEncoding.EncodeToString(m.certs[0].Raw)}},
			}}}},
		}}}},
	}}
}

// hook is crewjam's SignatureVerifier: it accepts exactly the elements that were
// verified here, as goxmldsig canonicalises them.
type hook map[string][]byte

// VerifySignature implements crewjam's interface.
func (h hook) VerifySignature(_ *dsig.ValidationContext, el *etree.Element) error {
	id := ""
	for _, a := range el.Attr {
		if a.Space == "" && a.Key == "ID" {
			id = a.Value
		}
	}
	want, known := h[id]
	if !known {
		return errors.New("this element was not verified")
	}
	el = el.Copy()
	for i := len(el.Child) - 1; i >= 0; i-- {
		if kid, ok := el.Child[i].(*etree.Element); ok && kid.Tag == "Signature" && kid.NamespaceURI() == spaceSignature {
			el.RemoveChildAt(i)
		}
	}
	got, err := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("").Canonicalize(el)
	if err != nil {
		return fmt.Errorf("canonicalisation: %w", err)
	}
	if !bytes.Equal(got, want) {
		return errors.New("goxmldsig canonicalises the element to other bytes than those that were verified")
	}
	return nil
}

// secondOpinion asks crewjam and demands the same identity.
func (j *judgement) secondOpinion(s *statement) *idp.Rejection {
	assertion, err := j.ask(s)
	var why string
	switch panicked := (*panicError)(nil); {
	case err == nil:
	case s.overrules(err):
		why = "; its refusal of several confirmations is overruled"
		if assertion, err = decodeByLibrary(s.covered); err != nil {
			return &idp.Rejection{Reason: "second-opinion", Detail: "crewjam's decoder does not read the signed bytes", Cause: err}
		}
	case errors.As(err, &panicked):
		return &idp.Rejection{Reason: "crewjam-panic", Detail: "crewjam/saml panicked", Cause: err}
	default:
		return &idp.Rejection{Reason: "second-opinion", Detail: "crewjam/saml refuses: " + shorten(refusal(err).Error()), Cause: err}
	}
	if field := differs(s, assertion); field != "" {
		return idp.Reject("second-opinion", "crewjam/saml reads another %s", field)
	}
	j.fits("second-opinion", "crewjam/saml gives the same identity%s", why)
	return nil
}

// overrules reports whether crewjam refused for one of several confirmations, or
// panicked over one without data.
func (s *statement) overrules(err error) bool {
	if len(s.confirmations) < 2 {
		return false
	}
	if panicked := (*panicError)(nil); errors.As(err, &panicked) {
		return slices.ContainsFunc(s.confirmations, func(c confirmation) bool { return !c.data })
	}
	return strings.HasPrefix(refusal(err).Error(), "assertion SubjectConfirmation")
}

// refusal is crewjam's reason without the document.
func refusal(err error) error {
	if invalid := (*crewjam.InvalidResponseError)(nil); errors.As(err, &invalid) && invalid.PrivateErr != nil {
		return invalid.PrivateErr
	}
	return err
}

// panicError is a panic of the library.
type panicError struct{ value any }

// Error implements error.
func (p *panicError) Error() string { return fmt.Sprint("panic: ", p.value) }

// ask calls ParseXMLResponse behind recover.
func (j *judgement) ask(s *statement) (assertion *crewjam.Assertion, err error) {
	defer func() {
		if value := recover(); value != nil {
			assertion, err = nil, &panicError{value}
		}
	}()
	document, currently := j.document, ""
	judged := hook{}
	if j.response == nil {
		document = wrap(j.document, j.IDP.EntityID, stamp(j.At))
	} else {
		currently = j.head.value("Destination")
		if j.responseSignature != nil {
			judged[j.response.value("ID")] = canonical(j.response, j.responseSignature, method{})
		}
	}
	if j.assertionSignature != nil {
		judged[s.id] = canonical(j.assertion, j.assertionSignature, method{})
	}
	sp, current, err := j.serviceProvider(s, currently)
	if err != nil {
		return nil, err
	}
	sp.SignatureVerifier = judged
	return sp.ParseXMLResponse(document, []string{j.RequestID}, *current)
}

// serviceProvider is a fresh one for each document: crewjam's is not safe to share.
func (j *judgement) serviceProvider(s *statement, destination string) (*crewjam.ServiceProvider, *url.URL, error) {
	recipient := j.ACSURL
	for _, c := range s.confirmations {
		if c.method == methodBearer && j.checkBearer(c) == nil {
			recipient = c.recipient
		}
	}
	acs, err := url.Parse(recipient)
	if err != nil {
		return nil, nil, err
	}
	current, err := url.Parse(destination)
	if err != nil {
		return nil, nil, err
	}
	sp := &crewjam.ServiceProvider{
		EntityID: j.EntityID, AcsURL: *acs, IDPMetadata: j.IDP.library.descriptor,
		AllowIDPInitiated: j.Exchange || j.RequestID == "",
	}
	if slices.ContainsFunc(s.audiences, func(list []string) bool { return len(list) > 1 }) {
		sp.ValidateAudienceRestriction = func(*crewjam.Assertion) error { return nil } // overruled
	}
	return sp, current, nil
}

// wrap puts a bare Assertion into a Response, which is all that crewjam reads.
func wrap(assertion []byte, issuer, now string) []byte {
	var b bytes.Buffer
	b.WriteString(`<samlp:Response xmlns:samlp="` + spaceProtocol + `" ID="_rolecall-wrapper" Version="2.0" IssueInstant="` + now + `"><wrapper:Issuer xmlns:wrapper="` + spaceAssertion + `">`)
	_ = xml.EscapeText(&b, []byte(issuer)) // a bytes.Buffer does not fail
	b.WriteString(`</wrapper:Issuer><samlp:Status><samlp:StatusCode Value="` + statusSuccess + `"/></samlp:Status>`)
	if at := bytes.Index(assertion, []byte("?>")); bytes.HasPrefix(bytes.TrimPrefix(assertion, []byte("\uFEFF")), []byte("<?xml")) && at >= 0 {
		assertion = assertion[at+2:]
	}
	b.Write(assertion)
	b.WriteString(`</samlp:Response>`)
	return b.Bytes()
}

// decodeByLibrary reads the signed bytes with crewjam's schema.
func decodeByLibrary(covered []byte) (assertion *crewjam.Assertion, err error) {
	defer func() {
		if value := recover(); value != nil {
			assertion, err = nil, &panicError{value}
		}
	}()
	assertion = &crewjam.Assertion{}
	return assertion, xml.Unmarshal(covered, assertion)
}

// differs names the first part of the identity that crewjam reads differently.
func differs(s *statement, a *crewjam.Assertion) string {
	switch {
	case a.ID != s.id:
		return "ID"
	case trim(a.Issuer.Value) != s.issuer:
		return "Issuer"
	case a.Subject == nil:
		return "Subject"
	case s.encryptedID == nil && !sameName(s.nameID, a.Subject.NameID):
		return "NameID"
	case a.Conditions == nil || !sameTime(a.Conditions.NotBefore, s.notBefore) || !sameTime(a.Conditions.NotOnOrAfter, s.notOnOrAfter):
		return "Conditions"
	case len(a.AuthnStatements) != len(s.authn):
		return "AuthnStatement"
	}
	for i, b := range a.AuthnStatements {
		mine, class := s.authn[i], ""
		if ref := b.AuthnContext.AuthnContextClassRef; ref != nil {
			class = trim(ref.Value)
		}
		if b.SessionIndex != mine.index || class != mine.class || !sameTime(b.AuthnInstant, mine.instant) {
			return "AuthnStatement"
		}
	}
	if !sameAttributes(s.attributes, a.AttributeStatements) {
		return "Attribute"
	}
	return ""
}

func sameName(mine *nameID, theirs *crewjam.NameID) bool {
	if mine == nil || theirs == nil {
		return mine == nil && theirs == nil
	}
	return *mine == nameID{value: theirs.Value, format: theirs.Format, qualifier: theirs.NameQualifier, spQualifier: theirs.SPNameQualifier}
}

// sameTime compares as crewjam rounds, to the millisecond.
func sameTime(a, b time.Time) bool {
	return a.Round(time.Millisecond).Equal(b.Round(time.Millisecond))
}

// sameAttributes compares name by name and value by value; crewjam does not know
// xsi:nil, and values that are not text are left out here.
func sameAttributes(mine []samlAttribute, theirs []crewjam.AttributeStatement) bool {
	i := 0
	for _, statement := range theirs {
		for _, b := range statement.Attributes {
			if i == len(mine) || mine[i].name != b.Name {
				return false
			}
			if !mine[i].structured && !sameValues(mine[i].values, b.Values) {
				return false
			}
			i++
		}
	}
	return i == len(mine)
}

func sameValues(mine []string, theirs []crewjam.AttributeValue) bool {
	i := 0
	for _, v := range theirs {
		text := v.Value
		if v.NameID != nil {
			text = v.NameID.Value
		}
		if i < len(mine) && mine[i] == text {
			i++
		} else if text != "" {
			return false
		}
	}
	return i == len(mine)
}
