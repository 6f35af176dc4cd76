package vend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
)

const (
	defaultTimeout = 10 * time.Second
	// An order is tried six times in all: a direct one by itself, one through a
	// hub three times for each of its two calls.
	tries       = 6
	triesOfAHop = tries / 2
	maxBackoff  = 2 * time.Second
	// hubSessionName is what CloudTrail shows of the hub's session, which people share.
	hubSessionName = "rolecall-hub"
	// hubEarly renews the hub's session before it ends, as the SDK's own providers do.
	hubEarly = 5 * time.Minute
	// pool is how many connections to STS are kept for the next order.
	pool = 256
)

// Config is what AssumeRole is made of.
type Config struct {
	// Credentials are the broker's own.
	Credentials aws.CredentialsProvider
	// Region of the STS endpoint.
	Region string
	// Endpoint is the base URL of a stand-in; "" is AWS's own of the region.
	Endpoint string
	// Timeout bounds one whole order, with the hub's call and retries. Default 10s.
	Timeout time.Duration
	// HTTP replaces the vendor's own connection pool, which knows no proxy.
	HTTP aws.HTTPClient
}

// AssumeRole orders credentials by sts:AssumeRole, as the broker itself or from
// a hub role's session that is neutral, untagged and shared.
type AssumeRole struct {
	config Config
	direct *sts.Client

	mu   sync.Mutex
	hubs map[hubKey]*hub
}

type hubKey struct {
	role       iam.RoleARN
	externalID secret.String
}

// hub is one hub role: its cached session, and a client that acts as it.
type hub struct {
	session *aws.CredentialsCache
	client  *sts.Client
}

// NewAssumeRole makes the vendor. It does no I/O.
func NewAssumeRole(config Config) (*AssumeRole, error) {
	if config.Credentials == nil || config.Region == "" {
		return nil, errors.New("AssumeRole needs the broker's own AWS credentials and a region")
	}
	if config.Timeout <= 0 {
		config.Timeout = defaultTimeout
	}
	if config.HTTP == nil {
		config.HTTP = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.Proxy = nil // the environment's proxy variables are not read
			t.MaxIdleConns, t.MaxIdleConnsPerHost = pool, pool
		})
	}
	a := &AssumeRole{config: config, hubs: map[hubKey]*hub{}}
	a.direct = a.client(config.Credentials)
	return a, nil
}

func (a *AssumeRole) client(credentials aws.CredentialsProvider) *sts.Client {
	options := sts.Options{
		Region: a.config.Region, Credentials: credentials, HTTPClient: a.config.HTTP,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts, o.MaxBackoff = tries, maxBackoff
		}),
	}
	if a.config.Endpoint != "" {
		options.BaseEndpoint = &a.config.Endpoint
	}
	return sts.New(options)
}

// Vend implements Vendor.
func (a *AssumeRole) Vend(ctx context.Context, spec Spec) (Result, error) {
	bounded, cancel := context.WithTimeout(ctx, a.config.Timeout)
	defer cancel()
	client, hop := a.direct, tries
	var through *hub
	if spec.HubRole != (iam.RoleARN{}) {
		through = a.hub(hubKey{spec.HubRole, spec.ExternalID})
		client, hop = through.client, triesOfAHop
		if _, err := through.session.Retrieve(bounded); err != nil {
			return Result{}, fmt.Errorf("hub role %s: %w", spec.HubRole, judge(ctx, err))
		}
	}
	out, err := client.AssumeRole(bounded, input(spec), func(o *sts.Options) { o.RetryMaxAttempts = hop })
	if err != nil {
		err = judge(ctx, err)
		if through != nil && errors.Is(err, ErrUnavailable) {
			through.session.Invalidate() // its keys may be what is wrong
		}
		return Result{}, fmt.Errorf("assume role %s: %w", spec.Role, err)
	}
	credentials, err := read(out, spec)
	return Result{Credentials: credentials}, err
}

// input is the order as STS takes it.
func input(spec Spec) *sts.AssumeRoleInput {
	in := &sts.AssumeRoleInput{
		RoleArn:         aws.String(spec.Role.String()),
		RoleSessionName: aws.String(spec.SessionName),
		SourceIdentity:  text(spec.SourceIdentity),
		Policy:          text(spec.Policy),
		ExternalId:      text(spec.ExternalID.Reveal()),
		DurationSeconds: seconds(spec.Duration),
	}
	if len(spec.TransitiveTags) > 0 {
		in.TransitiveTagKeys = spec.TransitiveTags
	}
	for i := range spec.Tags {
		in.Tags = append(in.Tags, types.Tag{Key: &spec.Tags[i].Key, Value: &spec.Tags[i].Value})
	}
	for i := range spec.PolicyARNs {
		in.PolicyArns = append(in.PolicyArns, types.PolicyDescriptorType{Arn: &spec.PolicyARNs[i]})
	}
	return in
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// seconds is a duration as STS counts it; a fraction would be asked for as more
// than the caller may have.
func seconds(d time.Duration) *int32 {
	if d <= 0 {
		return nil
	}
	return aws.Int32(int32(min(d, iam.MaxDuration) / time.Second)) //nolint:gosec // at most 43200
}

// read takes the credentials from STS's answer, all or none.
func read(out *sts.AssumeRoleOutput, spec Spec) (iam.Credentials, error) {
	c := out.Credentials
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" ||
		aws.ToString(c.SessionToken) == "" || c.Expiration == nil {
		return iam.Credentials{}, fmt.Errorf("%w: its answer for %s holds no complete credentials", ErrUnavailable, spec.Role)
	}
	assumed := spec.Role.AssumedRole(spec.SessionName)
	if out.AssumedRoleUser != nil && aws.ToString(out.AssumedRoleUser.Arn) != "" {
		assumed = *out.AssumedRoleUser.Arn
	}
	return iam.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: secret.New(*c.SecretAccessKey), SessionToken: secret.New(*c.SessionToken),
		Expires: *c.Expiration, AssumedRoleARN: assumed, AccountID: spec.Role.Account,
	}, nil
}

// hub finds or makes the client of a hub role. There are as many as the
// configuration has.
func (a *AssumeRole) hub(key hubKey) *hub {
	a.mu.Lock()
	defer a.mu.Unlock()
	h := a.hubs[key]
	if h == nil {
		session := aws.NewCredentialsCache(hubSession{a, key}, func(o *aws.CredentialsCacheOptions) { o.ExpiryWindow = hubEarly })
		h = &hub{session: session, client: a.client(session)}
		a.hubs[key] = h
	}
	return h
}

// hubSession gets the session of a hub role, without anything of a person in it.
type hubSession struct {
	a   *AssumeRole
	key hubKey
}

// Retrieve implements aws.CredentialsProvider. The cache around it hides the
// context of whoever asked first, so the bound is its own.
func (h hubSession) Retrieve(ctx context.Context) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, h.a.config.Timeout)
	defer cancel()
	spec := Spec{Role: h.key.role, SessionName: hubSessionName, ExternalID: h.key.externalID, Duration: iam.MaxChainedDuration}
	out, err := h.a.direct.AssumeRole(ctx, input(spec), func(o *sts.Options) { o.RetryMaxAttempts = triesOfAHop })
	if err != nil {
		return aws.Credentials{}, judge(ctx, err)
	}
	c, err := read(out, spec)
	if err != nil {
		return aws.Credentials{}, err
	}
	return aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal(),
		CanExpire: true, Expires: c.Expires, Source: "rolecall hub",
	}, nil
}
