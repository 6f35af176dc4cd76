package saml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

func TestTheGateRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("<a>", 33) + strings.Repeat("</a>", 33)
	attributes, namespaces := "", ""
	for i := range 65 {
		attributes += fmt.Sprintf(` a%d=""`, i)
		namespaces += fmt.Sprintf(`<a xmlns:a%d="urn:x" xmlns:b%d="urn:x" xmlns:c%d="urn:x">`, i, i, i)
	}
	tests := map[string]struct{ document, reason string }{
		"nothing":                            {"", "malformed"},
		"white space":                        {" \n", "malformed"},
		"more than 256 KB":                   {"<a>" + strings.Repeat("x", 256<<10) + "</a>", "too-large"},
		"33 levels":                          {deep, "too-deep"},
		"951 elements":                       {"<a>" + strings.Repeat("<b/>", 950) + "</a>", "too-many-elements"},
		"65 attributes":                      {"<a" + attributes + "/>", "too-many-attributes"},
		"65 namespaces in force":             {namespaces, "too-many-attributes"},
		"a DOCTYPE":                          {`<!DOCTYPE a><a/>`, "doctype"},
		"an internal subset":                 {`<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>`, "doctype"},
		"billion laughs":                     {`<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><a>&b;</a>`, "doctype"},
		"an external entity":                 {`<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x"><a/>`, "doctype"},
		"a declaration inside":               {`<a><!ELEMENT a ANY></a>`, "doctype"},
		"an entity that is not declared":     {`<a>&x;</a>`, "malformed"},
		"a processing instruction":           {`<a><?php x?></a>`, "processing-instruction"},
		"a stylesheet":                       {`<?xml-stylesheet href="x"?><a/>`, "malformed"},
		"a processing instruction after it":  {`<a/><?x y?>`, "processing-instruction"},
		"an XML declaration after a blank":   {` <?xml version="1.0"?><a/>`, "processing-instruction"},
		"two XML declarations":               {`<?xml version="1.0"?><?xml version="1.0"?><a/>`, "processing-instruction"},
		"XML 1.1":                            {`<?xml version="1.1"?><a/>`, "malformed"},
		"no version":                         {`<?xml encoding="UTF-8"?><a/>`, "malformed"},
		"ISO-8859-1":                         {`<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, "not-utf8"},
		"UTF-16":                             {"\xFE\xFF\x00<\x00a\x00/\x00>", "not-utf8"},
		"UTF-7":                              {`<?xml version="1.0" encoding="UTF-7"?><a/>`, "not-utf8"},
		"bytes that are not UTF-8":           {"<a>\xff</a>", "not-utf8"},
		"an overlong form":                   {"<a>\xc0\xbc</a>", "not-utf8"},
		"a surrogate":                        {"<a>\xed\xa0\x80</a>", "not-utf8"},
		"a NUL":                              {"<a>\x00</a>", "malformed"},
		"an escape":                          {"<a>\x1b</a>", "malformed"},
		"U+FFFF":                             {"<a>\uFFFF</a>", "malformed"},
		"a reference to NUL":                 {"<a>&#0;</a>", "malformed"},
		"a reference to a surrogate":         {"<a>&#xD800;</a>", "malformed"},
		"a reference beyond Unicode":         {"<a>&#x110000;</a>", "malformed"},
		"a reference that overflows":         {"<a>&#x100000041;</a>", "malformed"},
		"a reference with a sign":            {"<a>&#+65;</a>", "malformed"},
		"an empty reference":                 {"<a>&;</a>", "malformed"},
		"a reference without end":            {"<a>&amp</a>", "malformed"},
		"text before the root":               {`x<a/>`, "malformed"},
		"text after the root":                {`<a/>x`, "malformed"},
		"CDATA after the root":               {`<a/><![CDATA[x]]>`, "malformed"},
		"a second root":                      {`<a/><b/>`, "malformed"},
		"an end tag of another element":      {`<a></b>`, "malformed"},
		"an end tag of another prefix":       {`<x:a xmlns:x="urn:x" xmlns:y="urn:x"></y:a>`, "malformed"},
		"an end tag too many":                {`<a/></a>`, "malformed"},
		"no end tag":                         {`<a>`, "malformed"},
		"crossed tags":                       {`<a><b></a></b>`, "malformed"},
		"an attribute twice":                 {`<a x="1" x="2"/>`, "malformed"},
		"an attribute twice by namespace":    {`<a xmlns:p="urn:x" xmlns:q="urn:x" p:x="1" q:x="2"/>`, "malformed"},
		"a prefix declared twice":            {`<a xmlns:p="urn:x" xmlns:p="urn:y"/>`, "malformed"},
		"an unbound prefix":                  {`<p:a/>`, "malformed"},
		"an unbound prefix of an attribute":  {`<a p:x="1"/>`, "malformed"},
		"a prefix out of scope":              {`<a><b xmlns:p="urn:x"/><p:c/></a>`, "malformed"},
		"a prefix bound to nothing":          {`<a xmlns:p=""/>`, "malformed"},
		"a relative namespace":               {`<a xmlns="x/y"/>`, "malformed"},
		"a relative namespace of a prefix":   {`<a xmlns:p="1:x"/>`, "malformed"},
		"a blank in a namespace":             {"<a xmlns='urn:x\n'/>", "malformed"},
		"xml bound anew":                     {`<a xmlns:xml="urn:x"/>`, "malformed"},
		"xml by another prefix":              {`<a xmlns:p="http://www.w3.org/XML/1998/namespace"/>`, "malformed"},
		"xmlns bound":                        {`<a xmlns:xmlns="urn:x"/>`, "malformed"},
		"an element in xmlns":                {`<xmlns:a/>`, "malformed"},
		"two colons":                         {`<a:b:c xmlns:a="urn:x"/>`, "malformed"},
		"an empty prefix":                    {`<:a/>`, "malformed"},
		"an empty local name":                {`<a: xmlns:a="urn:x"/>`, "malformed"},
		"a name beyond ASCII":                {`<größe/>`, "malformed"},
		"a name that begins with a digit":    {`<1a/>`, "malformed"},
		"a name that begins with -":          {`<-a/>`, "malformed"},
		"no blank between attributes":        {`<a x="1"y="2"/>`, "malformed"},
		"an attribute without value":         {`<a x/>`, "malformed"},
		"an attribute without quotes":        {`<a x=1/>`, "malformed"},
		"< in an attribute":                  {`<a x="<"/>`, "malformed"},
		"]]> in text":                        {`<a>]]></a>`, "malformed"},
		"-- in a comment":                    {`<a><!-- -- --></a>`, "malformed"},
		"a comment that ends with --->":      {`<a><!-- x ---></a>`, "malformed"},
		"a comment without end":              {`<a><!-- x</a>`, "malformed"},
		"CDATA without end":                  {`<a><![CDATA[x</a>`, "malformed"},
		"an ID twice":                        {`<a ID="x"><b ID="x"/></a>`, "duplicate-id"},
		"an ID and an Id":                    {`<a ID="x"><b Id="x"/></a>`, "duplicate-id"},
		"an xml:id":                          {`<a ID="x"><b xml:id="x"/></a>`, "duplicate-id"},
		"two identifiers of one element":     {`<a ID="x" Id="y"/>`, "malformed"},
		"an identifier of another namespace": {`<a ID="x" xmlns:p="urn:p" p:ID="y"/>`, "malformed"},
		"an empty ID":                        {`<a ID=""/>`, "malformed"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, fault := gate([]byte(test.document), messageLimits)
			if root != nil || fault == nil || fault.Reason != test.reason {
				t.Errorf("got %v, %v; want %s", root, fault, test.reason)
			}
		})
	}
}

func TestTheGateReads(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ document, canonical string }{
		"the smallest":              {`<a/>`, `<a></a>`},
		"an XML declaration":        {"<?xml version='1.0' encoding='utf-8' standalone=\"yes\" ?>\n<a/>", `<a></a>`},
		"a byte order mark":         {"\uFEFF<a/>", `<a></a>`},
		"comments around the root":  {`<!-- x --><a/><!-- y -->`, `<a></a>`},
		"a comment inside":          {`<a>x<!-- y -->z</a>`, `<a>xz</a>`},
		"CDATA":                     {`<a><![CDATA[<&>]]></a>`, `<a>&lt;&amp;&gt;</a>`},
		"references":                {`<a x="&lt;&quot;&#9;&#xA;&apos;">&#65;&#x42;&gt;</a>`, `<a x="&lt;&quot;&#x9;&#xA;'">AB&gt;</a>`},
		"line ends":                 {"<a x='1\r\n2\t3'>x\r\ny\rz</a>", "<a x=\"1 2 3\">x\ny\nz</a>"},
		"a carriage return by name": {"<a>&#13;</a>", `<a>&#xD;</a>`},
		"text beyond ASCII":         {`<a b="漢">größe 😀</a>`, `<a b="漢">größe 😀</a>`},
		"900 values":                {"<a>" + strings.Repeat("<b/>", 949) + "</a>", "<a>" + strings.Repeat("<b></b>", 949) + "</a>"},
		"32 levels":                 {strings.Repeat("<a>", 32) + strings.Repeat("</a>", 32), strings.Repeat("<a>", 32) + strings.Repeat("</a>", 32)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, fault := gate([]byte(test.document), messageLimits)
			if fault != nil {
				t.Fatal(fault)
			}
			if got := string(canonical(root, nil, method{})); got != test.canonical {
				t.Errorf("got %s, want %s", got, test.canonical)
			}
		})
	}
}

// Examples of the two recommendations, and what goes wrong in practice.
func TestCanonicalForms(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		document string
		method   method
		want     string
	}{
		"exclusive leaves out what is not used (exc-c14n 2.2)": {
			`<n0:pdu xmlns:n0="urn:a" xmlns:n1="urn:b" xmlns:n3="urn:c"><X xmlns:n1="urn:b" n1:y="1" z="2"/></n0:pdu>`, method{}, `<X xmlns:n1="urn:b" z="2" n1:y="1"></X>`,
		},
		"inclusive keeps what is in scope": {
			`<n0:pdu xmlns:n0="urn:a" xmlns:n1="urn:b" xml:lang="de"><X xmlns:n3="urn:c"/></n0:pdu>`, method{inclusive: true},
			`<X xmlns:n0="urn:a" xmlns:n1="urn:b" xmlns:n3="urn:c" xml:lang="de"></X>`,
		},
		"the prefix list keeps what it names": {
			`<n0:pdu xmlns:n0="urn:a" xmlns:n1="urn:b" xmlns="urn:d"><n0:X><n0:Y/></n0:X></n0:pdu>`, method{prefixes: []string{"n1", ""}},
			`<n0:X xmlns="urn:d" xmlns:n0="urn:a" xmlns:n1="urn:b"><n0:Y></n0:Y></n0:X>`,
		},
		"a default namespace is taken back": {
			`<r><a xmlns="urn:a"><b xmlns=""><c xmlns="urn:a"/></b></a></r>`, method{},
			`<a xmlns="urn:a"><b xmlns=""><c xmlns="urn:a"></c></b></a>`,
		},
		"no empty declaration at the apex":    {`<r><a xmlns=""/></r>`, method{}, `<a></a>`},
		"a prefix bound anew":                 {`<r xmlns:p="urn:a"><p:a><p:b xmlns:p="urn:b"/><p:c/></p:a></r>`, method{}, `<p:a xmlns:p="urn:a"><p:b xmlns:p="urn:b"></p:b><p:c></p:c></p:a>`},
		"siblings declare again":              {`<r><a><p:b xmlns:p="urn:a"/><p:b xmlns:p="urn:a"/></a></r>`, method{}, `<a><p:b xmlns:p="urn:a"></p:b><p:b xmlns:p="urn:a"></p:b></a>`},
		"attributes sort by namespace":        {`<r xmlns:b="urn:1" xmlns:a="urn:2"><x a:x="1" b:x="2" y="3" x="4"/></r>`, method{}, `<x xmlns:a="urn:2" xmlns:b="urn:1" x="4" y="3" b:x="2" a:x="1"></x>`},
		"xml: attributes need no declaration": {`<r><x xml:space="preserve"> </x></r>`, method{}, `<x xml:space="preserve"> </x>`},
		"1.1 does not inherit xml:id":         {`<r xml:id="i" xml:lang="de"><x/></r>`, method{inclusive: true, version11: true}, `<x xml:lang="de"></x>`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, fault := gate([]byte(test.document), messageLimits)
			if fault != nil {
				t.Fatal(fault)
			}
			if got := string(canonical(root.elements()[0], nil, test.method)); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

// What the gate accepts, encoding/xml reads alike, and its canonical form is a
// fixed point.
func FuzzGate(f *testing.F) {
	for _, seed := range seeds(f) {
		f.Add(seed)
	}
	f.Add([]byte(`<a xmlns:p="urn:x" p:b="&#65;"><!-- c --><![CDATA[d]]>e</a>`))
	f.Fuzz(func(t *testing.T, document []byte) {
		root, fault := gate(document, messageLimits)
		if fault != nil {
			if root != nil || fault.Reason == "" {
				t.Fatalf("a refusal with a tree or without a reason: %+v", fault)
			}
			return
		}
		first := canonical(root, nil, method{})
		again, fault := gate(first, limits{bytes: 8 << 20, depth: 32, elements: 950, attributes: 128, namespaces: 64})
		if fault != nil {
			t.Fatalf("the canonical form is refused: %v\n%s", fault, first)
		}
		if second := canonical(again, nil, method{}); !bytes.Equal(first, second) {
			t.Fatalf("not a fixed point:\n%s\n%s", first, second)
		}
		if mine, theirs := shapeOf(root), readShape(t, document); mine != theirs {
			t.Fatalf("encoding/xml reads another document:\n%s\n%s", mine, theirs)
		}
	})
}

// shapeOf is elements, their namespaces and all text without white space; how
// white space in attributes is normalised is where encoding/xml is wrong.
func shapeOf(n *node) string {
	var b strings.Builder
	var visit func(n *node)
	visit = func(n *node) {
		fmt.Fprintf(&b, "<%s %s>", n.space, n.local)
		for _, kid := range n.kids {
			switch kid.kind {
			case elementNode:
				visit(kid)
			case textNode:
				b.WriteString(kid.text)
			}
		}
		b.WriteString("</>")
	}
	visit(n)
	return b.String()
}

func readShape(t *testing.T, document []byte) string {
	t.Helper()
	var b strings.Builder
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(document, []byte("\uFEFF"))))
	depth := 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatalf("encoding/xml refuses what the gate accepts: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			fmt.Fprintf(&b, "<%s %s>", token.Name.Space, token.Name.Local)
		case xml.EndElement:
			depth--
			b.WriteString("</>")
		case xml.CharData:
			if depth > 0 {
				b.Write(token)
			}
		}
	}
}
