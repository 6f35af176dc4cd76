package oidc

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// This reader exists because encoding/json folds the case of names and lets the
// last of several equal names win: an expired token with a second "Exp" would
// pass. Here names are bytes, and a name that is there twice ends it.

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindText
	kindList
	kindObject
)

const maxDepth = 16

// value is one JSON value. text is the text itself, or the literal of a number
// or boolean.
type value struct {
	kind  kind
	text  string
	inner *inner
}

// inner is what a list or an object holds.
type inner struct {
	list   []value
	object object
}

func (v value) list() []value {
	if v.inner == nil {
		return nil
	}
	return v.inner.list
}

func (v value) object() object {
	if v.inner == nil {
		return nil
	}
	return v.inner.object
}

// object keeps its members in their order.
type object []member

type member struct {
	name  string
	value value
}

// get finds a member by its exact name.
func (o object) get(name string) (value, bool) {
	for i := range o {
		if o[i].name == name {
			return o[i].value, true
		}
	}
	return value{}, false
}

// readObject reads exactly one JSON object. Among its own names none may differ
// from another by case only; nested objects may hold such names, but no name twice.
func readObject(data []byte) (object, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	r := jsonReader{text: string(data)}
	r.space()
	if r.peek() != '{' {
		return nil, errors.New("not a JSON object")
	}
	v, err := r.value(0)
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %w", r.at, err)
	}
	if r.space(); r.at != len(r.text) {
		return nil, errors.New("something follows the JSON object")
	}
	return v.object(), nil
}

type jsonReader struct {
	text string
	at   int
}

// peek is the next byte, or 0 at the end.
func (r *jsonReader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *jsonReader) space() {
	for r.at < len(r.text) {
		switch r.text[r.at] {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return
		}
	}
}

func (r *jsonReader) value(depth int) (value, error) {
	if depth > maxDepth {
		return value{}, errors.New("nested too deep")
	}
	switch c := r.peek(); {
	case c == '{':
		return r.readMembers(depth)
	case c == '[':
		return r.readList(depth)
	case c == '"':
		text, err := r.readText()
		return value{kind: kindText, text: text}, err
	case c == '-' || c >= '0' && c <= '9':
		return r.readNumber()
	}
	for _, literal := range [...]string{"true", "false", "null"} {
		if !strings.HasPrefix(r.text[r.at:], literal) {
			continue
		}
		r.at += len(literal)
		if literal == "null" {
			return value{}, nil
		}
		return value{kind: kindBool, text: literal}, nil
	}
	return value{}, errors.New("not a JSON value")
}

func (r *jsonReader) readMembers(depth int) (value, error) {
	in := &inner{object: make(object, 0, 8)}
	v := value{kind: kindObject, inner: in}
	r.at++
	for r.space(); r.peek() != '}'; r.space() {
		if len(in.object) > 0 {
			if r.peek() != ',' {
				return v, errors.New("a comma is missing")
			}
			r.at++
			r.space()
		}
		name, err := r.readText()
		if err != nil {
			return v, err
		}
		if r.space(); r.peek() != ':' {
			return v, errors.New("a colon is missing")
		}
		r.at++
		r.space()
		item, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		in.object = append(in.object, member{name, item})
	}
	r.at++
	return v, in.object.distinct(depth == 0)
}

func (r *jsonReader) readList(depth int) (value, error) {
	in := &inner{}
	v := value{kind: kindList, inner: in}
	r.at++
	for r.space(); r.peek() != ']'; r.space() {
		if len(in.list) > 0 {
			if r.peek() != ',' {
				return v, errors.New("a comma is missing")
			}
			r.at++
			r.space()
		}
		item, err := r.value(depth + 1)
		if err != nil {
			return v, err
		}
		in.list = append(in.list, item)
	}
	r.at++
	return v, nil
}

// readNumber follows the grammar of RFC 8259 and keeps the literal.
func (r *jsonReader) readNumber() (value, error) {
	start := r.at
	digits := func() bool {
		from := r.at
		for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
			r.at++
		}
		return r.at > from
	}
	if r.peek() == '-' {
		r.at++
	}
	leadingZero := r.peek() == '0'
	first := r.at
	ok := digits() && (!leadingZero || r.at == first+1)
	if ok && r.peek() == '.' {
		r.at++
		ok = digits()
	}
	if c := r.peek(); ok && (c == 'e' || c == 'E') {
		r.at++
		if c := r.peek(); c == '+' || c == '-' {
			r.at++
		}
		ok = digits()
	}
	if !ok {
		return value{}, errors.New("not a number")
	}
	return value{kind: kindNumber, text: r.text[start:r.at]}, nil
}

// readText reads a string; without escapes it is a part of the input.
func (r *jsonReader) readText() (string, error) {
	if r.peek() != '"' {
		return "", errors.New("not a string")
	}
	r.at++
	start := r.at
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return r.text[start : r.at-1], nil
		case c == '\\':
			return r.readEscaped(start)
		case c < ' ':
			return "", errors.New("a control character in a string")
		}
		r.at++
	}
	return "", errors.New("a string without end")
}

func (r *jsonReader) readEscaped(start int) (string, error) {
	out := []byte(r.text[start:r.at])
	for r.at < len(r.text) {
		c := r.text[r.at]
		r.at++
		switch {
		case c == '"':
			return string(out), nil
		case c < ' ':
			return "", errors.New("a control character in a string")
		case c != '\\':
			out = append(out, c)
			continue
		}
		escape := r.peek()
		r.at++
		if escape == 'u' {
			char, err := r.readRune()
			if err != nil {
				return "", err
			}
			out = utf8.AppendRune(out, char)
			continue
		}
		i := strings.IndexByte(`"\/bfnrt`, escape)
		if i < 0 {
			return "", errors.New("an unknown escape in a string")
		}
		out = append(out, "\"\\/\b\f\n\r\t"[i])
	}
	return "", errors.New("a string without end")
}

// readRune reads what follows \u, and the second half of a surrogate pair; half a
// pair alone is refused, since readers disagree about what it means.
func (r *jsonReader) readRune() (rune, error) {
	first, err := r.readHex()
	if err != nil || !utf16.IsSurrogate(first) {
		return first, err
	}
	if !strings.HasPrefix(r.text[r.at:], `\u`) {
		return 0, errors.New("half a surrogate pair")
	}
	r.at += 2
	second, err := r.readHex()
	if err != nil {
		return 0, err
	}
	if pair := utf16.DecodeRune(first, second); pair != unicode.ReplacementChar {
		return pair, nil
	}
	return 0, errors.New("half a surrogate pair")
}

func (r *jsonReader) readHex() (rune, error) {
	if r.at+4 > len(r.text) {
		return 0, errors.New("a string without end")
	}
	n, err := strconv.ParseUint(r.text[r.at:r.at+4], 16, 16)
	if err != nil {
		return 0, errors.New("an unknown escape in a string")
	}
	r.at += 4
	return rune(n), nil
}

// distinct refuses equal names; with fold also names that differ by case only,
// by Unicode's simple folding as encoding/json does it (U+017F is s).
func (o object) distinct(fold bool) error {
	if len(o) > 32 {
		return o.distinctMany(fold)
	}
	for i := range o {
		for j := range i {
			if o[i].name == o[j].name || fold && strings.EqualFold(o[i].name, o[j].name) {
				return errTwice(o[i].name)
			}
		}
	}
	return nil
}

func (o object) distinctMany(fold bool) error {
	seen := make(map[string]struct{}, len(o))
	for i := range o {
		name := o[i].name
		if fold {
			name = strings.Map(smallestFold, name)
		}
		if _, there := seen[name]; there {
			return errTwice(o[i].name)
		}
		seen[name] = struct{}{}
	}
	return nil
}

func errTwice(name string) error { return fmt.Errorf("the member %.64q is there twice", name) }

// smallestFold stands for all runes that fold into each other.
func smallestFold(r rune) rune {
	smallest := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		smallest = min(smallest, f)
	}
	return smallest
}
