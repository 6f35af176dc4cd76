package config

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

// maxDevices bounds devices_per_person: each login counts them.
const maxDevices = 1000

func (c *checker) apps() {
	names := map[string]Pos{}
	for i := range c.Apps {
		a, path := &c.Apps[i], element("apps", i)
		c.unique(names, "apps[].name", a.Name)
		c.appName(a)
		c.appLists(a, path)
		c.oneDirectory(a)
		for _, uri := range a.RedirectURIs {
			c.redirectURI(uri)
		}
		for _, origin := range a.Origins {
			c.origin("apps[].origins", origin)
		}
		c.between(under(path, "guest_duration"), a.GuestDuration, iam.MinDuration, iam.MaxDuration)
		c.between(under(path, "refresh_max"), a.RefreshMax, time.Hour, year)
		c.between(under(path, "login_max"), a.LoginMax, time.Minute, year)
		if n := a.Limits.DevicesPerPerson; n < 1 || n > maxDevices {
			c.fault(under(path, "limits.devices_per_person"), "%d is not between 1 and %d", n, maxDevices)
		}
	}
}

// appName keeps client ids apart from every other audience of tokens of ours.
func (c *checker) appName(a *App) {
	switch name := a.Name.Value; {
	case name == "":
	case name == cliClient, name == c.AWS.Audience.Value:
		c.faults.Add(a.Name.Pos, "apps[].name: %s is an audience of other tokens of this broker; use another name", quoted(name))
	case !providerName.MatchString(name) || len(name) > 63:
		c.faults.Add(a.Name.Pos, "apps[].name: %s must be at most 63 of a-z, 0-9 and '-', with no '-' at its ends", quoted(name))
	}
}

// appLists makes sure that what an app names is there.
func (c *checker) appLists(a *App, path string) {
	if len(a.Grants) == 0 && !c.broken(under(path, "grants")) {
		c.faults.Add(a.Pos, "app %s has no grants; name those by which credentials may be ordered through it", quoted(a.Name.Value))
	}
	c.notEmpty(under(path, "providers"), len(a.Providers))
	var providers, grants []string
	for _, p := range c.Providers {
		providers = append(providers, p.Name.Value)
	}
	for _, g := range c.Grants {
		grants = append(grants, g.Name.Value)
	}
	for _, name := range a.Providers {
		if name.Value != "" && !slices.Contains(providers, name.Value) {
			c.faults.Add(name.Pos, "apps[].providers: no provider is called %s%s", quoted(name.Value), didYouMean(name.Value, providers))
		}
	}
	guests := false
	for _, name := range a.Grants {
		i := slices.Index(grants, name.Value)
		switch {
		case name.Value == "":
		case i < 0:
			c.faults.Add(name.Pos, "apps[].grants: no grant is called %s%s", quoted(name.Value), didYouMean(name.Value, grants))
		case c.Grants[i].Deny:
			c.faults.Add(name.Pos, "apps[].grants: %s is a refusal and gives nothing; refusals count without being listed", quoted(name.Value))
		case c.Grants[i].Guests && !a.Guests:
			c.warn(name.Pos, "apps[].grants: %s is for guests, and app %s has none (guests: true)", quoted(name.Value), quoted(a.Name.Value))
		}
		guests = guests || i >= 0 && c.Grants[i].Guests
	}
	if a.Guests && !guests && len(a.Grants) > 0 {
		c.warn(a.Pos, "app %s has guests, but none of its grants is for guests (guests: true), so that they get nothing", quoted(a.Name.Value))
	}
}

// ownScheme is a private-use scheme (RFC 8252 section 7.1): with a dot, so that it
// is made of a domain of the app's maker.
var ownScheme = regexp.MustCompile(`^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+$`)

// redirectURI takes https, http on loopback, and schemes of apps (RFC 8252).
func (c *checker) redirectURI(t Text) {
	u, err := url.Parse(t.Value)
	switch {
	case t.Value == "" && t.Pos.Line == 0: // unreadable, and said so
	case err != nil || u.Scheme == "":
		c.faults.Add(t.Pos, "apps[].redirect_uris: %s is not an address such as https://notes.example.com/callback or com.example.notes:/callback", quoted(t.Value))
	case u.User != nil:
		c.faults.Add(t.Pos, "apps[].redirect_uris: an address here has no user name or password") // not shown: it may hold one
	case slices.ContainsFunc([]string{"code", "state", "iss", "error"}, u.Query().Has):
		c.faults.Add(t.Pos, "apps[].redirect_uris: %s must not hold code, state, iss or error itself: the answer does", quoted(t.Value))
	case u.Fragment != "" || strings.HasSuffix(t.Value, "#"):
		c.faults.Add(t.Pos, "apps[].redirect_uris: %s must not have a fragment (RFC 6749 section 3.1.2)", quoted(t.Value))
	case u.Scheme == "https" || u.Scheme == "http":
		c.absolute("apps[].redirect_uris", t)
	case !ownScheme.MatchString(u.Scheme):
		c.faults.Add(t.Pos, "apps[].redirect_uris: %s: a scheme of an app holds a dot, as com.example.notes does (RFC 8252 section 7.1)", quoted(t.Value))
	}
}
