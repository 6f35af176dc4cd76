package config

import (
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

// Line is one line of a configuration as it runs, for people to read. It never
// holds a secret: Secret says where that comes from, in its place.
type Line struct {
	Depth   int
	Text    string // "url: https://...", "- name: corp"
	Secret  string
	Default bool // the file does not say it
}

// Running writes a configuration as YAML, with the defaults that hold and without
// its secrets. Keys that are neither set nor have a default are left out.
func (c *Config) Running() []Line {
	r := running{written: c.Written}
	r.section(reflect.ValueOf(c).Elem(), "", 0, "")
	return r.lines
}

// running collects lines.
type running struct {
	written map[string]string
	lines   []Line
}

// section writes the keys of v. Kind is the type of provider that v is, if any.
func (r *running) section(v reflect.Value, path string, depth int, kind string) {
	preset := ""
	if p, ok := v.Addr().Interface().(*Provider); ok {
		kind, preset = p.Type.Value, p.Preset.Value
	}
	for _, f := range fieldsOf(v.Type()) {
		if f.unbuilt() || (kind != "" && !f.isFor(kind)) || !f.isOf(preset) {
			continue
		}
		r.key(v.Field(f.index), f, under(path, f.key), depth, kind)
	}
}

// key writes one key with its value.
func (r *running) key(v reflect.Value, f field, path string, depth int, kind string) {
	_, set := r.written[path]
	switch shapeOf(v.Type()) {
	case isSection:
		at := len(r.lines)
		r.lines = append(r.lines, Line{Depth: depth, Text: f.key + ":", Default: !set})
		if r.section(v, path, depth+1, kind); len(r.lines) == at+1 {
			r.lines = r.lines[:at]
		}
	case isSecret:
		if held, _ := v.Interface().(secret.String); !held.IsZero() {
			r.lines = append(r.lines, Line{Depth: depth, Text: f.key + ": ", Secret: r.whence(path)})
		}
	case isList:
		r.list(v, f, path, depth, kind, set)
	case isMap:
		r.mapping(v, f, path, depth)
	default:
		if text, ok := scalar(v); ok && (set || f.fallback != "" || !v.IsZero()) {
			r.lines = append(r.lines, Line{Depth: depth, Text: f.key + ": " + text, Default: !set})
		}
	}
}

// whence is what stands in the place of a secret.
func (r *running) whence(path string) string {
	if reference := r.written[path]; reference != "" {
		return "secret, from " + reference + ", set"
	}
	return "secret, written in the file"
}

func (r *running) list(v reflect.Value, f field, path string, depth int, kind string, set bool) {
	if v.Len() == 0 {
		return
	}
	if shapeOf(v.Type().Elem()) != isSection {
		var words []string
		for i := range v.Len() {
			text, _ := valueText(v.Index(i))
			words = append(words, plain(text))
		}
		r.lines = append(r.lines, Line{Depth: depth, Text: f.key + ": [" + strings.Join(words, ", ") + "]", Default: !set})
		return
	}
	r.lines = append(r.lines, Line{Depth: depth, Text: f.key + ":"})
	for i := range v.Len() {
		at := len(r.lines)
		r.section(v.Index(i), element(path, i), depth+2, kind)
		if len(r.lines) > at {
			r.lines[at].Depth, r.lines[at].Text = depth+1, "- "+r.lines[at].Text
		}
	}
}

func (r *running) mapping(v reflect.Value, f field, path string, depth int) {
	if v.Len() == 0 {
		return
	}
	r.lines = append(r.lines, Line{Depth: depth, Text: f.key + ":"})
	byKey := map[string]reflect.Value{}
	for _, key := range v.MapKeys() {
		byKey[key.String()] = v.MapIndex(key)
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		if held, ok := byKey[key].Interface().(secret.String); ok {
			if !held.IsZero() {
				r.lines = append(r.lines, Line{Depth: depth + 1, Text: plain(key) + ": ", Secret: r.whence(under(path, key))})
			}
			continue
		}
		text, _ := valueText(byKey[key])
		r.lines = append(r.lines, Line{Depth: depth + 1, Text: plain(key) + ": " + plain(text)})
	}
}

// valueText is a scalar as an operator writes it; false is a value that is not set.
func valueText(v reflect.Value) (string, bool) {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "", false
		}
		return valueText(v.Elem())
	}
	switch value := v.Interface().(type) {
	case Text:
		return withoutPassword(value.Value), true
	case time.Duration:
		return durationText(value), true
	case Rate:
		return value.String(), true
	case bool:
		return strconv.FormatBool(value), true
	case string:
		return withoutPassword(value), true
	default:
		return fmt.Sprint(value), true
	}
}

// scalar is valueText as it stands in YAML: only what is text may need quotes.
func scalar(v reflect.Value) (string, bool) {
	text, ok := valueText(v)
	if v.CanInt() && shapeOf(v.Type()) != isDuration {
		return text, ok
	}
	return plain(text), ok
}

// withoutPassword hides what an address may hold before its host.
func withoutPassword(text string) string {
	if !address.MatchString(text) {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "(an address that cannot be read)"
	}
	if u.User == nil {
		return text
	}
	u.User = url.User("secret")
	return u.String()
}

var address = regexp.MustCompile(`^[a-z][a-z0-9+.-]*://[^/]*@`)

// durationText is 1h30m for 1h30m0s.
func durationText(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

var plainText = regexp.MustCompile(`^[A-Za-z/$][^:#\[\]{},&*!|>'"%@\x60\n]*$`)

// plain quotes what YAML would read as something else.
func plain(text string) string {
	switch {
	case text == "true" || text == "false", durationShape.MatchString(text), rateShape.MatchString(text):
		return text
	case plainText.MatchString(text) && strings.TrimSpace(text) == text && text != "null" && text != "yes" && text != "no":
		return text
	case (strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")) && !strings.ContainsAny(text, " #[]{},\"'\n"):
		return text
	}
	return strconv.Quote(text)
}
