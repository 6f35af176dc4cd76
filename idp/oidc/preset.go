package oidc

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// preset is what one kind of provider promises beside what all do
// (config/preset.go has the table). The zero value promises nothing.
type preset struct {
	// issuers are those that its tokens may name.
	issuers []string
	// discovery is the address that its document is found under; issuer is the one
	// that it must name.
	discovery, issuer string
	// judge refuses a token that breaks the promise.
	judge func(*idToken) error
	// subject gives the name that a person has for ever.
	subject func(*idToken) (string, error)
	// groups are those of a subject, where no claim holds them.
	groups func(*idToken) []string
	keys   keyRule
	// request is added to the authorization request.
	request map[string]string
}

const googleIssuer = "https://accounts.google.com"

// newPreset reads what the section's preset says. What the section must not say is
// found by package config.
func newPreset(c config.Provider) preset {
	issuer := c.Issuer.Value
	p := preset{
		issuers: []string{issuer}, discovery: issuer, issuer: issuer,
		subject: func(t *idToken) (string, error) { return t.subject, nil },
	}
	switch c.Preset.Value {
	case "google":
		p.google(c)
	case "microsoft":
		p.microsoft(c)
	case "cognito":
		p.judge = judgeCognito
	case "okta":
		p.judge = func(t *idToken) error { return refuseAccess(t, "cid", "scp") }
	case "keycloak":
		p.judge = judgeKeycloak
	case "gitlab-ci":
		p.judge = judgeGitLab
	case "kubernetes":
		p.judge, p.groups = judgeKubernetes, kubernetesGroups
	case "spiffe":
		domain := c.TrustDomain.Value
		p.judge = func(t *idToken) error { return judgeSPIFFE(t.subject, domain) }
		p.keys.uses = []string{"jwt-svid"}
	}
	return p
}

// accepts reports whether the provider's tokens may name the issuer.
func (p *preset) accepts(issuer string) bool { return slices.Contains(p.issuers, issuer) }

// google: hd says whose account it is; without it the account is a consumer's, whose
// e-mail address may well look like a company's. Google's issuer comes with its
// scheme or without.
func (p *preset) google(c config.Provider) {
	if p.issuer == googleIssuer {
		p.issuers = append(p.issuers, strings.TrimPrefix(googleIssuer, "https://"))
	}
	if len(c.HostedDomains) == 0 {
		return
	}
	domains := values(c.HostedDomains)
	p.judge = func(t *idToken) error {
		hd, _ := t.claims.get("hd")
		if hd.kind != kindText || !slices.Contains(domains, hd.text) {
			return idp.Reject("hosted-domain", "the account is of %.128q, not of %s", hd.text, strings.Join(domains, ", "))
		}
		return nil
	}
	// For the account chooser only: it proves nothing.
	if p.request = map[string]string{"hd": "*"}; len(domains) == 1 {
		p.request["hd"] = domains[0]
	}
}

// microsoft: the issuer holds the tenant, and tid must say the same. Several tenants
// sign in at the address of all organizations, whose document names a pattern.
func (p *preset) microsoft(c config.Provider) {
	const pattern = "{tenantid}"
	tenants := values(c.Tenants)
	if len(tenants) == 0 {
		tenants = []string{c.Tenant.Value}
	}
	several := len(c.Tenants) > 0
	p.issuers = nil
	for _, tenant := range tenants {
		p.issuers = append(p.issuers, strings.ReplaceAll(c.Issuer.Value, pattern, tenant))
	}
	if p.issuer = p.issuers[0]; several {
		p.issuer, p.discovery = c.Issuer.Value, strings.ReplaceAll(c.Issuer.Value, pattern, "organizations")
	} else {
		p.discovery = p.issuer
	}
	p.judge = func(t *idToken) error {
		if err := refuseAccess(t, "scp", "azpacr", "idtyp"); err != nil {
			return err
		}
		tid, _ := t.claims.get("tid")
		i := slices.Index(p.issuers, t.issuer)
		if tid.kind != kindText || i < 0 || tid.text != tenants[i] {
			return idp.Reject("tenant", "tid is %.64q, which is not the tenant of issuer %.128q", tid.text, t.issuer)
		}
		return nil
	}
	p.subject = func(t *idToken) (string, error) {
		subject := t.subject
		if c.Subject.Claim.Value == "oid" {
			oid, _ := t.claims.get("oid")
			if subject = oid.text; oid.kind != kindText || subject == "" {
				return "", idp.Reject("subject", "the token has no oid, which is the subject here")
			}
		}
		if several {
			tid, _ := t.claims.get("tid")
			subject = tid.text + "/" + subject
		}
		return subject, nil
	}
	// A key that names one tenant signs for that tenant only; one for all names the pattern.
	p.keys.issuers = []string{c.Issuer.Value}
	if !several {
		p.keys.issuers = []string{p.issuer, strings.ReplaceAll(p.issuer, tenants[0], pattern)}
	}
}

// judgeCognito: access tokens of a user pool are signed by the same keys.
func judgeCognito(t *idToken) error {
	if t.tokenUse != "id" {
		return idp.Reject("typ", "the token's token_use is %.32q, not id", t.tokenUse)
	}
	return nil
}

// refuseAccess finds what only access tokens of a provider have. They are signed by
// the same keys, and some can be had for our client id as their audience.
func refuseAccess(t *idToken, names ...string) error {
	for _, name := range names {
		if _, there := t.claims.get(name); there {
			return idp.Reject("typ", "the token has the claim %s: it is an access token", name)
		}
	}
	return nil
}

// judgeKeycloak: Keycloak says in a claim what a token is.
func judgeKeycloak(t *idToken) error {
	if typ, there := t.claims.get("typ"); there && (typ.kind != kindText || typ.text != "ID") {
		return idp.Reject("typ", "the token's claim typ is %.32q, not ID", typ.text)
	}
	return nil
}

// judgeGitLab: people who sign in with GitLab have ID tokens of the same issuer and keys.
func judgeGitLab(t *idToken) error {
	for _, name := range []string{"project_id", "project_path"} {
		if v, _ := t.claims.get(name); v.kind == kindText && v.text != "" {
			return nil
		}
	}
	return idp.Reject("typ", "the token has no project_id or project_path: it is not that of a job")
}

// serviceAccount is how Kubernetes names one: a namespace is a DNS label, the name
// of an account a DNS subdomain.
var serviceAccount = regexp.MustCompile(`^system:serviceaccount:([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?):([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)$`)

// judgeKubernetes: the subject is a service account, and the claim that describes
// it is about the same.
func judgeKubernetes(t *idToken) error {
	parts := serviceAccount.FindStringSubmatch(t.subject)
	if parts == nil {
		return idp.Reject("subject", "%.255q is not system:serviceaccount:NAMESPACE:NAME", t.subject)
	}
	for _, said := range []struct {
		path claimPath
		want string
	}{
		{claimPath{"kubernetes.io", "namespace"}, parts[1]}, {claimPath{"kubernetes.io", "serviceaccount", "name"}, parts[3]},
	} {
		v, there, err := said.path.find(t.claims)
		if err != nil {
			return err
		}
		if there && (v.kind != kindText || v.text != said.want) {
			return idp.Reject("subject", "sub is %.255q, and %s says something else", t.subject, said.path.attribute())
		}
	}
	return nil
}

// kubernetesGroups are those that the cluster itself gives to a service account.
func kubernetesGroups(t *idToken) []string {
	parts := serviceAccount.FindStringSubmatch(t.subject)
	if parts == nil {
		return []string{}
	}
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + parts[1]}
}

var spiffeSegment = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// judgeSPIFFE: a JWT-SVID's subject is a SPIFFE ID (SPIFFE-ID section 2), and here
// one of the trust domain whose keys these are.
func judgeSPIFFE(id, domain string) error {
	rest, ok := strings.CutPrefix(id, "spiffe://")
	trust, path, hasPath := strings.Cut(rest, "/")
	switch {
	case !ok || trust == "":
		return idp.Reject("subject", "%.255q is no SPIFFE ID", id)
	case domain == "" || trust != domain:
		return idp.Reject("trust-domain", "%.255q is not of the trust domain %q", id, domain)
	case !hasPath:
		return idp.Reject("subject", "%.255q names the trust domain itself, no workload", id)
	}
	for segment := range strings.SplitSeq(path, "/") {
		if !spiffeSegment.MatchString(segment) || segment == "." || segment == ".." {
			return idp.Reject("subject", "%.255q is no SPIFFE ID: a segment of its path may hold letters, digits, '.', '-' and '_'", id)
		}
	}
	return nil
}

func values(texts []config.Text) []string {
	var list []string
	for _, t := range texts {
		list = append(list, t.Value)
	}
	return list
}
