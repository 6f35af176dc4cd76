package policy

import (
	"bytes"
	"encoding/json"
	"reflect"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/idp"
)

// Change is one role that one identity gains, loses or has with other parameters.
type Change struct {
	Identity idp.Identity
	Role     iam.RoleARN
	// Old is nil where the role is gained, New where it is lost.
	Old, New *Granted
	// Reason says why a lost role is not granted any more.
	Reason string
	// Fields names the parameters that differ where both are there, as explain names them.
	Fields []string
}

// Kind is gained, lost or changed.
func (c Change) Kind() string {
	switch {
	case c.Old == nil:
		return "gained"
	case c.New == nil:
		return "lost"
	}
	return "changed"
}

// MarshalJSON gives one entry of `rolecalld diff --json`.
func (c Change) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Provider string      `json:"provider"`
		Subject  string      `json:"subject"`
		Username string      `json:"username"`
		Role     iam.RoleARN `json:"role_arn"`
		Change   string      `json:"change"`
		Old      *Granted    `json:"old"`
		New      *Granted    `json:"new"`
		Fields   []string    `json:"fields"`
		Reason   string      `json:"reason,omitempty"`
	}{c.Identity.Provider, c.Identity.Subject, c.Identity.Username, c.Role, c.Kind(), c.Old, c.New, list(c.Fields), c.Reason})
}

// Diff says who gains and loses what between two policies, in the order of the
// people and then of the new policy, what is lost last.
func Diff(before, after *Policy, people []idp.Identity, ask Ask) []Change {
	var changes []Change
	ask.Role = iam.RoleARN{}
	for _, who := range people {
		had, has := before.Decide(who, ask), after.Decide(who, ask)
		for i := range has.Granted {
			g := &has.Granted[i]
			old, held := grantOf(had, g.Role)
			if !held {
				changes = append(changes, Change{Identity: who, Role: g.Role, New: g})
			} else if fields := differing(old, *g); len(fields) > 0 {
				changes = append(changes, Change{Identity: who, Role: g.Role, Old: &old, New: g, Fields: fields})
			}
		}
		for i := range had.Granted {
			g := &had.Granted[i]
			if _, held := grantOf(has, g.Role); !held {
				changes = append(changes, Change{Identity: who, Role: g.Role, Old: g, Reason: reasonOf(has, g.Role)})
			}
		}
	}
	return changes
}

// differing names the parameters of an order to STS that two grants of one role
// disagree on. The name of the grant and of the account are none.
func differing(a, b Granted) []string {
	var fields []string
	for _, f := range []struct {
		name string
		a, b any
	}{
		{"duration", a.Duration, b.Duration},
		{"max_duration", a.MaxDuration, b.MaxDuration},
		{"session_name", a.SessionName, b.SessionName},
		{"source_identity", a.SourceIdentity, b.SourceIdentity},
		{"tags", list(a.Tags), list(b.Tags)},
		{"transitive_tags", list(a.TransitiveTags), list(b.TransitiveTags)},
		{"policy", canonical(a.Policy), canonical(b.Policy)},
		{"policy_arns", list(a.PolicyARNs), list(b.PolicyARNs)},
		{"console", a.Console, b.Console},
		{"mode", a.Mode, b.Mode},
		{"hub_role", a.HubRole, b.HubRole},
		{"saml_provider", a.SAMLProvider, b.SAMLProvider},
	} {
		if !reflect.DeepEqual(f.a, f.b) {
			fields = append(fields, f.name)
		}
	}
	return fields
}

// canonical makes policies equal that differ in blanks and in the order of keys.
func canonical(policy string) string {
	var document any
	if json.Unmarshal([]byte(policy), &document) != nil {
		return policy
	}
	var b bytes.Buffer
	if json.NewEncoder(&b).Encode(document) != nil {
		return policy
	}
	return b.String()
}
