package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// decoder walks the YAML tree beside the structs and goes on after each fault.
type decoder struct {
	file string
	dir  string
	env  func(string) (string, bool)
	at   map[string]Pos // places of the keys that are in the file, by path
	// references are the secrets that are one, by path.
	references map[string]string
	unread     []string // paths whose values have faults
	faults     Faults
}

// document decodes the file into the struct that into points to.
func (d *decoder) document(root ast.Node, into any) {
	d.section(root, reflect.ValueOf(into).Elem(), "")
}

// value decodes a node into v, which f describes.
func (d *decoder) value(n ast.Node, v reflect.Value, f field, path string) {
	switch shapeOf(v.Type()) {
	case isSection:
		d.section(n, v, path)
	case isList:
		d.list(n, v, f, path)
	case isMap:
		d.mapping(n, v, path)
	case isSecret:
		d.secret(n, v, path)
	default:
		if _, isMapping := n.(ast.MapNode); isMapping && f.json {
			text := d.toJSON(n)
			v.Set(reflect.ValueOf(Text{Value: text, Pos: d.pos(n)}))
			return
		}
		d.scalar(n, v, f, path)
	}
}

// section decodes a mapping with known keys.
func (d *decoder) section(n ast.Node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	here := d.pos(n)
	if pos := v.FieldByName("Pos"); pos.IsValid() && pos.Type() == posType {
		pos.Set(reflect.ValueOf(here))
	}
	pairs, ok := pairsOf(n)
	if !ok {
		d.faults.Add(here, "%s: want a mapping with keys such as %s, got %s", shown(path), offer(fields), kindOf(n))
		return
	}
	for key, pair := range d.keys(pairs, path) {
		i := indexOf(fields, key)
		if i < 0 {
			d.faults.Add(d.pos(pair.Key), "%s", unknown(fields, path, key))
			continue
		}
		f := fields[i]
		d.at[under(path, key)] = d.pos(pair.Key)
		switch {
		case f.unbuilt() && f.typ.Size() == 0:
			d.notBuilt(pair, f, path)
		case isNull(pair.Value):
			d.faults.Add(d.pos(pair.Key), "%s has no value; give one, or remove the key", shown(under(path, key)))
		default:
			before := len(d.faults)
			d.value(pair.Value, v.Field(f.index), f, under(path, key))
			if len(d.faults) > before {
				d.unread = append(d.unread, under(path, key))
			}
			if f.unbuilt() && !v.Field(f.index).IsZero() {
				d.notBuilt(pair, f, path)
			}
		}
	}
	d.missing(v, fields, path, here)
}

func (d *decoder) notBuilt(pair *ast.MappingValueNode, f field, path string) {
	d.faults.Add(d.pos(pair.Key), "%s: this is for %s, which is not built yet; remove the key", shown(under(path, f.key)), f.later)
}

// keys yields the pairs of a mapping whose keys are text and new.
func (d *decoder) keys(pairs []*ast.MappingValueNode, path string) func(func(string, *ast.MappingValueNode) bool) {
	return func(yield func(string, *ast.MappingValueNode) bool) {
		first := map[string]Pos{}
		for _, pair := range pairs {
			at := d.pos(pair.Key)
			key, ok := textOf(pair.Key)
			if !ok {
				d.faults.Add(at, "%s: a key must be text", shown(path))
				continue
			}
			if before, again := first[key]; again {
				d.faults.Add(at, "%s is set twice; the first time is in line %d", shown(under(path, key)), before.Line)
				continue
			}
			first[key] = at
			if !yield(key, pair) {
				return
			}
		}
	}
}

// list decodes a sequence.
func (d *decoder) list(n ast.Node, v reflect.Value, f field, path string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		hint := ""
		if text, scalar := textOf(n); scalar && shapeOf(v.Type().Elem()) == isText {
			hint = fmt.Sprintf("; write [%s]", clip(text))
		}
		d.faults.Add(d.pos(n), "%s: want a list, got %s%s", shown(path), kindOf(n), hint)
		return
	}
	out := reflect.MakeSlice(v.Type(), 0, len(seq.Values))
	for _, entry := range seq.Values {
		at := element(path, out.Len()) // what cannot be read at all is left out
		if isNull(entry) {
			d.faults.Add(d.pos(entry), "%s has no value; give one, or remove the entry", shown(at))
			continue
		}
		if _, ok := pairsOf(entry); !ok && shapeOf(v.Type().Elem()) == isSection {
			d.faults.Add(d.pos(entry), "%s: want a mapping with keys such as %s, got %s", shown(at), offer(fieldsOf(v.Type().Elem())), kindOf(entry))
			continue
		}
		d.at[at] = d.pos(entry)
		out = reflect.Append(out, reflect.Zero(v.Type().Elem()))
		d.value(entry, out.Index(out.Len()-1), f, at)
	}
	v.Set(out)
}

// mapping decodes a mapping with free keys.
func (d *decoder) mapping(n ast.Node, v reflect.Value, path string) {
	pairs, ok := pairsOf(n)
	if !ok {
		d.faults.Add(d.pos(n), "%s: want a mapping such as {key: value}, got %s", shown(path), kindOf(n))
		return
	}
	out := reflect.MakeMap(v.Type())
	for key, pair := range d.keys(pairs, path) {
		d.at[under(path, key)] = d.pos(pair.Key)
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(pair.Value, element, field{}, under(path, key))
		out.SetMapIndex(reflect.ValueOf(key), element)
	}
	v.Set(out)
}

// scalar decodes text, true or false, a duration or a rate.
func (d *decoder) scalar(n ast.Node, v reflect.Value, f field, path string) {
	at := d.pos(n)
	text, ok := textOf(n)
	want := wanted(v.Type())
	if !ok {
		d.faults.Add(at, "%s: want %s, got %s", shown(path), want, kindOf(n))
		return
	}
	if _, isBoolean := n.(*ast.BoolNode); shapeOf(v.Type()) == isBool && !isBoolean {
		d.faults.Add(at, "%s: want %s without quotes, got %s", shown(path), want, quoted(text))
		return
	}
	if err := f.judgeWord(text); err != nil {
		d.faults.Add(at, "%s: %v", shown(path), err)
		return
	}
	if f.path && text != "" && !filepath.IsAbs(text) {
		text = filepath.Join(d.dir, text)
	}
	if err := setText(v, text, at); err != nil {
		d.faults.Add(at, "%s: want %s, got %s", shown(path), want, quoted(text))
	}
}

// judgeWord refuses a word that the key does not know.
func (f field) judgeWord(word string) error {
	if len(f.enum) == 0 {
		return nil
	}
	for _, known := range f.enum {
		if word == known {
			return nil
		}
	}
	for _, planned := range f.planned {
		if word == planned {
			return fmt.Errorf("%q is not built yet; known today: %s", word, strings.Join(f.enum, ", "))
		}
	}
	return fmt.Errorf("unknown word %s; known: %s%s", quoted(word), strings.Join(f.enum, ", "), didYouMean(word, f.enum))
}

// pos is where a node begins.
func (d *decoder) pos(n ast.Node) Pos {
	switch n := n.(type) {
	case *ast.MappingNode:
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return d.pos(n.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return d.pos(n.Key)
	case *ast.LiteralNode:
		return place(d.file, n.Start)
	}
	return place(d.file, n.GetToken())
}

// pairsOf gives the pairs of a mapping in file order.
func pairsOf(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// textOf gives a scalar as it is written, so that the account 011122223333 keeps
// its zero. Null is no text.
func textOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func isNull(n ast.Node) bool { _, null := n.(*ast.NullNode); return null || n == nil }

// kindOf names what stands there, without its text.
func kindOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	case *ast.BoolNode:
		return n.GetToken().Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.StringNode:
		if n.GetToken().Type == token.StringType {
			return "text"
		}
		return "quoted text"
	default:
		return "text"
	}
}
