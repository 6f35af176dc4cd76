// Package revoke is what takes back credentials that are out already: STS cannot,
// but a policy on the role can deny every session that was issued before a time.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
package revoke

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

// PolicyName is the one inline policy of a role that revocation writes.
const PolicyName = "rolecall-revoke"

// Deny says whose sessions to deny, and which.
type Deny struct {
	// Before is when they were issued at the latest.
	Before time.Time
	// SourceIdentities are whose; none is everybody's.
	SourceIdentities []string
	// Roles are where, sorted and each once by Commands.
	Roles []iam.RoleARN
}

// Document is the policy, as JSON.
func (d Deny) Document() string {
	condition := map[string]map[string]any{"DateLessThan": {"aws:TokenIssueTime": instant(d.Before)}}
	if len(d.SourceIdentities) > 0 {
		condition["StringEquals"] = map[string]any{"aws:SourceIdentity": d.SourceIdentities}
	}
	text, err := json.MarshalIndent(map[string]any{
		"Version": "2012-10-17",
		"Statement": []any{map[string]any{
			"Sid": "RolecallRevoke", "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition,
		}},
	}, "", "  ")
	if err != nil {
		return "" // strings always encode
	}
	return string(text)
}

// instant is a whole second after all that was issued: IAM compares seconds, and
// a session of the same second must not slip through.
func instant(at time.Time) string {
	return at.UTC().Truncate(time.Second).Add(time.Second).Format(time.RFC3339)
}

// Commands put the policy on the roles, and take it away again.
func (d Deny) Commands(file string) (apply, undo []string) {
	roles := slices.Clone(d.Roles)
	slices.SortFunc(roles, func(a, b iam.RoleARN) int { return strings.Compare(a.String(), b.String()) })
	for _, r := range slices.Compact(roles) {
		apply = append(apply, fmt.Sprintf("aws iam put-role-policy --role-name %s --policy-name %s --policy-document file://%s   # account %s", r.Name, PolicyName, file, r.Account))
		undo = append(undo, fmt.Sprintf("aws iam delete-role-policy --role-name %s --policy-name %s   # account %s", r.Name, PolicyName, r.Account))
	}
	return apply, undo
}
