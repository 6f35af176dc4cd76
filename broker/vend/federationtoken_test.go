package vend_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/rolecall/rolecall/broker/vend"
)

const readOnly = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}`

func federation(t *testing.T, c vend.Config) vend.Vendor {
	t.Helper()
	v, err := vend.NewFederationToken(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAFederationTokenIsTheUsersNarrowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	spec := w.spec()
	spec.Policy = readOnly
	got, err := federation(t, w.config()).Vend(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if arn := w.whoAmI(got.Credentials); arn != "arn:aws:sts::999988887777:federated-user/alice" || got.Credentials.AccountID != "999988887777" {
		t.Errorf("%s in %s", arn, got.Credentials.AccountID)
	}
	if left := time.Until(got.Credentials.Expires); left < 7*time.Hour+50*time.Minute || left > 8*time.Hour {
		t.Errorf("it lasts %s", left)
	}
}

// Without a session policy the credentials could do nothing, or, by a resource's
// policy, whatever that says: nothing is sent.
func TestAFederationTokenNeedsASessionPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	if _, err := federation(t, w.config()).Vend(t.Context(), w.spec()); err == nil || !strings.Contains(err.Error(), "session policy") {
		t.Errorf("%v", err)
	}
	if _, err := vend.NewFederationToken(vend.Config{Region: "eu-west-1"}); err == nil {
		t.Error("without keys")
	}
}

func TestAFederationTokenNeedsLongTermKeysAndAShortName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	spec := w.spec()
	spec.Policy = readOnly
	first, err := federation(t, w.config()).Vend(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	own := w.config()
	c := first.Credentials
	own.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal())
	_, err = federation(t, own).Vend(t.Context(), spec)
	refusedWith(t, err, "AccessDenied")
	assume, err := vend.NewAssumeRole(own)
	if err != nil {
		t.Fatal(err)
	}
	_, err = assume.Vend(t.Context(), w.spec())
	refusedWith(t, err, "AccessDenied")
	spec.SessionName = strings.Repeat("a", 33)
	_, err = federation(t, w.config()).Vend(t.Context(), spec)
	refusedWith(t, err, "ValidationError")
}

func TestAModeThatNobodyServesIsAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	modes := vend.Modes{"federation-token": federation(t, w.config())}
	spec := w.spec()
	spec.Policy, spec.Mode = readOnly, "federation-token"
	if _, err := modes.Vend(t.Context(), spec); err != nil {
		t.Error(err)
	}
	spec.Mode = "saml"
	if _, err := modes.Vend(t.Context(), spec); err == nil || errors.Is(err, vend.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
