package vend

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// SAML orders credentials by sts:AssumeRoleWithSAML with an assertion that the
// broker signs, in accounts that trust it as a SAML provider. Session name, tags
// and source identity are attributes of the assertion.
type SAML struct {
	config  Config
	clients regional
}

// NewSAML makes the vendor. It does no I/O.
func NewSAML(config Config) (*SAML, error) {
	if err := config.fill(); err != nil {
		return nil, err
	}
	return &SAML{config, config.clients(aws.AnonymousCredentials{})}, nil
}

// Vend implements Vendor.
func (s *SAML) Vend(ctx context.Context, spec Spec) (Result, error) {
	bounded, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	assertion, err := prove(bounded, spec)
	if err != nil {
		return Result{}, err
	}
	in := &sts.AssumeRoleWithSAMLInput{
		RoleArn: aws.String(spec.Role.String()), PrincipalArn: aws.String(spec.SAMLProvider), SAMLAssertion: &assertion,
		Policy: text(spec.Policy), PolicyArns: policiesOf(spec), DurationSeconds: seconds(spec.Duration),
	}
	out, err := ask(ctx, bounded, s.clients, tries, func(ctx context.Context, client *sts.Client, o func(*sts.Options)) (*sts.AssumeRoleWithSAMLOutput, error) {
		return client.AssumeRoleWithSAML(ctx, in, o)
	})
	if err != nil {
		return Result{}, fmt.Errorf("assume role %s with SAML: %w", spec.Role, err)
	}
	credentials, err := read(out.Credentials, out.AssumedRoleUser, spec)
	return Result{Credentials: credentials, Unchained: true}, err
}
