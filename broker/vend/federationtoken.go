package vend

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// FederationToken orders credentials by sts:GetFederationToken with the long-term
// keys of an IAM user. No role is assumed: the session may do what both the user
// and the session policy allow, so an order without one is refused here.
type FederationToken struct {
	config  Config
	clients regional
}

// NewFederationToken makes the vendor. It does no I/O.
func NewFederationToken(config Config) (*FederationToken, error) {
	if config.Credentials == nil {
		return nil, errors.New("GetFederationToken needs the keys of an IAM user")
	}
	if err := config.fill(); err != nil {
		return nil, err
	}
	return &FederationToken{config, config.clients(config.Credentials)}, nil
}

// Vend implements Vendor.
func (f *FederationToken) Vend(ctx context.Context, spec Spec) (Result, error) {
	if spec.Policy == "" && len(spec.PolicyARNs) == 0 {
		return Result{}, fmt.Errorf("federation token for %s: an order without a session policy", spec.Role)
	}
	bounded, cancel := context.WithTimeout(ctx, f.config.Timeout)
	defer cancel()
	in := &sts.GetFederationTokenInput{
		Name: aws.String(spec.SessionName), Policy: text(spec.Policy), PolicyArns: policiesOf(spec),
		Tags: tagsOf(spec), DurationSeconds: seconds(spec.Duration),
	}
	out, err := ask(ctx, bounded, f.clients, tries, func(ctx context.Context, client *sts.Client, o func(*sts.Options)) (*sts.GetFederationTokenOutput, error) {
		return client.GetFederationToken(ctx, in, o)
	})
	if err != nil {
		return Result{}, fmt.Errorf("federation token for %s: %w", spec.Role, err)
	}
	var user *types.AssumedRoleUser
	if out.FederatedUser != nil {
		user = &types.AssumedRoleUser{Arn: out.FederatedUser.Arn}
	}
	credentials, err := read(out.Credentials, user, spec)
	if parts := strings.Split(credentials.AssumedRoleARN, ":"); len(parts) == 6 {
		credentials.AccountID = parts[4] // the user's, whatever account the role names
	}
	return Result{Credentials: credentials}, err
}
