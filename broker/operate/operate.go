// Package operate is what operators do. It acts on the store alone, beside running
// daemons, which see what it changed at their next read.
//
//	Revoke   revocation kept under a number (nodes poll) -> sessions and tokens ended -> record
package operate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/idp/device"
)

// Store is what operators act on.
type Store interface {
	AddRevocation(ctx context.Context, r revocation.Revocation) (int64, error)
	// SubjectsNamed gives provider and subject of everybody with a user name.
	SubjectsNamed(ctx context.Context, username string) ([][2]string, error)
	EndSubject(ctx context.Context, provider, subject string) error
	EndSession(ctx context.Context, id string) error
	EndFamily(ctx context.Context, id string) error
}

// deviceStore are the devices of apps.
type deviceStore interface {
	// DeviceByID gives device.ErrNotFound for none.
	DeviceByID(ctx context.Context, id string) (device.Device, error)
	// RevokeDevice ends a device with its tokens.
	RevokeDevice(ctx context.Context, id string) error
}

// Auditor keeps the record of operators, a chain of its own.
type Auditor interface {
	Append(ctx context.Context, event audit.Event) error
}

// Config is what an Operator is made of. All fields are required.
type Config struct {
	Store   Store
	Devices deviceStore
	Audit   Auditor
	// Providers are the names of the configuration: PROVIDER=SUBJECT is read with them.
	Providers []string
	// Operator is who acts, for the record.
	Operator string
	Now      func() time.Time
}

// Operator does what an operator orders.
type Operator struct{ config Config }

// New makes an Operator.
func New(config Config) *Operator { return &Operator{config} }

// Person is somebody by the provider's word.
type Person struct{ Provider, Subject string }

// String is PROVIDER=SUBJECT.
func (p Person) String() string { return p.Provider + "=" + p.Subject }

// Order takes something back.
type Order struct {
	Kind   revocation.Kind
	Target string
	// Until also refuses new sign-ins (user) or orders (grant) before it.
	Until time.Time
}

// Done is what a revocation did.
type Done struct {
	Number int64
	At     time.Time
	// People are those whose sessions and tokens were ended, of a user.
	People []Person
}

// ErrBadOrder marks an order that means nothing.
var ErrBadOrder = errors.New("not a revocation")

// Revoke takes back what a person, a session or a grant has here. The record comes
// first: without it nothing is changed.
func (o *Operator) Revoke(ctx context.Context, order Order) (Done, error) {
	now := o.config.Now().Truncate(time.Microsecond)
	switch {
	case order.Target == "" || len(order.Target) > 1024:
		return Done{}, fmt.Errorf("%w: name whom or what", ErrBadOrder)
	case !order.Until.IsZero() && !order.Until.After(now):
		return Done{}, fmt.Errorf("%w: the time until which it lasts is over", ErrBadOrder)
	case !order.Until.IsZero() && (order.Kind == revocation.Session || order.Kind == revocation.Device):
		return Done{}, fmt.Errorf("%w: a session ends for good, and so does a device; a time is for a user or a grant", ErrBadOrder)
	}
	if order.Kind == revocation.Device {
		if _, err := o.config.Devices.DeviceByID(ctx, order.Target); errors.Is(err, device.ErrNotFound) {
			return Done{}, fmt.Errorf("%w: there is no device %q; its id is in the record", ErrBadOrder, order.Target)
		} else if err != nil {
			return Done{}, fmt.Errorf("find the device: %w", err)
		}
	}
	people, err := o.people(ctx, order)
	if err != nil {
		return Done{}, err
	}
	event := o.event(order, people)
	if err := o.config.Audit.Append(ctx, event); err != nil {
		return Done{}, fmt.Errorf("the record of operators cannot be written, so nothing was revoked: %w", err)
	}
	done := Done{At: now, People: people}
	done.Number, err = o.config.Store.AddRevocation(ctx, revocation.Revocation{Kind: order.Kind, Target: order.Target, At: now, Until: order.Until})
	if err == nil {
		err = o.end(ctx, order, people)
	}
	event.Outcome = audit.Granted
	if err != nil {
		event.Outcome, event.Reason = audit.Failed, err.Error()
	}
	return done, errors.Join(err, o.config.Audit.Append(ctx, event))
}

// people are whom a user name or PROVIDER=SUBJECT means. Nobody is no error: the
// revocation counts for who comes with that name.
func (o *Operator) people(ctx context.Context, order Order) ([]Person, error) {
	if order.Kind != revocation.User {
		return nil, nil
	}
	var people []Person
	provider, subject, ok := strings.Cut(order.Target, "=")
	for _, known := range o.config.Providers {
		if ok && provider == known {
			people = append(people, Person{provider, subject})
		}
	}
	named, err := o.config.Store.SubjectsNamed(ctx, order.Target)
	if err != nil {
		return nil, fmt.Errorf("find who is called %q: %w", order.Target, err)
	}
	for _, n := range named {
		people = append(people, Person{n[0], n[1]})
	}
	return people, nil
}

// end ends what is in the store at once; the number ends the rest.
func (o *Operator) end(ctx context.Context, order Order, people []Person) error {
	for _, p := range people {
		if err := o.config.Store.EndSubject(ctx, p.Provider, p.Subject); err != nil {
			return fmt.Errorf("end the sessions of %s: %w", p, err)
		}
	}
	switch order.Kind {
	case revocation.Device:
		if err := o.config.Devices.RevokeDevice(ctx, order.Target); err != nil {
			return fmt.Errorf("end the device: %w", err)
		}
		return nil
	case revocation.User, revocation.Grant:
		return nil
	}
	// The id in the audit is that of a browser session, or of a family of tokens.
	if err := o.config.Store.EndSession(ctx, order.Target); err != nil {
		return fmt.Errorf("end the session: %w", err)
	}
	if err := o.config.Store.EndFamily(ctx, order.Target); err != nil {
		return fmt.Errorf("end the tokens: %w", err)
	}
	return nil
}

func (o *Operator) event(order Order, people []Person) audit.Event {
	event := audit.Event{RequestID: "operator", Event: "revoke", Via: "operator", Detail: "by " + o.config.Operator}
	if !order.Until.IsZero() {
		event.Detail += ", until " + order.Until.UTC().Format(time.RFC3339)
	}
	switch order.Kind {
	case revocation.User:
		event.Username = order.Target
		for _, p := range people {
			event.Detail += ", " + p.String()
		}
	case revocation.Session:
		event.Session = order.Target
	case revocation.Grant:
		event.Grant = order.Target
	case revocation.Device:
		event.Device = order.Target
	}
	return event
}
