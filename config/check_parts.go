package config

import (
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

const year = 365 * 24 * time.Hour

var regionShape = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

func (c *checker) store() {
	scheme, rest, found := strings.Cut(c.Store.Value, ":")
	switch {
	case !c.set("store"), c.Store.Value == "" && c.Store.Pos.Line == 0:
	case scheme == "postgres" || scheme == "postgresql" || scheme == "dynamodb":
		c.fault("store", "%s is not built yet; use sqlite:PATH", scheme)
	case !found || scheme != "sqlite":
		c.fault("store", "want sqlite:PATH; the store decides by the word before the colon") // not shown: a URL may hold a password
	case rest == "":
		c.fault("store", "sqlite: names no file; want sqlite:PATH")
	case strings.HasPrefix(rest, ":memory:") || strings.HasPrefix(rest, "file:"):
		c.fault("store", "sqlite:PATH takes the path of a file, not SQLite's own address; sessions and keys must outlive the process")
	case c.Audit.File != "" && filepath.Clean(c.Audit.File) == beside(c.File, rest):
		c.fault("audit.file", "it is the store's own file; give the record a file of its own")
	}
}

// beside is a path as the file means it: relative to the file's folder.
func beside(file, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(filepath.Dir(file), path)
}

func (c *checker) issuer() {
	if c.set("issuer.url") {
		u := c.absolute("issuer.url", c.Issuer.URL)
		if u != nil && (u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(c.Issuer.URL.Value, "/")) {
			c.fault("issuer.url", "%s must not end in a slash nor have a query: tokens carry it letter by letter", quoted(c.Issuer.URL.Value))
		}
	}
	keys := c.Issuer.Keys.Value
	switch {
	case keys == "" || keys == "local":
	case strings.HasPrefix(keys, "kms:"):
		c.fault("issuer.keys", "keys in KMS are not built yet; use local")
	default:
		c.fault("issuer.keys", "unknown word %s; known: local", quoted(keys))
	}
}

func (c *checker) aws() {
	a := c.AWS
	if c.set("aws.region") && !regionShape.MatchString(a.Region) {
		c.fault("aws.region", "%s is not a region such as eu-west-1", quoted(a.Region))
	}
	c.regions()
	if audience := a.Audience.Value; c.set("aws.audience") && (audience == "" || len(audience) > 255 || audience == cliClient) {
		c.fault("aws.audience", "%s must be 1 to 255 characters and no client's id: whoever gets a token for a client could use it at STS", quoted(audience))
	}
	c.between("aws.timeout", a.Timeout, time.Second, 5*time.Minute)
	c.standIn("aws.endpoint", a.Endpoint)
	c.standIn("aws.signin_endpoint", a.SigninEndpoint)
	c.revocationRole()
}

// standIn judges the address of a stand-in for AWS.
func (c *checker) standIn(path string, t Text) {
	if !c.set(path) || t.Pos.Line == 0 {
		return
	}
	u, err := url.Parse(t.Value)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		c.fault(path, "want an http(s) URL without user name, query or fragment, such as http://127.0.0.1:5000")
		return
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		c.warn(t.Pos, "%s is plain http: credentials cross the network unencrypted", path)
	}
}

// cidr judges a prefix; one that is none is not valid.
func (c *checker) cidr(path string, t Text) netip.Prefix {
	prefix, err := netip.ParsePrefix(t.Value)
	switch {
	case err != nil:
		c.faults.Add(t.Pos, "%s: %s is not a CIDR such as 10.0.0.0/8 or 192.0.2.7/32", path, quoted(t.Value))
		return netip.Prefix{}
	case prefix != prefix.Masked():
		c.faults.Add(t.Pos, "%s: %s has bits beyond its length; write %s", path, quoted(t.Value), prefix.Masked())
		return netip.Prefix{}
	}
	return prefix
}

func (c *checker) limits() {
	b := c.Limits.Block
	c.between("limits.block.for", b.For, time.Minute, 30*24*time.Hour)
	for _, cidr := range b.Exempt {
		if prefix := c.cidr("limits.block.exempt", cidr); prefix.IsValid() && prefix.Bits() == 0 {
			c.warn(cidr.Pos, "limits.block.exempt: %s exempts everybody; limits.block.enabled: false says so plainly", quoted(cidr.Value))
		}
	}
}

func (c *checker) metrics() {
	listen := c.Metrics.Listen
	if !c.set("metrics.listen") || listen.Pos.Line == 0 || listen.Value == Off {
		return
	}
	c.listen("metrics.listen", listen.Value)
	host, _, err := net.SplitHostPort(listen.Value)
	switch {
	case err != nil:
	case listen.Value == c.Server.Listen && !strings.HasSuffix(listen.Value, ":0"):
		c.fault("metrics.listen", "it is server.listen; metrics have a listener of their own")
	case !loopback(host):
		c.warn(listen.Pos, "metrics.listen: %s is open to the network: whoever reaches it reads how much goes on here, and nothing else", quoted(listen.Value))
	}
}

func (c *checker) egress() {
	t := c.Egress.Proxy
	if !c.set("egress.proxy") || t.Pos.Line == 0 {
		return
	}
	u, err := url.Parse(t.Value)
	if err != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") || u.User != nil {
		c.fault("egress.proxy", "want http://HOST:PORT without user name and password") // not shown: it may hold one
	}
}

func (c *checker) session() {
	s := c.Session
	c.between("session.max", s.Max, time.Minute, year)
	c.between("session.idle", s.Idle, time.Minute, year)
	c.between("session.refresh_max", s.RefreshMax, time.Minute, year)
	if c.set("session.idle") && s.Idle > s.Max && s.Max > 0 {
		c.fault("session.idle", "%s is longer than session.max, %s, and so never counts", brief(s.Idle), brief(s.Max))
	}
}

func (c *checker) accounts() {
	ids, names := map[string]Pos{}, map[string]Pos{}
	for i, a := range c.Accounts {
		path := element("accounts", i)
		switch before, again := ids[a.ID.Value]; {
		case a.ID.Pos.Line == 0:
		case !iam.ValidAccountID(a.ID.Value):
			c.faults.Add(a.ID.Pos, "accounts[].id: %s is not an account id, which is 12 digits", quoted(a.ID.Value))
		case again:
			c.faults.Add(a.ID.Pos, "accounts[].id: %s is listed already in %s", a.ID.Value, before.beside(a.ID.Pos))
		default:
			ids[a.ID.Value] = a.ID.Pos
		}
		c.unique(names, "accounts[].name", a.Name)
		c.accountName(a)
		if a.Path != "" && (!strings.HasPrefix(a.Path, "/") || strings.Contains(a.Path, "//") || strings.ContainsAny(a.Path, "*?{}")) {
			c.fault(under(path, "path"), "%s is not a path such as /engineering/production", quoted(a.Path))
		}
		if a.HubRole.Value != "" {
			if _, err := iam.ParseRoleARN(a.HubRole.Value); err != nil {
				c.faults.Add(a.HubRole.Pos, "accounts[].hub_role: %v", err)
			}
		}
		c.samlProvider(a)
		if !a.ExternalID.IsZero() && !validExternalID(a.ExternalID.Reveal()) {
			c.fault(under(path, "external_id"), "an external id is 2 to 1224 letters, digits and _+=,.@:/-") // never shown
		}
	}
}

var externalShape = regexp.MustCompile(`^[A-Za-z0-9_+=,.@:/-]+$`)

func validExternalID(s string) bool {
	return len(s) >= 2 && len(s) <= 1224 && externalShape.MatchString(s)
}

// accountName keeps ACCOUNT/ROLE readable in one way only.
func (c *checker) accountName(a Account) {
	name := a.Name.Value
	switch {
	case name == "":
	case iam.ValidAccountID(name) && name != a.ID.Value:
		c.faults.Add(a.Name.Pos, "accounts[].name: %s is the id of another account by its looks; use a word", quoted(name))
	case strings.ContainsAny(name, "/:*?{}"):
		c.faults.Add(a.Name.Pos, "accounts[].name: %s must not hold / : * ? { or }, which mean something in ACCOUNT/ROLE", quoted(name))
	}
}
