package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config"
)

// grant is one compiled grant.
type grant struct {
	index     int32
	name      string
	deny      bool
	providers []string
	groups    []string
	pattern   *pattern
	users     []userRef
	everyone  bool
	guests    bool
	when      *condition
	require   StepUp
	noDevice  bool

	target         target
	duration, most time.Duration
	tags           []tagTemplate
	fixedTags      []iam.Tag // where no tag holds a template
	transitive     []string
	sessionName    *nameTemplate // nil is the default
	sourceIdentity *nameTemplate
	policy         *template
	policyText     string
	policyARNs     []template
	fixedARNs      []string
	console        bool
	mode           string
	ownAssertion   bool
}

type tagTemplate struct {
	key   string
	value template
}

// nameTemplate is session_name or source_identity. One that does not name a
// single person gets the hash of provider and subject, so that two people never
// share a name.
type nameTemplate struct {
	template
	personal bool
}

// userRef is an entry of users: a username, or provider=subject where the text
// before = is a provider. Never both: a username is often the person's own choice.
type userRef struct{ username, provider, subject string }

func (u userRef) key() string {
	if u.provider == "" {
		return u.username
	}
	return u.provider + "\x00" + u.subject
}

// pattern is groups_matching.
type pattern struct {
	re       *regexp.Regexp
	prefix   string
	captures []string
}

// matches gives the captures of every group that the pattern matches whole.
func (p *pattern) matches(groups []string) [][]capture {
	var found [][]capture
	for _, group := range groups {
		if !strings.HasPrefix(group, p.prefix) {
			continue
		}
		got := p.re.FindStringSubmatch(group)
		if got == nil {
			continue
		}
		var captures []capture
		for i, name := range p.re.SubexpNames() {
			if name != "" {
				captures = append(captures, capture{name, got[i]})
			}
		}
		found = append(found, captures)
	}
	return found
}

// compilePattern anchors a pattern at both ends. It is compiled by itself first:
// an unbalanced one must not close our own bracket.
func compilePattern(text config.Text, faults *config.Faults) *pattern {
	bare, err := regexp.Compile(text.Value)
	if err != nil {
		faults.Add(text.Pos, "groups_matching: %v", err)
		return nil
	}
	re, err := regexp.Compile(`\A(?:` + text.Value + `)\z`)
	if err != nil {
		faults.Add(text.Pos, "groups_matching: %v", err)
		return nil
	}
	p := &pattern{re: re}
	p.prefix, _ = bare.LiteralPrefix()
	for _, name := range re.SubexpNames() {
		switch {
		case name == "":
		case slices.Contains(p.captures, name):
			faults.Add(text.Pos, "groups_matching: two captures are named %q", name)
		case slices.Contains(simplePaths, name):
			faults.Add(text.Pos, "groups_matching: a capture cannot be named %q: that is a template path already", name)
		default:
			p.captures = append(p.captures, name)
		}
	}
	return p
}

// compileGrant reads one grant. What package config judges already (names, lists
// that select nobody, durations) is not judged again; where it would matter,
// Decide refuses.
func (p *Policy) compileGrant(c config.Grant, readFile func(string) ([]byte, error), faults *config.Faults) *grant {
	g := &grant{
		name: c.Name.Value, deny: c.Deny, everyone: c.Everyone, guests: c.Guests,
		require:  StepUp{MFA: c.Require.MFA, MaxAge: c.Require.MaxAuthAge},
		noDevice: c.DeviceFlow != nil && !*c.DeviceFlow, console: c.Console == nil || *c.Console, mode: c.Mode.Value,
	}
	p.compileSelectors(g, c, faults)
	var captures []string
	if g.pattern != nil {
		captures = g.pattern.captures
	}
	if c.When.Value != "" {
		g.when = compileCondition(c.When, faults)
	}
	g.target = p.compileTarget(c, captures, faults)
	if g.deny {
		refuseParameters(c, faults)
		return g
	}
	p.compileMode(g, c, faults)
	compileDuration(g, c)
	compileTags(g, c, captures, faults)
	g.sessionName = p.compileName(c.SessionName, "session_name", g, captures, faults)
	g.sourceIdentity = p.compileName(c.SourceIdentity, "source_identity", g, captures, faults)
	compilePolicy(g, c, captures, readFile, faults)
	compilePolicyARNs(g, c, captures, faults)
	return g
}

// compileSelectors reads who a grant selects.
func (p *Policy) compileSelectors(g *grant, c config.Grant, faults *config.Faults) {
	for _, name := range c.Providers {
		g.providers = append(g.providers, name.Value)
	}
	for _, name := range c.Groups {
		g.groups = append(g.groups, name.Value)
	}
	for _, user := range c.Users {
		g.users = append(g.users, p.userRef(user.Value))
	}
	if c.GroupsMatching.Value != "" {
		g.pattern = compilePattern(c.GroupsMatching, faults)
	}
}

func (p *Policy) userRef(user string) userRef {
	if provider, subject, ok := strings.Cut(user, "="); ok {
		if _, known := p.providers[provider]; known {
			return userRef{provider: provider, subject: subject}
		}
	}
	return userRef{username: user}
}

// refuseParameters faults what has no meaning in a deny.
func refuseParameters(c config.Grant, faults *config.Faults) {
	for field, set := range map[string]bool{
		"tags": len(c.Tags) > 0, "transitive_tags": len(c.TransitiveTags) > 0, "policy": c.Policy.Value != "",
		"policy_file": c.PolicyFile.Value != "", "policy_arns": len(c.PolicyARNs) > 0,
		"session_name": c.SessionName.Value != "", "source_identity": c.SourceIdentity.Value != "",
	} {
		if set {
			faults.Add(c.Pos, "grant %q is a deny and gives nothing, so %s has no meaning in it", c.Name.Value, field)
		}
	}
}

// The modes of vending.
const (
	assumeRole      = "assume-role"
	webIdentity     = "web-identity"
	samlAssertion   = "saml"
	federationToken = "federation-token"
)

func (p *Policy) compileMode(g *grant, c config.Grant, faults *config.Faults) {
	if g.mode == "" {
		g.mode = p.mode
	}
	if known := []string{assumeRole, webIdentity, samlAssertion, federationToken}; !slices.Contains(known, g.mode) {
		faults.Add(c.Mode.Pos, "mode: %q is not one of: %s", g.mode, strings.Join(known, ", "))
	}
	g.ownAssertion = g.mode == samlAssertion && c.Assertion.Value == "user"
	if g.ownAssertion && (len(c.Tags) > 0 || len(c.TransitiveTags) > 0 || c.SessionName.Value != "" || c.SourceIdentity.Value != "") {
		faults.Add(c.Assertion.Pos, "assertion: grant %q sends the person's own assertion, which its tags and names cannot change", g.name)
	}
	if g.mode != federationToken {
		return
	}
	if c.Policy.Value == "" && c.PolicyFile.Value == "" && len(c.PolicyARNs) == 0 {
		faults.Add(c.Pos, "mode: grant %q orders by the mode federation-token, which needs policy, policy_file or policy_arns", g.name)
	}
	if c.SourceIdentity.Value != "" || len(c.TransitiveTags) > 0 {
		faults.Add(c.Pos, "mode: grant %q orders by the mode federation-token, which carries no source_identity and no transitive_tags", g.name)
	}
}

func compileDuration(g *grant, c config.Grant) {
	g.duration, g.most = c.Duration, c.MaxDuration
	if g.duration == 0 {
		g.duration = time.Hour
	}
	g.most = max(g.most, g.duration)
}

func compileTags(g *grant, c config.Grant, captures []string, faults *config.Faults) {
	fixed := true
	var sample []iam.Tag
	for _, key := range slices.Sorted(maps.Keys(c.Tags)) {
		text := c.Tags[key]
		value, err := parseTemplate(text.Value, captures)
		if err != nil {
			faults.Add(text.Pos, "tags: %s: %v", key, err)
			continue
		}
		literal, isLiteral := value.literal()
		fixed = fixed && isLiteral
		if err := iam.CheckTag(key, literal); err != nil {
			faults.Add(text.Pos, "tags: %v", err)
		}
		g.tags = append(g.tags, tagTemplate{key, value})
		sample = append(sample, iam.Tag{Key: key, Value: literal})
	}
	if err := iam.CheckTags(sample); err != nil && len(faults.Error()) == 0 {
		faults.Add(c.Pos, "grant %q: tags: %v", g.name, err)
	}
	if fixed {
		g.fixedTags = sample
	}
	for _, key := range c.TransitiveTags {
		if _, ok := c.Tags[key.Value]; !ok {
			faults.Add(key.Pos, "transitive_tags: the grant has no tag %q", key.Value)
		}
		g.transitive = append(g.transitive, key.Value)
	}
}

// compileName reads session_name or source_identity.
func (p *Policy) compileName(text config.Text, field string, g *grant, captures []string, faults *config.Faults) *nameTemplate {
	if text.Value == "" {
		return nil
	}
	t, err := parseTemplate(text.Value, captures)
	if err != nil {
		faults.Add(text.Pos, "%s: %v", field, err)
		return nil
	}
	oneProvider := t.uses("identity.provider") || len(g.providers) == 1 || len(p.providers) <= 2 // device is always there
	subject := t.uses("identity.subject")
	return &nameTemplate{template: t, personal: t.uses("identity.username") || subject && oneProvider}
}

// compilePolicy reads the inline session policy.
func compilePolicy(g *grant, c config.Grant, captures []string, readFile func(string) ([]byte, error), faults *config.Faults) {
	text, at := c.Policy.Value, c.Policy.Pos
	if file := c.PolicyFile.Value; file != "" {
		at = c.PolicyFile.Pos
		if text != "" {
			faults.Add(at, "policy_file: the grant has a policy too; keep one of them")
			return
		}
		if readFile == nil {
			faults.Add(at, "policy_file: files cannot be read here")
			return
		}
		content, err := readFile(file)
		if err != nil {
			faults.Add(at, "policy_file: %v", err)
			return
		}
		if text = string(content); strings.TrimSpace(text) == "" {
			faults.Add(at, "policy_file: %s is empty", file)
			return
		}
	}
	if text == "" {
		return
	}
	t, compact, err := parsePolicy(text, captures)
	if err != nil {
		faults.Add(at, "policy: %v", err)
		return
	}
	g.policy, g.policyText = &t, compact
}

func parsePolicy(text string, captures []string) (template, string, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(text)); err != nil {
		return template{}, "", fmt.Errorf("not JSON (a template must stand inside a string): %w", err)
	}
	if err := iam.CheckSessionPolicy(compact.String()); err != nil {
		return template{}, "", err
	}
	var document any
	if err := json.Unmarshal(compact.Bytes(), &document); err != nil {
		return template{}, "", err
	}
	if key := templateInKey(document); key != "" {
		return template{}, "", fmt.Errorf("the key %q holds a template; only values may", key)
	}
	t, err := parseTemplate(compact.String(), captures)
	length := 0
	for _, part := range t.parts {
		length += utf8.RuneCountInString(part.text)
	}
	if err == nil && length > iam.MaxPolicy {
		err = fmt.Errorf("%d characters; AWS takes at most %d", length, iam.MaxPolicy)
	}
	return t, compact.String(), err
}

// templateInKey finds a template in the name of a member.
func templateInKey(document any) string {
	switch d := document.(type) {
	case map[string]any:
		for key, value := range d {
			if strings.Contains(key, "{{") {
				return key
			}
			if found := templateInKey(value); found != "" {
				return found
			}
		}
	case []any:
		for _, value := range d {
			if found := templateInKey(value); found != "" {
				return found
			}
		}
	}
	return ""
}

var policyARN = regexp.MustCompile(`^arn:aws[a-z-]*:iam::(aws|[0-9]{12}):policy/([A-Za-z0-9_+=,.@-]+/)*[A-Za-z0-9_+=,.@-]{1,128}$`)

const maxPolicyARNs = 10

func compilePolicyARNs(g *grant, c config.Grant, captures []string, faults *config.Faults) {
	fixed := true
	for _, text := range c.PolicyARNs {
		t, err := parseTemplate(text.Value, captures)
		if err != nil {
			faults.Add(text.Pos, "policy_arns: %v", err)
			continue
		}
		literal, isLiteral := t.literal()
		fixed = fixed && isLiteral
		if isLiteral && !policyARN.MatchString(literal) {
			faults.Add(text.Pos, "policy_arns: %q is not the ARN of a managed policy (arn:aws:iam::ACCOUNT:policy/NAME)", literal)
		}
		g.policyARNs = append(g.policyARNs, t)
		g.fixedARNs = append(g.fixedARNs, literal)
	}
	if len(g.policyARNs) > maxPolicyARNs {
		faults.Add(c.Pos, "grant %q: %d policy_arns; AWS takes at most %d", g.name, len(g.policyARNs), maxPolicyARNs)
	}
	if !fixed {
		g.fixedARNs = nil
	}
}
