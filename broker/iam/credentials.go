package iam

import (
	"encoding/json"
	"log/slog"
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

// Credentials are temporary AWS credentials as STS gave them.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey secret.String
	SessionToken    secret.String
	Expires         time.Time
	// AssumedRoleARN is the principal they act as; its account is AccountID.
	AssumedRoleARN string
	AccountID      string
}

// ProcessDocument is the credential_process document, Version 1, which is also
// the answer of POST /api/v1/credentials. It is the one form of Credentials
// that reveals the secrets.
//
// https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html
type ProcessDocument struct {
	Version         int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
	AccountID       string `json:"AccountId,omitempty"`
}

// Document reveals the credentials as a credential_process document.
func (c Credentials) Document() ProcessDocument {
	return ProcessDocument{
		Version:         1,
		AccessKeyID:     c.AccessKeyID,
		SecretAccessKey: c.SecretAccessKey.Reveal(),
		SessionToken:    c.SessionToken.Reveal(),
		Expiration:      c.Expires.UTC().Truncate(time.Second),
		AccountID:       c.AccountID,
	}
}

// String redacts, so that a document printed by mistake shows nothing.
func (d ProcessDocument) String() string { return "credentials " + d.AccessKeyID }

// GoString implements fmt.GoStringer.
func (d ProcessDocument) GoString() string { return d.String() }

// LogValue implements slog.LogValuer, which a JSON handler asks before it marshals.
func (d ProcessDocument) LogValue() slog.Value { return slog.StringValue(d.String()) }

// JSON is the document as one line.
func (d ProcessDocument) JSON() ([]byte, error) { return json.Marshal(d) }
