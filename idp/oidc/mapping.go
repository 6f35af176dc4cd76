package oidc

import (
	"maps"
	"slices"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/claims"
)

// mapping says which claim becomes what.
type mapping struct {
	groups, username claimPath
	// attributes are further ones, by name.
	attributes map[string]claimPath
}

func readMapping(c config.Provider, faults, warnings *config.Faults) mapping {
	m := mapping{
		groups:     readPath(c.Groups.Claim, "groups.claim", faults, warnings),
		username:   readPath(c.Username.Claim, "username.claim", faults, warnings),
		attributes: map[string]claimPath{},
	}
	for name, from := range c.Attributes {
		if from.Value == "" || name == "" {
			faults.Add(from.Pos, "attributes: want NAME: CLAIM, such as team: /custom/team")
			continue
		}
		m.attributes[name] = readPath(from, "attributes."+name, faults, warnings)
	}
	return m
}

// all lists what the configuration reads.
func (m mapping) all() []claimPath {
	paths := []claimPath{m.groups, m.username}
	if m.username.last() == "email" {
		paths = append(paths, m.username.beside("email_verified"))
	}
	for _, name := range slices.Sorted(maps.Keys(m.attributes)) {
		paths = append(paths, m.attributes[name])
	}
	return slices.DeleteFunc(paths, func(c claimPath) bool { return len(c) == 0 })
}

// missing reports whether a claim that the configuration reads is not there.
func (m mapping) missing(all object) bool {
	return slices.ContainsFunc(m.all(), func(c claimPath) bool {
		_, there, err := c.find(all)
		return !there && err == nil
	})
}

// identity makes the identity of a subject by its claims. An attribute of the
// configuration is what its claim says and nothing else: where that claim is
// missing, the attribute is too, even if a claim bears its name.
func (m mapping) identity(provider, subject string, all object) (idp.Identity, error) {
	attrs := all.attributes()
	var helpers []string
	for _, path := range []claimPath{m.groups, m.username} {
		if len(path) < 2 {
			continue
		}
		values, err := path.scalars(all)
		if err != nil {
			return idp.Identity{}, err
		}
		name := path.attribute()
		if delete(attrs, name); values != nil {
			attrs[name] = values
		}
		helpers = append(helpers, name)
	}
	plain := claims.Mapping{Groups: m.groups.attribute(), Username: m.username.attribute()}
	identity, err := plain.Identity(provider, subject, attrs)
	if err != nil {
		return idp.Identity{}, err
	}
	for _, name := range helpers {
		delete(identity.Attributes, name)
	}
	return m.attributed(identity, all)
}

// attributed adds the attributes of the configuration, within the bounds of all.
func (m mapping) attributed(identity idp.Identity, all object) (idp.Identity, error) {
	if len(m.attributes) == 0 {
		return identity, nil
	}
	for name, path := range m.attributes {
		values, err := path.scalars(all)
		if err != nil {
			return idp.Identity{}, err
		}
		if delete(identity.Attributes, name); values != nil {
			identity.Attributes[name] = values
		}
	}
	bounded, err := claims.Mapping{}.Identity(identity.Provider, identity.Subject, identity.Attributes)
	identity.Attributes = bounded.Attributes
	return identity, err
}
