package saml

import (
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// statement is what a verified assertion says.
type statement struct {
	covered []byte // the canonical bytes that were signed: all below is read from them
	root    *node

	id, issuer   string
	issueInstant time.Time

	nameID      *nameID
	encryptedID *node

	confirmations []confirmation

	conditions              bool
	notBefore, notOnOrAfter time.Time
	audiences               [][]string // OR within, AND between

	authn      []authn
	attributes []samlAttribute
}

// nameID is a NameID, whole.
type nameID struct {
	value, format, qualifier, spQualifier string
}

type confirmation struct {
	method                  string
	data                    bool
	notBefore, notOnOrAfter time.Time
	recipient, inResponseTo string
	address                 string
}

type authn struct {
	instant, end time.Time
	index        string
	class        string
}

type samlAttribute struct {
	name       string
	values     []string
	structured bool // a value that is not text
}

// decode reads an assertion from the root of its signed bytes. It judges shape,
// not meaning.
func decode(root *node) (*statement, *idp.Rejection) {
	s := &statement{root: root, id: root.value("ID")}
	found, fault := parts(root, assertionParts, "AuthnStatement", "AttributeStatement", "AuthzDecisionStatement")
	if fault != nil {
		return nil, fault
	}
	if fault := identified(root); fault != nil {
		return nil, fault
	}
	if s.issueInstant, fault = instant(root, "IssueInstant"); fault != nil {
		return nil, fault
	}
	if len(found["Issuer"]) == 0 {
		return nil, idp.Reject("issuer", "the Assertion has no Issuer")
	}
	if s.issuer, fault = issuerOf(found["Issuer"][0]); fault != nil {
		return nil, fault
	}
	if len(found["Subject"]) == 0 {
		return nil, idp.Reject("subject", "the Assertion has no Subject")
	}
	if fault := s.readSubject(found["Subject"][0]); fault != nil {
		return nil, fault
	}
	if conditions := first(found["Conditions"]); conditions != nil {
		if fault := s.readConditions(conditions); fault != nil {
			return nil, fault
		}
	}
	for _, n := range found["AuthnStatement"] {
		if fault := s.readAuthn(n); fault != nil {
			return nil, fault
		}
	}
	for _, n := range found["AttributeStatement"] {
		if fault := s.readAttributes(n); fault != nil {
			return nil, fault
		}
	}
	return s, nil
}

// instant reads a time: xs:dateTime, in UTC where it names no zone. Absent is
// the zero time.
func instant(n *node, attr string) (time.Time, *idp.Rejection) {
	text, ok := n.attr(attr)
	if !ok {
		return time.Time{}, nil
	}
	text = trim(text)
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil && !strings.Contains(text, ",") && t.Year() > 0 {
			return t.UTC(), nil
		}
	}
	return time.Time{}, structure("%s of %s is not a time: %q", attr, n.local, shorten(text))
}

// issuerOf reads an Issuer: an entity, as itself.
func issuerOf(n *node) (string, *idp.Rejection) {
	text, simple := n.content()
	if format := n.value("Format"); !simple || (format != "" && format != formatEntity) {
		return "", idp.Reject("issuer", "the Issuer is not an entityID (%q)", shorten(format))
	}
	return trim(text), nil
}

func (s *statement) readSubject(subject *node) *idp.Rejection {
	if subject.loose() {
		return structure("text inside Subject")
	}
	for _, kid := range subject.elements() {
		switch {
		case kid.is(spaceAssertion, "NameID"), kid.is(spaceAssertion, "EncryptedID"):
			if s.nameID != nil || s.encryptedID != nil {
				return idp.Reject("subject", "two names of the subject")
			}
			if kid.local == "EncryptedID" {
				s.encryptedID = kid
				continue
			}
			var fault *idp.Rejection
			if s.nameID, fault = readNameID(kid); fault != nil {
				return fault
			}
		case kid.is(spaceAssertion, "SubjectConfirmation"):
			if fault := s.readConfirmation(kid); fault != nil {
				return fault
			}
		default:
			return idp.Reject("subject", "%s inside Subject is not supported", shorten(kid.qualified()))
		}
	}
	return nil
}

// readNameID takes the full text: comments do not end it, elements are refused.
func readNameID(n *node) (*nameID, *idp.Rejection) {
	text, simple := n.content()
	if !simple {
		return nil, idp.Reject("subject", "an element inside NameID")
	}
	return &nameID{value: text, format: n.value("Format"), qualifier: n.value("NameQualifier"), spQualifier: n.value("SPNameQualifier")}, nil
}

func (s *statement) readConfirmation(n *node) *idp.Rejection {
	data := n.children(spaceAssertion, "SubjectConfirmationData")
	if len(data) > 1 || n.loose() {
		return structure("several SubjectConfirmationData in one SubjectConfirmation")
	}
	c := confirmation{method: n.value("Method"), data: len(data) == 1}
	if c.data {
		var fault *idp.Rejection
		if c.notBefore, fault = instant(data[0], "NotBefore"); fault != nil {
			return fault
		}
		if c.notOnOrAfter, fault = instant(data[0], "NotOnOrAfter"); fault != nil {
			return fault
		}
		c.recipient, c.inResponseTo, c.address = data[0].value("Recipient"), data[0].value("InResponseTo"), data[0].value("Address")
	}
	s.confirmations = append(s.confirmations, c)
	return nil
}

func (s *statement) readConditions(n *node) *idp.Rejection {
	s.conditions = true
	var fault *idp.Rejection
	if s.notBefore, fault = instant(n, "NotBefore"); fault != nil {
		return fault
	}
	if s.notOnOrAfter, fault = instant(n, "NotOnOrAfter"); fault != nil {
		return fault
	}
	for _, kid := range n.elements() {
		switch {
		case kid.is(spaceAssertion, "AudienceRestriction"):
			var list []string
			for _, audience := range kid.elements() {
				text, simple := audience.content()
				if !simple || !audience.is(spaceAssertion, "Audience") {
					return idp.Reject("audience", "an AudienceRestriction holds something other than Audience")
				}
				list = append(list, trim(text))
			}
			s.audiences = append(s.audiences, list)
		case kid.is(spaceAssertion, "OneTimeUse"), kid.is(spaceAssertion, "ProxyRestriction"):
			// every assertion counts once here, and none is passed on
		default:
			return idp.Reject("condition", "the condition %s is not known", shorten(kid.qualified()))
		}
	}
	return nil
}

func (s *statement) readAuthn(n *node) *idp.Rejection {
	a := authn{index: n.value("SessionIndex")}
	var fault *idp.Rejection
	if a.instant, fault = instant(n, "AuthnInstant"); fault != nil {
		return fault
	}
	if a.end, fault = instant(n, "SessionNotOnOrAfter"); fault != nil {
		return fault
	}
	contexts := n.children(spaceAssertion, "AuthnContext")
	if len(contexts) != 1 || a.instant.IsZero() {
		return idp.Reject("authn-statement", "an AuthnStatement without AuthnInstant or with %d AuthnContext", len(contexts))
	}
	classes := contexts[0].children(spaceAssertion, "AuthnContextClassRef")
	if len(classes) > 1 {
		return idp.Reject("authn-statement", "%d AuthnContextClassRef in one AuthnContext", len(classes))
	}
	if len(classes) == 1 {
		text, simple := classes[0].content()
		if !simple {
			return idp.Reject("authn-statement", "an element inside AuthnContextClassRef")
		}
		a.class = trim(text)
	}
	s.authn = append(s.authn, a)
	return nil
}

func (s *statement) readAttributes(n *node) *idp.Rejection {
	for _, kid := range n.elements() {
		if !kid.is(spaceAssertion, "Attribute") {
			return idp.Reject("attribute", "%s inside AttributeStatement is not supported", shorten(kid.qualified()))
		}
		a := samlAttribute{name: kid.value("Name")}
		for _, value := range kid.elements() {
			if !value.is(spaceAssertion, "AttributeValue") {
				return idp.Reject("attribute", "%s inside Attribute is not supported", shorten(value.qualified()))
			}
			text, kept, simple := attributeText(value)
			if !simple {
				a.structured = true
			} else if kept {
				a.values = append(a.values, text)
			}
		}
		s.attributes = append(s.attributes, a)
	}
	return nil
}

// attributeText is the text of a value, or that of the one NameID in it
// (eduPersonTargetedID). A value that is nil is none.
func attributeText(n *node) (text string, kept, simple bool) {
	isNil := slices.ContainsFunc(n.attrs, func(a attribute) bool {
		return a.space == spaceSchema && a.local == "nil" && (trim(a.value) == "true" || trim(a.value) == "1")
	})
	if text, simple = n.content(); simple {
		return text, !isNil, true
	}
	if kids := n.elements(); len(kids) == 1 && kids[0].is(spaceAssertion, "NameID") && !n.loose() {
		text, simple = kids[0].content()
		return text, true, simple
	}
	return "", false, false
}
