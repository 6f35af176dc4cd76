package policy

import "github.com/rolecall/rolecall/config/secret"

type iamSecret = secret.String

func newSecret(s string) secret.String { return secret.New(s) }
