package devaws_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/rolecall/rolecall/broker/devaws"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

const (
	production = "111122223333"
	tools      = "999988887777"
	brokerARN  = "arn:aws:iam::999988887777:user/broker"
	brokerKey  = "AKIABROKER0000000001"
	brokerWord = "broker/secret+key/of/forty/characters/00"
	otherKey   = "AKIAOTHER00000000001"
	otherWord  = "other/secret+key/of/forty/characters/000"
)

// cloud is a stand-in on loopback with a clock that a test moves.
type cloud struct {
	t   *testing.T
	url string
	aws *devaws.AWS
	now atomic.Pointer[time.Time]
}

var morning = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// start serves the roles, which map "NAME" in the production account to a trust policy.
func start(t *testing.T, roles map[string]string, change ...func(*devaws.Config)) *cloud {
	t.Helper()
	c := &cloud{t: t}
	at := morning
	c.now.Store(&at)
	server := httptest.NewUnstartedServer(nil)
	c.url = "http://" + server.Listener.Addr().String()
	cfg := devaws.Config{
		URL:      c.url,
		Accounts: []devaws.Account{{ID: production, Name: "production"}, {ID: tools, Name: "tools"}},
		Users: []devaws.User{
			{ARN: brokerARN, AccessKeyID: brokerKey, SecretAccessKey: secret.New(brokerWord), Tags: []iam.Tag{{Key: "unit", Value: "identity"}}},
			{ARN: "arn:aws:iam::999988887777:user/other", AccessKeyID: otherKey, SecretAccessKey: secret.New(otherWord)},
		},
		Now: func() time.Time { return *c.now.Load() },
	}
	for name, trust := range roles {
		cfg.Roles = append(cfg.Roles, devaws.Role{ARN: roleARN(t, name), Trust: trust, MaxSessionDuration: 12 * time.Hour})
	}
	for _, f := range change {
		f(&cfg)
	}
	handler, err := devaws.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.aws, server.Config.Handler = handler, handler
	server.Start()
	t.Cleanup(server.Close)
	return c
}

func roleARN(t *testing.T, name string) iam.RoleARN {
	t.Helper()
	arn, err := iam.ParseRoleARN("arn:aws:iam::" + production + ":role/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return arn
}

func (c *cloud) wait(d time.Duration) {
	at := c.now.Load().Add(d)
	c.now.Store(&at)
}

// client is a stock STS client; its clock is the stand-in's.
func (c *cloud) client(key, word, token string) *sts.Client {
	return sts.New(sts.Options{
		BaseEndpoint: aws.String(c.url), Region: "eu-west-1", RetryMaxAttempts: 1,
		Credentials:  credentials.NewStaticCredentialsProvider(key, word, token),
		HTTPSignerV4: c.signer(),
	})
}

// clockSigner is the SDK's signer with the stand-in's clock.
type clockSigner struct {
	*v4.Signer
	c *cloud
}

func (s clockSigner) SignHTTP(ctx context.Context, k aws.Credentials, r *http.Request, hash, service, region string, _ time.Time, opts ...func(*v4.SignerOptions)) error {
	return s.Signer.SignHTTP(ctx, k, r, hash, service, region, *s.c.now.Load(), opts...)
}

func (s clockSigner) PresignHTTP(ctx context.Context, k aws.Credentials, r *http.Request, hash, service, region string, _ time.Time, opts ...func(*v4.SignerOptions)) (string, http.Header, error) {
	return s.Signer.PresignHTTP(ctx, k, r, hash, service, region, *s.c.now.Load(), opts...)
}

func (c *cloud) signer() clockSigner { return clockSigner{v4.NewSigner(), c} }

func (c *cloud) broker() *sts.Client { return c.client(brokerKey, brokerWord, "") }

func (c *cloud) as(k *types.Credentials) *sts.Client {
	return c.client(*k.AccessKeyId, *k.SecretAccessKey, *k.SessionToken)
}

// assume is AssumeRole of a role that must be given.
func (c *cloud) assume(from *sts.Client, in *sts.AssumeRoleInput) *sts.AssumeRoleOutput {
	c.t.Helper()
	out, err := from.AssumeRole(c.t.Context(), in)
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// packed is the percentage of the room that policies and tags take.
func packed(out *sts.AssumeRoleOutput) int32 {
	//lint:ignore SA1019 STS still sends it, and this stand-in sends nothing newer
	return aws.ToInt32(out.PackedPolicySize)
}

func order(role string) *sts.AssumeRoleInput {
	return &sts.AssumeRoleInput{
		RoleArn: aws.String("arn:aws:iam::" + production + ":role/" + role), RoleSessionName: aws.String("alice"),
		DurationSeconds: aws.Int32(3600),
	}
}

// refusedWith demands an API error of the code, with the text in its message.
func refusedWith(t *testing.T, err error, code, text string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("want %s, got %v", code, err)
	}
	if api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), text) {
		t.Fatalf("want %s with %q, got %s: %s", code, text, api.ErrorCode(), api.ErrorMessage())
	}
}

func TestARoleIsAssumedAndTheCredentialsWorkUntilTheyExpire(t *testing.T) {
	t.Parallel()
	c := start(t, map[string]string{"team/Admin": devaws.TrustPolicy("", brokerARN)})
	in := order("team/Admin")
	in.SourceIdentity = aws.String("corp=alice")
	in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("platform")}}
	out := c.assume(c.broker(), in)
	if got := *out.AssumedRoleUser.Arn; got != "arn:aws:sts::111122223333:assumed-role/Admin/alice" {
		t.Error(got)
	}
	if !strings.HasSuffix(*out.AssumedRoleUser.AssumedRoleId, ":alice") || !strings.HasPrefix(*out.AssumedRoleUser.AssumedRoleId, "AROA") {
		t.Error(*out.AssumedRoleUser.AssumedRoleId)
	}
	if *out.SourceIdentity != "corp=alice" || !out.Credentials.Expiration.Equal(morning.Add(time.Hour)) || packed(out) < 1 {
		t.Errorf("%s %s %d", *out.SourceIdentity, out.Credentials.Expiration, packed(out))
	}
	if !strings.HasPrefix(*out.Credentials.AccessKeyId, "ASIA") {
		t.Error(*out.Credentials.AccessKeyId)
	}

	who, err := c.as(out.Credentials).GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if *who.Arn != *out.AssumedRoleUser.Arn || *who.Account != production || *who.UserId != *out.AssumedRoleUser.AssumedRoleId {
		t.Errorf("%s %s %s", *who.Arn, *who.Account, *who.UserId)
	}
	c.wait(time.Hour - time.Second)
	if _, err := c.as(out.Credentials).GetCallerIdentity(t.Context(), nil); err != nil {
		t.Errorf("a second before the end: %v", err)
	}
	c.wait(time.Second)
	_, err = c.as(out.Credentials).GetCallerIdentity(t.Context(), nil)
	refusedWith(t, err, "ExpiredToken", "expired")
}

func TestGetCallerIdentityKnowsAUserByTheLongTermKey(t *testing.T) {
	t.Parallel()
	who, err := start(t, nil).broker().GetCallerIdentity(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if *who.Arn != brokerARN || *who.Account != tools || !strings.HasPrefix(*who.UserId, "AIDA") {
		t.Errorf("%s %s %s", *who.Arn, *who.Account, *who.UserId)
	}
}

func TestWrongKeysAreRefusedAsSTSDoes(t *testing.T) {
	t.Parallel()
	c := start(t, map[string]string{"Admin": devaws.TrustPolicy("", brokerARN)})
	k := c.assume(c.broker(), order("Admin")).Credentials
	k2 := c.assume(c.broker(), order("Admin")).Credentials
	for name, test := range map[string]struct{ key, word, token, code string }{
		"an unknown access key":                        {"AKIANOBODY0000000001", brokerWord, "", "InvalidClientTokenId"},
		"a wrong secret":                               {brokerKey, otherWord, "", "SignatureDoesNotMatch"},
		"a session token beside a long-term key":       {brokerKey, brokerWord, *k.SessionToken, "InvalidClientTokenId"},
		"a role session without its token":             {*k.AccessKeyId, *k.SecretAccessKey, "", "InvalidClientTokenId"},
		"a role session with another session's token":  {*k.AccessKeyId, *k.SecretAccessKey, *k2.SessionToken, "InvalidClientTokenId"},
		"a role session with another session's secret": {*k.AccessKeyId, *k2.SecretAccessKey, *k.SessionToken, "SignatureDoesNotMatch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := c.client(test.key, test.word, test.token).GetCallerIdentity(t.Context(), nil)
			refusedWith(t, err, test.code, "")
		})
	}
}

func TestOperationsThatDoNotExistHereAreInvalidActions(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	_, err := c.broker().GetSessionToken(t.Context(), nil)
	refusedWith(t, err, "InvalidAction", "Could not find operation GetSessionToken for version 2011-06-15")
	_, err = c.broker().GetAccessKeyInfo(t.Context(), &sts.GetAccessKeyInfoInput{AccessKeyId: aws.String(brokerKey)})
	refusedWith(t, err, "InvalidAction", "GetAccessKeyInfo")
}

func TestPresignedGetCallerIdentityWorksAndEndsAfterFifteenMinutes(t *testing.T) {
	t.Parallel()
	c := start(t, map[string]string{"Admin": devaws.TrustPolicy("", brokerARN)})
	session := c.as(c.assume(c.broker(), order("Admin")).Credentials)
	signed, err := sts.NewPresignClient(session, func(o *sts.PresignOptions) { o.Presigner = c.signer() }).
		PresignGetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, signed.Method, signed.URL); got != http.StatusOK {
		t.Errorf("fresh: %d", got)
	}
	c.wait(15*time.Minute + time.Second)
	if got := fetch(t, signed.Method, signed.URL); got != http.StatusForbidden {
		t.Errorf("after 15 minutes: %d", got)
	}
}

func fetch(t *testing.T, method, url string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return res.StatusCode
}

func TestAnotherHostIsRefused(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, c.url, nil)
	req.Host = "rebound.example:" + c.url[strings.LastIndex(c.url, ":")+1:]
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusMisdirectedRequest {
		t.Error(res.Status)
	}
}
