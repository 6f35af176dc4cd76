package config

import (
	"regexp"
	"strings"
)

// maxOrganizations bounds the questions that one sign-in costs.
const maxOrganizations = 20

// orgShape is the name of an organization, and its number where one is given.
var orgShape = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,38})?(=[1-9][0-9]{0,18})?$`)

// oauth2 judges a provider that is plain OAuth 2.0: what its API can say decides
// what may be configured.
func (c *checker) oauth2(p *Provider, path string) {
	c.filled(under(path, "client_id"), p.ClientID)
	c.notEmpty(under(path, "organizations"), len(p.Organizations))
	github := p.Preset.Value == "github"
	for _, key := range []string{"organizations", "enterprise_url"} {
		if at := under(path, key); !github && c.set(at) && p.Preset.Value != "" {
			c.fault(at, "this key is for preset github; this one is %s", p.Preset.Value)
		}
	}
	switch claim := p.Username.Claim; {
	case claim.Value == "" || p.Preset.Value == "":
	case claim.Value == "email" && !github:
		c.faults.Add(claim.Pos, "providers[].username.claim: %s does not say whether an address is verified, so it is no user name; use id, which is the default", p.Preset.Value)
	case claim.Value != "id" && claim.Value != "email" && (claim.Value != "login" || !github):
		c.faults.Add(claim.Pos, "providers[].username.claim: %s is no user name; use id%s", quoted(claim.Value), map[bool]string{true: ", login or a verified email"}[github])
	}
	if github {
		c.github(p, path)
	}
}

func (c *checker) github(p *Provider, path string) {
	if c.set(under(path, "enterprise_url")) {
		c.origin("providers[].enterprise_url", p.EnterpriseURL)
	}
	if len(p.Organizations) > maxOrganizations {
		c.fault(under(path, "organizations"), "%d organizations are more than %d: each is asked at every sign-in", len(p.Organizations), maxOrganizations)
	}
	seen := map[string]bool{}
	for _, org := range p.Organizations {
		name, _, _ := strings.Cut(strings.ToLower(org.Value), "=")
		switch {
		case org.Value == "" && org.Pos.Line == 0:
		case !orgShape.MatchString(org.Value):
			c.faults.Add(org.Pos, "providers[].organizations: %s is neither the name of an organization, as in its address, nor NAME=ID", quoted(org.Value))
		case seen[name]:
			c.faults.Add(org.Pos, "providers[].organizations: %s is listed already", quoted(name))
		}
		seen[name] = true
	}
	if p.Username.Claim.Value == "" || p.Username.Claim.Value == "login" {
		c.loginsAsUsers(p)
	}
}

// loginsAsUsers warns where a grant takes a name that its owner can give away.
func (c *checker) loginsAsUsers(p *Provider) {
	for _, g := range c.Grants {
		for _, name := range g.Providers {
			for _, user := range g.Users {
				if name.Value == p.Name.Value && !strings.Contains(user.Value, "=") {
					c.warn(user.Pos, "grants[].users: people can rename themselves at %s, and others take the old name; write %s=ID for %s", quoted(p.Name.Value), p.Name.Value, quoted(user.Value))
				}
			}
		}
	}
}
