package policy

import (
	"fmt"
	"unicode/utf8"

	"github.com/rolecall/rolecall/broker/iam"
)

// nameLimit bounds session names and source identities; shortLimit the names of
// GetFederationToken.
const nameLimit, shortLimit = 64, 32

// names are the default session name and source identity, made once a decision.
type names struct {
	made                    bool
	session, sourceIdentity string
}

func (d *decider) defaultNames() *names {
	if !d.names.made {
		id := d.id
		d.names = names{
			made:           true,
			session:        iam.FitName(id.Username, id.Provider, id.Subject, nameLimit, d.ask.NameTaken),
			sourceIdentity: iam.FitName(id.Provider+"="+id.Subject, id.Provider, id.Subject, nameLimit, false),
		}
	}
	return &d.names
}

// order resolves every parameter of the order to STS. A reason withholds it.
func (o oneGrant) order(out *Granted, r *role, v values) string {
	g := o.g
	defaults := o.defaultNames()
	out.Grant, out.Role, out.Account.ID = g.name, r.arn, r.arn.Account
	out.Duration, out.MaxDuration = g.duration, min(g.most, iam.MaxDuration)
	out.SessionName, out.SourceIdentity = defaults.session, defaults.sourceIdentity
	out.Tags, out.TransitiveTags, out.PolicyARNs = g.fixedTags, g.transitive, g.fixedARNs
	out.Console, out.Mode = g.console, g.mode
	if r.account != nil {
		out.Account.Name = r.account.name
	}
	if reason := o.fillMode(out, r); reason != "" {
		return reason
	}
	if reason := o.fillNames(out, v); reason != "" {
		return reason
	}
	if reason := o.fillTags(out, v); reason != "" {
		return reason
	}
	if reason := o.fillPolicy(out, v); reason != "" {
		return reason
	}
	return o.fillApp(out, v)
}

// fillMode takes from the account what the mode needs.
func (o oneGrant) fillMode(out *Granted, r *role) string {
	switch {
	case out.Mode == assumeRole && r.account != nil:
		out.HubRole, out.ExternalID = r.account.hub, r.account.externalID
		if out.HubRole != (iam.RoleARN{}) {
			out.Duration = min(out.Duration, iam.MaxChainedDuration)
			out.MaxDuration = min(out.MaxDuration, iam.MaxChainedDuration)
		}
	case out.Mode == samlAssertion:
		if r.account == nil || r.account.samlProvider == "" {
			return "mode saml: account " + r.arn.Account + " has no saml_provider"
		}
		out.SAMLProvider = r.account.samlProvider
		if o.g.ownAssertion {
			return o.fillOwn(out)
		}
	case out.Mode == federationToken: // the name is all that CloudTrail has
		out.SessionName = iam.FitName(o.id.Username, o.id.Provider, o.id.Subject, shortLimit, o.ask.NameTaken)
		out.SourceIdentity = ""
	}
	return ""
}

func (o oneGrant) fillNames(out *Granted, v values) string {
	if out.OwnAssertion {
		return ""
	}
	if reason := o.fillName(&out.SessionName, o.g.sessionName, v); reason != "" {
		return "session_name: " + reason
	}
	if reason := o.fillName(&out.SourceIdentity, o.g.sourceIdentity, v); reason != "" {
		return "source_identity: " + reason
	}
	return ""
}

func (o oneGrant) fillName(to *string, t *nameTemplate, v values) string {
	if t == nil {
		return ""
	}
	text, reason := t.render(v, fitAny)
	if reason != "" {
		return reason
	}
	hashed := !t.personal || o.ask.NameTaken && t.uses("identity.username")
	limit := nameLimit
	if o.g.mode == federationToken {
		limit = shortLimit
	}
	*to = iam.FitName(text, o.id.Provider, o.id.Subject, limit, hashed)
	return ""
}

func (o oneGrant) fillTags(out *Granted, v values) string {
	if o.g.fixedTags != nil || len(o.g.tags) == 0 {
		return ""
	}
	out.Tags = make([]iam.Tag, len(o.g.tags))
	for i, t := range o.g.tags {
		value, reason := t.value.render(v, fitAny)
		if reason != "" {
			return fmt.Sprintf("tag %s: %s", t.key, reason)
		}
		if err := iam.CheckTag(t.key, value); err != nil {
			return err.Error()
		}
		out.Tags[i] = iam.Tag{Key: t.key, Value: value}
	}
	return ""
}

func (o oneGrant) fillPolicy(out *Granted, v values) string {
	if o.g.policy != nil {
		text, reason := o.g.policy.render(v, fitPolicy)
		if reason != "" {
			return "policy: " + reason
		}
		if n := utf8.RuneCountInString(text); n > iam.MaxPolicy {
			return fmt.Sprintf("policy: %d characters with this person's values; AWS takes at most %d", n, iam.MaxPolicy)
		}
		out.Policy = text
	}
	if o.g.fixedARNs != nil || len(o.g.policyARNs) == 0 {
		return ""
	}
	out.PolicyARNs = make([]string, len(o.g.policyARNs))
	for i, t := range o.g.policyARNs {
		arn, reason := t.render(v, fitARN)
		if reason != "" {
			return "policy_arns: " + reason
		}
		if !policyARN.MatchString(arn) {
			return fmt.Sprintf("policy_arns: %s is not the ARN of a managed policy", quoted(arn))
		}
		out.PolicyARNs[i] = arn
	}
	return ""
}
