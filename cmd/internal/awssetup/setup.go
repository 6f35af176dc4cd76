// Package awssetup is the IAM side of a configuration: the trust policies of the
// roles that grants name, and what must be there for them (OIDC provider, SAML
// provider, hub roles), as Terraform or CloudFormation.
package awssetup

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
	"github.com/rolecall/rolecall/config/secret"
)

// minLongest is the least that MaxSessionDuration may be.
const minLongest = time.Hour

// Config is what a Setup is made from.
type Config struct {
	Targets  []policy.Target
	Issuer   string // the broker's issuer URL
	Audience string // aws.audience
	// Principal is the broker's own ARN in AWS, for roles of the mode assume-role.
	Principal string
	// RevocationRole is aws.revocation_role, Operator the ARN of who may assume it.
	RevocationRole, Operator string
	// ACS is the acs_url of SAML providers, by their names: the recipient of people's
	// own assertions.
	ACS map[string]string
	// ExternalIDs are those of accounts, by their id.
	ExternalIDs map[string]secret.String
}

// Setup is everything that AWS must know.
type Setup struct {
	config Config
	roles  []*role // sorted by ARN
	// Notes say what is not in here, and why.
	Notes []string
}

// role is one role with everything that may assume it.
type role struct {
	arn     iam.RoleARN
	account policy.Account
	longest time.Duration
	uses    []policy.Target
	hub     bool // assumed on the way to others
	outward []iam.RoleARN
	ids     []secret.String // external ids, of a hub
	revokes []iam.RoleARN   // of a revocation role: those whose policy it writes
}

// Document is a policy document.
type Document struct {
	Version   string
	Statement []Statement
}

// Statement is one statement of a Document.
type Statement struct {
	Sid       string
	Effect    string
	Principal map[string]any            `json:",omitempty"`
	Action    []string                  `json:",omitempty"`
	Resource  []string                  `json:",omitempty"`
	Condition map[string]map[string]any `json:",omitempty"`
}

// New sorts the targets by role.
func New(config Config) (*Setup, error) {
	s := &Setup{config: config}
	byARN := map[iam.RoleARN]*role{}
	find := func(arn iam.RoleARN) *role {
		if byARN[arn] == nil {
			byARN[arn] = &role{arn: arn, account: policy.Account{ID: arn.Account}, longest: minLongest}
		}
		return byARN[arn]
	}
	needed := false
	for _, t := range config.Targets {
		switch {
		case t.Mode == "federation-token":
			s.Notes = append(s.Notes, fmt.Sprintf("grant %s: the mode federation-token assumes no role; the broker's IAM user needs sts:GetFederationToken and at least the permissions of the grant's policy", t.Grant))
			continue
		case t.Role == (iam.RoleARN{}):
			s.Notes = append(s.Notes, fmt.Sprintf("grant %s: its roles are known only with the person; take the trust policy of a grant that names a role as the pattern", t.Grant))
			continue
		}
		if note := "the SAML provider " + t.SAMLProvider + " is people's own identity provider: make it of that one's metadata; it is not in here"; t.OwnAssertion && !slices.Contains(s.Notes, note) {
			s.Notes = append(s.Notes, note)
		}
		r := find(t.Role)
		r.account, r.longest = t.Account, max(r.longest, t.MaxDuration)
		r.uses = append(r.uses, t)
		if t.HubRole != (iam.RoleARN{}) {
			hub := find(t.HubRole)
			hub.hub = true
			hub.outward = append(hub.outward, t.Role)
			hub.ids = append(hub.ids, t.ExternalID)
		}
		needed = needed || t.Mode == "assume-role"
	}
	if needed && config.Principal == "" {
		return nil, fmt.Errorf("roles of the mode assume-role trust the broker's own principal: name its ARN with --principal")
	}
	if err := s.addRevocation(byARN); err != nil {
		return nil, err
	}
	s.roles = slices.SortedFunc(maps.Values(byARN), func(a, b *role) int { return cmp.Compare(a.arn.String(), b.arn.String()) })
	return s, nil
}

// TrustPolicies gives the trust policy of every role by its ARN.
func (s *Setup) TrustPolicies() map[string]Document {
	documents := map[string]Document{}
	for _, r := range s.roles {
		documents[r.arn.String()] = s.trust(r)
	}
	return documents
}

// oidcARN is the broker as an account's OIDC provider.
func (s *Setup) oidcARN(r iam.RoleARN) string {
	return "arn:" + r.Partition + ":iam::" + r.Account + ":oidc-provider/" + s.issuerName()
}

// issuerName is the issuer without its scheme, as IAM names it.
func (s *Setup) issuerName() string {
	_, name, _ := strings.Cut(s.config.Issuer, "://")
	return name
}

var recipients = map[string]string{
	"aws": "https://signin.aws.amazon.com/saml", "aws-us-gov": "https://signin.amazonaws-us-gov.com/saml", "aws-cn": "https://signin.amazonaws.cn/saml",
}

// trust is a statement for each way in which the role is assumed.
func (s *Setup) trust(r *role) Document {
	d := Document{Version: "2012-10-17"}
	if len(r.revokes) > 0 {
		d.Statement = append(d.Statement, s.trustOperator(r))
	}
	if r.hub {
		st := Statement{Sid: "RolecallHub", Effect: "Allow", Principal: map[string]any{"AWS": s.config.Principal}, Action: []string{"sts:AssumeRole"}}
		if ids := distinctIDs(r.ids); len(ids) > 0 {
			st.Condition = map[string]map[string]any{"StringEquals": {"sts:ExternalId": ids}}
		}
		d.Statement = append(d.Statement, st)
	}
	for i, t := range r.uses {
		if t.OwnAssertion {
			d.Statement = append(d.Statement, s.trustOwn(i, t))
			continue
		}
		st := Statement{Sid: fmt.Sprintf("Rolecall%d", i+1), Effect: "Allow", Action: []string{""}}
		st.Condition = map[string]map[string]any{"StringLike": {"sts:SourceIdentity": sources(t)}}
		equal := map[string]any{}
		switch t.Mode {
		case "web-identity":
			st.Action[0], st.Principal = "sts:AssumeRoleWithWebIdentity", map[string]any{"Federated": s.oidcARN(t.Role)}
			equal[s.issuerName()+":aud"] = s.config.Audience
			st.Condition["StringLike"][s.issuerName()+":sub"] = subjects(t)
		case "saml":
			st.Action[0], st.Principal = "sts:AssumeRoleWithSAML", map[string]any{"Federated": t.SAMLProvider}
			equal["SAML:aud"] = recipients[t.Role.Partition]
			st.Condition["StringLike"]["SAML:sub"] = subjects(t)
		default:
			st.Action[0], st.Principal = "sts:AssumeRole", map[string]any{"AWS": cmp.Or(t.HubRole.String(), s.config.Principal)}
			if !t.ExternalID.IsZero() {
				equal["sts:ExternalId"] = t.ExternalID.Reveal()
			}
		}
		if len(equal) > 0 {
			st.Condition["StringEquals"] = equal
		}
		if len(t.TagKeys) > 0 {
			st.Action = append(st.Action, "sts:TagSession")
			all := map[string]any{"aws:TagKeys": t.TagKeys}
			if len(t.TransitiveTags) > 0 {
				all["sts:TransitiveTagKeys"] = t.TransitiveTags
			}
			st.Condition["ForAllValues:StringEquals"] = all
		}
		st.Action = append(st.Action, "sts:SetSourceIdentity")
		d.Statement = append(d.Statement, st)
	}
	return d
}

// trustOwn admits people's own assertions: what they say, the identity provider
// decides, so that it may tag sessions and set the source identity as well.
func (s *Setup) trustOwn(i int, t policy.Target) Statement {
	var recipients []string
	for _, p := range t.Providers {
		if acs := s.config.ACS[p]; acs != "" && !slices.Contains(recipients, acs) {
			recipients = append(recipients, acs)
		}
	}
	return Statement{
		Sid: fmt.Sprintf("Rolecall%d", i+1), Effect: "Allow", Principal: map[string]any{"Federated": t.SAMLProvider},
		Action:    []string{"sts:AssumeRoleWithSAML", "sts:TagSession", "sts:SetSourceIdentity"},
		Condition: map[string]map[string]any{"StringEquals": {"SAML:aud": recipients}},
	}
}

// sources are the source identities of the people who may have it.
func sources(t policy.Target) []string {
	if t.OwnSource {
		return []string{"*"}
	}
	return prefixed(t.Providers, "=*")
}

// subjects are their names in proofs: PROVIDER=SUBJECT, or PROVIDER~HASH where
// that does not fit.
func subjects(t policy.Target) []string {
	return append(prefixed(t.Providers, "=*"), prefixed(t.Providers, "~*")...)
}

func prefixed(providers []string, suffix string) []string {
	var patterns []string
	for _, p := range providers {
		patterns = append(patterns, p+suffix)
	}
	return patterns
}

// distinctIDs are the external ids to demand; one role without any asks none.
func distinctIDs(given []secret.String) []string {
	var ids []string
	for _, id := range given {
		if id.IsZero() {
			return nil
		}
		if !slices.Contains(ids, id.Reveal()) {
			ids = append(ids, id.Reveal())
		}
	}
	return ids
}

// text is a document on one line.
func (d Document) text() string {
	data, err := json.Marshal(d)
	if err != nil {
		return "" // strings always encode
	}
	return string(data)
}

// permissions are what a hub role must be allowed to do.
func (r *role) permissions() Document {
	return Document{Version: "2012-10-17", Statement: []Statement{{
		Sid: "RolecallSpokes", Effect: "Allow", Action: []string{"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}, Resource: distinct(r.outward),
	}}}
}

// distinct are ARNs, sorted and each once.
func distinct(roles []iam.RoleARN) []string {
	var texts []string
	for _, arn := range roles {
		texts = append(texts, arn.String())
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
