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
func presets() []preset {
	return []preset{
		{
			name: "google", kind: "oidc", trust: ofAnybody,
			sets: []setting{{"issuer", "https://accounts.google.com"}, {"algorithms", "RS256"}, {"username.claim", "email"}},
		},
		{
			name: "apple", kind: "oidc", trust: ofAnybody,
			sets: []setting{{"issuer", "https://appleid.apple.com"}, {"algorithms", "RS256"}},
		},
		{
			name: "microsoft", kind: "oidc", trust: ofCompany,
			sets: []setting{{"algorithms", "RS256"}, {"groups.claim", "groups"}, {"username.claim", "oid"}},
		},
		{
			name: "cognito", kind: "oidc", trust: ofAnybody,
			sets:  []setting{{"algorithms", "RS256"}, {"groups.claim", "cognito:groups"}, {"username.claim", "cognito:username"}},
			needs: "`issuer`: https://cognito-idp.REGION.amazonaws.com/POOL",
		},
		{
			name: "okta", kind: "oidc", trust: ofCompany,
			sets:  []setting{{"algorithms", "RS256"}, {"groups.claim", "groups"}, {"scopes", "groups"}, {"username.claim", "email"}},
			needs: "`issuer`",
		},
		{
			name: "auth0", kind: "oidc", trust: ofAnybody,
			sets:  []setting{{"algorithms", "RS256"}, {"username.claim", "email"}},
			needs: "`issuer`, with its slash at the end; `groups: {claim: https://YOURS/groups}`, as your action names it",
		},
		{
			name: "keycloak", kind: "oidc", trust: ofCompany,
			sets:  []setting{{"groups.claim", "/realm_access/roles"}, {"username.claim", "preferred_username"}},
			needs: "`issuer`: https://HOST/realms/REALM",
		},
		{
			name: "github-actions", kind: "oidc", trust: ofMachines,
			sets: []setting{{"issuer", "https://token.actions.githubusercontent.com"}, {"algorithms", "RS256"}},
		},
		{
			name: "gitlab-ci", kind: "oidc", trust: ofMachines,
			sets: []setting{{"issuer", "https://gitlab.com"}, {"algorithms", "RS256"}},
		},
		{
			name: "kubernetes", kind: "oidc", trust: ofMachines,
			needs: "`issuer` of the cluster; `jwks_file` where it cannot be reached",
		},
		{
			name: "spiffe", kind: "oidc", trust: ofMachines,
			sets: []setting{{"algorithms", "RS256,RS384,RS512,ES256,ES384,ES512,PS256,PS384,PS512"}},
		},
		{name: "github", kind: "oauth2", trust: ofAnybody},
		{name: "facebook", kind: "oauth2", trust: ofAnybody},
		{name: "amazon", kind: "oauth2", trust: ofAnybody},
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
