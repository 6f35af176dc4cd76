package assemble

import (
	"cmp"

	"github.com/rolecall/rolecall/cmd/internal/awssetup"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
)

// AWSSetup is the IAM side of a configuration; principal is the broker's own
// ARN, operator that of who may assume the revocation role.
func AWSSetup(c *config.Config, principal, operator string) (*awssetup.Setup, error) {
	compiled, err := Policy(c)
	if err != nil {
		return nil, err
	}
	ids := map[string]secret.String{}
	for _, a := range c.Accounts {
		ids[a.ID.Value] = a.ExternalID
	}
	acs := map[string]string{}
	for _, p := range c.Providers {
		if p.Type.Value == "saml" {
			acs[p.Name.Value] = cmp.Or(p.ACSURL.Value, serverURL(c)+"/saml/"+p.Name.Value+"/acs")
		}
	}
	return awssetup.New(awssetup.Config{
		Targets: compiled.Targets(), Issuer: issuerURL(c), Audience: c.AWS.Audience.Value, Principal: principal,
		RevocationRole: c.AWS.RevocationRole.Value, Operator: operator, ExternalIDs: ids, ACS: acs,
	})
}
