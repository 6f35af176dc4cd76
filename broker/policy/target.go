package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
)

// account is one configured AWS account.
type account struct {
	id, name, path string
	tags           map[string]string
	hub            iam.RoleARN
	externalID     secret.String
	samlProvider   string
}

// role is one concrete role and the account it lives in (nil where the
// configuration does not list it).
type role struct {
	arn     iam.RoleARN
	account *account
	// contested is true where several grants give this role.
	contested bool
}

// target is the role or roles that a grant is about: concrete ones, a template,
// or (in a deny) patterns.
type target struct {
	static   []*role
	text     template // of a dynamic target and of a deny
	dynamic  bool
	accounts []*account // of the accounts selector; nil without one
	// listed demands that the rendered account is a configured one, because a template names it.
	listed bool
	// account is true where groups_matching captures "account", which must be a configured one.
	captured bool
}

// accountsOf selects accounts; what is given of names, tags and path is joined by AND.
func (p *Policy) accountsOf(selector config.Accounts, at config.Pos) []*account {
	if len(selector.Names) == 0 && len(selector.Tags) == 0 && selector.Path == "" {
		return nil
	}
	var names []string
	for _, name := range selector.Names {
		names = append(names, name.Value)
	}
	below := strings.TrimSuffix(selector.Path, "/")
	selected := []*account{}
	for _, a := range p.accounts {
		named := len(names) == 0 || slices.Contains(names, a.name) || slices.Contains(names, a.id)
		path := below == "" || strings.TrimSuffix(a.path, "/") == below || strings.HasPrefix(a.path, below+"/")
		tagged := true
		for key, value := range selector.Tags {
			got, ok := a.tags[key]
			tagged = tagged && ok && got == value
		}
		if named && path && tagged {
			selected = append(selected, a)
		}
	}
	if len(selected) == 0 {
		p.warnings.Add(at, "accounts selects no account, so the grant gives nothing")
	}
	return selected
}

func (p *Policy) findAccount(nameOrID string) *account {
	if a := p.byID[nameOrID]; a != nil {
		return a
	}
	return p.byName[nameOrID]
}

// ResolveRole reads a role as people write it: an ARN, or ACCOUNT/ROLE with the
// name or id of an account and the role's name, with its path if it has one.
func (p *Policy) ResolveRole(text string) (iam.RoleARN, error) {
	if strings.HasPrefix(text, "arn:") {
		return iam.ParseRoleARN(text)
	}
	where, name, ok := strings.Cut(text, "/")
	if !ok {
		return iam.RoleARN{}, fmt.Errorf("%q: %w: want an ARN or ACCOUNT/ROLE", text, iam.ErrBadARN)
	}
	id := where
	if a := p.findAccount(where); a != nil {
		id = a.id
	} else if !iam.ValidAccountID(where) {
		return iam.RoleARN{}, fmt.Errorf("%q: %w: no account is named %q", text, iam.ErrBadARN, where)
	}
	return p.roleIn(id, name)
}

func (p *Policy) roleIn(account, name string) (iam.RoleARN, error) {
	return iam.ParseRoleARN("arn:" + p.partition + ":iam::" + account + ":role/" + name)
}

// compileTarget reads role and accounts of a grant.
func (p *Policy) compileTarget(g config.Grant, captures []string, faults *config.Faults) target {
	var t target
	var err error
	if t.text, err = parseTemplate(g.Role.Value, captures); err != nil {
		faults.Add(g.Role.Pos, "role: %v", err)
		return t
	}
	t.accounts = p.accountsOf(g.Accounts, g.Pos)
	t.captured = slices.Contains(captures, "account")
	literal, isLiteral := t.text.literal()
	if g.Deny {
		p.checkDenied(g, t, isLiteral, faults)
		return t
	}
	if strings.Contains(g.Role.Value, "*") {
		faults.Add(g.Role.Pos, "role: %q: only a grant with deny: true may hold *", g.Role.Value)
		return t
	}
	if t.accounts != nil && strings.HasPrefix(g.Role.Value, "arn:") {
		faults.Add(g.Role.Pos, "role: with accounts the role is a name or a path without account, not an ARN")
		return t
	}
	t.dynamic = !isLiteral
	if !isLiteral {
		t.listed = p.checkDynamic(g, t, faults)
		return t
	}
	for _, arn := range p.literalRoles(g, t, literal, faults) {
		t.static = append(t.static, p.roleOf(arn))
	}
	return t
}

// literalRoles gives the roles of a role text without templates.
func (p *Policy) literalRoles(g config.Grant, t target, literal string, faults *config.Faults) []iam.RoleARN {
	if t.accounts == nil {
		arn, err := p.ResolveRole(literal)
		if err != nil {
			faults.Add(g.Role.Pos, "role: %v", err)
			return nil
		}
		if !strings.HasPrefix(literal, "arn:") && p.byID[arn.Account] == nil {
			faults.Add(g.Role.Pos, "role: the account %s is not one of accounts; list it, or write the role's ARN", arn.Account)
		}
		return []iam.RoleARN{arn}
	}
	var arns []iam.RoleARN
	for _, a := range t.accounts {
		arn, err := p.roleIn(a.id, literal)
		if err != nil {
			faults.Add(g.Role.Pos, "role: %v", err)
			return nil
		}
		arns = append(arns, arn)
	}
	return arns
}

// checkDynamic tries the role with sample values, so that a text that can never
// become a role is a fault now. It reports whether a template names the account.
func (p *Policy) checkDynamic(g config.Grant, t target, faults *config.Faults) (listed bool) {
	const sample, sampleID = "x", "000000000000"
	isARN := strings.HasPrefix(g.Role.Value, "arn:")
	inAccount := t.accounts == nil // until the first slash
	var b strings.Builder
	for _, part := range t.text.parts {
		inAccount = inAccount && !strings.Contains(part.text, "/")
		switch {
		case part.path == "":
			b.WriteString(part.text)
		case inAccount && isARN:
			listed = true
			b.WriteString(sampleID)
		default:
			listed = listed || inAccount
			b.WriteString(sample)
		}
	}
	where, name, found := strings.Cut(b.String(), "/")
	var err error
	switch {
	case t.accounts != nil:
		_, err = p.roleIn(sampleID, b.String())
	case isARN:
		_, err = iam.ParseRoleARN(b.String())
	case !found:
		err = errors.New("want an ARN or ACCOUNT/ROLE")
	case !listed && p.findAccount(where) == nil:
		err = fmt.Errorf("no account is named %q", where)
	default:
		_, err = p.roleIn(sampleID, name)
	}
	if err != nil {
		faults.Add(g.Role.Pos, "role: %q can never be a role: %v", g.Role.Value, err)
	}
	return listed
}

// checkDenied judges the role text of a denying grant: one that can match no role
// would refuse nothing, and nobody would notice.
func (p *Policy) checkDenied(g config.Grant, t target, literal bool, faults *config.Faults) {
	pattern := g.Role.Value
	if literal && !strings.Contains(pattern, "*") {
		p.literalRoles(g, t, pattern, faults)
		return
	}
	if t.accounts != nil {
		return
	}
	head := pattern
	if i := strings.IndexAny(head, "*{"); i >= 0 {
		head = head[:i]
	}
	if !beginsARN(head) && !p.beginsAccount(head) {
		faults.Add(g.Role.Pos, "role: %q matches no role, so the refusal would refuse nothing; want an ARN or ACCOUNT/ROLE with *", pattern)
	}
}

// beginsARN reports whether a text can be continued to a role's ARN.
func beginsARN(head string) bool {
	got := strings.SplitN(head, ":", 6)
	for i, want := range []string{"arn", "aws", "iam", "", "", "role/"} {
		if i >= len(got) {
			return true
		}
		whole := i < len(got)-1
		switch {
		case i == 4 || i == 1 && strings.HasPrefix(got[i], want):
		case whole && got[i] != want,
			!whole && !strings.HasPrefix(want, got[i]) && !(i == 5 && strings.HasPrefix(got[i], want)):
			return false
		}
	}
	return true
}

// beginsAccount reports whether a text can be continued to ACCOUNT/ROLE.
func (p *Policy) beginsAccount(head string) bool {
	where, _, whole := strings.Cut(head, "/")
	if whole {
		return p.findAccount(where) != nil || iam.ValidAccountID(where)
	}
	for _, a := range p.accounts {
		if strings.HasPrefix(a.name, where) {
			return true
		}
	}
	return len(where) <= 12 && strings.Trim(where, "0123456789") == ""
}

// roleOf interns a concrete role.
func (p *Policy) roleOf(arn iam.RoleARN) *role {
	if r := p.roles[arn]; r != nil {
		r.contested = true
		return r
	}
	r := &role{arn: arn, account: p.byID[arn.Account]}
	p.roles[arn] = r
	return r
}

// render gives the roles of a dynamic target for one set of captures.
func (t *target) render(p *Policy, v values) ([]*role, string) {
	if t.captured {
		if where, missing := v.lookup("account"); missing == "" && p.findAccount(where) == nil {
			return nil, fmt.Sprintf("the captured account %s is not one of accounts", quoted(where))
		}
	}
	if !t.dynamic {
		return t.static, ""
	}
	text, reason := t.text.render(v, fitARN)
	if reason != "" {
		return nil, "role: " + reason
	}
	if t.accounts == nil {
		arn, err := p.ResolveRole(text)
		if err != nil {
			return nil, "role: " + err.Error()
		}
		account := p.byID[arn.Account]
		if t.listed && account == nil {
			return []*role{{arn: arn}}, fmt.Sprintf("the account %s is not one of accounts", arn.Account)
		}
		return []*role{{arn: arn, account: account, contested: true}}, ""
	}
	var roles []*role
	for _, a := range t.accounts {
		arn, err := p.roleIn(a.id, text)
		if err != nil {
			return nil, "role: " + err.Error()
		}
		roles = append(roles, &role{arn: arn, account: a, contested: true})
	}
	return roles, ""
}

// patterns gives what a denying grant refuses for one set of captures. A value
// that is missing or does not fit stands for anything: a refusal errs on the
// side of refusing.
func (t *target) patterns(v values) []string {
	var b strings.Builder
	for _, part := range t.text.parts {
		text := part.text
		if part.path != "" {
			text = "*"
			if value, missing := v.lookup(part.path); missing == "" && arnValue.MatchString(value) {
				text = value
			}
		}
		b.WriteString(text)
	}
	if t.accounts == nil {
		return []string{b.String()}
	}
	var patterns []string
	for _, a := range t.accounts {
		patterns = append(patterns, a.id+"/"+b.String())
	}
	return patterns
}

// refuses reports whether a pattern of a deny covers the role, written as its
// ARN, as ACCOUNT-ID/ROLE or as ACCOUNT-NAME/ROLE.
func refuses(pattern string, r *role) bool {
	name := r.arn.Path[1:] + r.arn.Name
	return wildcard(pattern, r.arn.String()) || wildcard(pattern, r.arn.Account+"/"+name) ||
		r.account != nil && wildcard(pattern, r.account.name+"/"+name)
}

// wildcard matches text against a pattern whose * stands for any characters.
func wildcard(pattern, text string) bool {
	first, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	if !ok {
		return false
	}
	pieces := strings.Split(rest, "*")
	last := pieces[len(pieces)-1]
	for _, piece := range pieces[:len(pieces)-1] {
		_, after, found := strings.Cut(text, piece)
		if !found {
			return false
		}
		text = after
	}
	return strings.HasSuffix(text, last)
}
