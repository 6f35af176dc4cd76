package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// schemaURL is where docs/config.schema.json is found.
const schemaURL = "https://github.com/rolecall/rolecall/raw/main/docs/config.schema.json"

// schema is the part of JSON Schema that a configuration needs, in the order in
// which it is written.
type schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	ID          string             `json:"$id,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        any                `json:"type,omitempty"`
	Const       string             `json:"const,omitempty"`
	Enum        any                `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	MinLength   int                `json:"minLength,omitempty"`
	Default     any                `json:"default,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"`
	AllOf       []*schema          `json:"allOf,omitempty"`
	AnyOf       []*schema          `json:"anyOf,omitempty"`
	If          *schema            `json:"if,omitempty"`
	Then        *schema            `json:"then,omitempty"`
	Not         *schema            `json:"not,omitempty"`
}

// Schema is the JSON Schema (2020-12) of a configuration file, generated from the
// structs. It knows keys, types, words and required keys; what Load judges beyond
// these (names that must exist, bounds of durations, addresses) it does not.
func Schema() []byte {
	root := sectionSchema(reflect.TypeFor[Config]())
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.ID = schemaURL
	root.Title = "Configuration of rolecall"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(root); err != nil {
		panic("config: schema: " + err.Error()) // of plain structs: cannot fail
	}
	return b.Bytes()
}

// sectionSchema describes a mapping with known keys.
func sectionSchema(t reflect.Type) *schema {
	s := &schema{Type: "object", Properties: map[string]*schema{}, Additional: false}
	for _, f := range fieldsOf(t) {
		if !f.documented() {
			continue
		}
		s.Properties[f.key] = fieldSchema(f)
		if f.always() || (shapeOf(f.typ) == isSection && requires(f.typ)) {
			s.Required = append(s.Required, f.key)
		}
	}
	if t == reflect.TypeFor[Provider]() {
		for _, kind := range providerTypes() {
			s.AllOf = append(s.AllOf, typeSchema(t, kind))
		}
		s.AllOf[0].Then.AnyOf = []*schema{{Required: []string{"metadata_url"}}, {Required: []string{"metadata_file"}}}
	}
	return s
}

func requires(section reflect.Type) bool {
	for _, f := range fieldsOf(section) {
		if f.always() {
			return true
		}
	}
	return false
}

// filled reports whether some preset of a type may set a key that is needed without one.
func filled(kind, key string) bool {
	return slices.ContainsFunc(presets(), func(p preset) bool {
		sets := slices.ContainsFunc(p.sets, func(s setting) bool { return s.key == key })
		return p.kind == kind && (sets || p.trust == ofMachines && key == "client_id")
	})
}

// typeSchema is what holds for providers of one type only.
func typeSchema(provider reflect.Type, kind string) *schema {
	then := &schema{Properties: map[string]*schema{}}
	var unfilled []string
	for _, f := range fieldsOf(provider) {
		switch {
		case !f.documented():
		case !f.isFor(kind):
			then.Properties[f.key] = &schema{Not: &schema{}}
		case f.neededBy(kind) && filled(kind, f.key):
			unfilled = append(unfilled, f.key)
		case f.neededBy(kind):
			then.Required = append(then.Required, f.key)
		case f.typ == reflect.TypeFor[From]():
			then.Properties[f.key] = &schema{Properties: map[string]*schema{}}
			for _, inner := range fieldsOf(f.typ) {
				if !inner.isFor(kind) {
					then.Properties[f.key].Properties[inner.key] = &schema{Not: &schema{}}
				}
			}
		}
	}
	if len(unfilled) > 0 {
		then.AnyOf = []*schema{{Required: []string{"preset"}}, {Required: unfilled}}
	}
	when := &schema{Properties: map[string]*schema{"type": {Const: kind}}, Required: []string{"type"}}
	return &schema{If: when, Then: then}
}

// fieldSchema describes one key with its sentence and its default.
func fieldSchema(f field) *schema {
	s := typeOf(f.typ, f)
	s.Description = f.doc
	if len(f.only) > 0 {
		s.Description = "Providers of type " + f.types() + ": " + f.doc
	}
	if f.unbuilt() {
		s.Enum = []bool{false}
		s.Description += " Not built yet: false only."
	}
	if f.fallback == "" {
		return s
	}
	switch s.Type {
	case "boolean":
		s.Default = f.fallback == "true"
	case "integer":
		s.Default = json.Number(f.fallback)
	case "array":
		s.Default = strings.Split(f.fallback, ",")
	default:
		s.Default = f.fallback
	}
	return s
}

// scalars are what text may be written as; 111122223333 is text without quotes too.
var scalars = []string{"string", "number", "boolean"}

// typeOf describes a Go type. f gives words and forms; for a list they are its entries'.
func typeOf(t reflect.Type, f field) *schema {
	switch shapeOf(t) {
	case isBool:
		return &schema{Type: "boolean"}
	case isDuration:
		return &schema{Type: "string", Pattern: durationPattern}
	case isNumber:
		return &schema{Type: "integer"}
	case isRate:
		return &schema{Type: "string", Pattern: ratePattern}
	case isSecret:
		return &schema{Type: scalars, MinLength: 1}
	case isList:
		return &schema{Type: "array", Items: typeOf(t.Elem(), f)}
	case isMap:
		return &schema{Type: "object", Additional: typeOf(t.Elem(), field{})}
	case isSection:
		return sectionSchema(t)
	}
	switch {
	case len(f.enum) > 0:
		return &schema{Type: "string", Enum: f.enum}
	case f.json:
		return &schema{Type: []string{"string", "object"}}
	case len(f.required) > 0:
		return &schema{Type: scalars, MinLength: 1}
	default:
		return &schema{Type: scalars}
	}
}

// defaultShown is a default as the file would write it, "" where there is none.
func (f field) defaultShown() string {
	switch {
	case f.fallback == "":
		return ""
	case f.typ.Kind() == reflect.Slice:
		return "[" + strings.ReplaceAll(f.fallback, ",", ", ") + "]"
	case strings.HasPrefix(f.fallback, ":"):
		return strconv.Quote(f.fallback)
	default:
		return f.fallback
	}
}
