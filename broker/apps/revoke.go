package apps

import (
	"context"
	"errors"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/idp/device"
)

// Listed is one device of a person.
type Listed struct {
	Device  string
	Created time.Time
	// Current says that it is the one that asks.
	Current bool
}

// Devices lists the devices of the app on which the caller is the last who logged
// in; of a guest, and of nobody, their own.
func (s *Service) Devices(ctx context.Context, caller broker.Caller) ([]Listed, error) {
	own, err := s.cfg.Devices.ByID(ctx, caller.Device)
	if err != nil {
		return nil, storeFailed(err)
	}
	found := []device.Device{own}
	if caller.Identity.Provider != device.Provider {
		if found, err = s.cfg.Devices.Of(ctx, caller.App, caller.Identity.Provider, caller.Identity.Subject); err != nil {
			return nil, storeFailed(err)
		}
	}
	list := make([]Listed, len(found))
	for i, d := range found {
		list[i] = Listed{Device: d.ID, Created: d.Created, Current: d.ID == caller.Device}
	}
	return list, nil
}

// Revoke ends a device for good: the one that asks, or another one of the person who
// is logged in on it. Its tokens end in the same moment, on every node.
func (s *Service) Revoke(ctx context.Context, origin broker.Origin, caller broker.Caller, id string) error {
	event := s.event(origin, "device.revoke")
	describe(&event, caller)
	event.Device = bounded(id)
	return s.conclude(ctx, event, s.revoke(ctx, caller, id))
}

func (s *Service) revoke(ctx context.Context, caller broker.Caller, id string) error {
	d, err := s.cfg.Devices.ByID(ctx, id)
	if errors.Is(err, device.ErrNotFound) {
		return notYours().Because(err)
	}
	if err != nil {
		return storeFailed(err)
	}
	who := caller.Identity
	theirs := who.Provider != device.Provider && d.App == caller.App && d.Provider == who.Provider && d.Subject == who.Subject
	if id != caller.Device && !theirs {
		return notYours()
	}
	if err := s.cfg.Devices.Revoke(ctx, id); err != nil {
		return storeFailed(err)
	}
	if id == caller.Device {
		s.cfg.Broker.Forget(caller.Session)
	}
	return nil
}

// notYours answers alike for a device of somebody else and for none.
func notYours() *broker.Error {
	return broker.Fail(broker.AccessDenied, "no_such_device", "There is no such device of yours.")
}
