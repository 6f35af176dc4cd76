// Package revoke is what takes back credentials that are out already: STS cannot,
// but a policy on the role can deny every session that was issued before a time.
//
//	Deny.Document, Deny.Commands   what to do by hand
//	Writer.Write                   the same by aws.revocation_role: the policy rolecall-revoke of each role is
//	                               read, merged, written, and read again until what was meant is in it
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html
package revoke

import (
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
	// Roles are where, in any order.
	Roles []iam.RoleARN
}

// Document is the policy, as JSON.
func (d Deny) Document() string {
	p := policy{entries: d.entries()}
	p.sort()
	return p.document("  ")
}

// entries are what a role's policy must hold.
func (d Deny) entries() []entry {
	// IAM compares seconds, and a session of the same second must not slip through.
	before := d.Before.UTC().Truncate(time.Second).Add(time.Second)
	if len(d.SourceIdentities) == 0 {
		return []entry{{before: before}}
	}
	var entries []entry
	for _, source := range d.SourceIdentities {
		entries = append(entries, entry{before, source})
	}
	return entries
}

// roles are the roles, sorted and each once.
func (d Deny) roles() []iam.RoleARN {
	roles := slices.Clone(d.Roles)
	slices.SortFunc(roles, func(a, b iam.RoleARN) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(roles)
}

// Commands put the policy on the roles, and take it away again.
func (d Deny) Commands(file string) (apply, undo []string) {
	for _, r := range d.roles() {
		apply = append(apply, fmt.Sprintf("aws iam put-role-policy --role-name %s --policy-name %s --policy-document file://%s   # account %s", r.Name, PolicyName, file, r.Account))
		undo = append(undo, remove(r))
	}
	return apply, undo
}

func remove(r iam.RoleARN) string {
	return fmt.Sprintf("aws iam delete-role-policy --role-name %s --policy-name %s   # account %s", r.Name, PolicyName, r.Account)
}

// restore puts back what a role had before.
func restore(r iam.RoleARN, document string) string {
	if document == "" {
		return remove(r)
	}
	quoted := "'" + strings.ReplaceAll(document, "'", `'\''`) + "'"
	return fmt.Sprintf("aws iam put-role-policy --role-name %s --policy-name %s --policy-document %s   # account %s", r.Name, PolicyName, quoted, r.Account)
}
