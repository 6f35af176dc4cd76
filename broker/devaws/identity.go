package devaws

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/rolecall/rolecall/broker/iam"
)

// permissions is an identity policy, compiled; nil is none.
type permissions struct {
	text       string
	statements []permission
}

type permission struct {
	deny                    bool
	actions, notActions     []string
	resources, notResources []string
	conditions              []condition
}

// parsePermissions reads an identity policy; "" is none. What this stand-in does
// not evaluate is an error and not ignored.
func parsePermissions(text string) (*permissions, error) {
	if text == "" {
		return nil, nil
	}
	if err := checkSessionPolicy(text); err != nil {
		return nil, err
	}
	raw, err := statementsOf(text)
	if err != nil {
		return nil, err
	}
	p := &permissions{text: text}
	for _, data := range raw {
		var s struct {
			Sid, Effect                              string
			Action, NotAction, Resource, NotResource values
			Condition                                map[string]map[string]values
		}
		if err := strictJSON(data, &s); err != nil {
			return nil, err
		}
		conditions, err := parseConditions(s.Condition)
		if err != nil {
			return nil, err
		}
		p.statements = append(p.statements, permission{s.Effect == "Deny", s.Action, s.NotAction, s.Resource, s.NotResource, conditions})
	}
	return p, nil
}

func (s permission) covers(action, resource string, k keys) bool {
	matches := func(patterns []string, value string) bool {
		return slices.ContainsFunc(patterns, func(raw string) bool {
			pattern, ok := expand(wild(raw), k)
			return ok && like(pattern, value)
		})
	}
	lower := func(patterns []string) []string {
		out := make([]string, len(patterns))
		for i, p := range patterns {
			out[i] = strings.ToLower(p)
		}
		return out
	}
	action = strings.ToLower(action)
	if len(s.actions) > 0 && !matches(lower(s.actions), action) || len(s.notActions) > 0 && matches(lower(s.notActions), action) {
		return false
	}
	if len(s.resources) > 0 && !matches(s.resources, resource) || len(s.notResources) > 0 && matches(s.notResources, resource) {
		return false
	}
	return !slices.ContainsFunc(s.conditions, func(c condition) bool { return !c.holds(k) })
}

// sessionPolicy is what bounds a session, nil where nothing does. What is not known
// here (managed policies, operators) allows nothing.
func sessionPolicy(text string, arns []string) *permissions {
	if text == "" && len(arns) == 0 {
		return nil
	}
	parsed, err := parsePermissions(text)
	if err != nil || parsed == nil {
		return &permissions{}
	}
	return parsed
}

// allow evaluates the policy alone: a deny wins, and without an allow the answer is no.
func (p *permissions) allow(action, resource string, k keys) bool {
	allowed := false
	for _, s := range p.statements {
		if !s.covers(action, resource, k) {
			continue
		}
		if s.deny {
			return false
		}
		allowed = true
	}
	return allowed
}

// policies are the inline policies of roles, which change while we run.
type policies struct {
	mu     sync.Mutex
	inline map[iam.RoleARN]map[string]*permissions
}

const (
	// maxInline is IAM's bound on all inline policies of a role together, white space
	// not counted.
	maxInline = 10240
)

var errInlineTooLarge = errors.New("the inline policies of the role are larger than IAM takes")

func (p *policies) put(role iam.RoleARN, name, text string) error {
	parsed, err := parsePermissions(text)
	if err != nil || parsed == nil {
		return fmt.Errorf("not an identity policy: %w", errors.Join(err))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	size := len(strings.Join(strings.Fields(text), ""))
	for other, had := range p.inline[role] {
		if other != name {
			size += len(strings.Join(strings.Fields(had.text), ""))
		}
	}
	if size > maxInline {
		return errInlineTooLarge
	}
	if p.inline[role] == nil {
		p.inline[role] = map[string]*permissions{}
	}
	p.inline[role][name] = parsed
	return nil
}

func (p *policies) remove(role iam.RoleARN, name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, had := p.inline[role][name]
	delete(p.inline[role], name)
	return had
}

// of gives the inline policies of a role by their names.
func (p *policies) of(role iam.RoleARN) map[string]*permissions {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.inline[role])
}

// InlinePolicies are the inline policies that a role has now, by name.
func (a *AWS) InlinePolicies(role iam.RoleARN) map[string]string {
	texts := map[string]string{}
	for name, p := range a.policies.of(role) {
		texts[name] = p.text
	}
	return texts
}

// permitted asks the caller's own policies: a deny wins. Where the caller has no
// Permissions, otherwise is the answer.
func (a *AWS) permitted(who caller, action, resource string, k keys, otherwise bool) bool {
	var own *permissions
	var all []*permissions
	switch s := who.session; {
	case s != nil && s.role != nil:
		own = s.role.permissions
		all = slices.Collect(maps.Values(a.policies.of(s.role.ARN)))
	case s == nil:
		own = who.permissions
	}
	allowed := otherwise
	if own != nil {
		all, allowed = append(all, own), false
	}
	for _, p := range all {
		for _, s := range p.statements {
			if !s.covers(action, resource, k) {
				continue
			}
			if s.deny {
				return false
			}
			allowed = true
		}
	}
	return allowed
}
