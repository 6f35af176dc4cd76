package page

import (
	"fmt"
	"net/url"
	"time"
)

// Person is who is signed in, as the bar of a page shows them. What is empty is
// left out, but for Username.
type Person struct {
	Username string
	Name     string
	Provider string // its label
	MFA      bool
	Until    time.Time
	// Sessions says that there is a page of the person's own sessions, Admin that
	// administration is theirs to see.
	Sessions, Admin bool
}

// SignIn is the sign-in page.
type SignIn struct {
	// Main is the one filled button: the only provider, the one asked for or the one used last.
	Main *Provider
	// Last says that Main was used last on this device.
	Last   bool
	Others []Provider
	// Role ("production/Admin") or Program is where the person goes on to; neither is the list of roles.
	Role    string
	Program bool
	// Email offers to find the provider by an address; EmailFault stands at its field.
	Email      bool
	EmailFault string
	// ReturnTo and Fresh go with the address.
	ReturnTo string
	Fresh    bool
	// Fault is one sentence about what went wrong before.
	Fault string
}

// Provider is an identity provider on the sign-in page.
type Provider struct {
	Name, Label string
	Host        string // where the browser will go, "" if unknown
	URL         string // a path of ours that begins the sign-in
}

// Home lists accounts and roles.
type Home struct {
	Person   Person
	Query    string // what the person searched for without the script; Accounts holds what fits
	Accounts []Account
	Recent   []RecentRole
	Labels   []Option // to filter by, where there are many accounts; a chosen one has been applied
}

// Account is one line of the list.
type Account struct {
	ID, Name string
	Roles    []ListedRole
	// Label, Colour and Favourite are the person's own marks.
	Label, Colour string
	Favourite     bool
}

// ListedRole is a role in the list. Ref (ACCOUNT/ROLE) is how links name it.
type ListedRole struct {
	Name, Ref string
	Console   bool
	Withheld  bool
}

// RecentRole is a role that the person used a while ago.
type RecentRole struct {
	ListedRole
	Account, Colour string
}

// Favourites are the accounts with a star, Rest all others.
func (h Home) Favourites() []Account { return h.starred(true) }

// Rest are the accounts without a star.
func (h Home) Rest() []Account { return h.starred(false) }

func (h Home) starred(favourite bool) []Account {
	var found []Account
	for _, a := range h.Accounts {
		if a.Favourite == favourite {
			found = append(found, a)
		}
	}
	return found
}

// Filtered reports whether the server has left accounts out.
func (h Home) Filtered() bool {
	for _, o := range h.Labels {
		if o.Chosen && o.Value != "" {
			return true
		}
	}
	return h.Query != ""
}

// Found is the count beside the search field.
func (h Home) Found() string {
	roles := 0
	for _, a := range h.Accounts {
		for _, r := range a.Roles {
			if !r.Withheld {
				roles++
			}
		}
	}
	return counted(roles, "role") + " in " + counted(len(h.Accounts), "account")
}

// NoRole is the page of somebody whom no grant fits.
type NoRole struct {
	Person       Person
	ProviderName string
	Groups       []string
	Checked      time.Time
}

// maxGroups is how many groups the page lists; a person may have 900.
const maxGroups = 60

// Shown are the groups that the page lists.
func (n NoRole) Shown() []string {
	if len(n.Groups) <= maxGroups {
		return n.Groups
	}
	return append(n.Groups[:maxGroups:maxGroups], fmt.Sprintf("and %d more", len(n.Groups)-maxGroups))
}

// Option is one of several choices.
type Option struct {
	Value, Text string
	Chosen      bool
}

// Consent asks whether a program may act for the person. Its form posts Hidden,
// the CSRF token and decision=approve|deny to Action.
type Consent struct {
	Username    string
	Client      string
	RedirectURI string   // validated; the form may lead there
	May         []string // what it will be able to do, one sentence each
	Action      string
	Hidden      []Field
}

// Field is a hidden field of a form.
type Field struct{ Name, Value string }

// Loopback reports whether the answer stays on the person's machine.
func (c Consent) Loopback() bool {
	u, err := url.Parse(c.RedirectURI)
	return err == nil && u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "::1")
}

// SignedOut is the page after signing out. Asks makes it a question with a
// button, for whoever comes by a link and is still signed in.
type SignedOut struct {
	Asks bool
}
