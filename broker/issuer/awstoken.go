package issuer

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

// awsTokenLife is how long a token for AWS is good for: it goes from here to STS
// and nowhere else.
const awsTokenLife = 5 * time.Minute

// AWSToken says what a token for AssumeRoleWithWebIdentity is to contain.
type AWSToken struct {
	Audience string // aws.audience
	Provider string // with Subject: who
	Subject  string
	Role     iam.RoleARN // the one role that the token is good for
	// Tags, TransitiveTags and SourceIdentity become those of the session.
	Tags           []iam.Tag
	TransitiveTags []string
	SourceIdentity string
}

// awsClaims are the claims on the wire.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp
type awsClaims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience string   `json:"aud"`
	Expires  int64    `json:"exp"`
	IssuedAt int64    `json:"iat"`
	ID       string   `json:"jti"`
	Tags     *awsTags `json:"https://aws.amazon.com/tags,omitempty"`
	Source   string   `json:"https://aws.amazon.com/source_identity,omitempty"`
	Roles    []string `json:"https://aws.amazon.com/roles,omitempty"`
}

type awsTags struct {
	Principal  map[string][]string `json:"principal_tags"`
	Transitive []string            `json:"transitive_tag_keys,omitempty"`
}

// AWSSubject is the sub of a person's tokens for AWS, which trust policies name:
// PROVIDER=SUBJECT.
func AWSSubject(provider, person string) string { return subject(provider, person) }

// MintAWSToken signs a token with the keys that sign nothing else.
func (i *Issuer) MintAWSToken(ctx context.Context, t AWSToken) (string, error) {
	if i.config.AWSKeys == nil {
		return "", errors.New("token for AWS: there are no keys for it")
	}
	now := i.config.Now()
	claims := awsClaims{
		Issuer: i.config.URL, Subject: subject(t.Provider, t.Subject), Audience: t.Audience,
		IssuedAt: now.Unix(), Expires: now.Add(awsTokenLife).Unix(), ID: rand.Text(),
		Source: t.SourceIdentity, Roles: []string{t.Role.String()},
	}
	if len(t.Tags) > 0 {
		claims.Tags = &awsTags{Principal: map[string][]string{}, Transitive: t.TransitiveTags}
		for _, tag := range t.Tags {
			claims.Tags.Principal[tag.Key] = []string{tag.Value}
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("token for AWS: %w", err)
	}
	token, err := i.config.AWSKeys.SignJWT(ctx, Algorithm, payload)
	if err != nil {
		return "", fmt.Errorf("sign a token for AWS: %w", err)
	}
	return token, nil
}
