package vend

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// WebIdentity orders credentials by sts:AssumeRoleWithWebIdentity with a token of
// the broker's own issuer. Tags, source identity and the role itself are claims of
// the token; the broker holds no AWS credentials.
type WebIdentity struct {
	config  Config
	clients regional
}

// NewWebIdentity makes the vendor. It does no I/O.
func NewWebIdentity(config Config) (*WebIdentity, error) {
	if err := config.fill(); err != nil {
		return nil, err
	}
	return &WebIdentity{config, config.clients(aws.AnonymousCredentials{})}, nil
}

// Vend implements Vendor.
func (w *WebIdentity) Vend(ctx context.Context, spec Spec) (Result, error) {
	bounded, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	token, err := prove(bounded, spec)
	if err != nil {
		return Result{}, err
	}
	in := &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(spec.Role.String()), RoleSessionName: aws.String(spec.SessionName), WebIdentityToken: &token,
		Policy: text(spec.Policy), PolicyArns: policiesOf(spec), DurationSeconds: seconds(spec.Duration),
	}
	out, err := ask(ctx, bounded, w.clients, tries, func(ctx context.Context, client *sts.Client, o func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
		return client.AssumeRoleWithWebIdentity(ctx, in, o)
	})
	if err != nil {
		return Result{}, fmt.Errorf("assume role %s with web identity: %w", spec.Role, err)
	}
	credentials, err := read(out.Credentials, out.AssumedRoleUser, spec)
	return Result{Credentials: credentials, Unchained: true}, err
}
