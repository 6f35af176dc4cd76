package stswire

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rolecall/rolecall/broker/iam"
)

// AssumeRole is the operation of that name; its fields are within STS's limits.
type AssumeRole struct {
	RoleARN           string
	RoleSessionName   string
	ExternalID        string
	SourceIdentity    string
	DurationSeconds   int
	Policy            string
	PolicyARNs        []string
	Tags              []iam.Tag
	TransitiveTagKeys []string
	SerialNumber      string
	TokenCode         string
}

const defaultSeconds = 3600

// shape is what STS's service model says of a member.
type shape struct {
	least, most int // characters
	pattern     string
	re          *regexp.Regexp
}

func model(least, most int, pattern, goPattern string) shape {
	return shape{least, most, pattern, regexp.MustCompile(`^(?:` + goPattern + `)$`)}
}

var (
	arnShape = model(20, 2048,
		`[\u0009\u000A\u000D\u0020-\u007E\u0085\u00A0-\uD7FF\uE000-\uFFFD\u10000-\u10FFFF]+`,
		`[\x09\x0A\x0D\x20-\x7E\x{85}\x{A0}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]+`)
	nameShape       = model(2, 64, `[\w+=,.@-]*`, `[\w+=,.@-]*`)
	externalIDShape = model(2, 1224, `[\w+=,.@:\/-]*`, `[\w+=,.@:/-]*`)
	policyShape     = model(1, 2048, `[\u0009\u000A\u000D\u0020-\u00FF]+`, `[\x09\x0A\x0D\x20-\x{FF}]+`)
	tagKeyShape     = model(1, 128, `[\p{L}\p{Z}\p{N}_.:/=+\-@]+`, `[\p{L}\p{Z}\p{N}_.:/=+\-@]+`)
	tagValueShape   = model(0, 256, `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`)
	serialShape     = model(9, 256, `[\w+=/:,.@-]*`, `[\w+=/:,.@-]*`)
	tokenCodeShape  = model(6, 6, `[\d]*`, `[0-9]*`)
)

const maxPolicyARNs = 10

// AssumeRole reads the operation. Every member out of its limits is named in one
// ValidationError, as STS does.
func (c *Call) AssumeRole() (AssumeRole, error) {
	var v validation
	op := AssumeRole{
		RoleARN:         v.required(c.params, "RoleArn", arnShape),
		RoleSessionName: v.required(c.params, "RoleSessionName", nameShape),
		ExternalID:      v.optional(c.params, "ExternalId", externalIDShape),
		SourceIdentity:  v.optional(c.params, "SourceIdentity", nameShape),
		Policy:          v.optional(c.params, "Policy", policyShape),
		SerialNumber:    v.optional(c.params, "SerialNumber", serialShape),
		TokenCode:       v.optional(c.params, "TokenCode", tokenCodeShape),
	}
	var err error
	if op.DurationSeconds, err = v.seconds(c.params, roleSeconds); err != nil {
		return AssumeRole{}, err
	}
	if op.PolicyARNs, err = v.list(c.params, "PolicyArns", ".arn", maxPolicyARNs, arnShape); err != nil {
		return AssumeRole{}, err
	}
	if op.TransitiveTagKeys, err = v.list(c.params, "TransitiveTagKeys", "", iam.MaxTags, tagKeyShape); err != nil {
		return AssumeRole{}, err
	}
	if op.Tags, err = v.tags(c.params); err != nil {
		return AssumeRole{}, err
	}
	if err := v.fault(); err != nil {
		return AssumeRole{}, err
	}
	return op, checkTags(op.Tags)
}

// checkTags holds what the model does not say.
func checkTags(tags []iam.Tag) error {
	seen := map[string]bool{}
	for _, t := range tags {
		key := strings.ToLower(t.Key)
		if strings.HasPrefix(key, "aws:") {
			return Fail("ValidationError", "Tag keys must not start with the reserved prefix aws:")
		}
		if seen[key] {
			return Fail("ValidationError", "Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		}
		seen[key] = true
	}
	return nil
}

// validation collects the members that break their constraints.
type validation struct{ broken []string }

func (v *validation) add(value, at, rule string) {
	if value != "" {
		value += " "
	}
	v.broken = append(v.broken, fmt.Sprintf("Value %sat '%s' failed to satisfy constraint: %s", value, at, rule))
}

func (v *validation) fault() error {
	switch len(v.broken) {
	case 0:
		return nil
	case 1:
		return Fail("ValidationError", "1 validation error detected: "+v.broken[0])
	}
	return Fail("ValidationError", fmt.Sprintf("%d validation errors detected: %s", len(v.broken), strings.Join(v.broken, "; ")))
}

func (v *validation) required(p params, name string, s shape) string {
	value, ok := p[name]
	if !ok {
		v.add("null", member(name), "Member must not be null")
		return ""
	}
	return v.check(value, member(name), s)
}

func (v *validation) optional(p params, name string, s shape) string {
	value, ok := p[name]
	if !ok {
		return ""
	}
	return v.check(value, member(name), s)
}

func (v *validation) check(value, at string, s shape) string {
	shown, size := "'"+clip(value)+"'", utf8.RuneCountInString(value)
	if size > s.most {
		v.add(shown, at, "Member must have length less than or equal to "+strconv.Itoa(s.most))
		return value
	}
	if size < s.least {
		v.add(shown, at, "Member must have length greater than or equal to "+strconv.Itoa(s.least))
	}
	if !s.re.MatchString(value) {
		v.add(shown, at, "Member must satisfy regular expression pattern: "+s.pattern)
	}
	return value
}

// span bounds DurationSeconds.
type span struct{ least, most, otherwise int }

func (v *validation) seconds(p params, s span) (int, error) {
	text, ok := p["DurationSeconds"]
	if !ok {
		return s.otherwise, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0, Fail("MalformedInput", "")
	}
	shown := "'" + strconv.FormatInt(n, 10) + "'"
	if int(n) < s.least {
		v.add(shown, "durationSeconds", fmt.Sprintf("Member must have value greater than or equal to %d", s.least))
	}
	if int(n) > s.most {
		v.add(shown, "durationSeconds", fmt.Sprintf("Member must have value less than or equal to %d", s.most))
	}
	return int(n), nil
}

// list reads NAME.member.N+suffix.
func (v *validation) list(p params, name, suffix string, most int, s shape) ([]string, error) {
	indexes, err := p.indexes(name)
	if err != nil || !v.count(name, len(indexes), most) {
		return nil, err
	}
	var values []string
	for i, n := range indexes {
		at := fmt.Sprintf("%s.%d.member", member(name), i+1)
		if suffix != "" {
			at += suffix
		}
		values = append(values, v.required(p.as(fmt.Sprintf("%s.member.%d%s", name, n, suffix), at), at, s))
	}
	return values, nil
}

// tags reads Tags.member.N.Key and .Value; both must be there, though a value may be empty.
func (v *validation) tags(p params) ([]iam.Tag, error) {
	indexes, err := p.indexes("Tags")
	if err != nil || !v.count("Tags", len(indexes), iam.MaxTags) {
		return nil, err
	}
	var tags []iam.Tag
	for i, n := range indexes {
		from, at := fmt.Sprintf("Tags.member.%d", n), fmt.Sprintf("tags.%d.member", i+1)
		tags = append(tags, iam.Tag{
			Key:   v.required(p.as(from+".Key", at+".key"), at+".key", tagKeyShape),
			Value: v.required(p.as(from+".Value", at+".value"), at+".value", tagValueShape),
		})
	}
	return tags, nil
}

func (v *validation) count(name string, n, most int) bool {
	if n <= most {
		return true
	}
	v.add("", member(name), "Member must have length less than or equal to "+strconv.Itoa(most))
	return false
}

// as gives one parameter under the name that messages show.
func (p params) as(name, shown string) params {
	if value, ok := p[name]; ok {
		return params{shown: value}
	}
	return nil
}

// indexes are the numbers N of NAME.member.N, in rising order. A number that is
// not plain is an error: what a caller listed is never dropped in silence.
func (p params) indexes(name string) ([]int, error) {
	var indexes []int
	for param := range p {
		rest, ok := strings.CutPrefix(param, name+".member.")
		if !ok {
			continue
		}
		digits, _, _ := strings.Cut(rest, ".")
		n, err := strconv.Atoi(digits)
		if err != nil || n < 1 || n > maxParameters || strconv.Itoa(n) != digits {
			return nil, Fail("MalformedInput", "")
		}
		indexes = append(indexes, n)
	}
	slices.Sort(indexes)
	return slices.Compact(indexes), nil
}

// member is a parameter's name as messages show it.
func member(name string) string { return strings.ToLower(name[:1]) + name[1:] }
