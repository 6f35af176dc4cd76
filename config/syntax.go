package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on the shape of a file. The parser recurses for each level and for each
// key of a block mapping, so what would exhaust it is refused before it runs.
const (
	maxDepth = 64
	maxKeys  = 2000
)

// parseYAML gives the one document of a file as a tree. A file has the plain part
// of YAML only: no anchors, aliases, merge keys, tags or directives.
func parseYAML(file, text string) (root ast.Node, faults Faults) {
	defer func() {
		if p := recover(); p != nil {
			faults = Faults{{Pos: Pos{File: file, Line: 1, Column: 1}, Message: fmt.Sprintf("the YAML parser gave up on this file (%v)", p)}}
		}
	}()
	tokens := lexer.Tokenize(text)
	g := gate{file: file}
	for _, t := range tokens {
		g.see(t)
	}
	if len(g.faults) > 0 {
		return nil, g.faults
	}
	parsed, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, Faults{syntaxFault(file, text, err)}
	}
	for _, doc := range parsed.Docs {
		if root != nil && doc.Start != nil {
			return nil, Faults{{Pos: place(file, doc.Start), Message: "a second YAML document begins here; a configuration is one document"}}
		}
		if doc.Body != nil {
			root = doc.Body
		}
	}
	if root == nil {
		return nil, Faults{{Pos: Pos{File: file, Line: 1, Column: 1}, Message: "the file is empty but for comments; docs/configuration.md begins with an example"}}
	}
	return root, nil
}

// syntaxFault words the parser's error without the source lines that it quotes,
// which may hold a secret.
func syntaxFault(file, text string, err error) Fault {
	fault := Fault{Pos: Pos{File: file, Line: 1, Column: 1}, Message: "not YAML: the parser says no more"}
	said, ok := errors.AsType[yaml.Error](err)
	if !ok || said.GetToken() == nil {
		return fault
	}
	fault.Pos = place(file, said.GetToken())
	fault.Message = "not YAML: " + strings.ReplaceAll(said.GetMessage(), "\t", `\t`)
	lines := strings.Split(text, "\n")
	if n := fault.Pos.Line; n > 0 && n <= len(lines) {
		switch line := lines[n-1]; {
		case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"):
			fault.Message += "; YAML is indented with spaces, not tabs"
		case strings.Contains(line, "${") && strings.ContainsAny(line, "[{"), strings.Contains(line, "{{"):
			fault.Message += "; a value with { or } inside [ ] or { }, or at its beginning, must be in quotes"
		case strings.Contains(said.GetMessage(), "mapping value is not allowed"):
			fault.Message += "; a value that contains ': ' must be in quotes"
		}
	}
	return fault
}

// place is the position of a token.
func place(file string, t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{File: file}
	}
	return Pos{File: file, Line: max(t.Position.Line, 1), Column: max(t.Position.Column, 1)}
}

// gate judges the tokens of a file, one after the other.
type gate struct {
	file   string
	flow   int     // open [ and {
	levels []level // open block mappings and sequences, by column
	stop   bool    // too deep: one fault is enough
	faults Faults
}

type level struct{ column, keys int }

func (g *gate) see(t *token.Token) {
	refuse := func(format string, args ...any) { g.faults.Add(place(g.file, t), format, args...) }
	switch t.Type {
	case token.AnchorType:
		refuse("YAML anchors (&name) are not supported; write the value where it belongs")
	case token.AliasType:
		refuse("YAML aliases (*name) are not supported; write the value out, or put it in quotes if it is text that begins with *")
	case token.MergeKeyType:
		refuse("YAML merge keys (<<) are not supported; write the keys out")
	case token.TagType:
		refuse("YAML tags (!name) are not supported; put a value that begins with ! in quotes")
	case token.DirectiveType:
		refuse("YAML directives (%%NAME) are not supported; remove the line")
	case token.MappingKeyType:
		refuse("YAML's explicit keys (? key) are not supported; write key: value")
	case token.MappingStartType, token.SequenceStartType:
		g.flow++
	case token.MappingEndType, token.SequenceEndType:
		g.flow--
	case token.SequenceEntryType:
		g.open(t.Position.Column, 0)
	case token.MappingValueType:
		switch {
		case t.Prev == nil:
		case g.flow <= 0:
			g.open(t.Prev.Position.Column, 1)
		case splitKey(t):
			refuse("inside { } and [ ] what contains ':' must be in quotes (a reference ${env:NAME}, an ARN, a condition key); after a key a space follows the ':'")
		}
	}
	if g.stop {
		return
	}
	if g.flow+len(g.levels) > maxDepth {
		g.stop = true
		refuse("more than %d levels of nesting", maxDepth)
	} else if n := len(g.levels); n > 0 && g.levels[n-1].keys > maxKeys {
		g.stop = true
		refuse("more than %d keys in one mapping", maxKeys)
	}
}

// splitKey reports whether the lexer took a colon inside a word of a flow mapping
// for the end of a key: {aws:SecureTransport: true} would become the key aws.
func splitKey(colon *token.Token) bool {
	if t := colon.Prev.Type; t == token.SingleQuoteType || t == token.DoubleQuoteType || colon.Next == nil {
		return false
	}
	switch colon.Next.Type {
	case token.MappingStartType, token.MappingEndType, token.SequenceStartType, token.SequenceEndType, token.CollectEntryType, token.CommentType:
		return false
	default:
		return !strings.ContainsAny(colon.Next.Origin[:min(1, len(colon.Next.Origin))], " \t\r\n") && colon.Next.Position.Line == colon.Position.Line
	}
}

// open enters the block mapping or sequence at a column, leaving what is deeper.
func (g *gate) open(column, keys int) {
	n := len(g.levels)
	for n > 0 && g.levels[n-1].column > column {
		n--
	}
	g.levels = g.levels[:n]
	if n == 0 || g.levels[n-1].column < column {
		g.levels = append(g.levels, level{column: column})
		n++
	}
	g.levels[n-1].keys += keys
}
