package config

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

// Off is the word that switches a listener off.
const Off = "off"

// field is one key of a section, as its struct tags describe it.
type field struct {
	index    int
	key      string
	typ      reflect.Type
	doc      string
	fallback string   // default
	required []string // "true", or types of provider
	only     []string // for: types of provider; none is all of them
	presets  []string // of: presets; none is all of them
	later    string   // what it is for, once that is built
	enum     []string
	planned  []string
	path     bool
	json     bool
}

// unbuilt reports whether the key is there to be refused: it may be set to its
// zero value only, or not at all.
func (f field) unbuilt() bool { return f.later != "" }

// documented reports whether an operator may write the key: a switch that is not
// built yet may be off.
func (f field) documented() bool { return !f.unbuilt() || f.typ.Kind() == reflect.Bool }

// always reports whether every section of its kind needs the key.
func (f field) always() bool { return slices.Contains(f.required, "true") }

// neededBy reports whether a provider of that type needs the key.
func (f field) neededBy(kind string) bool { return slices.Contains(f.required, kind) }

// isFor reports whether a provider of that type may have the key.
func (f field) isFor(kind string) bool { return len(f.only) == 0 || slices.Contains(f.only, kind) }

// isOf reports whether a provider with that preset may have the key.
func (f field) isOf(preset string) bool {
	return len(f.presets) == 0 || slices.Contains(f.presets, preset)
}

// types names the types of provider that the key is for.
func (f field) types() string { return strings.Join(f.only, " and ") }

// providerTypes lists the types of provider that a file may name.
func providerTypes() []string {
	fields := fieldsOf(reflect.TypeFor[Provider]())
	return fields[indexOf(fields, "type")].enum
}

// fieldsOf lists the keys of a section in the order of its struct.
func fieldsOf(t reflect.Type) []field {
	var list []field
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("yaml")
		if key == "" || key == "-" {
			continue
		}
		list = append(list, field{
			index: i, key: key, typ: f.Type,
			doc: f.Tag.Get("doc"), fallback: f.Tag.Get("default"), required: words(f.Tag.Get("required")),
			only: words(f.Tag.Get("for")), presets: words(f.Tag.Get("of")), later: f.Tag.Get("later"),
			enum: words(f.Tag.Get("enum")), planned: words(f.Tag.Get("planned")),
			path: f.Tag.Get("path") == "true", json: f.Tag.Get("as") == "json",
		})
	}
	return list
}

func words(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}

var (
	posType      = reflect.TypeFor[Pos]()
	textType     = reflect.TypeFor[Text]()
	secretType   = reflect.TypeFor[secret.String]()
	durationType = reflect.TypeFor[time.Duration]()
	rateType     = reflect.TypeFor[Rate]()
)

// shape is what a value looks like in the file.
type shape int

const (
	isText shape = iota
	isSecret
	isBool
	isDuration
	isRate
	isNumber
	isList
	isMap
	isSection
)

func shapeOf(t reflect.Type) shape {
	switch t {
	case textType:
		return isText
	case secretType:
		return isSecret
	case durationType:
		return isDuration
	case rateType:
		return isRate
	}
	switch t.Kind() {
	case reflect.Pointer:
		return shapeOf(t.Elem())
	case reflect.Bool:
		return isBool
	case reflect.Int:
		return isNumber
	case reflect.Slice:
		return isList
	case reflect.Map:
		return isMap
	case reflect.Struct:
		return isSection
	default:
		return isText
	}
}

// keyShown is how a path is named to people and in the reference:
// grants[].duration for grants[2].duration.
func keyShown(path string) string {
	var b strings.Builder
	for rest := path; ; {
		open := strings.IndexByte(rest, '[')
		if open < 0 {
			return b.String() + rest
		}
		b.WriteString(rest[:open+1])
		rest = strings.TrimLeft(rest[open+1:], "0123456789")
	}
}

// under joins a section's path and a key.
func under(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
