package config

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// checker judges what needs no other package. Conditions, templates, role names
// and addresses of providers are left to the packages that use them.
type checker struct {
	*Config
	at     map[string]Pos // places of the keys that are in the file
	unread []string       // paths whose values the decoder could not read
	root   Pos
	// saidIssuer says that the issuer has been judged for AWS: one fault is enough.
	saidIssuer bool
	// saidAssertion are the providers that have been judged as sources of assertions for AWS.
	saidAssertion map[string]bool
	faults        Faults
	warnings      Faults
}

func (c *checker) check() {
	c.server()
	c.store()
	c.issuer()
	c.aws()
	c.limits()
	c.metrics()
	c.egress()
	c.session()
	c.providers()
	c.accounts()
	c.grants()
	c.apps()
	c.mail()
	c.defaultMode()
	c.admins()
	derive(c.Config)
}

// place is where a key is, or the nearest section above it that is in the file.
func (c *checker) place(path string) Pos {
	for path != "" {
		if at, ok := c.at[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return c.root
}

func (c *checker) set(path string) bool { _, ok := c.at[path]; return ok }

// fault reports a key, unless what it says could not be read in the first place.
func (c *checker) fault(path, format string, args ...any) {
	if c.broken(path) {
		return
	}
	c.faults.Add(c.place(path), shown(path)+": "+format, args...)
}

func (c *checker) warn(at Pos, format string, args ...any) { c.warnings.Add(at, format, args...) }

// between judges a duration that the file gives.
func (c *checker) between(path string, d, least, most time.Duration) {
	if c.set(path) && (d < least || d > most) {
		c.fault(path, "%s is not between %s and %s", brief(d), brief(least), brief(most))
	}
}

// brief writes 12h for 12h0m0s.
func brief(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func (c *checker) server() {
	s := c.Server
	u := c.origin("server.url", s.URL)
	if c.set("server.listen") {
		c.listen("server.listen", s.Listen)
	}
	for _, cidr := range s.TrustedProxies {
		if prefix := c.cidr("server.trusted_proxies", cidr); prefix.IsValid() && prefix.Bits() == 0 {
			c.warn(cidr.Pos, "server.trusted_proxies: %s trusts everybody, so any client chooses the address that limits and audit see", quoted(cidr.Value))
		}
	}
	switch {
	case (s.TLS.Cert == "") != (s.TLS.Key == ""):
		c.fault("server.tls", "cert and key go together; give both or none")
	case s.TLS.Cert != "":
		if _, err := s.TLS.Load(); err != nil {
			c.fault("server.tls", "the certificate cannot be used: %v", err)
		}
		if u != nil && u.Scheme == "http" {
			c.fault("server.tls", "server.url is plain http, so there is nothing to encrypt; use https there or remove tls")
		}
	case u != nil && u.Scheme == "https" && len(s.TrustedProxies) == 0:
		c.warn(s.URL.Pos, "server.url is https but neither server.tls nor server.trusted_proxies is set: rolecall will speak plain http and know no client's address; it must stand behind a proxy that ends TLS")
	}
	if host, _, err := net.SplitHostPort(s.Listen); err == nil && u != nil && u.Scheme == "http" && !loopback(host) {
		c.warn(c.place("server.listen"), "server.url is plain http on a loopback address, but server.listen %s answers others too", quoted(s.Listen))
	}
}

// origin judges scheme://host[:port] and nothing more.
func (c *checker) origin(path string, t Text) *url.URL {
	u := c.absolute(path, t)
	switch {
	case u == nil:
		return nil
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(t.Value, "#"):
		c.faults.Add(t.Pos, "%s: %s must end after the host and port, without a slash, path or query", path, quoted(t.Value))
		return nil
	}
	return u
}

// absolute judges a URL of our own: https, or http on loopback, in the very form
// that browsers send, since it is compared with what they send. nil is a fault,
// or a value that was missing or unreadable before.
func (c *checker) absolute(path string, t Text) *url.URL {
	if t.Value == "" {
		if t.Pos.Line != 0 {
			c.faults.Add(t.Pos, "%s is empty; give https://HOST", path)
		}
		return nil
	}
	bad := func(why string) *url.URL {
		c.faults.Add(t.Pos, "%s: %s %s", path, quoted(t.Value), why)
		return nil
	}
	if strings.Contains(t.Value, "${") {
		return bad("is not a URL; ${...} is read in secrets only")
	}
	u, err := url.Parse(t.Value)
	if err != nil || u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return bad("is not a URL such as https://sso.example.com")
	}
	if u.User != nil { // not shown: it may hold a password
		c.faults.Add(t.Pos, "%s: a URL here has no user name or password", path)
		return nil
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Port() != "" && (err != nil || port == 0), strings.HasSuffix(u.Host, ":"):
		return bad("has no usable port; a port is 1 to 65535")
	case u.Scheme == "https" && port == 443, u.Scheme == "http" && port == 80:
		return bad("names the port that " + u.Scheme + " has anyway; leave it out, as browsers do")
	case !hostShape.MatchString(u.Hostname()) && !isAddress(u.Hostname()):
		return bad("has a host that browsers would send otherwise; use lower-case letters, digits, '-' and '.' (punycode for others)")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return bad("is plain http, which is for loopback addresses only; use https")
	}
	return u
}

var hostShape = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)

func isAddress(host string) bool { _, err := netip.ParseAddr(host); return err == nil }

// loopback reports whether a host is this machine and nobody else's.
func loopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && address.IsLoopback())
}

func (c *checker) listen(path, listen string) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		c.fault(path, "%s is not HOST:PORT such as :8443 or 127.0.0.1:8400", quoted(listen))
		return
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		c.fault(path, "the port %s is not a number from 0 to 65535", quoted(port))
	}
	if strings.ContainsAny(host, "/ ") {
		c.fault(path, "%s is not a host or address", quoted(host))
	}
}
