package iam

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// This file judges Narrow by an evaluator of policies that was written for it, from
// AWS's description of the evaluation and without any code of this package: whatever
// Narrow lets through allows no request that the grant's policy does not allow, nor
// one that the caller's own does not.

// asking is one request to AWS.
type asking struct {
	action, resource string
	keys             map[string][]string
}

// evaluated is what a policy says of a request: a deny wins, and silence is no.
// segments is AWS's narrower reading of * in ARNs.
func evaluated(policy any, r asking, segments bool) bool {
	allowed := false
	root, _ := policy.(map[string]any)
	for _, raw := range listOf(root["Statement"]) {
		s, _ := raw.(map[string]any)
		if !applies(s, r, segments, root["Version"] == "2012-10-17") {
			continue
		}
		if s["Effect"] == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

func listOf(v any) []any {
	if many, ok := v.([]any); ok {
		return many
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

func applies(s map[string]any, r asking, segments, variables bool) bool {
	action := func(p any) bool { return globs(strings.ToLower(fmt.Sprint(p)), strings.ToLower(r.action), false) }
	resource := func(p any) bool {
		text := fmt.Sprint(p)
		if variables {
			var ok bool
			if text, ok = filled(text, r.keys); !ok {
				return false
			}
		}
		return globs(text, r.resource, segments)
	}
	for member, holds := range map[string]bool{
		"Action":      slices.ContainsFunc(listOf(s["Action"]), action),
		"NotAction":   !slices.ContainsFunc(listOf(s["NotAction"]), action),
		"Resource":    slices.ContainsFunc(listOf(s["Resource"]), resource),
		"NotResource": !slices.ContainsFunc(listOf(s["NotResource"]), resource),
	} {
		if _, there := s[member]; there && !holds {
			return false
		}
	}
	conditions, _ := s["Condition"].(map[string]any)
	for operator, keys := range conditions {
		for key, values := range keys.(map[string]any) {
			if !held(strings.ToLower(operator), r.keys[strings.ToLower(key)], listOf(values)) {
				return false
			}
		}
	}
	return true
}

var variable = regexp.MustCompile(`\$\{([^}]*)\}`)

// filled puts in the request's values; what they hold is text, not a pattern.
func filled(text string, keys map[string][]string) (string, bool) {
	ok := true
	out := variable.ReplaceAllStringFunc(text, func(v string) string {
		got := keys[strings.ToLower(v[2:len(v)-1])]
		if len(got) != 1 {
			ok = false
			return ""
		}
		return got[0]
	})
	return out, ok
}

var compiled sync.Map // of a pattern and its reading

func globs(pattern, text string, segments bool) bool {
	key := fmt.Sprint(segments, pattern)
	re, ok := compiled.Load(key)
	if !ok {
		re, _ = compiled.LoadOrStore(key, meaning(pattern, segments))
	}
	return re.(*regexp.Regexp).MatchString(text)
}

// held is one operator on one key.
func held(operator string, got []string, values []any) bool {
	set, rest, isSet := strings.Cut(operator, ":")
	if isSet {
		operator = rest
	}
	operator, optional := strings.CutSuffix(operator, "ifexists")
	one := func(value string) bool {
		return slices.ContainsFunc(values, func(v any) bool {
			switch operator {
			case "stringlike":
				return globs(fmt.Sprint(v), value, false)
			default: // stringequals, bool, stringnotequals
				return strings.EqualFold(fmt.Sprint(v), value) && (operator == "bool" || fmt.Sprint(v) == value)
			}
		})
	}
	not := operator == "stringnotequals"
	switch {
	case len(got) == 0:
		return optional || set == "forallvalues" || not
	case set == "forallvalues":
		return !slices.ContainsFunc(got, func(v string) bool { return !one(v) })
	case not:
		return !slices.ContainsFunc(got, one)
	}
	return slices.ContainsFunc(got, one)
}

// maker makes policies and requests at random, from few words, so that they meet.
type maker struct{ *rand.Rand }

func pick[T any](m maker, from ...T) T { return from[m.IntN(len(from))] }

func (m maker) pattern() string {
	var b strings.Builder
	for range 1 + m.IntN(5) {
		b.WriteString(pick(m, "a", "a", "b", ":", "*", "?", "/", "${aws:username}", "${s3:prefix}"))
	}
	return b.String()
}

func (m maker) action() string {
	return pick(m, "s3:", "S3:", "iam:", "") + pick(m, "GetObject", "getobject", "Get*", "*", "PutObject", "G?tObject", "*Object", "Get*Acl")
}

func (m maker) several(one func() string) any {
	if m.IntN(2) == 0 {
		return one()
	}
	list := []any{one()}
	for range m.IntN(3) {
		list = append(list, one())
	}
	return list
}

func (m maker) condition() map[string]any {
	out := map[string]any{}
	for range 1 + m.IntN(2) {
		operator := pick(m, "StringEquals", "stringequals", "StringNotEquals", "StringLike", "StringEqualsIfExists", "ForAllValues:StringEquals", "ForAnyValue:StringLike", "Bool")
		value := m.several(func() string { return pick(m, "a", "b", "a*", "true") })
		out[operator] = map[string]any{pick(m, "aws:username", "AWS:UserName", "s3:prefix", "aws:SecureTransport"): value}
	}
	return out
}

func (m maker) policy(first any) map[string]any {
	var statements []any
	for range 1 + m.IntN(3) {
		s := map[string]any{"Effect": pick(m, "Allow", "Allow", "Allow", "Deny"), "Action": m.several(m.action), "Resource": m.several(m.pattern)}
		if m.IntN(12) == 0 {
			delete(s, "Resource")
			s["NotResource"] = m.pattern()
		}
		if m.IntN(12) == 0 {
			delete(s, "Action")
			s["NotAction"] = m.action()
		}
		if m.IntN(2) == 0 {
			s["Condition"] = m.condition()
		}
		statements = append(statements, s)
	}
	if first != nil { // what asks for something of the other policy, or nearly
		statements[0] = m.near(first)
	}
	p := map[string]any{"Statement": statements}
	if v := pick(m, "2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17", ""); v != "" {
		p["Version"] = v
	}
	return p
}

// near is a statement like one of the grant, with some of it put in the place of its
// wildcards.
func (m maker) near(grant any) map[string]any {
	statements := listOf(grant.(map[string]any)["Statement"])
	from, _ := statements[m.IntN(len(statements))].(map[string]any)
	s := map[string]any{"Effect": "Allow"}
	for _, member := range []string{"Action", "Resource", "NotAction", "NotResource"} {
		if values := listOf(from[member]); len(values) > 0 {
			text := fmt.Sprint(values[m.IntN(len(values))])
			if m.IntN(3) > 0 {
				text = strings.Replace(text, "*", pick(m, "a", "ab", "*a", "a:b", "?", "${aws:username}", ""), 1)
			}
			if m.IntN(4) == 0 {
				text = strings.Replace(text, "?", pick(m, "a", ":", "*", "?"), 1)
			}
			s[member] = text
		}
	}
	if m.IntN(2) == 0 {
		s["Condition"] = m.condition()
	}
	return s
}

// request is one that a statement of the policy is about, more often than not.
func (m maker) request(about any) asking {
	r := asking{action: pick(m, "s3:GetObject", "s3:PutObject", "s3:GetObjectAcl", "iam:GetObject", "s3:G:tObject"), keys: map[string][]string{}}
	some := func() (text string) {
		for range m.IntN(4) {
			text += pick(m, "a", "a", "b", ":", "/", "*", "$")
		}
		return text
	}
	for _, key := range []string{"aws:username", "s3:prefix", "aws:securetransport"} {
		for range pick(m, 0, 1, 1, 2) {
			r.keys[key] = append(r.keys[key], pick(m, "a", "b", "ab", "true", "false", "a:b", "*"))
		}
	}
	statements := listOf(about.(map[string]any)["Statement"])
	s, _ := statements[m.IntN(len(statements))].(map[string]any)
	resources := listOf(s["Resource"])
	if len(resources) == 0 || m.IntN(4) == 0 {
		r.resource = some() + some()
		return r
	}
	for _, c := range variable.ReplaceAllStringFunc(fmt.Sprint(resources[m.IntN(len(resources))]), func(v string) string {
		return strings.Join(r.keys[v[2:len(v)-1]], "")
	}) {
		switch c {
		case '*':
			r.resource += some()
		case '?':
			r.resource += pick(m, "a", "b", ":")
		default:
			r.resource += string(c)
		}
	}
	return r
}

func TestWhatNarrowLetsThroughAllowsNothingNew(t *testing.T) {
	t.Parallel()
	const pairs, requests, least = 4000, 40, 300
	m := maker{rand.New(rand.NewPCG(2026, 11))}
	accepted, met := 0, 0
	for range pairs {
		grant := m.policy(nil)
		caller := m.policy(grant)
		got, err := Narrow(encoded(t, grant), encoded(t, caller))
		if err != nil {
			continue
		}
		accepted++
		var joined any
		original, own := decoded(t, grant), decoded(t, caller)
		if err := json.Unmarshal([]byte(got), &joined); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		for range requests {
			r := m.request(joined)
			for _, segments := range []bool{false, true} {
				if !evaluated(joined, r, segments) {
					continue
				}
				met++
				if !evaluated(original, r, segments) || !evaluated(own, r, segments) {
					t.Fatalf("%+v (by segments: %t) is allowed by\n%s\nwhere the grant has\n%s\nand the caller\n%s", r, segments, got, encoded(t, grant), encoded(t, caller))
				}
			}
		}
	}
	if accepted < least || met < least {
		t.Errorf("only %d of %d were accepted, and allowed %d requests: the test proves nothing", accepted, pairs, met)
	}
}

func encoded(t *testing.T, policy any) string {
	t.Helper()
	text, err := json.Marshal(policy)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// decoded is a policy as whoever reads its text sees it.
func decoded(t *testing.T, policy any) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(encoded(t, policy)), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
