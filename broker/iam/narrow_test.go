package iam

import (
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"
)

// words are all texts of the letters, up to a length.
func words(letters string, most int) []string {
	all, last := []string{""}, []string{""}
	for range most {
		var next []string
		for _, w := range last {
			for _, c := range letters {
				next = append(next, w+string(c))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

// meaning is a pattern as a regular expression. AWS documents for ARNs that *
// stays within a segment unless it ends one; elsewhere it matches anything.
func meaning(pattern string, segments bool) *regexp.Regexp {
	var b strings.Builder
	for i, c := range pattern {
		last := i+1 == len(pattern) || pattern[i+1] == ':'
		switch {
		case c == '*' && (!segments || last):
			b.WriteString(".*")
		case c == '*':
			b.WriteString("[^:]*")
		case c == '?' && segments:
			b.WriteString("[^:]")
		case c == '?':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return regexp.MustCompile("^(?:" + b.String() + ")$")
}

func TestAPatternNeverCoversWhatItDoesNotMatch(t *testing.T) {
	t.Parallel()
	patterns, texts := words("a:*?", 4), words("ab:", 5)
	for _, segments := range []bool{false, true} {
		matched := make([]*big.Int, len(patterns))
		for i, p := range patterns {
			re, set := meaning(p, segments), new(big.Int)
			for j, text := range texts {
				if re.MatchString(text) {
					set.SetBit(set, j, 1)
				}
			}
			matched[i] = set
		}
		covered := 0
		for i, wide := range patterns {
			for j, narrow := range patterns {
				if !covers(wide, narrow) {
					continue
				}
				covered++
				if new(big.Int).AndNot(matched[j], matched[i]).Sign() != 0 {
					t.Errorf("%q is said to cover %q (by segments: %t)", wide, narrow, segments)
				}
			}
		}
		if covered < len(patterns) {
			t.Errorf("only %d pairs are covered; each pattern should cover itself", covered)
		}
	}
}

const within = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Action":["s3:Get*","s3:List*"],"Resource":"arn:aws:s3:::team-a/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},
	{"Effect":"Deny","Action":"s3:GetObjectAcl","Resource":"*"}]}`

func allowing(inside string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow",` + inside + `}]}`
}

func TestACallersPolicyNeverWidensTheGrants(t *testing.T) {
	t.Parallel()
	for name, caller := range map[string]string{
		"everything":                        allowing(`"Action":"*","Resource":"*"`),
		"another action":                    allowing(`"Action":"s3:PutObject","Resource":"arn:aws:s3:::team-a/x"`),
		"a wider action":                    allowing(`"Action":"s3:*","Resource":"arn:aws:s3:::team-a/x"`),
		"a shorter action":                  allowing(`"Action":"s3:Ge*","Resource":"arn:aws:s3:::team-a/x"`),
		"one good action and one bad":       allowing(`"Action":["s3:GetObject","iam:PassRole"],"Resource":"arn:aws:s3:::team-a/x"`),
		"another bucket":                    allowing(`"Action":"s3:GetObject","Resource":"arn:aws:s3:::team-b/x"`),
		"a bucket that begins alike":        allowing(`"Action":"s3:GetObject","Resource":"arn:aws:s3:::team-ab/x"`),
		"the bucket itself":                 allowing(`"Action":"s3:GetObject","Resource":"arn:aws:s3:::team-a"`),
		"one good resource and one bad":     allowing(`"Action":"s3:GetObject","Resource":["arn:aws:s3:::team-a/x","*"]`),
		"a wildcard where the grant is set": allowing(`"Action":"s3:GetObject","Resource":"arn:aws:s3:::team-?/*"`),
		"NotAction":                         allowing(`"NotAction":"iam:*","Resource":"arn:aws:s3:::team-a/x"`),
		"NotResource":                       allowing(`"Action":"s3:GetObject","NotResource":"arn:aws:s3:::team-b/x"`),
		"the grant's condition turned":      allowing(`"Action":"s3:GetObject","Resource":"arn:aws:s3:::team-a/x","Condition":{"bool":{"AWS:securetransport":"false"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := Narrow(within, caller); !errors.Is(err, ErrNotNarrower) || got != "" {
				t.Errorf("%s, %v", got, err)
			}
		})
	}
}

func TestANarrowerPolicyKeepsTheGrantsConditionAndDenies(t *testing.T) {
	t.Parallel()
	got, err := Narrow(within, allowing(`"Action":"S3:getobject","Resource":"arn:aws:s3:::team-a/*/x?"`))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"Bool":{"aws:SecureTransport":"true"}`, `"Effect":"Deny","Action":["s3:GetObjectAcl"],"Resource":["*"]`, `"S3:getobject"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s lacks %s", got, want)
		}
	}
	if strings.Contains(got, "s3:List") {
		t.Errorf("%s holds what was not asked for", got)
	}
	if err := CheckSessionPolicy(got); err != nil {
		t.Error(err)
	}
}

func TestWithoutAPolicyOfTheGrantTheCallersIsSent(t *testing.T) {
	t.Parallel()
	if got, err := Narrow("", ` {"Version": "2012-10-17", "Statement": {"Effect":"Allow","Action":"*","Resource":"*"} } `); err != nil ||
		got != `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}` {
		t.Errorf("%s %v", got, err)
	}
}

func TestTextThatTwoReadersCouldReadDifferentlyIsNoPolicy(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"nothing":                    ``,
		"a list":                     `[]`,
		"no statement":               `{"Version":"2012-10-17"}`,
		"an effect twice":            `{"Statement":{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}}`,
		"an effect in two spellings": `{"Statement":{"Effect":"Deny","effect":"Allow","Action":"*","Resource":"*"}}`,
		"a member in lower case":     `{"Statement":{"effect":"Allow","Action":"*","Resource":"*"}}`,
		"an unknown member":          `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}}`,
		"a condition key twice":      `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{"a":"true","a":"false"}}}}`,
		"a second document":          `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}{}`,
		"a NUL in a name":            "{\"Statement\x00\":{}}",
		"broken UTF-8":               "{\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"*\",\"Resource\":\"\xff\"}}",
		"endless nesting":            `{"Statement":{"Condition":` + strings.Repeat(`{"a":`, 5000),
		"a megabyte":                 `{"Statement":"` + strings.Repeat("a", 1<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := CheckSessionPolicy(text); !errors.Is(err, ErrBadPolicy) || len(err.Error()) > 1024 {
				t.Error(err)
			}
		})
	}
}
