package page

import (
	"net/http"
	"strings"
	"time"
)

// Device is the page on which a person answers for a program elsewhere. Without
// Client it asks for the code, with UserCode filled in; with Outcome it says how
// it ended.
type Device struct {
	Username string
	UserCode string
	// Client and the rest are what is asked.
	Client        string
	Address, Here string // where the program and where this browser is
	Asked, Until  time.Time
	Roles         int      // that the program will get
	Closed        []string // that it will not get, because it is a device
	Proof         string   // that the form was shown, to be posted back
	Outcome       string   // "approved", "denied"
}

// Elsewhere says that program and browser have different addresses.
func (d Device) Elsewhere() bool { return d.Address != d.Here }

// Gets says what the program will get.
func (d Device) Gets() string {
	switch d.Roles {
	case 0:
		return "none of your roles"
	case 1:
		return "your 1 role"
	}
	return "your " + counted(d.Roles, "role")
}

// LeftOut lists the roles that the program will not get.
func (d Device) LeftOut() string { return strings.Join(d.Closed, ", ") }

// Device renders the page.
func (p *Pages) Device(w http.ResponseWriter, r *http.Request, view Device) error {
	title := "Connect a device"
	if view.Client != "" {
		title = "Is this yours?"
	}
	return p.render(w, r, look{name: "device", title: title, person: &Person{Username: view.Username}}, view)
}
