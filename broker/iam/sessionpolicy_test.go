package iam

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// stmt writes one statement.
func stmt(effect, action, resource string, more ...string) string {
	return `{"Effect":"` + effect + `","Action":` + action + `,"Resource":` + resource + strings.Join(more, "") + `}`
}

func doc(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

const bucket = `"arn:aws:s3:::data/*"`

var readData = doc(stmt("Allow", `["s3:Get*","s3:ListBucket"]`, bucket))

func TestOnlyWhatIsProvablyNarrowerIsJoined(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		grant, caller string
		want          bool
	}{
		{"the same", readData, readData, true},
		{"fewer actions", readData, doc(stmt("Allow", `"s3:GetObject"`, bucket)), true},
		{"a narrower pattern of actions", readData, doc(stmt("Allow", `"s3:GetObject*"`, bucket)), true},
		{"actions are compared without case", readData, doc(stmt("Allow", `"S3:getobject"`, bucket)), true},
		{"a narrower resource", readData, doc(stmt("Allow", `"s3:GetObject"`, `"arn:aws:s3:::data/a/?*"`)), true},
		{"one object instead of a list", readData, `{"Version":"2012-10-17","Statement":` + stmt("Allow", `"s3:GetObject"`, bucket) + `}`, true},
		{"only a deny", readData, doc(stmt("Deny", `"*"`, `"*"`)), true},
		{"a deny with NotAction takes away only", readData, doc(`{"Effect":"Deny","NotAction":"s3:GetObject","Resource":"*"}`), true},

		{"all actions", readData, doc(stmt("Allow", `"*"`, bucket)), false},
		{"all actions of the service", readData, doc(stmt("Allow", `"s3:*"`, bucket)), false},
		{"one action more in the list", readData, doc(stmt("Allow", `["s3:GetObject","s3:PutObject"]`, bucket)), false},
		{"a star before the verb", readData, doc(stmt("Allow", `"s3:*GetObject"`, bucket)), false},
		{"a star in the service", readData, doc(stmt("Allow", `"s*:GetObject"`, bucket)), false},
		{"a question mark for a letter of the verb", readData, doc(stmt("Allow", `"s3:?etObject"`, bucket)), false},
		{"an escaped star", readData, doc(stmt("Allow", `"s3:\u002a"`, bucket)), false},
		{"all resources", readData, doc(stmt("Allow", `"s3:GetObject"`, `"*"`)), false},
		{"a wider resource", readData, doc(stmt("Allow", `"s3:GetObject"`, `"arn:aws:s3:::data*"`)), false},
		{"a resource in other case", readData, doc(stmt("Allow", `"s3:GetObject"`, `"arn:aws:s3:::DATA/x"`)), false},
		{"a resource beside it", readData, doc(stmt("Allow", `"s3:GetObject"`, `"arn:aws:s3:::data"`)), false},
		{"one resource more in the list", readData, doc(stmt("Allow", `"s3:GetObject"`, `["arn:aws:s3:::data/x","arn:aws:s3:::other/x"]`)), false},
		{"NotAction", readData, doc(`{"Effect":"Allow","NotAction":"iam:*","Resource":` + bucket + `}`), false},
		{"NotResource", readData, doc(`{"Effect":"Allow","Action":"s3:GetObject","NotResource":"arn:aws:s3:::x"}`), false},
		{"a second statement that is wider", readData, doc(stmt("Allow", `"s3:GetObject"`, bucket), stmt("Allow", `"iam:*"`, `"*"`)), false},
		{"what two allows of the grant hold together", doc(stmt("Allow", `"s3:GetObject"`, `"a"`), stmt("Allow", `"s3:PutObject"`, `"b"`)),
			doc(stmt("Allow", `["s3:GetObject","s3:PutObject"]`, `["a","b"]`)), false},
		{"a grant that allows by NotAction proves nothing", doc(`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`), doc(stmt("Allow", `"s3:GetObject"`, `"*"`)), false},
		{"a grant that only denies allows nothing", doc(stmt("Deny", `"*"`, `"*"`)), doc(stmt("Allow", `"s3:GetObject"`, `"*"`)), false},
		{"a variable in place of a part", readData, doc(stmt("Allow", `"s3:GetObject"`, `"arn:aws:s3:::data/${aws:username}"`)), true},
		{"a variable where the grant has one character", doc(stmt("Allow", `"s3:GetObject"`, `"arn:aws:s3:::?"`)), doc(stmt("Allow", `"s3:GetObject"`, `"arn:aws:s3:::${x}"`)), false},
		{"text in place of the grant's variable", doc(stmt("Allow", `"s3:GetObject"`, `"arn:aws:s3:::h/${aws:username}/*"`)), doc(stmt("Allow", `"s3:GetObject"`, `"arn:aws:s3:::h/bob/*"`)), false},
		{"a version in which variables are text", doc(stmt("Allow", `"s3:GetObject"`, `"h/${aws:username}"`)),
			strings.Replace(doc(stmt("Allow", `"s3:GetObject"`, `"h/${aws:username}"`)), "2012", "2008", 1), false},
		{"a star inside a segment does not reach into the next", doc(stmt("Allow", `"sns:Publish"`, `"arn:aws:sns:eu-*-1:111122223333:t"`)),
			doc(stmt("Allow", `"sns:Publish"`, `"arn:aws:sns:eu-x:999999999999:t-1:111122223333:t"`)), false},
		{"a star at the end of a segment may", doc(stmt("Allow", `"sns:Publish"`, `"arn:aws:sns:*"`)), doc(stmt("Allow", `"sns:Publish"`, `"arn:aws:sns:eu-west-1:111122223333:*"`)), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := Narrow(c.grant, c.caller)
			if (err == nil) != c.want {
				t.Errorf("%s\nwithin %s: %q, %v; want %v", c.caller, c.grant, got, err, c.want)
			}
			if err != nil && (!errors.Is(err, ErrNotNarrower) || got != "") {
				t.Errorf("%q, %v; want nothing and ErrNotNarrower", got, err)
			}
		})
	}
}

func TestTheGrantsConditionsAndDeniesStay(t *testing.T) {
	t.Parallel()
	grant := doc(
		stmt("Allow", `"s3:*"`, `"*"`, `,"Condition":{"Bool":{"aws:SecureTransport":"true"}}`),
		stmt("Deny", `"s3:Delete*"`, `"*"`, `,"Sid":"keep"`),
	)
	caller := doc(stmt("Allow", `"s3:GetObject"`, `"*"`, `,"Sid":"keep","Condition":{"StringEquals":{"aws:x":["a"]}}`))
	got, err := Narrow(grant, caller)
	if err != nil {
		t.Fatal(err)
	}
	want := doc(
		`{"Sid":"keep","Effect":"Allow","Action":["s3:GetObject"],"Resource":["*"],"Condition":{"Bool":{"aws:SecureTransport":"true"},"StringEquals":{"aws:x":["a"]}}}`,
		`{"Effect":"Deny","Action":["s3:Delete*"],"Resource":["*"]}`,
	)
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(got), &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Error(diff)
	}
	for name, condition := range map[string]string{
		"the same operator and key":                  `{"Bool":{"aws:SecureTransport":"false"}}`,
		"the same operator and key, otherwise spelt": `{"bool":{"AWS:securetransport":"false"}}`,
	} {
		if got, err := Narrow(grant, doc(stmt("Allow", `"s3:GetObject"`, `"*"`, `,"Condition":`+condition))); !errors.Is(err, ErrNotNarrower) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	joined, err := Narrow(grant, doc(stmt("Allow", `"s3:GetObject"`, `"*"`, `,"Condition":{"bool":{"aws:MultiFactorAuthPresent":"true"}}`)))
	if err != nil || !strings.Contains(joined, `"aws:MultiFactorAuthPresent":"true"`) || !strings.Contains(joined, `"aws:SecureTransport":"true"`) || strings.Contains(joined, `"bool"`) {
		t.Errorf("one operator, two keys: %s, %v", joined, err)
	}
}

func TestWithoutAPolicyOfTheGrantTheCallersIsSentAsItIs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"{ \"Statement\" : " + stmt("Allow", `"*"`, `"*"`) + "\n}":          `{"Statement":` + stmt("Allow", `"*"`, `"*"`) + `}`,
		doc(`{"Effect":"Allow","NotAction":"iam:<&>","NotResource":["a"]}`): doc(`{"Effect":"Allow","NotAction":"iam:<&>","NotResource":["a"]}`),
	} {
		if got, err := Narrow("", in); got != want || err != nil {
			t.Errorf("Narrow(%s) = %s, %v", in, got, err)
		}
	}
}

func TestWhatAWSMightReadOtherwiseIsNoPolicy(t *testing.T) {
	t.Parallel()
	good := stmt("Allow", `"s3:GetObject"`, bucket)
	for name, text := range map[string]string{
		"nothing":                     "",
		"no JSON":                     "yes",
		"a list":                      "[" + good + "]",
		"null":                        "null",
		"two documents":               doc(good) + doc(good),
		"no statement":                doc(),
		"a statement that is null":    doc("null"),
		"another version":             strings.Replace(doc(good), "2012", "2013", 1),
		"a member given twice":        doc(`{"Effect":"Allow","Action":"s3:GetObject","Action":"*","Resource":"x"}`),
		"twice in other case":         doc(`{"Effect":"Allow","Action":"s3:GetObject","action":"*","Resource":"x"}`),
		"other case alone":            doc(`{"Effect":"Allow","ACTION":"*","Resource":"x"}`),
		"a condition key given twice": doc(stmt("Allow", `"*"`, `"*"`, `,"Condition":{"Bool":{"a":"true","A":"false"}}`)),
		"a condition operator twice":  doc(stmt("Allow", `"*"`, `"*"`, `,"Condition":{"Bool":{"a":"true"},"bool":{"a":"false"}}`)),
		"a condition without shape":   doc(stmt("Allow", `"*"`, `"*"`, `,"Condition":"x"`)),
		"a condition that is null":    doc(stmt("Allow", `"*"`, `"*"`, `,"Condition":null`)),
		"a condition of objects":      doc(stmt("Allow", `"*"`, `"*"`, `,"Condition":{"Bool":{"a":{"b":"c"}}}`)),
		"a principal":                 doc(stmt("Allow", `"*"`, `"*"`, `,"Principal":"*"`)),
		"another effect":              doc(stmt("allow", `"*"`, `"*"`)),
		"no effect":                   doc(`{"Action":"*","Resource":"*"}`),
		"Action and NotAction":        doc(stmt("Allow", `"*"`, `"*"`, `,"NotAction":"iam:*"`)),
		"Resource and NotResource":    doc(stmt("Allow", `"*"`, `"*"`, `,"NotResource":"x"`)),
		"neither":                     doc(`{"Effect":"Allow","Action":"*"}`),
		"an empty list":               doc(stmt("Allow", `[]`, `"*"`)),
		"a number as action":          doc(stmt("Allow", `7`, `"*"`)),
		"a list in a list":            doc(stmt("Allow", `[["*"]]`, `"*"`)),
		"deep nesting":                strings.Repeat(`{"Statement":`, 50) + "1" + strings.Repeat("}", 50),
		"more than 2048 characters":   doc(stmt("Allow", `"s3:`+strings.Repeat("x", 2048)+`"`, `"*"`)),
		"bytes that are no text":      doc(stmt("Allow", "\"\xff\"", `"*"`)),
		"megabytes":                   strings.Repeat(" ", 1<<20) + doc(good),
	} {
		if got, err := Narrow("", text); !errors.Is(err, ErrBadPolicy) || got != "" {
			t.Errorf("%s: %q, %v; want ErrBadPolicy", name, got, err)
		}
		if got, err := Narrow(readData, text); err == nil {
			t.Errorf("%s, within a grant's: %q", name, got)
		}
	}
}

func TestTogetherTheyMustFit(t *testing.T) {
	t.Parallel()
	big := doc(stmt("Allow", `"s3:*"`, `"*"`), stmt("Deny", `"s3:`+strings.Repeat("x", 1500)+`"`, `"*"`))
	caller := doc(stmt("Allow", `"s3:`+strings.Repeat("y", 1000)+`"`, `"*"`))
	if got, err := Narrow(big, caller); !errors.Is(err, ErrBadPolicy) {
		t.Errorf("%d characters, %v", len(got), err)
	}
}

func FuzzNarrow(f *testing.F) {
	f.Add(readData, readData)
	f.Add(readData, doc(stmt("Allow", `"s3:*"`, `"*"`)))
	f.Add("", doc(stmt("Deny", `"s3:*"`, `"*"`)))
	f.Fuzz(func(t *testing.T, grant, caller string) {
		got, err := Narrow(grant, caller)
		if err != nil {
			return
		}
		if err := CheckSessionPolicy(got); err != nil {
			t.Errorf("Narrow made %s: %v", got, err)
		}
		if grant != "" {
			if again, err := Narrow(grant, got); err != nil && !strings.Contains(err.Error(), "Condition") && !errors.Is(err, ErrBadPolicy) {
				t.Errorf("the narrowed %s is not within the grant's: %s, %v", got, again, err)
			}
		}
	})
}
