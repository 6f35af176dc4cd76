package config

import (
	"reflect"
	"slices"
	"strings"
)

// trust is what a provider's word is worth to a grant that does not name it.
type trust string

const (
	// ofCompany: whoever is there was let in by the company itself.
	ofCompany trust = "company"
	// ofAnybody: anybody may have an account there.
	ofAnybody trust = "consumer"
	// ofMachines: programs, many of them of other people.
	ofMachines trust = "machine"
)

// preset is what differs at one kind of provider. sets are defaults: keys of the
// provider's section, as the file would write them; a key in the file wins. checks
// are judged beside what every provider is judged by.
type preset struct {
	name   string
	kind   string // the type of provider
	trust  trust
	sets   []setting
	needs  string // what the file must say, for the reference
	checks string // for the reference; idp/oidc/preset.go does it
}

type setting struct{ key, value string }

// presets is the whole table. Who adds a row: the reference (docs/configuration.md)
// is made of it, and what idp/oidc does for a row is in the same order there.
func presets() []preset { return slices.Concat(peoplePresets(), machinePresets()) }

// peoplePresets are where people sign in.
func peoplePresets() []preset {
	return []preset{
		{
			name: "google", kind: "oidc", trust: ofAnybody,
			sets:   []setting{{"issuer", "https://accounts.google.com"}, {"algorithms", "RS256"}, {"username.claim", "email"}},
			needs:  "`hosted_domains`, or a `require` over `hd`; else everybody with a Google account passes",
			checks: "`hd` is one of `hosted_domains`; `iss` may lack its scheme, as Google's does at times",
		},
		{
			name: "apple", kind: "oidc", trust: ofAnybody,
			sets:   []setting{{"issuer", "https://appleid.apple.com"}, {"algorithms", "RS256"}, {"response_mode", "form_post"}},
			needs:  "`apple`, the key that makes client secrets",
			checks: "`email_verified` may be the text `true`",
		},
		{
			name: "microsoft", kind: "oidc", trust: ofCompany,
			sets:   []setting{{"algorithms", "RS256"}, {"groups.claim", "groups"}, {"username.claim", "oid"}},
			needs:  "`tenant`, or `tenants`; they give the issuer",
			checks: "`tid` is the tenant of the issuer; it is no access token; groups that did not fit into the token are fetched from Graph (`group_overage`) or refused",
		},
		{
			name: "cognito", kind: "oidc", trust: ofAnybody,
			sets:   []setting{{"algorithms", "RS256"}, {"groups.claim", "cognito:groups"}, {"username.claim", "cognito:username"}},
			needs:  "`issuer`: https://cognito-idp.REGION.amazonaws.com/POOL",
			checks: "`token_use` is there and is `id`; `email_verified` may be the text `true`",
		},
		{
			name: "okta", kind: "oidc", trust: ofCompany,
			sets:   []setting{{"algorithms", "RS256"}, {"groups.claim", "groups"}, {"scopes", "groups"}, {"username.claim", "email"}},
			needs:  "`issuer`",
			checks: "it is no access token (`cid`, `scp`)",
		},
		{
			name: "auth0", kind: "oidc", trust: ofAnybody,
			sets:  []setting{{"algorithms", "RS256"}, {"username.claim", "email"}},
			needs: "`issuer`, with its slash at the end; `groups: {claim: https://YOURS/groups}`, as your action names it",
		},
		{
			name: "keycloak", kind: "oidc", trust: ofCompany,
			sets:   []setting{{"groups.claim", "/realm_access/roles"}, {"username.claim", "preferred_username"}},
			needs:  "`issuer`: https://HOST/realms/REALM",
			checks: "the claim `typ`, where it is there, is `ID`",
		},
		{name: "github", kind: "oauth2", trust: ofAnybody, sets: []setting{{"username.claim", "login"}}, checks: "the token is of this client; `organizations`"},
		{name: "facebook", kind: "oauth2", trust: ofAnybody, sets: []setting{{"username.claim", "id"}}, checks: "the token is of this app"},
		{name: "amazon", kind: "oauth2", trust: ofAnybody, sets: []setting{{"username.claim", "id"}}, checks: "the token is of this client"},
	}
}

// machinePresets are where programs get tokens.
func machinePresets() []preset {
	return []preset{
		{
			name: "github-actions", kind: "oidc", trust: ofMachines,
			sets:   []setting{{"issuer", "https://token.actions.githubusercontent.com"}, {"algorithms", "RS256"}},
			needs:  "`require` over `sub`, `repository`, `repository_id`, `repository_owner`, `repository_owner_id` or the like",
			checks: "`require` must refuse a workflow of a stranger",
		},
		{
			name: "gitlab-ci", kind: "oidc", trust: ofMachines,
			sets:   []setting{{"issuer", "https://gitlab.com"}, {"algorithms", "RS256"}},
			needs:  "`require` over `sub`, `project_id`, `project_path`, `namespace_id`, `namespace_path` or the like",
			checks: "`require` must refuse a job of a stranger; `project_id` or `project_path` is there: an ID token of a person is none",
		},
		{
			name: "kubernetes", kind: "oidc", trust: ofMachines,
			needs:  "`issuer` of the cluster; `jwks_file` where it cannot be reached",
			checks: "`sub` is system:serviceaccount:NAMESPACE:NAME and the claim `kubernetes.io` says the same; groups are system:serviceaccounts and system:serviceaccounts:NAMESPACE",
		},
		{
			name: "spiffe", kind: "oidc", trust: ofMachines,
			sets:   []setting{{"algorithms", "RS256,RS384,RS512,ES256,ES384,ES512,PS256,PS384,PS512"}},
			needs:  "`issuer` and `trust_domain`; the SPIRE server must be told its `jwt_issuer`",
			checks: "`sub` is a SPIFFE ID of `trust_domain`; keys of a SPIFFE bundle (`use: jwt-svid`) count in `jwks_file`",
		},
	}
}

// presetOf finds the row of a provider; false where it has none.
func presetOf(name string) (preset, bool) {
	all := presets()
	i := slices.IndexFunc(all, func(p preset) bool { return p.name == name })
	if i < 0 {
		return preset{}, false
	}
	return all[i], true
}

// MustBeNamed reports whether a grant must name the provider to match its
// identities: anybody may have an account there, or a machine may, so its groups
// and user names are not those of a company.
func (p Provider) MustBeNamed() bool {
	switch p.Type.Value {
	case "oauth2", "directory", "device":
		return true
	}
	row, known := presetOf(p.Preset.Value)
	return known && row.trust != ofCompany
}

// Machine reports whether programs bring the provider's tokens and nobody signs in there.
func (p Provider) Machine() bool {
	row, known := presetOf(p.Preset.Value)
	return known && row.trust == ofMachines
}

// Filled says, a line for each provider with a preset, which keys that sets: what
// the file leaves to it.
func (c *Config) Filled() []string {
	var lines []string
	for i, p := range c.Providers {
		row, known := presetOf(p.Preset.Value)
		if !known {
			continue
		}
		var sets []string
		note := func(key, value string) {
			if _, written := c.Written[under(element("providers", i), key)]; !written {
				sets = append(sets, key+": "+value)
			}
		}
		for _, s := range row.sets {
			note(s.key, s.shown())
		}
		if row.name == "microsoft" {
			note("issuer", p.Issuer.Value)
		}
		if p.Machine() {
			note("client_id", p.ClientID.Value)
		}
		line := "preset " + row.name
		if len(sets) > 0 {
			line += " sets " + strings.Join(sets, ", ")
		}
		lines = append(lines, p.Name.Value+": "+line)
	}
	return lines
}

// shown is the value as the file would write it.
func (s setting) shown() string {
	if strings.Contains(s.value, ",") {
		return "[" + strings.ReplaceAll(s.value, ",", ", ") + "]"
	}
	return s.value
}

// fill sets what the file leaves to the preset and marks it as set there.
func (c *checker) fill(p *Provider, path string) {
	row, known := presetOf(p.Preset.Value)
	if !known || p.Type.Value != "oidc" && p.Type.Value != "oauth2" {
		return
	}
	if row.kind != p.Type.Value {
		c.fault(under(path, "preset"), "%s is for providers of type %s; this one is %s", row.name, row.kind, p.Type.Value)
		return
	}
	at := c.place(under(path, "preset"))
	for _, s := range row.sets {
		if key := under(path, s.key); !c.set(key) {
			fillKey(reflect.ValueOf(p).Elem(), s, at)
			c.at[key] = at
		}
	}
	if issuer := under(path, "issuer"); row.name == "microsoft" && !c.set(issuer) {
		if from := tenantIssuer(p); from != "" { // else there is another fault, which says more
			p.Issuer = Text{Value: from, Pos: at}
		}
		c.at[issuer] = at
	}
	if p.Machine() && !c.set(under(path, "client_id")) {
		p.ClientID = Text{Value: strings.TrimSuffix(c.Server.URL.Value, "/"), Pos: at}
		c.at[under(path, "client_id")] = at
	}
}

// fillKey sets one key, through the sections that it stands in. A key or value
// that does not fit is a mistake in the table, which a test finds.
func fillKey(section reflect.Value, s setting, at Pos) {
	key, rest, nested := strings.Cut(s.key, ".")
	fields := fieldsOf(section.Type())
	f := fields[indexOf(fields, key)]
	v := section.Field(f.index)
	if nested {
		fillKey(v, setting{rest, s.value}, at)
		return
	}
	f.fallback = s.value
	v.SetZero() // of the default that the key has without a preset
	setDefault(v, f, at)
}
