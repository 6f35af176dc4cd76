package config

import (
	"encoding/json"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// toJSON writes a YAML mapping as JSON text, keys in file order. Numbers that
// JSON writes otherwise (011122223333, 0x1F) stay text, as they are written.
func (d *decoder) toJSON(n ast.Node) string {
	var b strings.Builder
	d.writeJSON(&b, n)
	return b.String()
}

func (d *decoder) writeJSON(b *strings.Builder, n ast.Node) {
	if pairs, ok := pairsOf(n); ok {
		b.WriteByte('{')
		separator := ""
		for key, pair := range d.keys(pairs, "") {
			b.WriteString(separator)
			writeString(b, key)
			b.WriteByte(':')
			d.writeJSON(b, pair.Value)
			separator = ","
		}
		b.WriteByte('}')
		return
	}
	switch n := n.(type) {
	case *ast.SequenceNode:
		b.WriteByte('[')
		for i, element := range n.Values {
			if i > 0 {
				b.WriteByte(',')
			}
			d.writeJSON(b, element)
		}
		b.WriteByte(']')
	case *ast.NullNode:
		b.WriteString("null")
	default:
		text, _ := textOf(n)
		if literal(n, text) {
			b.WriteString(strings.ToLower(text))
			return
		}
		writeString(b, text)
	}
}

// literal reports whether a scalar is a number or a truth value of JSON.
func literal(n ast.Node, text string) bool {
	switch n.GetToken().Type {
	case token.BoolType:
		return true
	case token.IntegerType, token.FloatType, token.OctetIntegerType:
		return json.Valid([]byte(text))
	default:
		return false
	}
}

func writeString(b *strings.Builder, text string) {
	var quoted strings.Builder
	e := json.NewEncoder(&quoted)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string always encodes
	b.WriteString(strings.TrimSuffix(quoted.String(), "\n"))
}
