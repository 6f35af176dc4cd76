package config

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/broker/iam"
)

const (
	// cliClient is the client id of the command line, an audience of tokens of ours.
	cliClient = "rolecall-cli"
	// maxIssuer is how long IAM lets the address of an OIDC provider be.
	maxIssuer = 255
	// maxRegions is how many regions share the six tries of an order.
	maxRegions = 5
)

// modeOf is how credentials of a grant are ordered.
func (c *checker) modeOf(g *Grant) string { return cmp.Or(g.Mode.Value, c.AWS.Mode.Value) }

// mode refuses what a grant asks for and its mode cannot carry.
func (c *checker) mode(g *Grant, path string) {
	mode := c.modeOf(g)
	if g.Deny {
		return
	}
	if c.set(under(path, "assertion")) && mode != "saml" {
		c.fault(under(path, "assertion"), "this is for the mode saml; the grant's mode is %s", mode)
	}
	if mode == "saml" && g.Assertion.Value == "user" {
		c.ownAssertion(g, path)
	}
	switch mode {
	case "web-identity":
		c.awsIssuer("grant " + quoted(g.Name.Value) + " (mode web-identity)")
	case "saml":
		for _, a := range c.reached(g) {
			if a.SAMLProvider.Value == "" {
				c.fault(under(path, "mode"), "grant %s orders by the mode saml, but account %s has no saml_provider", quoted(g.Name.Value), quoted(a.Name.Value))
			}
		}
	case "federation-token":
		for _, key := range []string{"source_identity", "transitive_tags"} {
			if c.set(under(path, key)) {
				c.fault(under(path, key), "the mode federation-token cannot carry this; remove the key, or use another mode")
			}
		}
		if !c.set(under(path, "policy")) && !c.set(under(path, "policy_file")) && len(g.PolicyARNs) == 0 {
			c.fault(under(path, "mode"), "grant %s orders by the mode federation-token, which needs policy, policy_file or policy_arns: without one the credentials may do nothing", quoted(g.Name.Value))
		}
	}
}

// defaultMode judges the mode of grants to come.
func (c *checker) defaultMode() {
	if c.AWS.Mode.Value == "web-identity" {
		c.awsIssuer("aws.mode (web-identity)")
	}
}

// awsIssuer refuses an issuer that IAM would not take as an OIDC provider; beside
// a stand-in it is a warning. by is what needs it.
func (c *checker) awsIssuer(by string) {
	key, issuer := "issuer.url", c.Issuer.URL
	if !c.set(key) {
		key, issuer = "server.url", c.Server.URL
	}
	u, err := url.Parse(issuer.Value)
	if err != nil || u.Host == "" || c.broken(key) || c.saidIssuer {
		return
	}
	c.saidIssuer = true
	var wrong []string
	if u.Scheme != "https" {
		wrong = append(wrong, "it is not https")
	}
	if u.Port() != "" {
		wrong = append(wrong, "it has a port")
	}
	if u.RawQuery != "" || u.ForceQuery {
		wrong = append(wrong, "it has a query")
	}
	if len(issuer.Value) > maxIssuer {
		wrong = append(wrong, "it is longer than 255 characters")
	}
	if len(wrong) == 0 {
		return
	}
	const text = "%s: AWS would not take %s as the issuer of web identities, as %s needs: %s; set issuer.url"
	args := []any{key, quoted(issuer.Value), by, strings.Join(wrong, ", ")}
	if c.AWS.Endpoint.Value != "" {
		c.warn(c.place(key), text, args...)
		return
	}
	c.faults.Add(c.place(key), text, args...)
}

var samlProviderShape = regexp.MustCompile(`^arn:(?:aws|aws-us-gov|aws-cn):iam::([0-9]{12}):saml-provider/[A-Za-z0-9._-]{1,128}$`)

func (c *checker) samlProvider(a Account) {
	t := a.SAMLProvider
	if t.Value == "" {
		return
	}
	m := samlProviderShape.FindStringSubmatch(t.Value)
	switch {
	case m == nil:
		c.faults.Add(t.Pos, "accounts[].saml_provider: %s is not the ARN of a SAML provider (arn:aws:iam::ACCOUNT:saml-provider/NAME)", quoted(t.Value))
	case m[1] != a.ID.Value:
		c.faults.Add(t.Pos, "accounts[].saml_provider: %s is in another account than %s, whose roles cannot trust it", quoted(t.Value), a.ID.Value)
	}
}

// regions judges the fallbacks.
func (c *checker) regions() {
	seen := []string{c.AWS.Region}
	for _, r := range c.AWS.Regions {
		switch {
		case !regionShape.MatchString(r.Value):
			c.faults.Add(r.Pos, "aws.regions: %s is not a region such as eu-west-1", quoted(r.Value))
		case slices.Contains(seen, r.Value):
			c.faults.Add(r.Pos, "aws.regions: %s is asked already", quoted(r.Value))
		case partition(r.Value) != partition(c.AWS.Region):
			c.faults.Add(r.Pos, "aws.regions: %s is in another partition of AWS than %s, and knows neither its roles nor its keys", quoted(r.Value), c.AWS.Region)
		}
		seen = append(seen, r.Value)
	}
	if len(c.AWS.Regions) > maxRegions {
		c.fault("aws.regions", "an order is tried six times in all, so that at most %d fallback regions make sense", maxRegions)
	}
}

// revocationRole judges who may write the deny policy: a role that hands out
// nothing and is handed out to nobody.
func (c *checker) revocationRole() {
	const key = "aws.revocation_role"
	t := c.AWS.RevocationRole
	if !c.set(key) || t.Pos.Line == 0 {
		return
	}
	text := t.Value
	whole := strings.HasPrefix(text, "arn:")
	if !whole {
		text = "arn:aws:iam::000000000000:role/" + strings.TrimPrefix(text, "/")
	}
	role, err := iam.ParseRoleARN(text)
	if err != nil {
		c.fault(key, "%s is neither the ARN of a role nor a role's name, with its path if it has one", quoted(t.Value))
		return
	}
	var others []string
	for _, a := range c.Accounts {
		if hub, err := iam.ParseRoleARN(a.HubRole.Value); err == nil && hub.Name == role.Name && (!whole || hub.Account == role.Account) {
			c.fault(key, "%s is the hub_role of account %s: who hands out credentials must not be who changes policies", quoted(t.Value), quoted(a.Name.Value))
		}
		if whole && a.ID.Value != role.Account {
			others = append(others, a.Name.Value)
		}
	}
	if len(others) > 0 {
		c.warn(t.Pos, "%s: a role of account %s can change no policy in %s; give its name alone, and have such a role in each account", key, role.Account, quoted(strings.Join(others, ", ")))
	}
}

// partition is the first part of regions of a partition; those of aws share none.
func partition(region string) string {
	for _, prefix := range []string{"us-gov-", "cn-"} {
		if strings.HasPrefix(region, prefix) {
			return prefix
		}
	}
	return ""
}
