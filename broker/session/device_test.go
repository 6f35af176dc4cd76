package session_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/device"
)

// ofDevice makes a family of a new device, changed by f, with its first tokens.
func (w *world) ofDevice(t *testing.T, f func(*session.Family)) (session.Family, session.Pair) {
	t.Helper()
	devices := device.New(device.Config{Store: w.store, Now: w.now})
	d, known, err := devices.Find(t.Context(), device.Registration{App: "notes", Thumbprint: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})
	if err != nil || known {
		t.Fatal(known, err)
	}
	family := session.Family{
		ID: "f-" + d.ID, Client: "notes", Via: "tvm", Scope: []string{"offline_access"}, Since: w.now(), Identity: idp.Identity{Provider: "device", Subject: d.ID},
		Device: d.ID, Generation: d.Generation, Guest: true, Registers: &d, Idle: time.Hour, Grace: 30 * time.Second,
	}
	if f != nil {
		f(&family)
	}
	pair := newPair()
	must(t, w.tokens.Begin(t.Context(), family, pair))
	return family, pair
}

func TestAFamilyOfADeviceLivesWhileItIsUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last, provider time.Duration // from the start; 0 is none
		steps          int           // refreshes half an hour apart, that work
	}{
		"without a bound":          {0, 0, 20},
		"up to the end of a login": {100 * time.Minute, 0, 3},
		"up to the provider's end": {0, 65 * time.Minute, 2},
		"the earlier of both ends": {3 * time.Hour, 40 * time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			_, pair := w.ofDevice(t, func(f *session.Family) {
				if c.last > 0 {
					f.Last = start.Add(c.last)
				}
				if c.provider > 0 {
					f.ProviderEnd = start.Add(c.provider)
				}
			})
			worked := 0
			for range 20 {
				w.pass(30 * time.Minute)
				next := newPair()
				err := w.tokens.Rotate(t.Context(), pair.Refresh, next)
				if errors.Is(err, session.ErrNotFound) {
					break
				}
				must(t, err)
				found, err := w.tokens.Refresh(t.Context(), next.Refresh)
				must(t, err)
				if end := w.now().Add(time.Hour); found.Family.Until.After(end) || c.last > 0 && found.Family.Until.After(start.Add(c.last)) || c.provider > 0 && found.Family.Until.After(start.Add(c.provider)) {
					t.Errorf("it says that it ends at %s", found.Family.Until)
				}
				pair, worked = next, worked+1
			}
			if worked != c.steps {
				t.Errorf("%d refreshes worked, want %d", worked, c.steps)
			}
		})
	}
}

func TestADeviceThatDoesNotComeLosesItsTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, pair := w.ofDevice(t, nil)
	w.pass(time.Hour)
	_, err := w.tokens.Refresh(t.Context(), pair.Refresh)
	wantError(t, "after its idle time", err, session.ErrNotFound)
}

func TestALostAnswerMayBeAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, pair := w.ofDevice(t, nil)
	a, b := newPair(), newPair()
	must(t, w.tokens.Rotate(t.Context(), pair.Refresh, a))
	found, err := w.tokens.Refresh(t.Context(), pair.Refresh)
	must(t, err)
	if !found.Spent {
		t.Error("a used token does not say so")
	}
	w.pass(29 * time.Second)
	must(t, w.tokens.Rotate(t.Context(), pair.Refresh, b))
	for _, p := range []session.Pair{a, b} {
		_, err := w.tokens.Access(t.Context(), p.Access)
		must(t, err)
	}
	must(t, w.tokens.Rotate(t.Context(), b.Refresh, newPair()))
	_, err = w.tokens.Access(t.Context(), a.Access)
	wantError(t, "the access token of the other answer", err, session.ErrNotFound)
	wantError(t, "the other answer", w.tokens.Rotate(t.Context(), a.Refresh, newPair()), session.ErrReused)
	_, err = w.tokens.Refresh(t.Context(), b.Refresh)
	wantError(t, "and what the first gave", err, session.ErrNotFound)
}

// Looking at a used token after its grace is a second use, as at any other.
func TestAUsedTokenEndsTheDevicesFamilyAfterItsGrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, pair := w.ofDevice(t, nil)
	next := newPair()
	must(t, w.tokens.Rotate(t.Context(), pair.Refresh, next))
	w.pass(30 * time.Second)
	_, err := w.tokens.Refresh(t.Context(), pair.Refresh)
	wantError(t, "after the grace", err, session.ErrReused)
	_, err = w.tokens.Access(t.Context(), next.Access)
	wantError(t, "its successor", err, session.ErrNotFound)
}

// Families of the command line have no grace.
func TestOtherFamiliesHaveNoGrace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, pair := w.begin(t)
	must(t, w.tokens.Rotate(t.Context(), pair.Refresh, newPair()))
	_, err := w.tokens.Refresh(t.Context(), pair.Refresh)
	wantError(t, "at once", err, session.ErrReused)
}

func TestFamiliesOfDevicesAreListedWithTheirPresentEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	family, pair := w.ofDevice(t, nil)
	w.pass(30 * time.Minute)
	must(t, w.tokens.Rotate(t.Context(), pair.Refresh, newPair()))
	_, families, err := w.Live(t.Context(), "device", family.Device, 10)
	must(t, err)
	if len(families) != 1 || !families[0].Until.Equal(w.now().Add(time.Hour)) || families[0].Device != family.Device {
		t.Errorf("listed %s", fmt.Sprintf("%+v", families))
	}
}
