package stswire

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

const requestID = "c6104cbe-af31-11e0-8154-cbc7ccf896c7"

func TestAssumeRoleAnswersAsSTSDoes(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	WriteAnswer(w, requestID, AssumeRoleResult{
		Credentials: iam.Credentials{
			AccessKeyID: "ASIAEXAMPLE000000001", SecretAccessKey: secret.New("a/b+c"), SessionToken: secret.New("t=="),
			Expires:        time.Date(2026, 11, 23, 13, 50, 58, 0, time.FixedZone("CET", 3600)),
			AssumedRoleARN: "arn:aws:sts::111122223333:assumed-role/Dev/alice",
		},
		AssumedRoleID: "AROAEXAMPLEID:alice", SourceIdentity: "alice", PackedPolicySize: 6,
	})
	const want = `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <SourceIdentity>alice</SourceIdentity>
    <AssumedRoleUser>
      <AssumedRoleId>AROAEXAMPLEID:alice</AssumedRoleId>
      <Arn>arn:aws:sts::111122223333:assumed-role/Dev/alice</Arn>
    </AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAEXAMPLE000000001</AccessKeyId>
      <SecretAccessKey>a/b+c</SecretAccessKey>
      <SessionToken>t==</SessionToken>
      <Expiration>2026-11-23T12:50:58Z</Expiration>
    </Credentials>
    <PackedPolicySize>6</PackedPolicySize>
  </AssumeRoleResult>
  <ResponseMetadata>
    <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>
  </ResponseMetadata>
</AssumeRoleResponse>
`
	check(t, w, 200, want)
}

func TestWhatDoesNotApplyIsLeftOut(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	WriteAnswer(w, requestID, AssumeRoleResult{})
	if body := w.Body.String(); contains(body, "SourceIdentity") || contains(body, "PackedPolicySize") {
		t.Error(body)
	}
}

func TestGetCallerIdentityAnswersAsSTSDoes(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	WriteAnswer(w, requestID, CallerIdentity{ARN: "arn:aws:iam::123456789012:user/Alice", UserID: "AIDACKCEVSQ6C2EXAMPLE", Account: "123456789012"})
	const want = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>arn:aws:iam::123456789012:user/Alice</Arn>
    <UserId>AIDACKCEVSQ6C2EXAMPLE</UserId>
    <Account>123456789012</Account>
  </GetCallerIdentityResult>
  <ResponseMetadata>
    <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>
  </ResponseMetadata>
</GetCallerIdentityResponse>
`
	check(t, w, 200, want)
}

func TestAnErrorAnswersAsSTSDoes(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	WriteError(w, requestID, Fail("AccessDenied", `User: <script>"&'</script> is not authorized`))
	const want = `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error>
    <Type>Sender</Type>
    <Code>AccessDenied</Code>
    <Message>User: &lt;script&gt;&#34;&amp;&#39;&lt;/script&gt; is not authorized</Message>
  </Error>
  <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>
</ErrorResponse>
`
	check(t, w, 403, want)
}

func TestAnInvalidActionHasTheNamespaceOfDispatch(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	WriteError(w, requestID, InvalidAction(&Call{Action: "Nope"}))
	const want = `<ErrorResponse xmlns="http://webservices.amazon.com/AWSFault/2005-15-09">
  <Error>
    <Type>Sender</Type>
    <Code>InvalidAction</Code>
    <Message>Could not find operation Nope for version NO_VERSION_SPECIFIED</Message>
  </Error>
  <RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId>
</ErrorResponse>
`
	check(t, w, 400, want)
}

func TestEachCodeHasItsStatus(t *testing.T) {
	t.Parallel()
	for code, status := range map[string]int{
		"ValidationError": 400, "MalformedInput": 400, "MalformedPolicyDocument": 400, "PackedPolicyTooLarge": 400, "ExpiredTokenException": 400,
		"InvalidIdentityToken": 400, "IDPCommunicationError": 400, "IDPRejectedClaim": 403, "AccessDenied": 403, "RegionDisabledException": 403,
		"InvalidClientTokenId": 403, "SignatureDoesNotMatch": 403, "ExpiredToken": 403, "InvalidAction": 400, "Throttling": 400,
		"InternalFailure": 500, "ServiceUnavailable": 503, "IncompleteSignature": 400, "MissingAuthenticationToken": 403,
	} {
		if got := Fail(code, "").Status; got != status {
			t.Errorf("%s: %d", code, got)
		}
	}
}

func TestAServersFaultIsTheReceivers(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	WriteError(w, requestID, Fail("InternalFailure", ""))
	if body := w.Body.String(); !contains(body, "<Type>Receiver</Type>") || contains(body, "<Message>") {
		t.Error(body)
	}
}

func TestAnErrorWithoutACodeHasNoBody(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	WriteError(w, requestID, &Error{Status: 413})
	if w.Code != 413 || w.Body.Len() != 0 || w.Header().Get("x-amzn-RequestId") != requestID {
		t.Error(w.Code, w.Body, w.Header())
	}
}

func check(t *testing.T, w *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if diff := cmp.Diff(body, w.Body.String()); diff != "" {
		t.Error(diff)
	}
	h := w.Header()
	if w.Code != status || h.Get("Content-Type") != "text/xml" || h.Get("x-amzn-RequestId") != requestID || h.Get("Cache-Control") != "no-store" {
		t.Error(w.Code, h)
	}
}

func contains(body, part string) bool { return strings.Contains(body, part) }
