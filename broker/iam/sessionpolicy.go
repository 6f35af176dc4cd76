package iam

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// ErrNotNarrower marks a session policy that is not provably within the policy
// that a grant sets.
var ErrNotNarrower = errors.New("not provably within the policy of the role's grant")

// ErrBadPolicy marks text that is not a session policy.
var ErrBadPolicy = errors.New("not a session policy")

// statement is one statement of a policy. Members that narrowing does not read
// are kept as they are.
type statement struct {
	Sid         string          `json:"Sid,omitempty"`
	Effect      string          `json:"Effect"`
	Action      patterns        `json:"Action,omitempty"`
	NotAction   patterns        `json:"NotAction,omitempty"`
	Resource    patterns        `json:"Resource,omitempty"`
	NotResource patterns        `json:"NotResource,omitempty"`
	Condition   json.RawMessage `json:"Condition,omitempty"`
}

type document struct {
	Version   string      `json:"Version,omitempty"`
	ID        string      `json:"Id,omitempty"`
	Statement []statement `json:"Statement"`
}

// patterns is one text or a list of them.
type patterns []string

// UnmarshalJSON reads "x" and ["x", "y"].
func (p *patterns) UnmarshalJSON(data []byte) error {
	var one string
	if json.Unmarshal(data, &one) == nil {
		*p = patterns{one}
		return nil
	}
	var many []string
	if err := json.Unmarshal(data, &many); err != nil {
		return errors.New("want a text or a list of texts")
	}
	*p = many
	return nil
}

// CheckSessionPolicy refuses text that STS would refuse as a session policy, as
// far as its form goes.
func CheckSessionPolicy(text string) error {
	_, err := parsePolicy(text)
	return err
}

// Narrow joins a caller's session policy with the grant's, so that the result
// allows nothing that the grant's does not. STS joins session policies by OR,
// so the caller's cannot be sent beside the grant's: it takes its place.
//
//   - Without a policy of the grant the caller's is sent as it is: session
//     policies are intersected with the role's own.
//   - Otherwise each Allow of the caller must be contained in one Allow of the
//     grant, by the patterns of Action and Resource. That Allow's Condition is
//     added to it and the grant's Denies are appended.
//
// What cannot be proven is refused with ErrNotNarrower.
func Narrow(grant, caller string) (string, error) {
	asked, err := parsePolicy(caller)
	if err != nil {
		return "", err
	}
	var text string
	if grant == "" {
		text, err = compact(json.RawMessage(caller))
	} else {
		bound, bad := parsePolicy(grant)
		if bad != nil {
			return "", fmt.Errorf("the grant's own: %w", bad)
		}
		if asked, err = narrow(bound, asked); err == nil {
			text, err = compact(asked)
		}
	}
	if err != nil {
		return "", err
	}
	if n := utf8.RuneCountInString(text); n > MaxPolicy {
		return "", fmt.Errorf("%w: %d characters together with the grant's; AWS takes at most %d", ErrBadPolicy, n, MaxPolicy)
	}
	return text, nil
}

func compact(d any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(d); err != nil {
		return "", fmt.Errorf("%w: %w", ErrBadPolicy, err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// narrow judges a caller's policy against the grant's.
func narrow(bound, asked document) (document, error) {
	out := document{Version: bound.Version, ID: asked.ID}
	// The version says what ${...} means; under the older one it is plain text.
	if asked.Version != bound.Version && (holdsVariable(asked) || holdsVariable(bound)) {
		return document{}, fmt.Errorf("%w: it has Version %q where the grant's has %q", ErrNotNarrower, asked.Version, bound.Version)
	}
	for i, s := range asked.Statement {
		if s.Effect == "Deny" { // takes away only
			out.Statement = append(out.Statement, s)
			continue
		}
		within, err := containing(bound, s)
		if err != nil {
			return document{}, fmt.Errorf("statement %d: %w", i+1, err)
		}
		if s.Condition, err = bothConditions(within.Condition, s.Condition); err != nil {
			return document{}, fmt.Errorf("statement %d: %w", i+1, err)
		}
		out.Statement = append(out.Statement, s)
	}
	for _, s := range bound.Statement {
		if s.Effect == "Deny" {
			s.Sid = "" // a Sid must be unique, and the caller may have used it
			out.Statement = append(out.Statement, s)
		}
	}
	return out, nil
}

func holdsVariable(d document) bool {
	for _, s := range d.Statement {
		for _, list := range []patterns{s.Resource, s.NotResource} {
			if slices.ContainsFunc(list, func(p string) bool { return strings.Contains(p, "$") }) {
				return true
			}
		}
		if bytes.Contains(s.Condition, []byte("$")) {
			return true
		}
	}
	return false
}

// containing finds the Allow of the grant that holds all that s allows.
func containing(bound document, s statement) (statement, error) {
	if s.NotAction != nil || s.NotResource != nil {
		return statement{}, fmt.Errorf("%w: an Allow with NotAction or NotResource cannot be compared; list actions and resources", ErrNotNarrower)
	}
	for _, within := range bound.Statement {
		if within.Effect != "Allow" || within.NotAction != nil || within.NotResource != nil {
			continue
		}
		if allCovered(within.Action, s.Action, strings.ToLower) && allCovered(within.Resource, s.Resource, sameText) {
			return within, nil
		}
	}
	return statement{}, fmt.Errorf("%w: no one Allow of the grant holds its actions and resources", ErrNotNarrower)
}

func sameText(s string) string { return s }

// allCovered reports whether each narrow pattern lies within some wide one.
func allCovered(wide, narrow patterns, fold func(string) string) bool {
	for _, n := range narrow {
		if !slices.ContainsFunc(wide, func(w string) bool { return covers(fold(w), fold(n)) }) {
			return false
		}
	}
	return true
}

// covers reports whether every text that narrow matches is matched by wide. Both
// may hold * (any characters) and ? (one character). It is the match of wide
// against narrow read as text, in which a wildcard of narrow is matched by * of
// wide only, or ? by ?. That is sound, because * of wide matches whatever
// narrow's wildcard stands for; it may say no where yes is true, never the reverse.
//
// Two doubts are settled towards no. A policy variable ${...} stands for a text
// not known here: it is matched by the same variable or by *. And AWS documents
// that * crosses the colons of an ARN only at the end of a segment: so another *
// of wide matches neither a colon nor what may stand for one.
func covers(wide, narrow string) bool {
	w, n := tokens(wide), tokens(narrow)
	// reach[i] says that w[:i] matches the part of n read so far.
	reach := make([]bool, len(w)+1)
	reach[0] = true
	for i := 0; i < len(w) && w[i].text == "*"; i++ {
		reach[i+1] = true
	}
	for _, t := range n {
		next := make([]bool, len(w)+1)
		for i, pattern := range w {
			switch pattern.text {
			case "*":
				absorbed := (reach[i+1] || reach[i]) && (pattern.last || !t.mayHoldColon())
				next[i+1] = next[i] || absorbed
			case "?":
				next[i+1] = reach[i] && t.oneCharacter()
			default:
				next[i+1] = reach[i] && pattern.text == t.text
			}
		}
		reach = next
	}
	return reach[len(w)]
}

// token is one character of a pattern, or one variable. last says that it ends a
// segment of an ARN.
type token struct {
	text string
	last bool
}

func (t token) mayHoldColon() bool {
	return t.text == ":" || t.text == "*" && t.last || len(t.text) > 1 && t.text[0] == '$'
}

func (t token) oneCharacter() bool {
	return t.text != "*" && t.text != ":" && utf8.RuneCountInString(t.text) == 1
}

func tokens(pattern string) []token {
	var out []token
	for pattern != "" {
		_, size := utf8.DecodeRuneInString(pattern)
		if strings.HasPrefix(pattern, "${") {
			if end := strings.IndexByte(pattern, '}'); end > 0 {
				size = end + 1
			}
		}
		rest := pattern[size:]
		out = append(out, token{pattern[:size], rest == "" || rest[0] == ':'})
		pattern = rest
	}
	return out
}

// bothConditions joins two Condition blocks by AND. Operators are joined; where
// both use one operator on one key AND cannot be written, which is refused.
func bothConditions(bound, asked json.RawMessage) (json.RawMessage, error) {
	if len(bound) == 0 || len(asked) == 0 {
		return slices.Concat(bound, asked), nil
	}
	var a, b map[string]map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(bound, &a), json.Unmarshal(asked, &b)); err != nil {
		return nil, fmt.Errorf("%w: Condition: %w", ErrBadPolicy, err)
	}
	for operator, keys := range b {
		// AWS reads operators and keys without regard to case.
		into := a[operator]
		for other, theirs := range a {
			if strings.EqualFold(other, operator) {
				operator, into = other, theirs
			}
		}
		if into == nil {
			a[operator] = keys
			continue
		}
		for key, value := range keys {
			for has := range into {
				if strings.EqualFold(has, key) {
					return nil, fmt.Errorf("%w: the grant has a Condition %s on %s already", ErrNotNarrower, operator, has)
				}
			}
			into[key] = value
		}
	}
	joined, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("%w: Condition: %w", ErrBadPolicy, err)
	}
	return joined, nil
}

// parsePolicy reads a policy document strictly: a member that is unknown, given
// twice or spelt in other case is refused, because AWS might read it otherwise.
func parsePolicy(text string) (document, error) {
	bad := func(why string) (document, error) { return document{}, fmt.Errorf("%w: %s", ErrBadPolicy, why) }
	if len(text) > 4*MaxPolicy {
		return bad(fmt.Sprintf("%d bytes; AWS takes at most %d characters", len(text), MaxPolicy))
	}
	if !utf8.ValidString(text) {
		return bad("it is not UTF-8")
	}
	if err := checkMembers(text); err != nil {
		return bad(err.Error())
	}
	d, err := decodeDocument(text)
	if err != nil {
		return bad(err.Error())
	}
	if d.Version != "2012-10-17" && d.Version != "2008-10-17" && d.Version != "" {
		return bad(fmt.Sprintf("Version %q is none of 2012-10-17, 2008-10-17", d.Version))
	}
	if len(d.Statement) == 0 {
		return bad("it has no Statement")
	}
	for i, s := range d.Statement {
		if why := s.fault(); why != "" {
			return bad(fmt.Sprintf("statement %d %s", i+1, why))
		}
	}
	return d, nil
}

// decodeDocument takes Statement as one object or a list.
func decodeDocument(text string) (document, error) {
	var raw struct {
		Version   string
		ID        string `json:"Id"`
		Statement json.RawMessage
	}
	if err := strict(text, &raw); err != nil {
		return document{}, err
	}
	d := document{Version: raw.Version, ID: raw.ID}
	if bytes.HasPrefix(bytes.TrimSpace(raw.Statement), []byte("{")) {
		raw.Statement = slices.Concat([]byte("["), raw.Statement, []byte("]"))
	}
	if len(raw.Statement) == 0 {
		return d, nil
	}
	return d, strict(string(raw.Statement), &d.Statement)
}

func strict(text string, into any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok { // its own text names types of Go
		if wrong.Field == "" {
			return fmt.Errorf("a %s stands where an object belongs", wrong.Value)
		}
		return fmt.Errorf("%s must not be a %s", wrong.Field, wrong.Value)
	}
	if err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

func (s statement) fault() string {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return "has an Effect that is neither Allow nor Deny"
	case (len(s.Action) == 0) == (len(s.NotAction) == 0):
		return "wants exactly one of Action and NotAction"
	case (len(s.Resource) == 0) == (len(s.NotResource) == 0):
		return "wants exactly one of Resource and NotResource"
	}
	if len(s.Condition) > 0 {
		var c map[string]map[string]conditionValue
		if err := json.Unmarshal(s.Condition, &c); err != nil || c == nil {
			return "has a Condition that is not operator: {key: values}"
		}
	}
	return ""
}

// conditionValue is a text, number or boolean, or a list of them.
type conditionValue struct{}

// UnmarshalJSON judges the form only.
func (conditionValue) UnmarshalJSON(data []byte) error {
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return err
	}
	many, ok := v.([]any)
	if !ok {
		many = []any{v}
	}
	for _, one := range many {
		switch one.(type) {
		case string, float64, bool:
		default:
			return errors.New("a condition's value is a text, a number or a boolean")
		}
	}
	return nil
}

// members are the names that a policy document may use outside Condition. The
// JSON decoder would take them in any case; AWS does not.
var members = []string{
	"Version", "Id", "Statement", "Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition",
}

// checkMembers walks the document for members given twice, at any depth, and for
// misspelt ones above Condition.
func checkMembers(text string) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	return walk(decoder, 0, true)
}

const maxDepth = 8

func walk(decoder *json.Decoder, depth int, named bool) error {
	if depth > maxDepth {
		return errors.New("it is nested too deeply")
	}
	token, err := decoder.Token()
	if err != nil {
		return err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for decoder.More() {
		inner := named
		if delim == '{' {
			key, err := decoder.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if seen[strings.ToLower(name)] {
				return fmt.Errorf("the member %q is given twice", name)
			}
			seen[strings.ToLower(name)] = true
			if named && !slices.Contains(members, name) {
				return fmt.Errorf("the member %q is not known; want one of %s", name, strings.Join(members, ", "))
			}
			inner = named && name != "Condition"
		}
		if err := walk(decoder, depth+1, inner); err != nil {
			return err
		}
	}
	_, err = decoder.Token()
	return err
}
