package saml

import (
	"slices"

	"github.com/rolecall/rolecall/idp"
)

// message is where things are in a document: exactly one assertion, and
// signatures only where they count (SECURITY rule 6).
type message struct {
	response           *node // nil for a bare Assertion
	head               *node // the Response to read: from signed bytes, if it is signed
	assertion          *node // nil while it is encrypted
	encrypted          *node
	responseSignature  *node
	assertionSignature *node
	advice             bool // the assertion carries others as advice
}

var (
	responseParts  = []string{"Issuer", "Signature", "Extensions", "Status", "Assertion", "EncryptedAssertion"}
	assertionParts = []string{"Issuer", "Signature", "Subject", "Conditions", "Advice", "AuthnStatement", "AttributeStatement", "AuthzDecisionStatement"}
)

func structure(format string, args ...any) *idp.Rejection {
	return idp.Reject("structure", format, args...)
}

// readMessage finds the parts and refuses every other arrangement.
func readMessage(root *node, exchange bool) (message, *idp.Rejection) {
	var m message
	switch {
	case root.is(spaceProtocol, "Response"):
		m.response = root
	case root.is(spaceAssertion, "Assertion") && exchange:
		m.assertion = root
	default:
		return m, idp.Reject("not-a-response", "the document is {%s}%s and not a samlp:Response", shorten(root.space), shorten(root.local))
	}
	if m.response != nil {
		if fault := m.readResponse(); fault != nil {
			return m, fault
		}
	}
	if m.assertion != nil {
		if fault := m.readAssertion(); fault != nil {
			return m, fault
		}
	}
	return m, m.sweep(root)
}

// parts gives the child elements by name. All have a known name in their right
// namespace; only the repeatable may occur twice.
func parts(n *node, known []string, repeatable ...string) (map[string][]*node, *idp.Rejection) {
	if n.loose() {
		return nil, structure("text inside %s", n.local)
	}
	found := map[string][]*node{}
	for _, kid := range n.elements() {
		space := spaceAssertion
		switch kid.local {
		case "Signature":
			space = spaceSignature
		case "Status", "Extensions":
			space = spaceProtocol
		}
		if kid.space != space || !slices.Contains(known, kid.local) {
			return nil, structure("%s has no place inside %s", shorten(kid.qualified()), n.local)
		}
		if len(found[kid.local]) > 0 && !slices.Contains(repeatable, kid.local) {
			return nil, structure("%s twice inside %s", kid.local, n.local)
		}
		found[kid.local] = append(found[kid.local], kid)
	}
	return found, nil
}

func first(list []*node) *node {
	if len(list) == 0 {
		return nil
	}
	return list[0]
}

func (m *message) readResponse() *idp.Rejection {
	found, fault := parts(m.response, responseParts, "Assertion", "EncryptedAssertion")
	if fault != nil {
		return fault
	}
	if fault := identified(m.response); fault != nil {
		return fault
	}
	assertions := len(found["Assertion"]) + len(found["EncryptedAssertion"])
	if assertions > 1 {
		return idp.Reject("several-assertions", "%d assertions; exactly one is accepted", assertions)
	}
	if fault := checkStatus(first(found["Status"])); fault != nil {
		return fault
	}
	if assertions == 0 {
		return idp.Reject("no-assertion", "the Response holds no assertion")
	}
	m.assertion, m.encrypted = first(found["Assertion"]), first(found["EncryptedAssertion"])
	m.responseSignature = first(found["Signature"])
	return nil
}

func (m *message) readAssertion() *idp.Rejection {
	found, fault := parts(m.assertion, assertionParts, "AuthnStatement", "AttributeStatement", "AuthzDecisionStatement")
	if fault != nil {
		return fault
	}
	if fault := identified(m.assertion); fault != nil {
		return fault
	}
	m.assertionSignature = first(found["Signature"])
	return nil
}

// identified demands the attributes that every message and assertion has.
func identified(n *node) *idp.Rejection {
	if v := n.value("Version"); v != "2.0" {
		return idp.Reject("version", "the Version of %s is %q and not 2.0", n.local, shorten(v))
	}
	if n.value("ID") == "" {
		return structure("%s has no ID", n.local)
	}
	if n.value("IssueInstant") == "" {
		return structure("%s has no IssueInstant", n.local)
	}
	return nil
}

// checkStatus demands success, once.
func checkStatus(status *node) *idp.Rejection {
	if status == nil {
		return structure("the Response has no Status")
	}
	codes := status.children(spaceProtocol, "StatusCode")
	if len(codes) != 1 {
		return structure("%d StatusCode elements in Status", len(codes))
	}
	code := codes[0].value("Value")
	if code == statusSuccess {
		return nil
	}
	second := ""
	if inner := codes[0].child(spaceProtocol, "StatusCode"); inner != nil {
		second = inner.value("Value")
	}
	said := ""
	if message := status.child(spaceProtocol, "StatusMessage"); message != nil {
		said, _ = message.content()
	}
	return idp.Reject("status", "the provider says %q %q: %q", shorten(code), shorten(second), shorten(said))
}

// sweep looks at every element: no assertion and no signature anywhere else.
// Assertions in Advice are a weakness of their own; what is in there is never read.
func (m *message) sweep(root *node) (fault *idp.Rejection) {
	root.walk(func(n *node) bool {
		switch {
		case n.is(spaceAssertion, "Assertion"), n.is(spaceAssertion, "EncryptedAssertion"):
			if n != m.assertion && n != m.encrypted {
				if m.advised(n) {
					m.advice = true
					return true
				}
				fault = idp.Reject("several-assertions", "another assertion inside %s", shorten(n.parent.qualified()))
			}
		case n.is(spaceSignature, "Signature"):
			if n != m.responseSignature && n != m.assertionSignature && !m.advised(n) {
				fault = idp.Reject("signature-placement", "a signature inside %s", shorten(n.parent.qualified()))
			}
		case n.is(spaceSignature, "Object"):
			fault = form("a ds:Object")
		}
		return fault == nil
	})
	return fault
}

// advised reports whether an element is inside the Advice of the assertion.
func (m *message) advised(n *node) bool {
	for at := n; at != nil; at = at.parent {
		if at.is(spaceAssertion, "Advice") {
			return at.parent != nil && at.parent == m.assertion
		}
	}
	return false
}
