package devaws

import (
	"fmt"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

func TestCredentialsAreBoundedAndTheFirstToExpireGoFirst(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	s := newSessions(func() time.Time { return now })
	put := func(i int) {
		s.put(&session{Credentials: iam.Credentials{AccessKeyID: fmt.Sprint(i), Expires: now.Add(time.Duration(i) * time.Second)}})
	}
	put(maxSessions * 2)
	for i := range maxSessions + 10 {
		put(i)
	}
	if len(s.byKey) != maxSessions {
		t.Errorf("%d are kept", len(s.byKey))
	}
	if _, ok := s.get("0"); ok {
		t.Error("the first to expire is still there")
	}
	if _, ok := s.get(fmt.Sprint(maxSessions * 2)); !ok {
		t.Error("the last to expire is gone")
	}
}

func TestSigninTokensAreBoundedAndTheOldGo(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	s := newSignins(func() time.Time { return now })
	var last string
	for range maxSignins + 10 {
		last = s.put(s.tokens, signin{expires: now.Add(signinLife)}, 0)
	}
	if len(s.tokens) != maxSignins {
		t.Errorf("%d are kept", len(s.tokens))
	}
	if _, ok := s.take(last); !ok {
		t.Error("the newest is gone")
	}
	now = now.Add(signinLife + time.Second)
	s.put(s.tokens, signin{expires: now.Add(signinLife)}, 0)
	if len(s.tokens) != 1 {
		t.Errorf("%d are kept after all but one expired", len(s.tokens))
	}
}

func TestCredentialsAreAsSTSShapesThem(t *testing.T) {
	t.Parallel()
	r := &role{Role: Role{ARN: iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/a/", Name: "Admin"}}}
	arn := r.ARN.AssumedRole("alice")
	one, two := newCredentials(arn, r.ARN.Account, time.Time{}), newCredentials(arn, r.ARN.Account, time.Time{})
	if len(one.AccessKeyID) != 20 || len(one.SecretAccessKey.Reveal()) != 40 || len(one.SessionToken.Reveal()) < 256 {
		t.Errorf("%d %d %d", len(one.AccessKeyID), len(one.SecretAccessKey.Reveal()), len(one.SessionToken.Reveal()))
	}
	if one.AccessKeyID == two.AccessKeyID || one.SecretAccessKey.Equal(two.SecretAccessKey) || one.SessionToken.Equal(two.SessionToken) {
		t.Error("two are alike")
	}
	if id := uniqueID("AROA", "x"); len(id) != 21 || id != uniqueID("AROA", "x") || id == uniqueID("AROA", "y") {
		t.Error(id)
	}
}
