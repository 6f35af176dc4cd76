package config

import (
	"regexp"
	"slices"
	"strings"
)

// Words that AWS knows a service provider for it by.
var (
	awsSignIn   = regexp.MustCompile(`^https://([a-z0-9-]+\.)?signin\.(aws\.amazon\.com|amazonaws-us-gov\.com|amazonaws\.cn)/saml$`)
	awsAudience = []string{"urn:amazon:webservices", "urn:amazon:webservices:govcloud", "urn:amazon:webservices:cn-north-1"}
)

// ownAssertion judges a grant with `assertion: user`: the identity provider alone
// says what is in the assertion, and AWS alone reads it.
func (c *checker) ownAssertion(g *Grant, path string) {
	name := quoted(g.Name.Value)
	for _, key := range []string{"tags", "transitive_tags", "source_identity", "session_name"} {
		if c.set(under(path, key)) {
			c.fault(under(path, key), "with assertion: user the identity provider says this in its assertion; remove the key, or let the broker sign (assertion: broker)")
		}
	}
	if g.Guests || g.Everyone && len(g.Providers) == 0 || len(g.Providers) == 0 {
		c.fault(under(path, "assertion"), "grant %s sends the person's own assertion, so that its providers must be named, and be of the type saml", name)
	}
	for _, named := range g.Providers {
		for i := range c.Providers {
			if p := &c.Providers[i]; p.Name.Value == named.Value {
				c.bringsAssertions(p, element("providers", i), named.Pos, name)
			}
		}
		if named.Value == "device" {
			c.faults.Add(named.Pos, "grants[].providers: devices bring no assertion, which grant %s sends", name)
		}
	}
	for i := range c.Grants {
		other := &c.Grants[i]
		if other.Deny || c.modeOf(other) != "saml" || other.Assertion.Value == "user" {
			continue
		}
		for _, a := range c.reached(other) {
			if a.SAMLProvider.Value != "" && slices.Contains(c.reached(g), a) {
				c.fault(under(path, "assertion"), "the saml_provider of account %s is this broker for grant %s, and the person's identity provider for grant %s; it can be one of them", quoted(a.Name.Value), quoted(other.Name.Value), name)
			}
		}
	}
}

// bringsAssertions judges a provider whose assertions are passed on. What AWS alone
// demands is a warning beside a stand-in.
func (c *checker) bringsAssertions(p *Provider, path string, at Pos, grant string) {
	if p.Type.Value != "saml" {
		c.faults.Add(at, "grants[].providers: %s is of the type %s and brings no assertion, which grant %s sends", quoted(p.Name.Value), p.Type.Value, grant)
		return
	}
	if !p.Encryption.Key.IsZero() {
		c.fault(under(path, "encryption"), "AWS cannot read an encrypted assertion, and grant %s passes it on; remove the key, and switch encryption off at the provider", grant)
	}
	var wrong []string
	if !awsSignIn.MatchString(p.ACSURL.Value) {
		wrong = append(wrong, "acs_url is not AWS's sign-in address (https://signin.aws.amazon.com/saml, in the other partitions theirs)")
	}
	if !slices.Contains(awsAudience, p.SPEntityID.Value) && !awsSignIn.MatchString(p.SPEntityID.Value) {
		wrong = append(wrong, "sp_entity_id is not AWS's (urn:amazon:webservices)")
	}
	if len(wrong) == 0 || c.saidAssertion[p.Name.Value] {
		return
	}
	if c.saidAssertion == nil {
		c.saidAssertion = map[string]bool{}
	}
	c.saidAssertion[p.Name.Value] = true
	const text = "providers[]: AWS would not take the assertions of %s, which grant %s passes on: %s; docs/aws.md says how to set it up"
	if c.AWS.Endpoint.Value != "" {
		c.warn(c.place(path), text, quoted(p.Name.Value), grant, strings.Join(wrong, ", and "))
		return
	}
	c.faults.Add(c.place(path), text, quoted(p.Name.Value), grant, strings.Join(wrong, ", and "))
}
