package vend

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

// fakeSTS answers scripted XML and remembers what it was asked, signatures too.
type fakeSTS struct {
	*httptest.Server
	mu    sync.Mutex
	calls []call
	// answer writes the answer to the nth call (from 0); nil always gives credentials.
	answer func(n int, form url.Values, w http.ResponseWriter)
}

type call struct {
	form  url.Values
	keyID string // who signed
}

func newSTS(t *testing.T) *fakeSTS {
	t.Helper()
	f := &fakeSTS{}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	keyID, _, _ := strings.Cut(scope, "/")
	f.mu.Lock()
	n := len(f.calls)
	f.calls = append(f.calls, call{r.PostForm, keyID})
	f.mu.Unlock()
	w.Header().Set("Content-Type", "text/xml")
	if f.answer != nil {
		f.answer(n, r.PostForm, w)
		return
	}
	grant(n, r.PostForm, w)
}

func (f *fakeSTS) asked() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]call{}, f.calls...)
}

// grant answers with credentials for an hour; the number of the call is in them.
func grant(n int, form url.Values, w http.ResponseWriter) {
	name := form.Get("RoleArn")[strings.LastIndex(form.Get("RoleArn"), "/")+1:]
	fmt.Fprintf(w, `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
<AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::111122223333:assumed-role/%s/%s</Arn></AssumedRoleUser>
<Credentials><AccessKeyId>ASIA%s%d</AccessKeyId><SecretAccessKey>secret-%d</SecretAccessKey><SessionToken>token-%d</SessionToken><Expiration>%s</Expiration></Credentials>
</AssumeRoleResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></AssumeRoleResponse>`,
		name, form.Get("RoleSessionName"), name, n, n, n, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// refuse answers with an error of STS.
func refuse(status int, code, message string) func(int, url.Values, http.ResponseWriter) {
	return func(_ int, _ url.Values, w http.ResponseWriter) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code, message)
	}
}

func assume(t *testing.T, f *fakeSTS, timeout time.Duration) *AssumeRole {
	t.Helper()
	a, err := NewAssumeRole(Config{
		Credentials: credentials.NewStaticCredentialsProvider("AKIABROKER", "broker-secret", ""),
		Region:      "eu-west-1", Endpoint: f.URL, Timeout: timeout,
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func role(name string) iam.RoleARN {
	return iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/team/", Name: name}
}

func spec() Spec {
	return Spec{
		Role: role("Admin"), Mode: "assume-role", SessionName: "alice", SourceIdentity: "corp=u-1", Duration: time.Hour,
		Tags: []iam.Tag{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}}, TransitiveTags: []string{"a"},
		Policy: `{"Statement":[]}`, PolicyARNs: []string{"arn:aws:iam::aws:policy/X"}, ExternalID: secret.New("ext"),
		Session: "s-1", PolicyDigest: "d",
	}
}
