package saml

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rolecall/rolecall/idp"
)

// startTag reads <name attributes> or <name attributes/>.
func (g *scanner) startTag(open []*node) ([]*node, *idp.Rejection) {
	start := g.at
	g.at++
	if g.elements++; g.elements > g.limits.elements {
		return nil, idp.Reject("too-many-elements", "more than %d elements", g.limits.elements)
	}
	switch {
	case len(open) >= g.limits.depth:
		return nil, idp.Reject("too-deep", "elements nested deeper than %d", g.limits.depth)
	case len(open) == 0 && g.root != nil:
		return nil, malformed(start, "a second root element")
	}
	tag, fault := g.name()
	if fault != nil {
		return nil, fault
	}
	n := g.add(open, node{kind: elementNode, name: tag, start: start})
	if g.root == nil {
		g.root = n
	}
	empty, fault := g.attributes(n)
	if fault != nil {
		return nil, fault
	}
	if fault := g.namespaces(n); fault != nil {
		return nil, fault
	}
	if fault := g.identify(n); fault != nil {
		return nil, fault
	}
	if empty {
		g.scope = g.scope[:len(g.scope)-len(n.decls)]
		n.end = g.at
		return open, nil
	}
	return append(open, n), nil
}

// endTag reads </name>.
func (g *scanner) endTag(open []*node) ([]*node, *idp.Rejection) {
	start := g.at
	g.at += len("</")
	tag, fault := g.name()
	if fault != nil {
		return nil, fault
	}
	g.blank()
	if g.at >= len(g.src) || g.src[g.at] != '>' {
		return nil, malformed(start, "an end tag that is not well formed")
	}
	g.at++
	if len(open) == 0 {
		return nil, malformed(start, "an end tag without start")
	}
	n := open[len(open)-1]
	if n.prefix != tag.prefix || n.local != tag.local {
		return nil, malformed(start, "an end tag that does not match <"+shorten(n.qualified())+">")
	}
	n.end = g.at
	g.scope = g.scope[:len(g.scope)-len(n.decls)]
	return open[:len(open)-1], nil
}

// blank skips white space and says whether there was any.
func (g *scanner) blank() bool {
	start := g.at
	for g.at < len(g.src) && (g.src[g.at] == ' ' || g.src[g.at] == '\n' || g.src[g.at] == '\t' || g.src[g.at] == '\r') {
		g.at++
	}
	return g.at > start
}

// attributes reads up to the end of the start tag; empty is "/>".
func (g *scanner) attributes(n *node) (empty bool, fault *idp.Rejection) {
	for {
		spaced := g.blank()
		if g.at >= len(g.src) {
			return false, malformed(n.start, "a start tag without end")
		}
		switch {
		case g.src[g.at] == '>':
			g.at++
			return false, nil
		case strings.HasPrefix(g.src[g.at:], "/>"):
			g.at += 2
			return true, nil
		case !spaced:
			return false, malformed(g.at, "a start tag that is not well formed")
		}
		at := g.at
		called, fault := g.name()
		if fault != nil {
			return false, fault
		}
		value, fault := g.quoted()
		if fault != nil {
			return false, fault
		}
		if len(n.attrs)+len(n.decls) >= g.limits.attributes {
			return false, idp.Reject("too-many-attributes", "more than %d attributes in one element", g.limits.attributes)
		}
		switch {
		case called.prefix == "xmlns":
			fault = g.declare(n, at, called.local, value)
		case called.prefix == "" && called.local == "xmlns":
			fault = g.declare(n, at, "", value)
		default:
			n.attrs = append(n.attrs, attribute{called, value})
		}
		if fault != nil {
			return false, fault
		}
	}
}

// quoted reads = and the value of an attribute.
func (g *scanner) quoted() (string, *idp.Rejection) {
	g.blank()
	if g.at >= len(g.src) || g.src[g.at] != '=' {
		return "", malformed(g.at, "an attribute without value")
	}
	g.at++
	g.blank()
	if g.at >= len(g.src) || (g.src[g.at] != '"' && g.src[g.at] != '\'') {
		return "", malformed(g.at, "an attribute value without quotes")
	}
	start := g.at + 1
	end := strings.IndexByte(g.src[start:], g.src[g.at])
	if end < 0 {
		return "", malformed(g.at, "an attribute value without end")
	}
	g.at = start + end + 1
	value := g.src[start : start+end]
	if strings.IndexByte(value, '<') >= 0 {
		return "", malformed(start, "< in an attribute value")
	}
	return resolve(value, start, true)
}

// declare takes a namespace declaration in force.
func (g *scanner) declare(n *node, at int, prefix, uri string) *idp.Rejection {
	switch {
	case prefix == "xmlns", uri == xmlnsSpace, (prefix == "xml") != (uri == xmlSpace):
		return malformed(at, "a declaration of a reserved prefix or namespace")
	case prefix != "" && uri == "":
		return malformed(at, "a prefix that is bound to nothing")
	case uri != "" && (!absolute(uri) || strings.ContainsAny(uri, " \t\r\n")):
		return malformed(at, "a namespace that is not an absolute URI")
	case len(g.scope) >= g.limits.namespaces:
		return idp.Reject("too-many-attributes", "more than %d namespaces in force at once", g.limits.namespaces)
	}
	for _, d := range n.decls {
		if d.prefix == prefix {
			return malformed(at, "a namespace prefix declared twice")
		}
	}
	n.decls = append(n.decls, binding{prefix, uri})
	g.scope = append(g.scope, binding{prefix, uri})
	return nil
}

// absolute reports whether a URI has a scheme: canonical XML is not defined for
// documents with relative namespaces.
func absolute(uri string) bool {
	scheme, rest, ok := strings.Cut(uri, ":")
	if !ok || scheme == "" || rest == "" {
		return false
	}
	for i, c := range []byte(scheme) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (i == 0 || !(c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return false
		}
	}
	return true
}

// namespaces resolves the names of an element and refuses duplicate attributes.
func (g *scanner) namespaces(n *node) *idp.Rejection {
	space, ok := g.lookup(n.prefix)
	if !ok || n.prefix == "xmlns" {
		return malformed(n.start, "the unbound prefix "+strconv.Quote(shorten(n.prefix)))
	}
	n.space = space
	for i := range n.attrs {
		a := &n.attrs[i]
		if a.prefix != "" {
			if a.space, ok = g.lookup(a.prefix); !ok {
				return malformed(n.start, "the unbound prefix "+strconv.Quote(shorten(a.prefix)))
			}
		}
		for _, b := range n.attrs[:i] {
			if a.local == b.local && (a.prefix == b.prefix || a.space == b.space) {
				return malformed(n.start, "the attribute "+strconv.Quote(shorten(a.local))+" twice")
			}
		}
	}
	return nil
}

func (g *scanner) lookup(prefix string) (string, bool) {
	if prefix == "xml" {
		return xmlSpace, true
	}
	for i := len(g.scope) - 1; i >= 0; i-- {
		if g.scope[i].prefix == prefix {
			return g.scope[i].uri, true
		}
	}
	return "", prefix == ""
}

// identify keeps identifiers unique, whatever the case and namespace of their attribute.
func (g *scanner) identify(n *node) *idp.Rejection {
	own := ""
	for i := range n.attrs {
		a := &n.attrs[i]
		if len(a.local) != 2 || !strings.EqualFold(a.local, "id") {
			continue
		}
		if own != "" {
			return malformed(n.start, "an element with two identifiers")
		}
		if own = a.value; own == "" {
			return malformed(n.start, "an empty identifier")
		}
		if _, taken := g.ids[own]; taken {
			return idp.Reject("duplicate-id", "the identifier %q twice", shorten(own))
		}
		g.ids[own] = struct{}{}
	}
	return nil
}

// name reads a qualified name. Names are ASCII: those of SAML are, and about the
// others the editions of XML disagree.
func (g *scanner) name() (name, *idp.Rejection) {
	start, colon := g.at, -1
	for ; g.at < len(g.src); g.at++ {
		if c := g.src[g.at]; c == ':' && colon < 0 {
			colon = g.at
		} else if !nameByte(c) {
			break
		}
	}
	var n name
	if n.local = g.src[start:g.at]; colon >= 0 {
		n.prefix, n.local = g.src[start:colon], g.src[colon+1:g.at]
	}
	if !starts(n.local) || (colon >= 0 && !starts(n.prefix)) {
		return name{}, malformed(start, "a name that is not well formed, or not ASCII")
	}
	return n, nil
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' || c == '.'
}

// starts reports whether a name begins as names may.
func starts(s string) bool {
	return s != "" && s[0] != '-' && s[0] != '.' && (s[0] < '0' || s[0] > '9')
}

// resolve replaces references and normalises line ends; in an attribute every
// literal white space is a blank.
func resolve(text string, at int, attribute bool) (string, *idp.Rejection) {
	text = lineEnds(text)
	if attribute && strings.ContainsAny(text, "\t\n") {
		text = strings.NewReplacer("\t", " ", "\n", " ").Replace(text)
	}
	if strings.IndexByte(text, '&') < 0 {
		return text, nil
	}
	var b strings.Builder
	b.Grow(len(text))
	for {
		before, rest, found := strings.Cut(text, "&")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		ref, after, ok := strings.Cut(rest, ";")
		if !ok {
			return "", malformed(at, "& that begins no reference")
		}
		r, ok := reference(ref)
		if !ok {
			return "", malformed(at, "the reference &"+shorten(ref)+"; is not known")
		}
		b.WriteRune(r)
		text = after
	}
}

// reference gives the character of &ref;.
func reference(ref string) (rune, bool) {
	switch ref {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, base := ref, 10
	switch {
	case strings.HasPrefix(ref, "#x"):
		digits, base = ref[2:], 16
	case strings.HasPrefix(ref, "#"):
		digits = ref[1:]
	default:
		return 0, false
	}
	if digits == "" || strings.ContainsAny(digits, "+-_") {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, base, 32)
	r := rune(n)
	switch {
	case err != nil, n > utf8.MaxRune, !utf8.ValidRune(r), r == 0xFFFE, r == 0xFFFF:
		return 0, false
	case r < 0x20 && r != '\t' && r != '\n' && r != '\r':
		return 0, false
	}
	return r, true
}
