package stswire

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
)

const formType = "application/x-www-form-urlencoded"

func post(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", formType+"; charset=utf-8")
	return r
}

// read is a call that must be readable.
func read(t *testing.T, r *http.Request) *Call {
	t.Helper()
	call, err := Read(r)
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// fault is the *Error in err.
func fault(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("want an *Error, got %v", err)
	}
	return e
}

const roleText = "arn:aws:iam::111122223333:role/Admin"

func form(pairs ...string) string {
	v := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {roleText}, "RoleSessionName": {"alice"}}
	for i := 0; i < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return v.Encode()
}

func TestAPostAndAGetSayTheSame(t *testing.T) {
	t.Parallel()
	text := form("ExternalId", "a b+c", "Unknown", "ignored")
	for name, r := range map[string]*http.Request{"POST": post(text), "GET": httptest.NewRequest(http.MethodGet, "/?"+text, nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			call := read(t, r)
			if call.Action != "AssumeRole" || call.Version != "2011-06-15" || call.params["ExternalId"] != "a b+c" {
				t.Errorf("%+v", call)
			}
		})
	}
}

func TestTheQueryOfAPostIsNotRead(t *testing.T) {
	t.Parallel()
	r := post("Action=GetCallerIdentity&Version=2011-06-15")
	r.URL.RawQuery = "Action=AssumeRole&Version=1"
	if call := read(t, r); call.Action != "GetCallerIdentity" || call.Version != "2011-06-15" {
		t.Errorf("%+v", call)
	}
}

func TestTheFirstValueOfARepeatedParameterWins(t *testing.T) {
	t.Parallel()
	call := read(t, post("Action=A&RoleArn=first&Action=B&RoleArn=second&rolearn=third"))
	if call.Action != "A" || call.params["RoleArn"] != "first" {
		t.Errorf("%+v", call)
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	plain := post("Action=A")
	plain.Header.Set("Content-Type", "text/plain")
	multipart := post("Action=A")
	multipart.Header.Set("Content-Type", "multipart/form-data; boundary=x")
	for name, test := range map[string]struct {
		r      *http.Request
		status int
		code   string
	}{
		"another method":                {httptest.NewRequest(http.MethodPut, "/?Action=A", nil), 405, ""},
		"no action":                     {post("Version=2011-06-15"), 400, "MissingAction"},
		"an empty action":               {post("Action="), 400, "MissingAction"},
		"an action in another case":     {post("action=AssumeRole"), 400, "MissingAction"},
		"a body that is no form":        {plain, 400, "MissingAction"},
		"a multipart form":              {multipart, 400, "MissingAction"},
		"a broken escape":               {post("Action=%zz"), 400, "MalformedQueryString"},
		"a cut escape":                  {post("Action=A&x=%2"), 400, "MalformedQueryString"},
		"broken UTF-8":                  {post("Action=A&x=%ff"), 400, "MalformedQueryString"},
		"broken UTF-8 in a name":        {post("Action=A&%ff=x"), 400, "MalformedQueryString"},
		"thousands of parameters":       {post("Action=A" + strings.Repeat("&a", 2000)), 400, "MalformedQueryString"},
		"a body of 256 KiB and one":     {post("Action=" + strings.Repeat("a", MaxBody)), 413, ""},
		"a query of 256 KiB and one":    {httptest.NewRequest(http.MethodGet, "/?Action="+strings.Repeat("a", MaxBody), nil), 413, ""},
		"a long body of unknown length": {unknownLength(post("Action=" + strings.Repeat("a", MaxBody))), 413, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(test.r)
			if e := fault(t, err); e.Status != test.status || e.Code != test.code {
				t.Errorf("%d %s", e.Status, e.Code)
			}
		})
	}
}

func unknownLength(r *http.Request) *http.Request {
	r.ContentLength = -1
	return r
}

func TestAnAssumeRoleIsReadWhole(t *testing.T) {
	t.Parallel()
	call := read(t, post(form(
		"ExternalId", "x:/1", "SourceIdentity", "corp=alice", "DurationSeconds", "900", "Policy", `{"a":"é"}`,
		"PolicyArns.member.1.arn", "arn:aws:iam::aws:policy/ReadOnlyAccess",
		"Tags.member.2.Key", "second", "Tags.member.2.Value", "",
		"Tags.member.1.Key", "first", "Tags.member.1.Value", "größe",
		"Tags.member.10.Key", "tenth", "Tags.member.10.Value", "v",
		"TransitiveTagKeys.member.1", "first", "SerialNumber", "arn:aws:iam::1:mfa/a", "TokenCode", "123456",
	)))
	got, err := call.AssumeRole()
	if err != nil {
		t.Fatal(err)
	}
	want := AssumeRole{
		RoleARN: roleText, RoleSessionName: "alice", ExternalID: "x:/1", SourceIdentity: "corp=alice", DurationSeconds: 900,
		Policy: `{"a":"é"}`, PolicyARNs: []string{"arn:aws:iam::aws:policy/ReadOnlyAccess"},
		Tags:              []iam.Tag{{Key: "first", Value: "größe"}, {Key: "second"}, {Key: "tenth", Value: "v"}},
		TransitiveTagKeys: []string{"first"}, SerialNumber: "arn:aws:iam::1:mfa/a", TokenCode: "123456",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWithoutADurationItIsOneHour(t *testing.T) {
	t.Parallel()
	got, err := read(t, post(form())).AssumeRole()
	if err != nil || got.DurationSeconds != 3600 {
		t.Errorf("%d %v", got.DurationSeconds, err)
	}
}

func TestMembersOutOfTheirLimitsAreNamedAsSTSNamesThem(t *testing.T) {
	t.Parallel()
	const one = "1 validation error detected: "
	for name, test := range map[string]struct{ body, want string }{
		"a space in the session name": {form("RoleSessionName", "a b"),
			one + `Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`},
		"a session name of one character": {form("RoleSessionName", "a"),
			one + `Value 'a' at 'roleSessionName' failed to satisfy constraint: Member must have length greater than or equal to 2`},
		"a session name of 65": {form("RoleSessionName", strings.Repeat("a", 65)),
			one + `Value '` + strings.Repeat("a", 65) + `' at 'roleSessionName' failed to satisfy constraint: Member must have length less than or equal to 64`},
		"no session name": {"Action=AssumeRole&RoleArn=" + roleText,
			one + `Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null`},
		"nothing at all": {"Action=AssumeRole",
			`2 validation errors detected: Value null at 'roleArn' failed to satisfy constraint: Member must not be null; ` +
				`Value null at 'roleSessionName' failed to satisfy constraint: Member must not be null`},
		"too short a duration": {form("DurationSeconds", "899"),
			one + `Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value greater than or equal to 900`},
		"too long a duration": {form("DurationSeconds", "43201"),
			one + `Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have value less than or equal to 43200`},
		"a tag's key with a wildcard": {form("Tags.member.3.Key", "a*", "Tags.member.3.Value", "x"),
			one + `Value 'a*' at 'tags.1.member.key' failed to satisfy constraint: Member must satisfy regular expression pattern: [\p{L}\p{Z}\p{N}_.:/=+\-@]+`},
		"a tag without a value": {form("Tags.member.1.Key", "a"),
			one + `Value null at 'tags.1.member.value' failed to satisfy constraint: Member must not be null`},
		"a short external id": {form("ExternalId", "x"),
			one + `Value 'x' at 'externalId' failed to satisfy constraint: Member must have length greater than or equal to 2`},
		"a policy outside Latin-1": {form("Policy", "{\u0416}"),
			one + "Value '{\u0416}' at 'policy' failed to satisfy constraint: Member must satisfy regular expression pattern: " + `[\u0009\u000A\u000D\u0020-\u00FF]+`},
		"a short managed policy": {form("PolicyArns.member.1.arn", "x"),
			one + `Value 'x' at 'policyArns.1.member.arn' failed to satisfy constraint: Member must have length greater than or equal to 20`},
		"keys that differ in case only": {form("Tags.member.1.Key", "a", "Tags.member.1.Value", "", "Tags.member.2.Key", "A", "Tags.member.2.Value", ""),
			"Duplicate tag keys found. Please note that Tag keys are case insensitive."},
		"AWS's own tag": {form("Tags.member.1.Key", "AWS:a", "Tags.member.1.Value", ""), "Tag keys must not start with the reserved prefix aws:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t, post(test.body)).AssumeRole()
			e := fault(t, err)
			if diff := cmp.Diff(test.want, e.Message); diff != "" || e.Code != "ValidationError" || e.Status != 400 {
				t.Error(e.Status, e.Code, diff)
			}
		})
	}
}

func TestListsThatAreTooLongAreRefused(t *testing.T) {
	t.Parallel()
	for name, pattern := range map[string]string{
		"'tags'":              "Tags.member.%.Key",
		"'transitiveTagKeys'": "TransitiveTagKeys.member.%",
		"'policyArns'":        "PolicyArns.member.%.arn",
	} {
		body := form()
		for i := range 51 {
			body += "&" + strings.ReplaceAll(pattern, "%", strconv.Itoa(i+1)) + "=aaaaaaaaaaaaaaaaaaaaa"
		}
		_, err := read(t, post(body)).AssumeRole()
		if e := fault(t, err); e.Code != "ValidationError" || !strings.Contains(e.Message, "Value at "+name) {
			t.Error(e)
		}
	}
}

func TestWhatSTSCannotParseIsMalformedInputWithoutAMessage(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a duration in words":        form("DurationSeconds", "1h"),
		"a duration over 32 bits":    form("DurationSeconds", "4294967296"),
		"an empty duration":          form("DurationSeconds", ""),
		"an index that is no number": form("Tags.member.x.Key", "a"),
		"an index of zero":           form("Tags.member.0.Key", "a"),
		"an index with a zero first": form("Tags.member.01.Key", "a"),
		"an index without end":       form("Tags.member.99999999999999999999.Key", "a"),
		"a negative index":           form("TransitiveTagKeys.member.-1", "a"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := read(t, post(body)).AssumeRole()
			if e := fault(t, err); e.Code != "MalformedInput" || e.Message != "" || e.Status != 400 {
				t.Error(e)
			}
		})
	}
}

func TestLongValuesAreNotRepeatedWhole(t *testing.T) {
	t.Parallel()
	_, err := read(t, post(form("ExternalId", strings.Repeat("é", 40_000)))).AssumeRole()
	if e := fault(t, err); len(e.Message) > 1000 {
		t.Errorf("the message has %d bytes", len(e.Message))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(form())
	f.Add(form("Tags.member.1.Key", "a", "Tags.member.1.Value", "b", "DurationSeconds", "900"))
	f.Add("Action=AssumeRole&Action=B&%ff=1&&=&a")
	f.Add("Action=AssumeRole&PolicyArns.member.1.arn=x&TransitiveTagKeys.member.2=y")
	f.Fuzz(func(t *testing.T, body string) {
		call, err := Read(post(body))
		if err != nil {
			fault(t, err)
			return
		}
		op, err := call.AssumeRole()
		if err != nil {
			fault(t, err)
			return
		}
		if iam.CheckTags(op.Tags) != nil || !iam.ValidName(op.RoleSessionName) || op.DurationSeconds < 900 || op.DurationSeconds > 43200 {
			t.Errorf("accepted %+v", op)
		}
	})
}
