package config

import (
	"reflect"
	"strings"
)

// missing fills in defaults where the file says nothing and finds the required
// keys that are not there. v is a section at path; here is its place.
func (d *decoder) missing(v reflect.Value, fields []field, path string, here Pos) {
	for _, f := range fields {
		at := under(path, f.key)
		if _, set := d.at[at]; set || f.unbuilt() {
			continue
		}
		switch {
		case f.always():
			d.faults.Add(here, "%s is missing: %s", shown(at), f.doc)
		case shapeOf(f.typ) == isSection:
			d.missing(v.Field(f.index), fieldsOf(f.typ), at, here)
		case f.fallback != "":
			setDefault(v.Field(f.index), f, here)
		}
	}
}

// setDefault gives v what its default tag says. A tag that does not parse is a
// mistake in this package, which a test finds.
func setDefault(v reflect.Value, f field, at Pos) {
	if f.typ.Kind() != reflect.Slice {
		if err := setText(v, f.fallback, at); err != nil {
			panic("config: default of " + f.key + ": " + err.Error())
		}
		return
	}
	for _, text := range strings.Split(f.fallback, ",") {
		element := reflect.New(f.typ.Elem()).Elem()
		if err := setText(element, text, at); err != nil {
			panic("config: default of " + f.key + ": " + err.Error())
		}
		v.Set(reflect.Append(v, element))
	}
}

// derive fills in the defaults that are another key's value; their doc tags say so.
func derive(c *Config) {
	if c.Issuer.URL.Value == "" {
		c.Issuer.URL = c.Server.URL
	}
	for i := range c.Providers {
		p := &c.Providers[i]
		if p.Label == "" {
			p.Label = p.Name.Value
		}
	}
	for i := range c.Apps {
		if a := &c.Apps[i]; a.Label == "" {
			a.Label = a.Name.Value
		}
	}
	for i := range c.Grants {
		g := &c.Grants[i]
		if g.MaxDuration == 0 {
			g.MaxDuration = g.Duration
		}
		if g.Mode.Value == "" {
			g.Mode = c.AWS.Mode
		}
	}
}
