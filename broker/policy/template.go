package policy

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/idp"
)

// template is text with {{ path }} and nothing more. A path is one of
// identity.{id,provider,subject,username}, identity.attributes.NAME (NAME is
// everything up to the braces), a capture of groups_matching, app, device.
type template struct {
	parts []part
}

// part is literal text, or a path where path is not "".
type part struct{ text, path string }

const attributePrefix = "identity.attributes."

var simplePaths = []string{"identity.id", "identity.provider", "identity.subject", "identity.username", "app", "device"}

// parseTemplate reads text; captures are the names that groups_matching gives.
func parseTemplate(text string, captures []string) (template, error) {
	var t template
	for rest := text; rest != ""; {
		open := strings.Index(rest, "{{")
		if open < 0 {
			t.parts = append(t.parts, part{text: rest})
			break
		}
		if open > 0 {
			t.parts = append(t.parts, part{text: rest[:open]})
		}
		path, after, closed := strings.Cut(rest[open+2:], "}}")
		if !closed {
			return t, fmt.Errorf("the template %q opens {{ and never closes it", text)
		}
		path = strings.TrimSpace(path)
		known := slices.Contains(simplePaths, path) || slices.Contains(captures, path) ||
			strings.HasPrefix(path, attributePrefix) && len(path) > len(attributePrefix)
		if !known {
			return t, fmt.Errorf("the template path %q is not known: want %s, %sNAME or a named group of groups_matching%s",
				path, strings.Join(simplePaths, ", "), attributePrefix, offer(captures))
		}
		t.parts = append(t.parts, part{path: path})
		rest = after
	}
	return t, nil
}

func offer(captures []string) string {
	if len(captures) == 0 {
		return " (this grant has none)"
	}
	return " (here: " + strings.Join(captures, ", ") + ")"
}

// literal gives the text of a template without paths.
func (t template) literal() (string, bool) {
	switch {
	case len(t.parts) == 0:
		return "", true
	case len(t.parts) == 1 && t.parts[0].path == "":
		return t.parts[0].text, true
	}
	return "", false
}

func (t template) uses(path string) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.path == path })
}

// values is where a template's paths get their values.
type values struct {
	id       *idp.Identity
	ask      *Ask
	captures []capture
}

type capture struct{ name, value string }

// lookup gives the one value of a path, or why there is none.
func (v values) lookup(path string) (value, missing string) {
	switch path {
	case "identity.id":
		value = v.id.StableID()
	case "identity.provider":
		value = v.id.Provider
	case "identity.subject":
		value = v.id.Subject
	case "identity.username":
		value = v.id.Username
	case "app":
		value = v.ask.App
	case "device":
		value = v.ask.Device
	default:
		if name, ok := strings.CutPrefix(path, attributePrefix); ok {
			got := v.id.Attributes[name]
			if len(got) > 1 {
				return "", fmt.Sprintf("%s has %d values where one is wanted", path, len(got))
			}
			if len(got) == 1 {
				value = got[0]
			}
			break
		}
		for _, c := range v.captures {
			if c.name == path {
				value = c.value
			}
		}
	}
	if value == "" {
		return "", path + " is missing"
	}
	return value, ""
}

// fit judges and encodes one value for the place where it stands.
type fit func(value string) (encoded, refused string)

// render fills in the values. A reason that is not "" withholds the grant.
func (t template) render(v values, fit fit) (text, reason string) {
	if text, ok := t.literal(); ok {
		return text, ""
	}
	var b strings.Builder
	for _, p := range t.parts {
		if p.path == "" {
			b.WriteString(p.text)
			continue
		}
		value, missing := v.lookup(p.path)
		if missing != "" {
			return "", missing
		}
		encoded, refused := fit(value)
		if refused != "" {
			return "", fmt.Sprintf("%s is %s, which %s", p.path, quoted(value), refused)
		}
		b.WriteString(encoded)
	}
	return b.String(), ""
}

// quoted bounds a value that somebody else chose.
func quoted(value string) string {
	const most = 80
	if len(value) > most {
		return fmt.Sprintf("%q...", value[:most])
	}
	return fmt.Sprintf("%q", value)
}

var arnValue = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]+$`)

// fitARN lets through what can stand in a name inside an ARN: a value can never
// add a segment, a path or a wildcard.
func fitARN(value string) (string, string) {
	if !arnValue.MatchString(value) {
		return "", "has a character that does not fit into an ARN (A-Z a-z 0-9 _+=,.@- only)"
	}
	return value, ""
}

// fitAny takes the value as it is; the whole is judged afterwards.
func fitAny(value string) (string, string) { return value, "" }

// fitPolicy escapes for a JSON string and refuses what IAM would read as a
// wildcard or a variable.
func fitPolicy(value string) (string, string) {
	if strings.ContainsAny(value, "*?$") {
		return "", "holds *, ? or $: a pattern inside a policy"
	}
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil { // a string always encodes
		return "", "cannot be written as JSON"
	}
	encoded := strings.TrimSuffix(b.String(), "\n")
	return encoded[1 : len(encoded)-1], ""
}
