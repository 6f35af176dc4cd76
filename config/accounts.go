package config

import (
	"path/filepath"
	"strings"
)

// includeAccounts reads accounts_file, as strictly as the configuration, and adds its
// accounts. What the configuration says of one of them itself counts over it.
func (d *decoder) includeAccounts(c *Config) (included []byte) {
	at := c.AccountsFile
	if at.Value == "" {
		return nil
	}
	data, err := readBounded(at.Value, maxFile)
	if err != nil {
		d.faults.Add(at.Pos, "accounts_file: %s cannot be read: %v", at.Value, err)
		return nil
	}
	text, faults := judgeBytes(at.Value, data)
	if len(faults) > 0 {
		d.faults = append(d.faults, faults...)
		return nil
	}
	root, faults := parseYAML(at.Value, text)
	if len(faults) > 0 {
		d.faults = append(d.faults, faults...)
		return nil
	}
	var document struct {
		Accounts []Account `yaml:"accounts" required:"true" doc:"The AWS accounts."`
	}
	inner := &decoder{file: at.Value, dir: filepath.Dir(at.Value), env: d.env, at: map[string]Pos{}, references: map[string]string{}}
	inner.document(root, &document)
	d.faults = append(d.faults, inner.faults...)
	for i, a := range document.Accounts {
		from := element("accounts", i)
		if own := accountOf(c, a.ID.Value); own >= 0 {
			d.complete(&c.Accounts[own], a, element("accounts", own))
			continue
		}
		d.adopt(inner, from, element("accounts", len(c.Accounts)))
		c.Accounts = append(c.Accounts, a)
	}
	return data
}

// accountOf finds an account by its id, -1 where there is none.
func accountOf(c *Config, id string) int {
	for i := range c.Accounts {
		if id != "" && c.Accounts[i].ID.Value == id {
			return i
		}
	}
	return -1
}

// complete fills in what an account of the configuration does not say itself.
func (d *decoder) complete(own *Account, from Account, path string) {
	unset := func(key string) bool { _, set := d.at[under(path, key)]; return !set }
	if unset("tags") {
		own.Tags = from.Tags
	}
	if unset("path") {
		own.Path = from.Path
	}
	if unset("hub_role") {
		own.HubRole = from.HubRole
	}
	if unset("external_id") {
		own.ExternalID = from.ExternalID
	}
	if unset("saml_provider") {
		own.SAMLProvider = from.SAMLProvider
	}
	if unset("roles") {
		own.Roles = from.Roles
	}
}

// adopt takes over the places of an entry under its new path.
func (d *decoder) adopt(inner *decoder, from, to string) {
	moved := func(path string) (string, bool) {
		rest, ok := strings.CutPrefix(path, from)
		return to + rest, ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	}
	for path, at := range inner.at {
		if path, ok := moved(path); ok {
			d.at[path] = at
		}
	}
	for path, reference := range inner.references {
		if path, ok := moved(path); ok {
			d.references[path] = reference
		}
	}
	for _, path := range inner.unread {
		if path, ok := moved(path); ok {
			d.unread = append(d.unread, path)
		}
	}
}
