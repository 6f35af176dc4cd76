package idp

import (
	"context"
	"errors"
)

// ErrNoLogout says that a provider cannot be told that somebody signs out: it
// offers no way, or we have no key to sign with.
var ErrNoLogout = errors.New("the provider takes no logout")

// Departure is who a provider says signs out there.
type Departure struct {
	// NameID is the provider's name for the person, Sessions are its names for the
	// sessions that end; none is all.
	NameID   string
	Sessions []string
	// Subject is our name for the person, where the message says it.
	Subject string
	// Once names the message, so that a replay of it ends no later session.
	Once Once
	// Failed says, to LeaveDeparture, that not all of it could be ended here.
	Failed bool
	// Reply is what LeaveDeparture needs, opaque to everybody else.
	Reply []byte
}

// Logouter ends a person's session at the provider when they have signed out here,
// by sending their browser there. Pending is as of Redirector.
type Logouter interface {
	// BeginLogout sends the browser to the provider to end a session there;
	// ErrNoLogout where there is no way to.
	BeginLogout(ctx context.Context, up Upstream, handle string) (to Redirect, pending []byte, err error)
	// FinishLogout judges what comes back.
	FinishLogout(ctx context.Context, pending []byte, answer Answer) error
}

// Departer takes a provider's word, brought by a browser, that somebody signs out
// there.
type Departer interface {
	// Departed judges the message.
	Departed(ctx context.Context, answer Answer) (Departure, error)
	// LeaveDeparture sends the browser back when our sessions have ended.
	LeaveDeparture(ctx context.Context, d Departure) (to Redirect, err error)
}
