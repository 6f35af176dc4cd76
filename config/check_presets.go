package config

import (
	"regexp"
	"strings"
)

var (
	// guidShape is how Microsoft writes the id of a tenant in tokens.
	guidShape = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	// trustDomainShape is that of the SPIFFE-ID standard, section 2.1.
	trustDomainShape = regexp.MustCompile(`^[a-z0-9._-]{1,255}$`)
	// namesHD finds a condition that asks for Google's hd.
	namesHD = regexp.MustCompile(`\bhd\b`)
)

// personalTenant is the tenant of Microsoft's personal accounts.
const personalTenant = "9188040d-6c67-4c5b-b112-36a304b66dad"

// maxTenants bounds the issuers of one provider.
const maxTenants = 100

// signInKeys mean nothing where nobody signs in.
var signInKeys = []string{
	"client_secret", "client_auth", "client_key", "scopes", "response_mode", "pushed_requests", "prompt", "max_age", "acr_values",
	"userinfo", "provider_logout", "domains",
}

// preset judges what a preset needs, and keys that would take away what makes it safe.
func (c *checker) preset(p *Provider, path string) {
	if p.Machine() {
		for _, key := range signInKeys {
			if at := under(path, key); c.set(at) {
				c.fault(at, "nobody signs in at a provider with the preset %s; remove the key", p.Preset.Value)
			}
		}
	}
	switch p.Preset.Value {
	case "google":
		c.google(p, path)
	case "microsoft":
		c.microsoft(p, path)
	case "apple":
		if p.ResponseMode.Value == "query" {
			c.fault(under(path, "response_mode"), "Apple posts its answer where a name or an address is asked for; use form_post, which the preset sets")
		}
	case "github-actions", "gitlab-ci":
		if p.Require.Value == "" {
			c.fault(under(path, "preset"), "%s needs require: everybody there can get a token for any audience, so say whose count, such as %s", p.Preset.Value, stranger[p.Preset.Value])
		}
	case "spiffe":
		c.spiffe(p, path)
	}
}

var stranger = map[string]string{
	"github-actions": `claims.repository_owner_id == "1234"`,
	"gitlab-ci":      `claims.namespace_id == "1234"`,
}

func (c *checker) google(p *Provider, path string) {
	c.notEmpty(under(path, "hosted_domains"), len(p.HostedDomains))
	for _, d := range p.HostedDomains {
		if d.Pos.Line != 0 && !domainShape.MatchString(d.Value) {
			c.faults.Add(d.Pos, "providers[].hosted_domains[]: %s is no domain: want lower-case letters, as in example.com", quoted(d.Value))
		}
	}
	if len(p.HostedDomains) == 0 && !namesHD.MatchString(p.Require.Value) {
		c.warn(c.place(under(path, "preset")), "provider %s: everybody with a Google account may sign in here; give hosted_domains, or a require over claims.hd, to let in the people of an organization only", quoted(p.Name.Value))
	}
}

func (c *checker) microsoft(p *Provider, path string) {
	one, several := c.set(under(path, "tenant")), c.set(under(path, "tenants"))
	switch {
	case one && several:
		c.fault(under(path, "tenants"), "tenant is set too; keep one of them")
	case !one && !several:
		c.fault(under(path, "preset"), "microsoft needs tenant (or tenants), the id of your directory: without it anybody with an account of Microsoft's is let in")
	}
	c.notEmpty(under(path, "tenants"), len(p.Tenants))
	if several && !strings.Contains(p.Issuer.Value, "{tenantid}") {
		c.fault(under(path, "issuer"), "with tenants it must hold {tenantid}, where the id of each comes; or leave it out")
	}
	if len(p.Tenants) > maxTenants {
		c.fault(under(path, "tenants"), "%d tenants are more than %d", len(p.Tenants), maxTenants)
	}
	seen := map[string]bool{}
	for _, t := range append([]Text{p.Tenant}, p.Tenants...) {
		switch {
		case t.Pos.Line == 0:
		case t.Value == personalTenant || t.Value == "consumers":
			c.faults.Add(t.Pos, "providers[].tenant: %s holds everybody's personal accounts, not those of an organization", quoted(t.Value))
		case t.Value == "common" || t.Value == "organizations":
			c.faults.Add(t.Pos, "providers[].tenant: %s is every tenant there is; list the ids of those that you mean in tenants", quoted(t.Value))
		case !guidShape.MatchString(t.Value):
			c.faults.Add(t.Pos, "providers[].tenant: %s is not the id of a tenant, a GUID in lower case", quoted(t.Value))
		case seen[t.Value]:
			c.faults.Add(t.Pos, "providers[].tenants: %s is listed already", quoted(t.Value))
		}
		seen[t.Value] = true
	}
	if claim := p.Username.Claim; claim.Value == "email" {
		c.faults.Add(claim.Pos, "providers[].username.claim: Microsoft does not verify email, and an administrator of any tenant can set it; use oid, which is the default, or sub")
	} else if claim.Value == "upn" || claim.Value == "unique_name" {
		c.warn(claim.Pos, "provider %s: %s can change and be given to somebody else; a grant that lists users may then reach the wrong person. Use oid or sub", quoted(p.Name.Value), claim.Value)
	}
	if p.GroupOverage.Value == "graph" && !c.set(under(path, "client_secret")) && !c.set(under(path, "client_key")) {
		c.fault(under(path, "group_overage"), "graph needs client_secret or client_key: rolecall asks Graph as the application")
	}
}

func (c *checker) spiffe(p *Provider, path string) {
	switch domain := p.TrustDomain; {
	case !c.set(under(path, "trust_domain")):
		c.fault(under(path, "preset"), "spiffe needs trust_domain: whose SPIFFE IDs count, as example.org")
	case domain.Pos.Line != 0 && !trustDomainShape.MatchString(domain.Value):
		c.faults.Add(domain.Pos, "providers[].trust_domain: %s is no trust domain: want a-z, 0-9, '.', '-' and '_', without spiffe://", quoted(domain.Value))
	}
}

// subjectClaim keeps to what names a person for ever.
func (c *checker) subjectClaim(p *Provider) {
	claim := p.Subject.Claim
	switch {
	case claim.Value == "" || claim.Value == "sub" || claim.Value == "oid" && p.Preset.Value == "microsoft":
	default:
		c.faults.Add(claim.Pos, "providers[].subject.claim: %s is no subject: at OpenID providers that is sub, or oid with the preset microsoft", quoted(claim.Value))
	}
}

// clouds are the addresses of Microsoft's clouds.
var clouds = map[string]string{
	"global": "https://login.microsoftonline.com", "us": "https://login.microsoftonline.us",
	"us-dod": "https://login.microsoftonline.us", "china": "https://login.partner.microsoftonline.cn",
}

// tenantIssuer is the issuer of a tenant's tokens, and with several tenants the
// pattern of them, as Microsoft's own discovery document has it.
func tenantIssuer(p *Provider) string {
	host, tenant := clouds[p.Cloud.Value], p.Tenant.Value
	if len(p.Tenants) > 0 {
		tenant = "{tenantid}"
	}
	if host == "" || tenant == "" {
		return ""
	}
	return strings.Join([]string{host, tenant, "v2.0"}, "/")
}
