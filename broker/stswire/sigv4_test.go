package stswire

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/rolecall/rolecall/config/secret"
)

const (
	keyID    = "ASIAEXAMPLE000000001"
	keyWord  = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	keyToken = "FwoGZXIvYXdzEXAMPLE//+=="
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// verifier knows one key, with its token, at a time.
func verifier(now time.Time) Verifier {
	return Verifier{
		Region: func(region string) bool { return region == "eu-west-1" },
		Now:    func() time.Time { return now },
		Secret: func(_ context.Context, id, token string) (secret.String, error) {
			if id != keyID || token != keyToken {
				return secret.String{}, Fail("InvalidClientTokenId", "The security token included in the request is invalid.")
			}
			return secret.New(keyWord), nil
		},
	}
}

func sdkKeys() aws.Credentials {
	return aws.Credentials{AccessKeyID: keyID, SecretAccessKey: keyWord, SessionToken: keyToken}
}

// signed is a request that the SDK's own signer signed, as a server receives it.
func signed(t *testing.T, method, target, body string, change ...func(*http.Request)) *http.Request {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), method, "http://sts.example:8401"+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost {
		out.Header.Set("Content-Type", formType)
	}
	out.Header.Set("Amz-Sdk-Request", "attempt=1;   max=3")
	for _, f := range change {
		f(out)
	}
	err = v4.NewSigner().SignHTTP(t.Context(), sdkKeys(), out, hexHash([]byte(body)), "sts", "eu-west-1", noon)
	if err != nil {
		t.Fatal(err)
	}
	return received(out, body)
}

// received is the request as net/http gives it to a handler.
func received(out *http.Request, body string) *http.Request {
	in := httptest.NewRequest(out.Method, out.URL.RequestURI(), strings.NewReader(body))
	in.Host = out.Host
	if in.Host == "" {
		in.Host = out.URL.Host
	}
	in.Header = out.Header.Clone()
	return in
}

const callerBody = "Action=GetCallerIdentity&Version=2011-06-15"

func TestWhatTheSDKSignsVerifies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ method, target, body string }{
		"a form":                             {"POST", "/", callerBody},
		"a form at a path":                   {"POST", "/aws/sts", callerBody},
		"a path with a slash at its end":     {"POST", "/aws/sts/", callerBody},
		"a path with a space and an umlaut":  {"POST", "/a%20b/gr%C3%B6%C3%9Fe", callerBody},
		"an empty body":                      {"POST", "/", ""},
		"a query":                            {"GET", "/?Version=2011-06-15&Action=GetCallerIdentity", ""},
		"a query with every kind of mark":    {"GET", "/?Action=A&b=%20%2B%26%3D%2F%3A%7E%2A%C3%A9&a=&c=-_.~", ""},
		"a query whose names begin alike":    {"GET", "/?a-b=2&a=1&a.b=3&a0=4", ""},
		"a query with a plus for a space":    {"GET", "/?Action=a+b", ""},
		"a form that has a query beside it":  {"POST", "/?x=y", callerBody},
		"a form with bytes outside of ASCII": {"POST", "/", "Action=größe"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := verifier(noon).Verify(signed(t, test.method, test.target, test.body), []byte(test.body))
			if err != nil {
				t.Fatal(err)
			}
			if got.AccessKeyID != keyID || got.Region != "eu-west-1" || got.Presigned || !got.At.Equal(noon) {
				t.Errorf("%+v", got)
			}
		})
	}
}

const noMatch, incompleteCode = "SignatureDoesNotMatch", "IncompleteSignature"

// auth replaces a text in the Authorization header.
func auth(from, to string) func(*http.Request) {
	return func(r *http.Request) {
		h := r.Header.Get("Authorization")
		if !strings.Contains(h, from) {
			panic("no " + from + " in " + h)
		}
		r.Header.Set("Authorization", strings.Replace(h, from, to, 1))
	}
}

func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) {
		delete(r.Header, http.CanonicalHeaderKey(name))
		for _, v := range values {
			r.Header.Add(name, v)
		}
	}
}

// changes are what may happen to a signed request, and the code that must answer.
var changes = map[string]struct {
	change func(*http.Request)
	code   string
}{
	"another method":                      {func(r *http.Request) { r.Method = "PUT" }, noMatch},
	"another host":                        {func(r *http.Request) { r.Host = "evil.example" }, noMatch},
	"another port":                        {func(r *http.Request) { r.Host = "sts.example:8402" }, noMatch},
	"another path":                        {func(r *http.Request) { r.URL.Path = "/other" }, noMatch},
	"a dot segment":                       {func(r *http.Request) { r.URL.Path = "/x/.." }, noMatch},
	"an empty segment":                    {func(r *http.Request) { r.URL.Path = "//" }, noMatch},
	"an encoded slash":                    {func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a/b", "/a%2Fb" }, noMatch},
	"a query":                             {func(r *http.Request) { r.URL.RawQuery = "x=y" }, noMatch},
	"a broken query":                      {func(r *http.Request) { r.URL.RawQuery = "x=%zz" }, "MalformedQueryString"},
	"a parameter twice":                   {func(r *http.Request) { r.URL.RawQuery = "x=y&x=z" }, "MalformedQueryString"},
	"a parameter in two spellings":        {func(r *http.Request) { r.URL.RawQuery = "x=y&X=z" }, "MalformedQueryString"},
	"another content type":                {header("Content-Type", "text/plain"), noMatch},
	"another value of a signed header":    {header("Amz-Sdk-Request", "attempt=2; max=3"), noMatch},
	"a signed header twice":               {header("Amz-Sdk-Request", "attempt=1; max=3", "x"), noMatch},
	"a signed header gone":                {header("Amz-Sdk-Request"), noMatch},
	"another date":                        {header("X-Amz-Date", "20261123T120001Z"), noMatch},
	"two dates":                           {header("X-Amz-Date", "20261123T120000Z", "20261123T120000Z"), incompleteCode},
	"no date":                             {header("X-Amz-Date"), incompleteCode},
	"a date in another form":              {header("X-Amz-Date", "2026-11-23T12:00:00Z"), incompleteCode},
	"a date of another zone":              {header("X-Amz-Date", "20261123T120000+0100"), incompleteCode},
	"a date on no calendar":               {header("X-Amz-Date", "20261323T120000Z"), incompleteCode},
	"no session token":                    {header("X-Amz-Security-Token"), noMatch},
	"another session token":               {header("X-Amz-Security-Token", "x"), "InvalidClientTokenId"},
	"two session tokens":                  {header("X-Amz-Security-Token", keyToken, keyToken), incompleteCode},
	"a further x-amz header":              {header("X-Amz-Target", "Evil"), noMatch},
	"an unsigned payload":                 {header("X-Amz-Content-Sha256", unsignedWay), noMatch},
	"the hash of another payload":         {header("X-Amz-Content-Sha256", hexHash(nil)), noMatch},
	"another access key":                  {auth(keyID, "ASIAEXAMPLE000000002"), "InvalidClientTokenId"},
	"an access key that is too short":     {auth(keyID, "A"), incompleteCode},
	"a scope of another date":             {auth("/20261123/", "/20261122/"), noMatch},
	"a scope of another region":           {auth("/eu-west-1/", "/eu-west-2/"), noMatch},
	"a scope with a region in upper case": {auth("/eu-west-1/", "/EU-WEST-1/"), noMatch},
	"a scope with no region":              {auth("/eu-west-1/", "//"), noMatch},
	"a scope of another service":          {auth("/sts/", "/s3/"), noMatch},
	"a scope of another end":              {auth("aws4_request", "aws4_requesT"), noMatch},
	"a scope of four parts":               {auth("/sts/", "/"), incompleteCode},
	"a scope of six parts":                {auth("/sts/", "/sts/sts/"), incompleteCode},
	"host not signed":                     {auth(";host;", ";"), noMatch},
	"date not signed":                     {auth(";x-amz-date;", ";"), noMatch},
	"the session token not signed":        {auth(";x-amz-security-token", ""), noMatch},
	"signed headers out of order":         {auth("content-type;host", "host;content-type"), incompleteCode},
	"a signed header listed twice":        {auth(";host;", ";host;host;"), incompleteCode},
	"a signed header in upper case":       {auth(";host;", ";Host;"), incompleteCode},
	"a signed header with a line break":   {auth(";host;", ";ho\nst;"), incompleteCode},
	"a signed header that is not there":   {auth(";host;", ";host;nope;"), noMatch},
	"no signed headers":                   {auth("SignedHeaders=", "SignedHeaders=, x="), incompleteCode},
	"a signature in upper case":           {func(r *http.Request) { upperSignature(r) }, incompleteCode},
	"a signature cut short":               {func(r *http.Request) { h := r.Header; h.Set("Authorization", h.Get("Authorization")[:200]) }, incompleteCode},
	"an empty signature":                  {func(r *http.Request) { cutSignature(r, "") }, incompleteCode},
	"a signature of zeros":                {func(r *http.Request) { cutSignature(r, strings.Repeat("0", 64)) }, noMatch},
	"a part twice":                        {auth("SignedHeaders=", "Credential=x, SignedHeaders="), incompleteCode},
	"a part of another name":              {auth("SignedHeaders=", "Evil=x, SignedHeaders="), incompleteCode},
	"another algorithm":                   {auth("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), incompleteCode},
	"SigV4a":                              {auth("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), incompleteCode},
	"basic authentication":                {header("Authorization", "Basic YTpi"), incompleteCode},
	"two Authorization headers":           {func(r *http.Request) { r.Header.Add("Authorization", r.Header.Get("Authorization")) }, incompleteCode},
	"an Authorization header without end": {header("Authorization", algorithm+" "+strings.Repeat("a=b,", 10_000)), incompleteCode},
	"no Authorization header":             {header("Authorization"), "MissingAuthenticationToken"},
	"a presigned query beside the header": {func(r *http.Request) { r.URL.RawQuery = "X-Amz-Algorithm=" + algorithm }, incompleteCode},
	"an access key with an escaped slash": {auth(keyID, keyID+"%2F"), incompleteCode},
}

func TestEveryChangeToASignedRequestIsRefused(t *testing.T) {
	t.Parallel()
	for name, test := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signed(t, "POST", "/", callerBody)
			test.change(r)
			_, err := verifier(noon).Verify(r, []byte(callerBody))
			e := fault(t, err)
			if e.Code != test.code {
				t.Errorf("%s: %s; want %s", e.Code, e.Message, test.code)
			}
			if strings.Contains(e.Message, keyWord) || strings.Contains(e.Message, keyToken) {
				t.Error("the message holds a secret")
			}
		})
	}
}

func cutSignature(r *http.Request, to string) {
	h := r.Header.Get("Authorization")
	r.Header.Set("Authorization", h[:strings.Index(h, "Signature=")+len("Signature=")]+to)
}

func upperSignature(r *http.Request) {
	h := r.Header.Get("Authorization")
	cutSignature(r, strings.ToUpper(h[strings.Index(h, "Signature=")+len("Signature="):]))
}

func TestAChangedBodyIsRefused(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", callerBody + "&", strings.ToLower(callerBody), "Action=AssumeRole&Version=2011-06-15"} {
		_, err := verifier(noon).Verify(signed(t, "POST", "/", callerBody), []byte(body))
		if e := fault(t, err); e.Code != "SignatureDoesNotMatch" {
			t.Error(e)
		}
	}
}

func TestTheDateMayBeFifteenMinutesOff(t *testing.T) {
	t.Parallel()
	for off, ok := range map[time.Duration]bool{
		0: true, 15 * time.Minute: true, -15 * time.Minute: true,
		15*time.Minute + time.Second: false, -15*time.Minute - time.Second: false, 24 * time.Hour: false,
	} {
		_, err := verifier(noon.Add(off)).Verify(signed(t, "POST", "/", callerBody), []byte(callerBody))
		if ok && err != nil {
			t.Errorf("%s: %v", off, err)
		}
		if !ok {
			if e := fault(t, err); e.Code != "SignatureDoesNotMatch" || !strings.HasPrefix(e.Message, "Signature ") {
				t.Errorf("%s: %v", off, e)
			}
		}
	}
}

func TestAnEmptyRegionVerifiesWhereItIsTaken(t *testing.T) {
	t.Parallel()
	out, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://sts.example/", strings.NewReader(callerBody))
	if err := v4.NewSigner().SignHTTP(t.Context(), sdkKeys(), out, hexHash([]byte(callerBody)), "sts", "", noon); err != nil {
		t.Fatal(err)
	}
	v := verifier(noon)
	v.Region = nil
	if _, err := v.Verify(received(out, callerBody), []byte(callerBody)); err != nil {
		t.Error(err)
	}
}

func TestWhatTheLookupFindsIsAnsweredBeforeTheSignature(t *testing.T) {
	t.Parallel()
	v := verifier(noon)
	v.Secret = func(context.Context, string, string) (secret.String, error) {
		return secret.String{}, Fail("ExpiredToken", "The security token included in the request is expired")
	}
	r := signed(t, "POST", "/", callerBody)
	cutSignature(r, strings.Repeat("0", 64))
	_, err := v.Verify(r, []byte(callerBody))
	if e := fault(t, err); e.Code != "ExpiredToken" {
		t.Error(e)
	}
	down := errors.New("the store is down")
	v.Secret = func(context.Context, string, string) (secret.String, error) { return secret.String{}, down }
	if _, err := v.Verify(r, []byte(callerBody)); !errors.Is(err, down) {
		t.Error(err)
	}
}

// presigned is a GET that the SDK presigned, as a server receives it.
func presigned(t *testing.T, query string) *http.Request {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://sts.example:8401/?"+callerBody+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	out.Header.Set("X-Server-Id", "cluster")
	address, headers, err := v4.NewSigner().PresignHTTP(t.Context(), sdkKeys(), out, hexHash(nil), "sts", "eu-west-1", noon)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	in := httptest.NewRequest(http.MethodGet, u.RequestURI(), nil)
	in.Host, in.Header = u.Host, headers
	in.Header.Del("Host")
	return in
}

func TestWhatTheSDKPresignsVerifies(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{"without a life": "", "with one of a minute": "&X-Amz-Expires=60"} {
		got, err := verifier(noon.Add(time.Minute)).Verify(presigned(t, query), nil)
		if err != nil {
			t.Fatal(name, err)
		}
		if !got.Presigned || strings.Join(got.SignedHeaders, ";") != "host;x-server-id" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAPresignedRequestEndsWhenItSaysAndAfterFifteenMinutesAtMost(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query string
		after time.Duration
		ok    bool
	}{
		"at the end of its life":                {"&X-Amz-Expires=60", time.Minute, true},
		"a second later":                        {"&X-Amz-Expires=60", time.Minute + time.Second, false},
		"no life, after 15 minutes":             {"", 15 * time.Minute, true},
		"no life, a second later":               {"", 15*time.Minute + time.Second, false},
		"a life of a week, after 15 minutes":    {"&X-Amz-Expires=604800", 15 * time.Minute, true},
		"a life of a week, a second later":      {"&X-Amz-Expires=604800", 15*time.Minute + time.Second, false},
		"a life of more than a week":            {"&X-Amz-Expires=604801", 0, false},
		"a life of nothing":                     {"&X-Amz-Expires=0", 0, false},
		"a negative life":                       {"&X-Amz-Expires=-1", 0, false},
		"a life that is no number":              {"&X-Amz-Expires=x", 0, false},
		"a life that wraps around":              {"&X-Amz-Expires=18446744073709551616", 0, false},
		"signed more than 15 minutes too early": {"", -15*time.Minute - time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := verifier(noon.Add(test.after)).Verify(presigned(t, test.query), nil)
			if (err == nil) != test.ok {
				t.Error(err)
			}
		})
	}
}

func TestEveryChangeToAPresignedRequestIsRefused(t *testing.T) {
	t.Parallel()
	set := func(name, value string) func(*http.Request) {
		return func(r *http.Request) {
			q := r.URL.Query()
			if q.Set(name, value); value == "" {
				q.Del(name)
			}
			r.URL.RawQuery = q.Encode()
		}
	}
	for name, change := range map[string]func(*http.Request){
		"another action":                func(r *http.Request) { set("Action", "AssumeRole")(r) },
		"a further parameter":           set("RoleArn", roleText),
		"a parameter twice":             func(r *http.Request) { r.URL.RawQuery += "&Action=GetCallerIdentity" },
		"a parameter in other letters":  func(r *http.Request) { r.URL.RawQuery += "&action=AssumeRole" },
		"no date":                       set("X-Amz-Date", ""),
		"another date":                  set("X-Amz-Date", "20261123T120100Z"),
		"a longer life":                 set("X-Amz-Expires", "900"),
		"no token":                      set("X-Amz-Security-Token", ""),
		"another token":                 set("X-Amz-Security-Token", "x"),
		"the token in a header":         header("X-Amz-Security-Token", keyToken),
		"a date in a header":            header("X-Amz-Date", "20261123T120000Z"),
		"another algorithm":             set("X-Amz-Algorithm", "AWS4-HMAC-SHA1"),
		"no algorithm":                  set("X-Amz-Algorithm", ""),
		"no credential":                 set("X-Amz-Credential", ""),
		"no signature":                  set("X-Amz-Signature", ""),
		"another signature":             set("X-Amz-Signature", strings.Repeat("0", 64)),
		"no signed headers":             set("X-Amz-SignedHeaders", ""),
		"host not signed":               set("X-Amz-SignedHeaders", "x-server-id"),
		"our own header not signed":     set("X-Amz-SignedHeaders", "host"),
		"another value of our header":   header("X-Server-Id", "other"),
		"an x-amz header":               header("X-Amz-Target", "x"),
		"an unsigned payload":           set("X-Amz-Content-Sha256", unsignedWay),
		"an unsigned payload by header": header("X-Amz-Content-Sha256", unsignedWay),
		"a POST":                        func(r *http.Request) { r.Method = http.MethodPost },
		"a HEAD":                        func(r *http.Request) { r.Method = http.MethodHead },
		"another host":                  func(r *http.Request) { r.Host = "sts.evil.example" },
		"another path":                  func(r *http.Request) { r.URL.Path = "/other" },
		"an Authorization header too":   header("Authorization", "Bearer x"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := presigned(t, "&X-Amz-Expires=60")
			change(r)
			_, err := verifier(noon).Verify(r, nil)
			fault(t, err)
		})
	}
	if _, err := verifier(noon).Verify(presigned(t, ""), []byte("x")); err == nil {
		t.Error("a presigned request with a body was accepted")
	}
}

func FuzzAuthorization(f *testing.F) {
	const scope = keyID + "/20261123/eu-west-1/sts/aws4_request"
	good := algorithm + " Credential=" + scope + ", SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=" + strings.Repeat("0", 64)
	f.Add(good, "x=y")
	f.Add(strings.ReplaceAll(good, ", ", ","), "X-Amz-Signature=x&X-Amz-Algorithm="+algorithm)
	f.Add(algorithm+" Credential=//// , SignedHeaders=;;;, Signature=", "")
	f.Add("", "X-Amz-Algorithm="+algorithm+"&X-Amz-Credential="+url.QueryEscape(scope)+
		"&X-Amz-Date=20261123T120000Z&X-Amz-SignedHeaders=host&X-Amz-Signature="+strings.Repeat("0", 64)+"&X-Amz-Expires=60")
	f.Fuzz(func(t *testing.T, authorization, query string) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r := httptest.NewRequest(method, "/", nil)
			r.URL.RawQuery = query
			if authorization != "" {
				r.Header["Authorization"] = []string{authorization}
				r.Header.Set("X-Amz-Date", "20261123T120000Z")
				r.Header.Set("X-Amz-Security-Token", keyToken)
			}
			if _, err := verifier(noon).Verify(r, nil); err == nil {
				t.Error("nobody who lacks the key can sign")
			} else {
				fault(t, err)
			}
		}
	})
}
