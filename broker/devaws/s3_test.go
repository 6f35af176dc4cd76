package devaws_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

const ownPrefix = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:DeleteObject"],"Resource":"arn:aws:s3:::notes-data/id-1/*"},
	{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::notes-data","Condition":{"StringLike":{"s3:prefix":"id-1/*"}}}]}`

// s3 sends a signed request; it gives the status and the body.
func (c *cloud) s3(k *types.Credentials, method, path, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+"/s3/"+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(sum[:]))
	keys := aws.Credentials{AccessKeyID: *k.AccessKeyId, SecretAccessKey: *k.SecretAccessKey, SessionToken: aws.ToString(k.SessionToken)}
	if err := c.signer().SignHTTP(c.t.Context(), keys, r, hex.EncodeToString(sum[:]), "s3", "eu-west-1", time.Time{}); err != nil {
		c.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestASessionPolicyBoundsWhatMayBeDoneAtS3(t *testing.T) {
	t.Parallel()
	c := start(t, map[string]string{"Notes": allow(brokerARN, every, "")})
	in := order("Notes")
	in.Policy = aws.String(ownPrefix)
	bounded := c.assume(c.broker(), in).Credentials
	whole := c.assume(c.broker(), order("Notes")).Credentials

	for _, step := range []struct {
		name         string
		as           *types.Credentials
		method, path string
		body         string
		status       int
		says         string
	}{
		{"one's own object is written", bounded, "PUT", "notes-data/id-1/a", "hello", 200, ""},
		{"and read", bounded, "GET", "notes-data/id-1/a", "", 200, "hello"},
		{"and listed", bounded, "GET", "notes-data?list-type=2&prefix=id-1%2F", "", 200, "<Key>id-1/a</Key>"},
		{"another's object is not written", bounded, "PUT", "notes-data/id-2/a", "hello", 403, "<Code>AccessDenied</Code>"},
		{"another's object is not read", bounded, "GET", "notes-data/id-2/a", "", 403, "AccessDenied"},
		{"another's prefix is not listed", bounded, "GET", "notes-data?list-type=2&prefix=id-2%2F", "", 403, "AccessDenied"},
		{"nor the whole bucket", bounded, "GET", "notes-data?list-type=2", "", 403, "AccessDenied"},
		{"nor another bucket", bounded, "GET", "other?list-type=2&prefix=id-1%2F", "", 403, "AccessDenied"},
		{"without a session policy the role decides", whole, "GET", "notes-data?list-type=2", "", 200, "<KeyCount>1</KeyCount>"},
		{"what is not there is said", bounded, "GET", "notes-data/id-1/b", "", 404, "<Code>NoSuchKey</Code>"},
		{"one's own object is removed", bounded, "DELETE", "notes-data/id-1/a", "", 204, ""},
		{"and is gone", bounded, "GET", "notes-data/id-1/a", "", 404, "NoSuchKey"},
		{"a call that is not known here is refused", bounded, "GET", "notes-data?acl=", "", 501, "NotImplemented"},
	} {
		status, body := c.s3(step.as, step.method, step.path, step.body)
		if status != step.status || !strings.Contains(body, step.says) {
			t.Errorf("%s: %d %s, want %d %s", step.name, status, body, step.status, step.says)
		}
	}

	forged := *bounded
	forged.SecretAccessKey = whole.SecretAccessKey
	if status, body := c.s3(&forged, "GET", "notes-data/id-1/a", ""); status != 403 || !strings.Contains(body, "SignatureDoesNotMatch") {
		t.Errorf("a wrong secret: %d %s", status, body)
	}
	c.wait(2 * time.Hour)
	if status, body := c.s3(bounded, "GET", "notes-data/id-1/a", ""); status != 403 && status != 400 || !strings.Contains(body, "ExpiredToken") {
		t.Errorf("after their end: %d %s", status, body)
	}
}

func TestWhatAPolicyCannotSayHereIsDeniedAtS3(t *testing.T) {
	t.Parallel()
	c := start(t, map[string]string{"Notes": allow(brokerARN, every, "")})
	managed := order("Notes")
	managed.PolicyArns = []types.PolicyDescriptorType{{Arn: aws.String("arn:aws:iam::aws:policy/AmazonS3FullAccess")}}
	if status, body := c.s3(c.assume(c.broker(), managed).Credentials, "GET", "notes-data?list-type=2", ""); status != 403 {
		t.Errorf("a managed policy, whose text is not known here: %d %s", status, body)
	}
	out, err := c.broker().GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: aws.String("bob"), DurationSeconds: aws.Int32(900)})
	if err != nil {
		t.Fatal(err)
	}
	if status, body := c.s3(out.Credentials, "GET", "notes-data?list-type=2", ""); status != 403 {
		t.Errorf("a federated user without a session policy: %d %s", status, body)
	}
	out, err = c.broker().GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: aws.String("bob"), DurationSeconds: aws.Int32(900), Policy: aws.String(ownPrefix)})
	if err != nil {
		t.Fatal(err)
	}
	if status, body := c.s3(out.Credentials, "GET", "notes-data?list-type=2&prefix=id-1%2F", ""); status != 200 {
		t.Errorf("a federated user with one: %d %s", status, body)
	}
}
