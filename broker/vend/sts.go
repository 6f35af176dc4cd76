package vend

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
	// hub three times for each of its two calls. The regions share these.
	tries       = 6
	triesOfAHop = tries / 2
	maxBackoff  = 2 * time.Second
	// pool is how many connections to STS are kept for the next order.
	pool = 256
)

// Config is what the vendors of each mode are made of.
type Config struct {
	// Credentials are the broker's own; web-identity and saml need none.
	Credentials aws.CredentialsProvider
	// Region of the STS endpoint.
	Region string
	// Fallback are the regions whose STS is asked, in their order, where that of
	// Region is down or throttles.
	Fallback []string
	// Endpoint is the base URL of a stand-in; "" is AWS's own of the region.
	Endpoint string
	// Timeout bounds one whole order, with the hub's call, retries and all regions.
	// Default 10s.
	Timeout time.Duration
	// HTTP replaces the vendor's own connection pool, which knows no proxy.
	HTTP aws.HTTPClient
}

// fill puts in what may be left out.
func (c *Config) fill() error {
	if c.Region == "" {
		return errors.New("STS needs a region")
	}
	if c.Timeout <= 0 {
		c.Timeout = defaultTimeout
	}
	if c.HTTP == nil {
		c.HTTP = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			t.Proxy = nil // the environment's proxy variables are not read
			t.MaxIdleConns, t.MaxIdleConnsPerHost = pool, pool
		})
	}
	return nil
}

// regional is a client for each region, in the order in which they are asked.
type regional []*sts.Client

func (c *Config) clients(credentials aws.CredentialsProvider) regional {
	var made regional
	for _, region := range append([]string{c.Region}, c.Fallback...) {
		options := sts.Options{
			Region: region, Credentials: credentials, HTTPClient: c.HTTP,
			Retryer: retry.AddWithErrorCodes(retry.NewStandard(func(o *retry.StandardOptions) {
				o.MaxAttempts, o.MaxBackoff = tries, maxBackoff
			}), idpUnreachable),
		}
		if c.Endpoint != "" {
			options.BaseEndpoint = &c.Endpoint
		}
		made = append(made, sts.New(options))
	}
	return made
}

// operation is one call of STS.
type operation[T any] func(ctx context.Context, client *sts.Client, o func(*sts.Options)) (T, error)

// ask makes a call at each region in turn until one answers, yes or no. The tries
// and what is left of bounded's time are shared out, so that a region that hangs
// leaves the others their part. caller is the context that was handed in.
func ask[T any](caller, bounded context.Context, clients regional, tries int, make operation[T]) (T, error) {
	var none T
	var first error
	clients = clients[:min(len(clients), tries)]
	for i, client := range clients {
		left := len(clients) - i
		limit := max(tries/left, 1)
		tries -= limit
		got, raw := once(bounded, left, client, limit, make)
		if raw == nil {
			return got, nil
		}
		err := judge(caller, raw)
		if !elsewhere(raw, err) {
			return none, err
		}
		if first == nil {
			first = err
		}
	}
	return none, first
}

// once asks one region, with its part of the time.
func once[T any](bounded context.Context, left int, client *sts.Client, limit int, make operation[T]) (T, error) {
	ctx := bounded
	if end, ok := bounded.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(bounded, time.Until(end)/time.Duration(left))
		defer cancel()
	}
	return make(ctx, client, func(o *sts.Options) { o.RetryMaxAttempts = limit })
}

// prove makes the proof of an order.
func prove(ctx context.Context, spec Spec) (string, error) {
	if spec.Proof == nil {
		return "", fmt.Errorf("mode %s: the order has no proof", spec.Mode)
	}
	proof, err := spec.Proof(ctx)
	if err != nil {
		return "", unavailable(fmt.Errorf("proof for %s: %w", spec.Role, err))
	}
	return proof.Reveal(), nil
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

func tagsOf(spec Spec) []types.Tag {
	var tags []types.Tag
	for i := range spec.Tags {
		tags = append(tags, types.Tag{Key: &spec.Tags[i].Key, Value: &spec.Tags[i].Value})
	}
	return tags
}

func policiesOf(spec Spec) []types.PolicyDescriptorType {
	var policies []types.PolicyDescriptorType
	for i := range spec.PolicyARNs {
		policies = append(policies, types.PolicyDescriptorType{Arn: &spec.PolicyARNs[i]})
	}
	return policies
}

// read takes the credentials from STS's answer, all or none.
func read(c *types.Credentials, user *types.AssumedRoleUser, spec Spec) (iam.Credentials, error) {
	if c == nil || aws.ToString(c.AccessKeyId) == "" || aws.ToString(c.SecretAccessKey) == "" ||
		aws.ToString(c.SessionToken) == "" || c.Expiration == nil {
		return iam.Credentials{}, fmt.Errorf("%w: its answer for %s holds no complete credentials", ErrUnavailable, spec.Role)
	}
	assumed := spec.Role.AssumedRole(spec.SessionName)
	if user != nil && aws.ToString(user.Arn) != "" {
		assumed = *user.Arn
	}
	return iam.Credentials{
		AccessKeyID: *c.AccessKeyId, SecretAccessKey: secret.New(*c.SecretAccessKey), SessionToken: secret.New(*c.SessionToken),
		Expires: *c.Expiration, AssumedRoleARN: assumed, AccountID: spec.Role.Account,
	}, nil
}
