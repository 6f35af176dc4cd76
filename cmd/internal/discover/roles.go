package discover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rolecall/rolecall/broker/iam"
)

// sessionName is what CloudTrail shows of the reading.
const sessionName = "rolecall-discover"

// roles lists the roles of an account that carry the tag, where there is a way to.
func (f *finder) roles(ctx context.Context, a *Account) error {
	client, err := f.reader(a.ID)
	if client == nil || err != nil {
		if err == nil {
			a.Roles, a.Listed = f.knownRoles(a.ID)
		}
		return err
	}
	key, value, valued := strings.Cut(f.Tag, "=")
	pages := awsiam.NewListRolesPaginator(client, &awsiam.ListRolesInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("iam:ListRoles: %w", said(err))
		}
		for _, role := range page.Roles {
			path, name := aws.ToString(role.Path), aws.ToString(role.RoleName)
			if strings.HasPrefix(path, "/aws-service-role/") || strings.HasPrefix(path, "/aws-reserved/") {
				continue // AWS's own, which nobody else can assume
			}
			got, tagged, err := tagOf(ctx, client, name, key)
			if err != nil {
				return err
			}
			if tagged && (!valued || got == value) {
				a.Roles = append(a.Roles, strings.TrimPrefix(path+name, "/"))
			}
		}
	}
	a.Listed = true
	slices.Sort(a.Roles)
	return nil
}

// tagOf reads one tag of a role; ListRoles gives none.
func tagOf(ctx context.Context, client *awsiam.Client, role, key string) (value string, tagged bool, err error) {
	pages := awsiam.NewListRoleTagsPaginator(client, &awsiam.ListRoleTagsInput{RoleName: &role})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", false, fmt.Errorf("iam:ListRoleTags of %s: %w", role, said(err))
		}
		for _, tag := range page.Tags {
			if aws.ToString(tag.Key) == key {
				return aws.ToString(tag.Value), true, nil
			}
		}
	}
	return "", false, nil
}

// reader acts in an account; nil is an account that there is no role for.
func (f *finder) reader(id string) (*awsiam.Client, error) {
	role, externalID := "", ""
	if f.Via != "" {
		role = "arn:" + partition(f.Region) + ":iam::" + id + ":role/" + strings.TrimPrefix(f.Via, "/")
	}
	if a := f.known(id); a != nil {
		externalID = a.ExternalID.Reveal()
		if hub, err := iam.ParseRoleARN(a.HubRole.Value); err == nil && hub.Account == id {
			role = hub.String()
		}
	}
	if role == "" {
		return nil, nil
	}
	if _, err := iam.ParseRoleARN(role); err != nil {
		return nil, err
	}
	tokens := sts.New(sts.Options{Region: f.Region, Credentials: f.Credentials, HTTPClient: f.http, BaseEndpoint: f.endpoint(), Retryer: patient()})
	session := aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(tokens, role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName, o.Duration = sessionName, iam.MinDuration
		if externalID != "" {
			o.ExternalID = &externalID
		}
	}))
	return awsiam.New(awsiam.Options{Region: f.Region, Credentials: session, HTTPClient: f.http, BaseEndpoint: f.endpoint(), Retryer: patient()}), nil
}

// partition is that of a region.
func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	}
	return "aws"
}
