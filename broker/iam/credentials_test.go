package iam_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

const canary = "CANARY-51c9"

func someCredentials() iam.Credentials {
	return iam.Credentials{
		AccessKeyID: "ASIAEXAMPLE000000001", SecretAccessKey: secret.New(canary + "-key"), SessionToken: secret.New(canary + "-token"),
		Expires:        time.Date(2026, 11, 23, 14, 50, 58, 999_000_000, time.FixedZone("CET", 3600)),
		AssumedRoleARN: "arn:aws:sts::111122223333:assumed-role/Admin/alice", AccountID: "111122223333",
	}
}

func TestTheProcessDocumentIsWhatTheSDKsRead(t *testing.T) {
	t.Parallel()
	got, err := someCredentials().Document().JSON()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"Version":1,"AccessKeyId":"ASIAEXAMPLE000000001","SecretAccessKey":"CANARY-51c9-key","SessionToken":"CANARY-51c9-token",` +
		`"Expiration":"2026-11-23T13:50:58Z","AccountId":"111122223333"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestTheProcessDocumentReadsItsOwnJSON(t *testing.T) {
	t.Parallel()
	want := someCredentials().Document()
	text, err := want.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var got iam.ProcessDocument
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAnAccountThatIsNotKnownIsLeftOut(t *testing.T) {
	t.Parallel()
	c := someCredentials()
	c.AccountID = ""
	text, err := c.Document().JSON()
	if err != nil || strings.Contains(string(text), "AccountId") {
		t.Errorf("%s %v", text, err)
	}
}

func TestCredentialsPrintNoSecret(t *testing.T) {
	t.Parallel()
	c := someCredentials()
	d := c.Document()
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "credentials", c, "pointer", &c)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "credentials", c, "document", d)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "document", d, "pointer", &d)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		fmt.Fprintf(&b, verb+verb, c, &c)
		fmt.Fprintf(&b, verb+verb, d, &d)
		fmt.Fprintf(&b, verb, []iam.ProcessDocument{d})
	}
	if strings.Contains(b.String(), canary) || strings.Contains(b.String(), fmt.Sprintf("%x", canary)) {
		t.Error(b.String())
	}
	text, err := json.Marshal(c)
	if err != nil || bytes.Contains(text, []byte(canary)) {
		t.Errorf("%s %v", text, err)
	}
}
