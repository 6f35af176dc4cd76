package saml

import (
	"strings"
)

// kind tells what a node is.
type kind uint8

const (
	elementNode kind = iota
	textNode
	commentNode
)

// node is a part of a gated document: an element, text (entities resolved, line
// ends normalised), or the place of a comment.
type node struct {
	kind   kind
	name   // elements
	attrs  []attribute
	decls  []binding
	text   string
	parent *node
	kids   []*node
	// start and end bound the bytes in the source.
	start, end int
}

// name is an expanded name with the prefix that it was written with.
type name struct {
	prefix, local, space string
}

// attribute never is a namespace declaration; those are bindings.
type attribute struct {
	name
	value string
}

// binding is a namespace declaration.
type binding struct {
	prefix, uri string
}

// is reports whether the node is the element {space}local.
func (n *node) is(space, local string) bool {
	return n.kind == elementNode && n.local == local && n.space == space
}

// attr gives an attribute that has no namespace.
func (n *node) attr(local string) (string, bool) {
	for i := range n.attrs {
		if a := &n.attrs[i]; a.local == local && a.space == "" {
			return a.value, true
		}
	}
	return "", false
}

// value is attr without the difference between empty and absent.
func (n *node) value(local string) string {
	v, _ := n.attr(local)
	return v
}

// elements are the child elements.
func (n *node) elements() []*node {
	var list []*node
	for _, kid := range n.kids {
		if kid.kind == elementNode {
			list = append(list, kid)
		}
	}
	return list
}

// children are the child elements {space}local.
func (n *node) children(space, local string) []*node {
	var list []*node
	for _, kid := range n.kids {
		if kid.is(space, local) {
			list = append(list, kid)
		}
	}
	return list
}

// child is the first child element {space}local, or nil.
func (n *node) child(space, local string) *node {
	for _, kid := range n.kids {
		if kid.is(space, local) {
			return kid
		}
	}
	return nil
}

// content is the whole text of an element that has no child elements. Comments
// do not end it.
func (n *node) content() (text string, simple bool) {
	var parts []string
	for _, kid := range n.kids {
		switch kid.kind {
		case elementNode:
			return "", false
		case textNode:
			parts = append(parts, kid.text)
		}
	}
	if len(parts) == 1 {
		return parts[0], true
	}
	return strings.Join(parts, ""), true
}

// commented reports whether a comment is a direct child.
func (n *node) commented() bool {
	for _, kid := range n.kids {
		if kid.kind == commentNode {
			return true
		}
	}
	return false
}

// loose reports whether text other than white space is a direct child.
func (n *node) loose() bool {
	for _, kid := range n.kids {
		if kid.kind == textNode && trim(kid.text) != "" {
			return true
		}
	}
	return false
}

// walk calls f for the element and every element below it, until f says no.
func (n *node) walk(f func(*node) bool) bool {
	if !f(n) {
		return false
	}
	for _, kid := range n.kids {
		if kid.kind == elementNode && !kid.walk(f) {
			return false
		}
	}
	return true
}

// qualified is the name as it was written.
func (n name) qualified() string {
	if n.prefix == "" {
		return n.local
	}
	return n.prefix + ":" + n.local
}

// trim takes XML white space off both ends.
func trim(s string) string { return strings.Trim(s, " \t\r\n") }
