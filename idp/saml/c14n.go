package saml

import (
	"slices"
	"strings"
)

// method is a canonicalisation of XML. Comments are always left out: a
// same-document reference by #ID excludes them, and inside ds:Signature they are
// refused.
type method struct {
	inclusive bool
	version11 bool     // Canonical XML 1.1: xml:id and xml:base are not inherited
	prefixes  []string // InclusiveNamespaces of the exclusive form; "" is #default
}

// canonical writes an element in canonical form, without the child skip.
func canonical(n, skip *node, m method) []byte {
	w := &writer{method: m, skip: skip}
	w.out = make([]byte, 0, max(256, n.end-n.start))
	w.element(n, true)
	return w.out
}

type writer struct {
	method
	skip     *node
	out      []byte
	rendered []binding // namespaces written and in force, innermost last
}

// element writes one element and what is in it.
func (w *writer) element(n *node, apex bool) {
	mark := len(w.rendered)
	w.out = append(w.out, '<')
	w.name(n.name)
	w.namespaces(n, apex)
	w.attributes(n, apex)
	w.out = append(w.out, '>')
	for _, kid := range n.kids {
		switch {
		case kid == w.skip:
		case kid.kind == elementNode:
			w.element(kid, false)
		case kid.kind == textNode:
			w.escape(kid.text, false)
		}
	}
	w.out = append(w.out, "</"...)
	w.name(n.name)
	w.out = append(w.out, '>')
	w.rendered = w.rendered[:mark]
}

func (w *writer) name(n name) {
	if n.prefix != "" {
		w.out = append(append(w.out, n.prefix...), ':')
	}
	w.out = append(w.out, n.local...)
}

// namespaces writes the declarations that the canonical form needs here.
func (w *writer) namespaces(n *node, apex bool) {
	var need []binding
	want := func(prefix, uri string) {
		if prefix == "xml" || w.inForce(prefix) == uri {
			return
		}
		for _, b := range need {
			if b.prefix == prefix {
				return
			}
		}
		need = append(need, binding{prefix, uri})
	}
	if w.inclusive {
		w.inScope(n, apex, func(string) bool { return true }, want)
	} else {
		want(n.prefix, n.space)
		for i := range n.attrs {
			if a := &n.attrs[i]; a.prefix != "" {
				want(a.prefix, a.space)
			}
		}
		if len(w.prefixes) > 0 {
			w.inScope(n, apex, func(p string) bool { return slices.Contains(w.prefixes, p) }, want)
		}
	}
	if len(need) > 1 {
		slices.SortFunc(need, func(a, b binding) int { return strings.Compare(a.prefix, b.prefix) })
	}
	for _, b := range need {
		w.out = append(w.out, " xmlns"...)
		if b.prefix != "" {
			w.out = append(append(w.out, ':'), b.prefix...)
		}
		w.out = append(w.out, `="`...)
		w.escape(b.uri, true)
		w.out = append(w.out, '"')
	}
	w.rendered = append(w.rendered, need...)
}

// inScope gives the listed prefixes that are declared here; at the apex also
// those that its ancestors declared.
func (w *writer) inScope(n *node, apex bool, listed func(string) bool, want func(prefix, uri string)) {
	var seen []string
	for at := n; at != nil; at = at.parent {
		for _, d := range at.decls {
			if listed(d.prefix) && !slices.Contains(seen, d.prefix) {
				seen = append(seen, d.prefix)
				want(d.prefix, d.uri)
			}
		}
		if !apex {
			return
		}
	}
}

// inForce is the namespace that the output gives a prefix so far.
func (w *writer) inForce(prefix string) string {
	for i := len(w.rendered) - 1; i >= 0; i-- {
		if w.rendered[i].prefix == prefix {
			return w.rendered[i].uri
		}
	}
	return ""
}

// attributes writes the attributes, by namespace, then by name.
func (w *writer) attributes(n *node, apex bool) {
	attrs := n.attrs
	if apex && w.inclusive {
		attrs = append(slices.Clip(attrs), w.inherited(n)...)
	}
	if len(attrs) > 1 {
		attrs = slices.Clone(attrs)
		slices.SortFunc(attrs, func(a, b attribute) int {
			if c := strings.Compare(a.space, b.space); c != 0 {
				return c
			}
			return strings.Compare(a.local, b.local)
		})
	}
	for i := range attrs {
		w.out = append(w.out, ' ')
		w.name(attrs[i].name)
		w.out = append(w.out, `="`...)
		w.escape(attrs[i].value, true)
		w.out = append(w.out, '"')
	}
}

// inherited are the xml: attributes of the ancestors that inclusive forms repeat
// at the apex.
func (w *writer) inherited(n *node) []attribute {
	var list []attribute
	has := func(local string) func(attribute) bool {
		return func(a attribute) bool { return a.space == xmlSpace && a.local == local }
	}
	for at := n.parent; at != nil; at = at.parent {
		for _, a := range at.attrs {
			if a.space != xmlSpace || slices.ContainsFunc(n.attrs, has(a.local)) || slices.ContainsFunc(list, has(a.local)) {
				continue
			}
			if w.version11 && (a.local == "id" || a.local == "base") {
				continue
			}
			list = append(list, a)
		}
	}
	return list
}

// escape writes text or an attribute value.
func (w *writer) escape(text string, attribute bool) {
	from := 0
	for i := 0; i < len(text); i++ {
		var ref string
		switch c := text[i]; {
		case c > '>':
			continue
		case c == '&':
			ref = "&amp;"
		case c == '<':
			ref = "&lt;"
		case c == '>' && !attribute:
			ref = "&gt;"
		case c == '"' && attribute:
			ref = "&quot;"
		case c == '\t' && attribute:
			ref = "&#x9;"
		case c == '\n' && attribute:
			ref = "&#xA;"
		case c == '\r':
			ref = "&#xD;"
		default:
			continue
		}
		w.out = append(append(w.out, text[from:i]...), ref...)
		from = i + 1
	}
	w.out = append(w.out, text[from:]...)
}
