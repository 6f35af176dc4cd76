package insight

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/policy"
)

// Order is what STS would be asked for a granted role.
type Order struct {
	Ref     string // ACCOUNT/ROLE
	Grant   string
	Console bool
	Lasts   time.Duration
	// Call is the action; First is the call before it, through a hub, "" for none.
	Call, First string
	Parameters  []Parameter
	// Proof is what the token or assertion of a federated call carries.
	Proof []Parameter
}

// Parameter is one of a call at STS, by AWS's own name.
type Parameter struct{ Name, Value string }

func refOf(p *policy.Policy, role iam.RoleARN) string {
	return ref(p.AccountName(role.Account), role)
}

// ref is ACCOUNT/ROLE, with the path of the role where it has one.
func ref(account string, role iam.RoleARN) string {
	return cmp.Or(account, role.Account) + cmp.Or(role.Path, "/") + role.Name
}

// calls are the actions of the modes.
var calls = map[string]string{
	"assume-role": "AssumeRole", "web-identity": "AssumeRoleWithWebIdentity", "saml": "AssumeRoleWithSAML", "federation-token": "GetFederationToken",
}

// orderOf is the order of package vend, one call a mode, in words.
func orderOf(g policy.Granted) Order {
	o := Order{Ref: ref(g.Account.Name, g.Role), Grant: g.Grant, Console: g.Console, Lasts: g.Duration, Call: cmp.Or(calls[g.Mode], g.Mode)}
	add := func(to *[]Parameter, name, value string) {
		if value != "" {
			*to = append(*to, Parameter{name, value})
		}
	}
	direct := &o.Parameters // of who it is
	switch g.Mode {
	case "federation-token":
		add(&o.Parameters, "Name", g.SessionName)
	case "web-identity":
		add(&o.Parameters, "RoleArn", g.Role.String())
		add(&o.Parameters, "RoleSessionName", g.SessionName)
		add(&o.Parameters, "WebIdentityToken", "signed by this broker at that moment")
		direct = &o.Proof
	case "saml":
		add(&o.Parameters, "RoleArn", g.Role.String())
		add(&o.Parameters, "PrincipalArn", g.SAMLProvider)
		add(&o.Parameters, "SAMLAssertion", "signed by this broker at that moment")
		direct = &o.Proof
		add(direct, "RoleSessionName", g.SessionName)
	default:
		if g.HubRole != (iam.RoleARN{}) {
			o.First = "AssumeRole " + g.HubRole.String()
		}
		add(&o.Parameters, "RoleArn", g.Role.String())
		add(&o.Parameters, "RoleSessionName", g.SessionName)
		if !g.ExternalID.IsZero() {
			add(&o.Parameters, "ExternalId", "the secret of the account, not shown")
		}
	}
	if g.Mode != "federation-token" {
		add(direct, "SourceIdentity", g.SourceIdentity)
	}
	for _, t := range g.Tags {
		add(direct, "Tags", t.Key+" = "+t.Value)
	}
	add(direct, "TransitiveTagKeys", strings.Join(g.TransitiveTags, ", "))
	add(&o.Parameters, "DurationSeconds", strconv.Itoa(int(g.Duration.Seconds())))
	add(&o.Parameters, "Policy", g.Policy)
	for _, arn := range g.PolicyARNs {
		add(&o.Parameters, "PolicyArns", arn)
	}
	return o
}
