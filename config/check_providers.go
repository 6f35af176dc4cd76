package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

var providerName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

// maxName bounds names, which appear in pages, logs and the audit.
const maxName = 128

// element is the path of a list's entry.
func element(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// unique refuses an empty, an unreadable and a second name.
func (c *checker) unique(seen map[string]Pos, what string, name Text) {
	if name.Pos.Line == 0 {
		return // missing, and said so
	}
	before, again := seen[name.Value]
	switch {
	case strings.TrimSpace(name.Value) != name.Value || name.Value == "":
		c.faults.Add(name.Pos, "%s: %s must be a name without spaces at its ends", what, quoted(name.Value))
	case len(name.Value) > maxName || strings.ContainsFunc(name.Value, func(r rune) bool { return r < ' ' || r == 0x7f }):
		c.faults.Add(name.Pos, "%s: %s is longer than %d characters or holds a control character", what, quoted(name.Value), maxName)
	case again:
		c.faults.Add(name.Pos, "%s: %s is taken already in %s; names must be unique", what, quoted(name.Value), before.beside(name.Pos))
	default:
		seen[name.Value] = name.Pos
	}
}

func (c *checker) providers() {
	names := map[string]Pos{}
	owners := map[string]string{}
	for i := range c.Providers {
		p, path := &c.Providers[i], element("providers", i)
		c.fill(p, path)
		c.domains(p, owners)
		c.unique(names, "providers[].name", p.Name)
		switch name := p.Name.Value; {
		case name == "":
		case !providerName.MatchString(name) || len(name) > 63:
			c.faults.Add(p.Name.Pos, "providers[].name: %s must be at most 63 of a-z, 0-9 and '-', with no '-' at its ends: it is part of URLs", quoted(name))
		case name == "device":
			c.faults.Add(p.Name.Pos, `providers[].name: "device" is the provider of devices and guests; use another name`)
		}
		if p.Type.Value != "" {
			c.belonging(p, path, reflect.TypeFor[Provider]())
		}
		c.between(under(path, "clock_skew"), p.ClockSkew, 0, 10*time.Minute)
		c.between(under(path, "jwks_max_age"), p.JWKSMaxAge, 0, 24*time.Hour)
		switch p.Type.Value {
		case "saml":
			c.saml(p, path)
		case "oidc":
			c.oidc(p, path)
			c.preset(p, path)
			c.subjectClaim(p)
		case "oauth2":
			c.oauth2(p, path)
		case "directory":
			c.directory(p, path)
		}
	}
	c.contested()
}

// belonging finds keys of other types of provider and what this type needs.
func (c *checker) belonging(p *Provider, path string, section reflect.Type) {
	for _, f := range fieldsOf(section) {
		at := under(path, f.key)
		switch kind := p.Type.Value; {
		case f.unbuilt():
		case c.set(at) && !f.isFor(kind):
			c.fault(at, "this key is for providers of type %s; this one is %s%s", f.types(), kind, instead(f, kind, section))
		case c.set(at) && !f.isOf(p.Preset.Value):
			c.fault(at, "this key is for the preset %s", strings.Join(f.presets, ", "))
		case c.set(at) && shapeOf(f.typ) == isSection:
			c.belonging(p, at, f.typ)
		case !c.set(at) && f.neededBy(kind):
			c.faults.Add(p.Pos, "%s is missing: a provider of type %s needs it. %s", shown(at), kind, f.doc)
		}
	}
}

// instead names the sibling that the other type has: claim for attribute.
func instead(f field, kind string, section reflect.Type) string {
	if section != reflect.TypeFor[From]() {
		return ""
	}
	for _, other := range fieldsOf(section) {
		if other.key != f.key && other.isFor(kind) {
			return "; use " + other.key
		}
	}
	return ""
}

// contested refuses two SAML providers of one identity provider whose assertions
// token exchange could not tell apart.
func (c *checker) contested() {
	type party struct{ url, file, idp, sp string }
	taken := map[party]string{}
	for i := range c.Providers {
		p := &c.Providers[i]
		is := party{p.MetadataURL.Value, p.MetadataFile.Value, p.EntityID.Value, p.SPEntityID.Value}
		if p.Type.Value != "saml" || !p.Exchange || is.sp == "" {
			continue
		}
		if first, again := taken[is]; again {
			c.fault(under(element("providers", i), "sp_entity_id"), "assertions of the same identity provider for %s are those of provider %s already; at /oauth2/token nobody could tell which is meant", quoted(is.sp), quoted(first))
			continue
		}
		taken[is] = p.Name.Value
	}
}

func (c *checker) saml(p *Provider, path string) {
	url, file := c.set(under(path, "metadata_url")), c.set(under(path, "metadata_file"))
	switch {
	case !url && !file:
		c.faults.Add(p.Pos, "providers[]: a provider of type saml needs metadata_url or metadata_file")
	case url && file:
		c.fault(under(path, "metadata_file"), "metadata_url is set too; keep one of them")
	}
	if !c.set(under(path, "subject")) {
		c.warn(p.Pos, "provider %s: without subject the NameID says who somebody is; if it is transient, everybody is a new person at every sign-in", quoted(p.Name.Value))
	}
	for _, word := range p.Allow {
		if word.Value != "" {
			c.warn(word.Pos, "provider %s: allow %s takes a protection away; docs/providers says which", quoted(p.Name.Value), word.Value)
		}
	}
	if p.IDPInitiated {
		c.warn(c.place(under(path, "idp_initiated")), "provider %s: idp_initiated accepts responses that nobody here asked for", quoted(p.Name.Value))
	}
}

func (c *checker) oidc(p *Provider, path string) {
	c.filled(under(path, "issuer"), p.Issuer)
	c.filled(under(path, "client_id"), p.ClientID)
	c.notEmpty(under(path, "algorithms"), len(p.Algorithms))
	c.oidcClient(p, path)
	switch claim := p.Username.Claim; {
	case claim.Value != "preferred_username":
	case claim.Pos == c.place(under(path, "preset")): // of keycloak, where it is the account's name unless somebody lets people edit it
		c.loginsAsUsers(p)
	default:
		c.warn(claim.Pos, "provider %s: people can change their preferred_username at many providers; a grant that lists users may then reach the wrong person. Use sub or email", quoted(p.Name.Value))
	}
}

// filled refuses a key that is there and empty.
func (c *checker) filled(path string, t Text) {
	if t.Pos.Line != 0 && t.Value == "" && c.set(path) {
		c.fault(path, "empty; give a value")
	}
}

// notEmpty refuses a list that is there and empty: whether it then means nobody or
// everybody is not for us to guess.
func (c *checker) notEmpty(path string, n int) {
	if c.set(path) && n == 0 {
		c.fault(path, "the list is empty; give a value or remove the key")
	}
}

// broken reports whether the decoder found the value unreadable.
func (c *checker) broken(path string) bool { return slices.Contains(c.unread, path) }

var domainShape = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$`)

// domains makes sure that each leads to one provider.
func (c *checker) domains(p *Provider, owners map[string]string) {
	for _, d := range p.Domains {
		owner, taken := owners[d.Value]
		switch {
		case !domainShape.MatchString(d.Value):
			c.faults.Add(d.Pos, "providers[].domains[]: %s is no domain: want lower-case letters, as in example.com", quoted(d.Value))
		case taken:
			c.faults.Add(d.Pos, "providers[].domains[]: %s leads to the provider %s already", quoted(d.Value), owner)
		default:
			owners[d.Value] = p.Name.Value
		}
	}
}
