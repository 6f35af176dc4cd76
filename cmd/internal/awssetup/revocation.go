package awssetup

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall/rolecall/broker/iam"
)

// addRevocation adds the revocation role to each account that has roles to revoke,
// or to its own account where it is named by its ARN.
func (s *Setup) addRevocation(byARN map[iam.RoleARN]*role) error {
	c := s.config
	switch {
	case c.RevocationRole == "":
		return nil
	case c.Operator == "":
		s.Notes = append(s.Notes, "aws.revocation_role is left out: name with --operator the ARN of who runs rolecalld revoke and may assume it")
		return nil
	case c.Operator == c.Principal:
		return errors.New("--operator is the broker's own principal: who hands out credentials must not be who changes policies")
	}
	made := map[iam.RoleARN]*role{}
	for _, r := range byARN {
		if len(r.uses) == 0 { // a hub gives nobody anything
			continue
		}
		arn, here, err := s.revocationRole(r.arn)
		if err != nil {
			return err
		}
		if !here {
			s.Notes = append(s.Notes, fmt.Sprintf("%s: aws.revocation_role is a role of another account and cannot change its policies", r.arn))
			continue
		}
		if made[arn] == nil {
			made[arn] = &role{arn: arn, account: r.account, longest: minLongest}
		}
		made[arn].revokes = append(made[arn].revokes, r.arn)
	}
	for arn, r := range made {
		if byARN[arn] != nil {
			return fmt.Errorf("aws.revocation_role %s is a role that a grant or a hub has: who hands out credentials must not be who changes policies", arn)
		}
		byARN[arn] = r
	}
	return nil
}

// revocationRole is the one for a role, and whether it is of its account.
func (s *Setup) revocationRole(of iam.RoleARN) (arn iam.RoleARN, here bool, err error) {
	text := s.config.RevocationRole
	if !strings.HasPrefix(text, "arn:") {
		text = "arn:" + of.Partition + ":iam::" + of.Account + ":role/" + strings.TrimPrefix(text, "/")
	}
	arn, err = iam.ParseRoleARN(text)
	return arn, arn.Account == of.Account, err
}

// trustOperator lets operators, and nobody else, take the revocation role.
func (s *Setup) trustOperator(r *role) Statement {
	st := Statement{Sid: "RolecallOperator", Effect: "Allow", Principal: map[string]any{"AWS": s.config.Operator}, Action: []string{"sts:AssumeRole"}}
	if id := s.config.ExternalIDs[r.arn.Account]; !id.IsZero() {
		st.Condition = map[string]map[string]any{"StringEquals": {"sts:ExternalId": id.Reveal()}}
	}
	return st
}

// inline are the policies of a role that are ours to give: what a hub and a
// revocation role may do. What people may do is not.
func (r *role) inline() map[string]Document {
	switch {
	case r.hub:
		return map[string]Document{"rolecall-spokes": r.permissions()}
	case len(r.revokes) > 0:
		return map[string]Document{"rolecall-revocation": {Version: "2012-10-17", Statement: []Statement{{
			Sid: "RolecallRevocation", Effect: "Allow", Resource: distinct(r.revokes),
			Action: []string{"iam:GetRolePolicy", "iam:PutRolePolicy", "iam:DeleteRolePolicy"},
		}}}}
	}
	return nil
}
