package config

import (
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var opaqueOrigin = regexp.MustCompile(`^android:apk-key-hash:[A-Za-z0-9_-]{43}$`)

// directory judges the built-in user directory.
func (c *checker) directory(p *Provider, path string) {
	if n := p.Password.MinLength; n < 8 || n > 64 {
		c.fault(under(path, "password.min_length"), "%d is not between 8 and 64", n)
	}
	for _, key := range []string{"clock_skew", "ca_file", "allow_private"} {
		if c.set(under(path, key)) {
			c.fault(under(path, key), "the directory is built in: it has no address and no clock of its own")
		}
	}
	c.notEmpty(under(path, "registration_domains"), len(p.RegistrationDomains))
	for _, d := range p.RegistrationDomains {
		if !domainShape.MatchString(d.Value) {
			c.faults.Add(d.Pos, "providers[].registration_domains[]: %s is no domain: want lower-case letters, as in example.com", quoted(d.Value))
		}
	}
	for _, o := range p.Passkeys.Origins {
		if !opaqueOrigin.MatchString(o.Value) {
			c.origin("providers[].passkeys.origins", o)
		}
	}
	above := func(t Text) bool { return isSuffix(p.Passkeys.RPID.Value, t.Value) }
	if id := p.Passkeys.RPID; id.Value != "" && !above(c.Server.URL) && !slices.ContainsFunc(p.Passkeys.Origins, above) {
		c.faults.Add(id.Pos, "providers[].passkeys.rp_id: %s is neither the host of server.url or of one of origins, nor a domain above it: browsers would refuse it", quoted(id.Value))
	}
	if p.Registration.Value == "open" && c.Mail.SMTP.Value == "" {
		c.warn(c.place(under(path, "registration")), "provider %s: registration is open, but mail.smtp is missing: without the code from a mail nobody can confirm their address", quoted(p.Name.Value))
	}
}

// isSuffix reports whether a domain is the host of an address, or above it.
func isSuffix(domain, address string) bool {
	u, err := url.Parse(address)
	if err != nil || strings.HasPrefix(domain, ".") {
		return false
	}
	return u.Hostname() == domain || strings.HasSuffix(u.Hostname(), "."+domain) && strings.Contains(domain, ".")
}

// mail makes sure that letters can leave. What the server and the sender must be is
// for broker/mail to judge.
func (c *checker) mail() {
	m := c.Mail
	if m.SMTP.Value == "" {
		for _, key := range []string{"from", "username", "password", "tls", "ca_file"} {
			if c.set("mail." + key) {
				c.fault("mail."+key, "mail.smtp is missing: without it no mail leaves")
			}
		}
		return
	}
	if _, err := mail.ParseAddress(m.From.Value); err != nil || strings.ContainsAny(m.From.Value, "\r\n") {
		c.fault("mail.from", "%s is no address such as rolecall@example.com", quoted(m.From.Value))
	}
	if (m.Username == "") != (m.Password.Reveal() == "") {
		c.fault("mail.username", "username and password go together; give both or none")
	}
	if !slices.ContainsFunc(c.Providers, func(p Provider) bool { return p.Type.Value == "directory" }) {
		c.warn(m.SMTP.Pos, "mail: nothing here sends any; a provider of type directory would")
	}
}

// oneDirectory makes sure that it is clear where people of an app register.
func (c *checker) oneDirectory(a *App) {
	first := ""
	for _, name := range a.Providers {
		i := slices.IndexFunc(c.Providers, func(p Provider) bool { return p.Name.Value == name.Value })
		switch {
		case i < 0 || c.Providers[i].Type.Value != "directory":
		case first != "":
			c.faults.Add(name.Pos, "apps[].providers: %s is a directory, and so is %s; people of an app are of one", quoted(name.Value), quoted(first))
		default:
			first = name.Value
		}
	}
}
