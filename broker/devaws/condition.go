package devaws

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keys are condition keys and their values, by lower-case name. A key that is
// not there is absent.
type keys map[string][]string

// condition is one operator on one key.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
type condition struct {
	key      string // lower case
	values   []string
	test     test
	negated  bool // StringNotEquals and its like
	ifExists bool
	set      string // "", "forallvalues" or "foranyvalue"
	null     bool
}

// test compares a policy's value with a request's.
type test func(pattern, value string) bool

// operators holds the positive operators by lower-case name. Wildcards of a
// policy's value come in as the runes anyRun and anyOne, where they count.
var operators = map[string]test{
	"stringequals":             func(p, v string) bool { return literal(p) == v },
	"stringequalsignorecase":   func(p, v string) bool { return strings.EqualFold(literal(p), v) },
	"stringlike":               like,
	"arnequals":                arnLike,
	"arnlike":                  arnLike,
	"bool":                     func(p, v string) bool { return strings.EqualFold(p, v) },
	"numericequals":            numeric(func(p, v float64) bool { return v == p }),
	"numericlessthan":          numeric(func(p, v float64) bool { return v < p }),
	"numericlessthanequals":    numeric(func(p, v float64) bool { return v <= p }),
	"numericgreaterthan":       numeric(func(p, v float64) bool { return v > p }),
	"numericgreaterthanequals": numeric(func(p, v float64) bool { return v >= p }),
	"dateequals":               date(func(p, v time.Time) bool { return v.Equal(p) }),
	"datelessthan":             date(func(p, v time.Time) bool { return v.Before(p) }),
	"datelessthanequals":       date(func(p, v time.Time) bool { return !v.After(p) }),
	"dategreaterthan":          date(func(p, v time.Time) bool { return v.After(p) }),
	"dategreaterthanequals":    date(func(p, v time.Time) bool { return !v.Before(p) }),
	"ipaddress":                inBlock,
}

// negations maps an operator to the one it denies.
var negations = map[string]string{
	"stringnotequals": "stringequals", "stringnotequalsignorecase": "stringequalsignorecase", "stringnotlike": "stringlike",
	"arnnotequals": "arnequals", "arnnotlike": "arnlike", "numericnotequals": "numericequals",
	"datenotequals": "dateequals", "notipaddress": "ipaddress",
}

func parseConditions(raw map[string]map[string]values) ([]condition, error) {
	var conditions []condition
	for operator, entries := range raw {
		c, err := parseOperator(operator)
		if err != nil {
			return nil, err
		}
		for key, list := range entries {
			c := c
			c.key, c.values = strings.ToLower(key), list
			if len(list) == 0 {
				return nil, fmt.Errorf("condition %s on %s: no value", operator, key)
			}
			if err := checkValues(operator, c); err != nil {
				return nil, err
			}
			conditions = append(conditions, c)
		}
	}
	return conditions, nil
}

func parseOperator(operator string) (condition, error) {
	var c condition
	name := strings.ToLower(operator)
	if set, rest, ok := strings.Cut(name, ":"); ok {
		if set != "forallvalues" && set != "foranyvalue" {
			return c, fmt.Errorf("condition operator %q: want ForAllValues or ForAnyValue before the colon", operator)
		}
		c.set, name = set, rest
	}
	if name == "null" && c.set == "" {
		c.null = true
		return c, nil
	}
	name, c.ifExists = strings.CutSuffix(name, "ifexists")
	if positive, ok := negations[name]; ok {
		name, c.negated = positive, true
	}
	if c.test = operators[name]; c.test == nil {
		return c, fmt.Errorf("condition operator %q is not known here", operator)
	}
	return c, nil
}

// checkValues refuses values that the operator could never match.
func checkValues(operator string, c condition) error {
	name := strings.ToLower(operator)
	for _, v := range c.values {
		bad := false
		switch {
		case c.null || strings.Contains(name, "bool"):
			bad = !strings.EqualFold(v, "true") && !strings.EqualFold(v, "false") && !strings.Contains(v, "${")
		case strings.Contains(name, "numeric"):
			_, err := strconv.ParseFloat(v, 64)
			bad = err != nil
		case strings.Contains(name, "date"):
			_, ok := instant(v)
			bad = !ok
		case strings.Contains(name, "ipaddress"):
			_, ok := block(v)
			bad = !ok
		}
		if bad {
			return fmt.Errorf("condition %s on %s: the value %q is not of its kind", operator, c.key, v)
		}
	}
	return nil
}

func (c condition) holds(k keys) bool {
	got := k[c.key]
	if c.null {
		return slices.ContainsFunc(c.values, func(v string) bool { return strings.EqualFold(v, "true") == (len(got) == 0) })
	}
	if len(got) == 0 {
		return c.ifExists || c.set == "forallvalues" || c.negated && c.set == ""
	}
	one := func(value string) bool { return c.matches(k, value) }
	switch {
	case c.set == "forallvalues", c.set == "" && c.negated:
		return !slices.ContainsFunc(got, func(v string) bool { return !one(v) })
	default:
		return slices.ContainsFunc(got, one)
	}
}

// matches asks the operator about one value of the request: it must match one of
// the policy's values, or none of them where the operator is a negation.
func (c condition) matches(k keys, value string) bool {
	found := slices.ContainsFunc(c.values, func(raw string) bool {
		pattern, ok := expand(wild(raw), k)
		return ok && c.test(pattern, value)
	})
	return found != c.negated
}

// The wildcards * and ? of a policy's text, kept apart from those characters in
// values that a variable brings in.
const (
	anyRun = '\x00'
	anyOne = '\x01'
)

func wild(s string) string {
	return strings.NewReplacer("${*}", "*", "${?}", "?", "${$}", "$", "*", string(anyRun), "?", string(anyOne)).Replace(s)
}

// literal turns wildcards back into the characters they are.
func literal(s string) string {
	return strings.NewReplacer(string(anyRun), "*", string(anyOne), "?").Replace(s)
}

// expand puts the request's values in for ${key} and ${key, 'default'}. It is
// false where a variable has no single value.
func expand(s string, k keys) (string, bool) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "${")
		b.WriteString(before)
		if !ok {
			return b.String(), true
		}
		inside, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", false
		}
		name, fallback, hasDefault := strings.Cut(inside, ",")
		got := k[strings.ToLower(strings.TrimSpace(name))]
		switch {
		case len(got) == 1:
			b.WriteString(got[0])
		case len(got) == 0 && hasDefault:
			b.WriteString(strings.Trim(strings.TrimSpace(fallback), "'"))
		default:
			return "", false
		}
		s = after
	}
}

// like matches a pattern with anyRun and anyOne; it goes back to the last run only.
func like(pattern, s string) bool {
	p, v := []rune(pattern), []rune(s)
	i, j, star, mark := 0, 0, -1, 0
	for j < len(v) {
		switch {
		case i < len(p) && p[i] == anyRun:
			star, mark = i, j
			i++
		case i < len(p) && (p[i] == anyOne || p[i] == v[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i] == anyRun {
		i++
	}
	return i == len(p)
}

// arnLike matches ARNs part by part, so that a wildcard does not cross a colon
// before the resource.
func arnLike(pattern, s string) bool {
	p, v := strings.SplitN(pattern, ":", 6), strings.SplitN(s, ":", 6)
	if len(p) != 6 || len(v) != 6 {
		return false
	}
	for i := range p {
		if !like(p[i], v[i]) {
			return false
		}
	}
	return true
}

func numeric(compare func(p, v float64) bool) test {
	return func(pattern, value string) bool {
		p, errP := strconv.ParseFloat(pattern, 64)
		v, errV := strconv.ParseFloat(value, 64)
		return errP == nil && errV == nil && compare(p, v)
	}
}

func date(compare func(p, v time.Time) bool) test {
	return func(pattern, value string) bool {
		p, okP := instant(pattern)
		v, okV := instant(value)
		return okP && okV && compare(p, v)
	}
}

// instant reads RFC 3339, a date, or seconds since 1970.
func instant(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	seconds, err := strconv.ParseInt(s, 10, 64)
	return time.Unix(seconds, 0), err == nil
}

func inBlock(pattern, value string) bool {
	p, ok := block(pattern)
	v, err := netip.ParseAddr(value)
	return ok && err == nil && p.Contains(v.Unmap())
}

func block(s string) (netip.Prefix, bool) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}
