package broker

import (
	"cmp"
	"net/netip"
	"time"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
)

// Via is the way on which a caller came.
type Via string

// The ways.
const (
	ViaBrowser  Via = "browser"
	ViaCLI      Via = "cli"
	ViaDevice   Via = "device"
	ViaExchange Via = "exchange"
	ViaTVM      Via = "tvm"
)

// Origin is where a request came from: every call of a service carries one, and
// every audit record has it.
type Origin struct {
	RequestID string
	Address   netip.Addr
	// Agent is a word for the browser or program, "" where it did not say.
	Agent string
}

// Caller is somebody who has signed in, as a service sees them: an identity and
// the session it acts in. An endpoint gets it from Broker.Session or
// oauth.Authenticate and never makes one.
type Caller struct {
	Identity idp.Identity
	// Session is the public id of the session (not the cookie's secret).
	Session string
	Via     Via
	// Since is the sign-in, or when the evidence of a program was made: what was revoked
	// later is dead. NotAfter ends the session here.
	Since    time.Time
	NotAfter time.Time
	// ProviderEnd is when the provider ends its own session, zero where it did not
	// say: no credentials live longer.
	ProviderEnd time.Time

	// App and Device are those of the Token Vending Machine, "" elsewhere. Guest says
	// that nobody has logged in on the device: the identity is the device's own.
	App, Device string
	Guest       bool
}

// CallerOfFamily is who acts with the tokens of a family. One that came from no
// browser session is a session of its own.
func CallerOfFamily(f session.Family) Caller {
	caller := Caller{
		Identity: f.Identity, Session: cmp.Or(f.Session, f.ID), Via: Via(f.Via),
		Since: f.Since, NotAfter: f.Until, ProviderEnd: f.ProviderEnd,
		Device: f.Device, Guest: f.Guest,
	}
	if f.Device != "" {
		caller.App = f.Client
	}
	return caller
}

// client is the address as text, "" where it is not known.
func (o Origin) client() string {
	if !o.Address.IsValid() {
		return ""
	}
	return o.Address.String()
}
