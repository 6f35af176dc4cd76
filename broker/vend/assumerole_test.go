package vend

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/iam"
)

func TestADirectOrderSaysAllThatTheSpecSays(t *testing.T) {
	t.Parallel()
	sts := newSTS(t)
	got, err := assume(t, sts, 0).Vend(t.Context(), spec())
	if err != nil {
		t.Fatal(err)
	}
	calls := sts.asked()
	want := url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {"arn:aws:iam::111122223333:role/team/Admin"},
		"RoleSessionName": {"alice"}, "SourceIdentity": {"corp=u-1"}, "DurationSeconds": {"3600"}, "ExternalId": {"ext"},
		"Policy": {`{"Statement":[]}`}, "PolicyArns.member.1.arn": {"arn:aws:iam::aws:policy/X"},
		"Tags.member.1.Key": {"a"}, "Tags.member.1.Value": {"1"}, "Tags.member.2.Key": {"b"}, "Tags.member.2.Value": {"2"},
		"TransitiveTagKeys.member.1": {"a"},
	}
	if diff := cmp.Diff(want, calls[0].form); diff != "" || len(calls) != 1 || calls[0].keyID != "AKIABROKER" {
		t.Errorf("%d calls, the first by %s:\n%s", len(calls), calls[0].keyID, diff)
	}
	c := got.Credentials
	if c.AccessKeyID != "ASIAAdmin0" || c.SecretAccessKey.Reveal() != "secret-0" || c.SessionToken.Reveal() != "token-0" ||
		c.AccountID != "111122223333" || c.AssumedRoleARN != "arn:aws:sts::111122223333:assumed-role/Admin/alice" || c.Expires.IsZero() {
		t.Errorf("%+v", c)
	}
}

func TestAnOrderThatSaysLessSendsLess(t *testing.T) {
	t.Parallel()
	sts := newSTS(t)
	if _, err := assume(t, sts, 0).Vend(t.Context(), Spec{Role: role("R"), SessionName: "bob", Duration: 20*time.Minute + 900*time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	want := url.Values{"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {role("R").String()}, "RoleSessionName": {"bob"}, "DurationSeconds": {"1200"}}
	if diff := cmp.Diff(want, sts.asked()[0].form); diff != "" {
		t.Error(diff)
	}
}

func TestThroughAHubTheSessionIsSharedAndNeutral(t *testing.T) {
	t.Parallel()
	sts := newSTS(t)
	a := assume(t, sts, 0)
	order := spec()
	order.HubRole = role("Hub")
	for range 2 {
		if _, err := a.Vend(t.Context(), order); err != nil {
			t.Fatal(err)
		}
	}
	calls := sts.asked()
	if len(calls) != 3 {
		t.Fatalf("%d calls, want the hub once and the role twice", len(calls))
	}
	want := url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "RoleArn": {role("Hub").String()},
		"RoleSessionName": {hubSessionName}, "DurationSeconds": {"3600"}, "ExternalId": {"ext"},
	}
	if diff := cmp.Diff(want, calls[0].form); diff != "" || calls[0].keyID != "AKIABROKER" {
		t.Errorf("the hub's session is asked for by %s:\n%s", calls[0].keyID, diff)
	}
	for _, c := range calls[1:] {
		if c.keyID != "ASIAHub0" || c.form.Get("SourceIdentity") != "corp=u-1" || c.form.Get("Tags.member.2.Key") != "b" {
			t.Errorf("the last hop is asked for by %s: %v", c.keyID, c.form)
		}
	}
}

func TestWhatSTSSaysIsSorted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status  int
		code    string
		refused bool
		tries   int
	}{
		{403, "AccessDenied", true, 1},
		{400, "PackedPolicyTooLarge", true, 1},
		{400, "ValidationError", true, 1},
		{400, "MalformedPolicyDocument", true, 1},
		{403, "RegionDisabledException", true, 1},
		{403, "InvalidClientTokenId", false, 1},
		{403, "SignatureDoesNotMatch", false, 0},
		{403, "ExpiredToken", false, 1},
		{400, "Throttling", false, 0},
		{503, "ServiceUnavailable", false, 6},
		{500, "InternalFailure", false, 6},
	} {
		t.Run(c.code, func(t *testing.T) {
			t.Parallel()
			sts := newSTS(t)
			sts.answer = refuse(c.status, c.code, "User: arn:aws:iam::1:user/broker is not authorized")
			got, err := assume(t, sts, 8*time.Second).Vend(t.Context(), spec())
			refused, isRefused := errors.AsType[*Refused](err)
			if isRefused != c.refused || errors.Is(err, ErrUnavailable) == c.refused || got.Credentials != (iam.Credentials{}) {
				t.Errorf("%v", err)
			}
			if isRefused && refused.Code != c.code {
				t.Errorf("code %s", refused.Code)
			}
			if n := len(sts.asked()); n > 6 || c.tries > 0 && n != c.tries {
				t.Errorf("%d tries, want %d", n, c.tries)
			}
		})
	}
}

func TestTheHubsRefusalsAreSortedAlike(t *testing.T) {
	t.Parallel()
	order := spec()
	order.HubRole = role("Hub")
	sts := newSTS(t)
	sts.answer = refuse(403, "AccessDenied", "no")
	if _, err := assume(t, sts, 0).Vend(t.Context(), order); !isRefusal(err, "AccessDenied") || !strings.Contains(err.Error(), "hub role") {
		t.Errorf("%v", err)
	}
	down := newSTS(t)
	down.answer = refuse(500, "InternalFailure", "no")
	if _, err := assume(t, down, 0).Vend(t.Context(), order); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if n := len(down.asked()); n > 6 {
		t.Errorf("%d tries in all", n)
	}
}

func isRefusal(err error, code string) bool {
	refused, ok := errors.AsType[*Refused](err)
	return ok && refused.Code == code
}

func TestAHubSessionThatSTSNoLongerTakesIsRenewed(t *testing.T) {
	t.Parallel()
	sts := newSTS(t)
	sts.answer = func(n int, form url.Values, w http.ResponseWriter) {
		if n == 1 {
			refuse(403, "ExpiredToken", "old")(n, form, w)
			return
		}
		grant(n, form, w)
	}
	a, order := assume(t, sts, 0), spec()
	order.HubRole = role("Hub")
	if _, err := a.Vend(t.Context(), order); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if _, err := a.Vend(t.Context(), order); err != nil {
		t.Error(err)
	}
	if calls := sts.asked(); len(calls) != 4 || calls[3].keyID != "ASIAHub2" {
		t.Errorf("%d calls", len(calls))
	}
}

func TestAWholeOrderIsBounded(t *testing.T) {
	t.Parallel()
	for _, hub := range []bool{false, true} {
		sts, release := newSTS(t), make(chan struct{})
		sts.answer = func(int, url.Values, http.ResponseWriter) { <-release }
		order := spec()
		if hub {
			order.HubRole = role("Hub")
		}
		began := time.Now()
		_, err := assume(t, sts, 50*time.Millisecond).Vend(t.Context(), order)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("hub %v: it took %s", hub, took)
		}
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("hub %v: %v", hub, err)
		}
		close(release)
	}
}

func TestACallerThatGoesAwayGetsItsOwnError(t *testing.T) {
	t.Parallel()
	sts := newSTS(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := assume(t, sts, 0).Vend(ctx, spec()); !errors.Is(err, context.Canceled) || errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestNobodyThereIsUnavailable(t *testing.T) {
	t.Parallel()
	sts := newSTS(t)
	a := assume(t, sts, 300*time.Millisecond)
	sts.Close()
	if _, err := a.Vend(t.Context(), spec()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestHalfAnAnswerIsNone(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>`,
		`<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
		`not xml`,
	} {
		sts := newSTS(t)
		sts.answer = func(_ int, _ url.Values, w http.ResponseWriter) { _, _ = w.Write([]byte(body)) }
		if got, err := assume(t, sts, time.Second).Vend(t.Context(), spec()); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

func TestNoErrorHoldsASecret(t *testing.T) {
	t.Parallel()
	sts := newSTS(t)
	sts.answer = refuse(403, "SignatureDoesNotMatch", "no")
	_, err := assume(t, sts, time.Second).Vend(t.Context(), spec())
	for _, s := range []string{"broker-secret", "ext"} {
		if strings.Contains(err.Error(), s) {
			t.Errorf("%v holds %s", err, s)
		}
	}
	if _, err := NewAssumeRole(Config{Region: "eu-west-1"}); err == nil {
		t.Error("without credentials")
	}
}
