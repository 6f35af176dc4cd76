package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

var sample = iam.ProcessDocument{
	Version: 1, AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "a/b+c=", SessionToken: "tok",
	Expiration: time.Date(2026, 11, 23, 12, 30, 0, 0, time.UTC), AccountID: "111122223333",
}

func TestEnvironmentFormatsAreThoseOfTheAWSCLI(t *testing.T) {
	t.Parallel()
	for format, want := range map[string]string{
		"bash":        "export AWS_ACCESS_KEY_ID=ASIAEXAMPLE\nexport AWS_SECRET_ACCESS_KEY=a/b+c=\nexport AWS_SESSION_TOKEN=tok\nexport AWS_CREDENTIAL_EXPIRATION=2026-11-23T12:30:00Z\n",
		"dotenv":      "AWS_ACCESS_KEY_ID=ASIAEXAMPLE\nAWS_SECRET_ACCESS_KEY=a/b+c=\nAWS_SESSION_TOKEN=tok\nAWS_CREDENTIAL_EXPIRATION=2026-11-23T12:30:00Z\n",
		"fish":        "set -gx AWS_ACCESS_KEY_ID \"ASIAEXAMPLE\"\nset -gx AWS_SECRET_ACCESS_KEY \"a/b+c=\"\nset -gx AWS_SESSION_TOKEN \"tok\"\nset -gx AWS_CREDENTIAL_EXPIRATION \"2026-11-23T12:30:00Z\"\n",
		"powershell":  "$Env:AWS_ACCESS_KEY_ID=\"ASIAEXAMPLE\"\n$Env:AWS_SECRET_ACCESS_KEY=\"a/b+c=\"\n$Env:AWS_SESSION_TOKEN=\"tok\"\n$Env:AWS_CREDENTIAL_EXPIRATION=\"2026-11-23T12:30:00Z\"\n",
		"windows-cmd": "set AWS_ACCESS_KEY_ID=ASIAEXAMPLE\nset AWS_SECRET_ACCESS_KEY=a/b+c=\nset AWS_SESSION_TOKEN=tok\nset AWS_CREDENTIAL_EXPIRATION=2026-11-23T12:30:00Z\n",
		"json":        `{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"a/b+c=","SessionToken":"tok","Expiration":"2026-11-23T12:30:00Z","AccountId":"111122223333"}` + "\n",
	} {
		var got bytes.Buffer
		if err := envFormats[format](&got, sample); err != nil || got.String() != want {
			t.Errorf("%s: %v\n got %s want %s", format, err, got.String(), want)
		}
	}
}

// What a broker sends must never run in the shell that evaluates it.
func TestBashSeesTheValueAndNothingElse(t *testing.T) {
	t.Parallel()
	hostile := sample
	hostile.SessionToken = "a'b\"c$(touch /tmp/rolecall-owned)`id`\\ ; echo no\nnext"
	var script bytes.Buffer
	if err := envFormats["bash"](&script, hostile); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("bash", "-c", script.String()+`printf %s "$AWS_SESSION_TOKEN"`).Output()
	if err != nil || string(out) != hostile.SessionToken {
		t.Errorf("bash read %q, %v; want %q", out, err, hostile.SessionToken)
	}
	if strings.Contains(string(out), "uid=") {
		t.Error("a command ran")
	}
}
