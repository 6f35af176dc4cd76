package portal

import (
	"fmt"
	"math"
	"time"

	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/iam"
)

// Role is the head of a role's pages.
type Role struct {
	AccountID, AccountName string
	Name, Ref              string
	Grant                  string
	Duration, MaxDuration  time.Duration
	Console                bool
	Label, Colour          string // the person's own marks of the account
	// Withheld says why the role is not given now; "" where it is granted.
	Withheld string
	// StepUp says that a fresh sign-in would give it.
	StepUp bool
}

// Console is the page that opens the console of one role.
type Console struct {
	Person            page.Person
	Role              Role
	Services, Regions []page.Option
	Link              string // the stable address of this page
	SignInURL         string // where a fresh sign-in begins, if Role.StepUp
}

// Opening is the page between a link that names a service and its console: it
// shows once more where one is going. The script posts its form; without the
// script a person does.
type Opening struct {
	Person          page.Person
	Role            Role
	Service, Region page.Option
	CancelURL       string
}

// Keys is the page that gives access keys of one role. Without Issued it holds
// the form that asks for them.
type Keys struct {
	Person    page.Person
	Role      Role
	Durations []page.Option
	Issued    *Issued
	SignInURL string
}

// Issued is a set of keys, shown once. Left and Of are by the server's clock.
type Issued struct {
	Credentials iam.Credentials
	Left, Of    time.Duration
	Region      string
	Stale       bool
}

// Share is the part of their life that the keys still have, 0 to 1.
func (i Issued) Share() string {
	if i.Of <= 0 {
		return "0"
	}
	return fmt.Sprintf("%.3f", math.Min(1, math.Max(0, i.Left.Seconds()/i.Of.Seconds())))
}
