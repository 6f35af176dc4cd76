package oidc

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// claimPath is where a value stands among the claims: the name of a claim, letter
// by letter (cognito:groups, https://example.com/groups, a.b), or, where the text
// begins with a slash, a path through objects (RFC 6901): /realm_access/roles. What
// begins with a slash is always a path, so that a name is never taken for one; the
// claim "/a" is written /~1a. The zero value is no path.
type claimPath []string

// dotted is how other software writes a path; here it would be one name.
var dotted = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$`)

func readPath(text config.Text, key string, faults, warnings *config.Faults) claimPath {
	switch {
	case text.Value == "":
		return nil
	case text.Value[0] != '/':
		if dotted.MatchString(text.Value) {
			warnings.Add(text.Pos, "%s: %q is one claim with dots in its name; a claim inside an object is written /%s", key, text.Value, strings.ReplaceAll(text.Value, ".", "/"))
		}
		return claimPath{text.Value}
	}
	steps := strings.Split(text.Value[1:], "/")
	for i, step := range steps {
		rest := strings.NewReplacer("~0", "", "~1", "").Replace(step)
		if step == "" || strings.Contains(rest, "~") {
			faults.Add(text.Pos, "%s: %q is no path: want /NAME/NAME, with ~1 for a slash in a name and ~0 for ~", key, text.Value)
			return nil
		}
		steps[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	}
	return steps
}

// attribute is the name under which the value is handed on; that of a nested one
// is no name of a claim that readPath gives.
func (c claimPath) attribute() string {
	if len(c) < 2 {
		return strings.Join(c, "")
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	var b strings.Builder
	for _, step := range c {
		b.WriteString("/" + escape.Replace(step))
	}
	return b.String()
}

func (c claimPath) last() string {
	if len(c) == 0 {
		return ""
	}
	return c[len(c)-1]
}

// beside is the path to another member of the same object.
func (c claimPath) beside(name string) claimPath {
	return append(slices.Clone(c[:len(c)-1]), name)
}

// find gives the value; null is as good as absent. What stands in the way and is
// no object is refused: nobody may have no groups because they cannot be read.
func (c claimPath) find(claims object) (value, bool, error) {
	var v value
	for i, step := range c {
		if i > 0 {
			claims = v.object()
		}
		if i > 0 && v.kind != kindObject {
			return value{}, false, idp.Reject("malformed", "the claim %q is no object, so %q cannot be read", claimPath(c[:i]).attribute(), c.attribute())
		}
		var there bool
		if v, there = claims.get(step); !there || v.kind == kindNull {
			return value{}, false, nil
		}
	}
	return v, len(c) > 0, nil
}

// scalar lists the value or values at a path; nil where there are none.
func (c claimPath) scalars(claims object) ([]string, error) {
	v, there, err := c.find(claims)
	if err != nil || !there {
		return nil, err
	}
	switch v.kind {
	case kindText, kindNumber, kindBool:
		return []string{v.text}, nil
	case kindList:
		if values, ok := v.scalars(); ok {
			return values, nil
		}
	}
	return nil, idp.Reject("malformed", "the claim %q holds no text, number, boolean or list of these", c.attribute())
}
