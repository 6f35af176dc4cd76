package assemble

import (
	"github.com/rolecall/rolecall/cmd/internal/awssetup"
	"github.com/rolecall/rolecall/config"
)

// AWSSetup is the IAM side of a configuration; principal is the broker's own ARN.
func AWSSetup(c *config.Config, principal string) (*awssetup.Setup, error) {
	compiled, err := Policy(c)
	if err != nil {
		return nil, err
	}
	return awssetup.New(awssetup.Config{
		Targets: compiled.Targets(), Issuer: issuerURL(c), Audience: c.AWS.Audience.Value, Principal: principal,
	})
}
