package saml

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/rolecall/rolecall/idp"
)

// limits bound a document before anything else looks at it.
type limits struct {
	bytes, depth, elements, attributes, namespaces int
}

var (
	// messageLimits bound what a browser can post. goxmldsig fails beyond 1,000
	// elements; 950 leave room for 900 values of one attribute.
	messageLimits = limits{bytes: 256 << 10, depth: 32, elements: 950, attributes: 64, namespaces: 64}
	// metadataLimits bound what an operator names: a file, or what fetch let pass.
	metadataLimits = limits{bytes: 8 << 20, depth: 64, elements: 200_000, attributes: 64, namespaces: 64}
)

const (
	xmlSpace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsSpace = "http://www.w3.org/2000/xmlns/"
)

// gate reads a whole document in one strict pass and gives its root. It accepts
// a subset of well-formed XML 1.0 with namespaces: UTF-8 only, no DOCTYPE, no
// processing instruction but the XML declaration, one root and no text beside
// it, no duplicate attribute, no unbound prefix, no relative namespace, unique
// IDs, and the limits. What it accepts, encoding/xml reads alike (fuzzed), but for
// line ends and tabs in attribute values, which only this one turns into blanks.
func gate(document []byte, within limits) (*node, *idp.Rejection) {
	if len(document) > within.bytes {
		return nil, idp.Reject("too-large", "the document has %d bytes; the limit is %d", len(document), within.bytes)
	}
	if fault := plain(document); fault != nil {
		return nil, fault
	}
	g := &scanner{src: string(document), limits: within, ids: map[string]struct{}{}}
	if fault := g.document(); fault != nil {
		return nil, fault
	}
	return g.root, nil
}

// plain judges the bytes: UTF-8 and only characters that XML allows.
func plain(document []byte) *idp.Rejection {
	if !utf8.Valid(document) {
		return idp.Reject("not-utf8", "the document is not UTF-8")
	}
	for i, c := range document {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return idp.Reject("malformed", "the control character U+%04X at byte %d", c, i)
		}
	}
	if bytes.Contains(document, []byte("\uFFFE")) || bytes.Contains(document, []byte("\uFFFF")) {
		return idp.Reject("malformed", "a character that XML does not allow (U+FFFE or U+FFFF)")
	}
	return nil
}

// scanner is the state of one pass.
type scanner struct {
	src      string
	at       int
	limits   limits
	root     *node
	elements int
	scope    []binding // namespaces in force, innermost last
	ids      map[string]struct{}
	slab     []node
}

func malformed(at int, what string) *idp.Rejection {
	return idp.Reject("malformed", "%s at byte %d", what, at)
}

// document reads prolog, root and epilog.
func (g *scanner) document() *idp.Rejection {
	g.at = len(g.src) - len(strings.TrimPrefix(g.src, "\uFEFF"))
	if strings.HasPrefix(g.src[g.at:], "<?xml") {
		if fault := g.declaration(); fault != nil {
			return fault
		}
	}
	var open []*node
	for g.at < len(g.src) {
		if g.src[g.at] != '<' {
			if fault := g.characters(open); fault != nil {
				return fault
			}
			continue
		}
		var fault *idp.Rejection
		switch rest := g.src[g.at:]; {
		case strings.HasPrefix(rest, "</"):
			open, fault = g.endTag(open)
		case strings.HasPrefix(rest, "<!--"):
			fault = g.comment(open)
		case strings.HasPrefix(rest, "<![CDATA["):
			fault = g.cdata(open)
		case strings.HasPrefix(rest, "<!"):
			fault = idp.Reject("doctype", "a DOCTYPE or another declaration at byte %d", g.at)
		case strings.HasPrefix(rest, "<?"):
			fault = idp.Reject("processing-instruction", "a processing instruction at byte %d", g.at)
		default:
			open, fault = g.startTag(open)
		}
		if fault != nil {
			return fault
		}
	}
	switch {
	case len(open) > 0:
		return malformed(g.at, "the end of the document inside <"+shorten(open[len(open)-1].qualified())+">")
	case g.root == nil:
		return malformed(g.at, "no element")
	}
	return nil
}

// declaration reads <?xml version="1.0" encoding="UTF-8"?>.
func (g *scanner) declaration() *idp.Rejection {
	end := strings.Index(g.src[g.at:], "?>")
	if end < 0 {
		return malformed(g.at, "an XML declaration without end")
	}
	text := g.src[g.at+len("<?xml") : g.at+end]
	order := []string{"version", "encoding", "standalone"}
	for next := 0; trim(text) != ""; {
		if !strings.ContainsRune(" \t\r\n", rune(text[0])) {
			return malformed(g.at, "an XML declaration that is not well formed")
		}
		text = strings.TrimLeft(text, " \t\r\n")
		key, rest, ok := strings.Cut(text, "=")
		key, rest = trim(key), strings.TrimLeft(rest, " \t\r\n")
		for next < len(order) && order[next] != key {
			next++
		}
		if !ok || next == len(order) || rest == "" || (rest[0] != '"' && rest[0] != '\'') {
			return malformed(g.at, "an XML declaration that is not well formed")
		}
		value, after, ok := strings.Cut(rest[1:], rest[:1])
		switch {
		case !ok:
			return malformed(g.at, "an XML declaration that is not well formed")
		case key == "version" && value != "1.0":
			return malformed(g.at, "an XML version other than 1.0")
		case key == "encoding" && !strings.EqualFold(value, "utf-8"):
			return idp.Reject("not-utf8", "the XML declaration names an encoding other than UTF-8")
		}
		text = after
		next++
	}
	if !strings.HasPrefix(strings.TrimLeft(g.src[g.at+len("<?xml"):], " \t\r\n"), "version") {
		return malformed(g.at, "an XML declaration without version")
	}
	g.at += end + len("?>")
	return nil
}

// add makes a node the last child of the innermost open element.
func (g *scanner) add(open []*node, n node) *node {
	if len(g.slab) == cap(g.slab) {
		g.slab = make([]node, 0, 128)
	}
	g.slab = append(g.slab, n)
	kept := &g.slab[len(g.slab)-1]
	if len(open) > 0 {
		kept.parent = open[len(open)-1]
		kept.parent.kids = append(kept.parent.kids, kept)
	}
	return kept
}

// characters reads text up to the next markup.
func (g *scanner) characters(open []*node) *idp.Rejection {
	start, end := g.at, strings.IndexByte(g.src[g.at:], '<')
	if end < 0 {
		end = len(g.src) - g.at
	}
	text := g.src[start : start+end]
	g.at += end
	if len(open) == 0 {
		if trim(text) != "" {
			return malformed(start, "text outside the root element")
		}
		return nil
	}
	if strings.Contains(text, "]]>") {
		return malformed(start, "]]> in text")
	}
	text, fault := resolve(text, start, false)
	if fault != nil {
		return fault
	}
	g.add(open, node{kind: textNode, text: text, start: start, end: g.at})
	return nil
}

// comment reads a comment; only its place is kept.
func (g *scanner) comment(open []*node) *idp.Rejection {
	start := g.at
	end := strings.Index(g.src[start+len("<!--"):], "--")
	if end < 0 || !strings.HasPrefix(g.src[start+len("<!--")+end:], "-->") {
		return malformed(start, "a comment that is not well formed")
	}
	g.at = start + len("<!--") + end + len("-->")
	if len(open) > 0 {
		g.add(open, node{kind: commentNode, start: start, end: g.at})
	}
	return nil
}

// cdata reads a CDATA section as text.
func (g *scanner) cdata(open []*node) *idp.Rejection {
	start := g.at
	if len(open) == 0 {
		return malformed(start, "text outside the root element")
	}
	text, _, ok := strings.Cut(g.src[start+len("<![CDATA["):], "]]>")
	if !ok {
		return malformed(start, "a CDATA section without end")
	}
	g.at = start + len("<![CDATA[") + len(text) + len("]]>")
	g.add(open, node{kind: textNode, text: lineEnds(text), start: start, end: g.at})
	return nil
}

// lineEnds turns CR LF and CR into LF.
func lineEnds(text string) string {
	if strings.IndexByte(text, '\r') < 0 {
		return text
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
}

// shorten bounds a text of the document for a message.
func shorten(text string) string {
	const most = 120
	if len(text) <= most {
		return text
	}
	cut := most
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}
