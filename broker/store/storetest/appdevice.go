package storetest

import (
	"encoding/base64"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp/device"
)

func appDeviceTests() map[string]func(*testing.T, Fresh) {
	return map[string]func(*testing.T, Fresh){
		"a key is one device of an app, however often it registers":       deviceOnce,
		"of a crowd with one key, all get one device":                     deviceCrowd,
		"a device is found by its id and its key":                         deviceFound,
		"a device and its first tokens are one write":                     deviceWithTokens,
		"a new key takes the place of the old one, and the tokens end":    deviceRotates,
		"a key of another device is not taken":                            deviceKeyTaken,
		"a revoked device keeps its key, and its tokens end":              deviceRevoked,
		"tokens are for one generation of a device":                       deviceGenerations,
		"a device has one family of tokens":                               deviceOneFamily,
		"the first login takes the guest's identity over":                 bindFirst,
		"a second device of a person joins their identity":                bindAlias,
		"somebody else on the device has an identity of their own":        bindOther,
		"a login again changes nothing":                                   bindAgain,
		"identities are apart in apps, and people in providers":           bindApart,
		"a person has so many devices and no more, also in a crowd":       bindLimit,
		"a device that is revoked, or none, is not bound":                 bindNone,
		"the devices of a person are listed, the newest first":            devicesOf,
		"of a crowd that logs in on one guest, one gets the identity":     bindCrowd,
		"a person who logs in everywhere at once has one identity":        bindEverywhere,
		"the tokens of a device end at a login":                           bindEndsTokens,
		"a device outlives its tokens when the store is swept":            deviceSwept,
		"what a sign-out of a person ends, it ends on their devices, too": devicePersonEnds,
	}
}

// thumbprint is that of a key that has a name in a test.
func thumbprint(name string) string {
	h := key(name)
	return base64.RawURLEncoding.EncodeToString(h[:])
}

func newDevice(name string) device.Device {
	return device.Device{
		ID: "dev-" + name, App: "notes", IdentityID: "id-" + name, Thumbprint: thumbprint(name), Created: now, Generation: 1,
	}
}

func registered(t *testing.T, s Store, name string) device.Device {
	t.Helper()
	d, err := s.RegisterDevice(t.Context(), newDevice(name))
	must(t, err)
	return d
}

// bound logs somebody of corp in on a device.
func bound(t *testing.T, s Store, d device.Device, person string) device.Bound {
	t.Helper()
	b, err := s.BindDevice(t.Context(), device.Binding{Device: d.ID, Provider: "corp", Subject: person, Limit: 10}, "id-spare-"+d.ID+person)
	must(t, err)
	return b
}

// deviceFamily is a family of a device in its present generation.
func deviceFamily(id string, d device.Device) session.Row {
	row := familyRow(id, "")
	row.Device, row.Generation = d.ID, d.Generation
	return row
}

func deviceOnce(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	first := registered(t, s, "a")
	if diff := cmp.Diff(newDevice("a"), first); diff != "" {
		t.Errorf("registered (-put +got):\n%s", diff)
	}
	again := newDevice("a")
	again.ID, again.IdentityID = "dev-other", "id-other"
	got, err := s.RegisterDevice(t.Context(), again)
	must(t, err)
	if diff := cmp.Diff(first, got); diff != "" {
		t.Errorf("again (-first +got):\n%s", diff)
	}
	again.App = "wallet"
	if got, err = s.RegisterDevice(t.Context(), again); err != nil || got.ID != "dev-other" {
		t.Errorf("in another app: %+v, %v", got, err)
	}
}

func deviceCrowd(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	ids := make([]string, crowd)
	for _, err := range atOnce(crowd, func(i int) error {
		d := newDevice("a")
		d.ID, d.IdentityID = fmt.Sprint("dev-", i), fmt.Sprint("id-", i)
		got, err := node(i).RegisterDevice(t.Context(), d)
		ids[i] = got.ID + got.IdentityID
		return err
	}) {
		must(t, err)
	}
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("two devices of one key: %q", ids)
		}
	}
}

func deviceFound(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := registered(t, s, "a")
	got, err := s.DeviceByID(t.Context(), d.ID)
	must(t, err)
	if diff := cmp.Diff(d, got); diff != "" {
		t.Errorf("(-put +got):\n%s", diff)
	}
	got, err = s.DeviceByKey(t.Context(), d.App, d.Thumbprint)
	must(t, err)
	if diff := cmp.Diff(d, got); diff != "" {
		t.Errorf("by its key (-put +got):\n%s", diff)
	}
	_, err = s.DeviceByKey(t.Context(), "wallet", d.Thumbprint)
	wantError(t, "its key in another app", err, device.ErrNotFound)
	_, err = s.DeviceByID(t.Context(), "dev-none")
	wantError(t, "an unknown one", err, device.ErrNotFound)
}

func deviceWithTokens(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := newDevice("a")
	row := deviceFamily("f1", d)
	row.Registers = &d
	clash := pair("f1")
	clash[1].Hash = clash[0].Hash
	if s.PutFamily(t.Context(), row, clash) == nil {
		t.Fatal("one token twice")
	}
	_, err := s.DeviceByID(t.Context(), d.ID)
	wantError(t, "the device of what failed", err, device.ErrNotFound)
	must(t, s.PutFamily(t.Context(), row, pair("f1")))
	got, err := s.DeviceByID(t.Context(), d.ID)
	must(t, err)
	if diff := cmp.Diff(d, got); diff != "" {
		t.Errorf("registered (-put +got):\n%s", diff)
	}
	other := newDevice("a")
	other.ID, other.IdentityID = "dev-other", "id-other"
	row = deviceFamily("f2", other)
	row.Registers = &other
	wantError(t, "the key of another device", s.PutFamily(t.Context(), row, pair("f2")), session.ErrNotFound)
	_, _, err = s.FindToken(t.Context(), key("f1-access"))
	must(t, err)
}

func deviceRotates(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := registered(t, s, "a")
	must(t, s.PutFamily(t.Context(), deviceFamily("f1", d), pair("f1")))
	got, err := s.RotateDevice(t.Context(), d.ID, d.Thumbprint, thumbprint("new"))
	must(t, err)
	if got.Thumbprint != thumbprint("new") || got.ID != d.ID || got.IdentityID != d.IdentityID || got.Generation <= d.Generation {
		t.Errorf("rotated: %+v", got)
	}
	_, _, err = s.FindToken(t.Context(), key("f1-access"))
	wantError(t, "its token", err, session.ErrNotFound)
	_, err = s.RotateDevice(t.Context(), d.ID, d.Thumbprint, thumbprint("third"))
	wantError(t, "by the old key again", err, device.ErrNotFound)
	again := newDevice("new")
	again.ID, again.IdentityID = "dev-x", "id-x"
	if same, err := s.RegisterDevice(t.Context(), again); err != nil || same.ID != d.ID {
		t.Errorf("the new key registers as %+v, %v", same, err)
	}
	before := newDevice("a")
	before.ID, before.IdentityID = "dev-y", "id-y"
	if other, err := s.RegisterDevice(t.Context(), before); err != nil || other.ID != "dev-y" || other.IdentityID != "id-y" {
		t.Errorf("the old key registers as %+v, %v", other, err)
	}
	_, err = s.RotateDevice(t.Context(), "dev-none", d.Thumbprint, thumbprint("third"))
	wantError(t, "an unknown device", err, device.ErrNotFound)
}

func deviceKeyTaken(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	a, b := registered(t, s, "a"), registered(t, s, "b")
	_, err := s.RotateDevice(t.Context(), a.ID, a.Thumbprint, b.Thumbprint)
	wantError(t, "the key of another", err, device.ErrKeyTaken)
	_, err = s.RotateDevice(t.Context(), a.ID, a.Thumbprint, a.Thumbprint)
	wantError(t, "its own key", err, device.ErrKeyTaken)
	elsewhere := newDevice("c")
	elsewhere.App = "wallet"
	_, err = s.RegisterDevice(t.Context(), elsewhere)
	must(t, err)
	_, err = s.RotateDevice(t.Context(), a.ID, a.Thumbprint, elsewhere.Thumbprint)
	must(t, err)
}

func deviceRevoked(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := registered(t, s, "a")
	must(t, s.PutFamily(t.Context(), deviceFamily("f1", d), pair("f1")))
	must(t, s.RevokeDevice(t.Context(), d.ID))
	must(t, s.RevokeDevice(t.Context(), d.ID))
	must(t, s.RevokeDevice(t.Context(), "dev-none"))
	for _, name := range []string{"f1-access", "f1-refresh"} {
		_, _, err := s.FindToken(t.Context(), key(name))
		wantError(t, name, err, session.ErrNotFound)
	}
	again := registered(t, s, "a")
	if !again.Revoked || again.ID != d.ID {
		t.Errorf("its key registers as %+v", again)
	}
	wantError(t, "tokens for it", s.PutFamily(t.Context(), deviceFamily("f2", again), pair("f2")), session.ErrNotFound)
	_, err := s.RotateDevice(t.Context(), d.ID, d.Thumbprint, thumbprint("new"))
	wantError(t, "a new key for it", err, device.ErrNotFound)
}

func deviceGenerations(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := registered(t, s, "a")
	b := bound(t, s, d, "alice")
	wantError(t, "tokens of before", s.PutFamily(t.Context(), deviceFamily("f1", d), pair("f1")), session.ErrNotFound)
	must(t, s.PutFamily(t.Context(), deviceFamily("f2", b.Device), pair("f2")))
	wantError(t, "tokens of before, again", s.PutFamily(t.Context(), deviceFamily("f3", d), pair("f3")), session.ErrNotFound)
	_, _, err := s.FindToken(t.Context(), key("f2-access"))
	must(t, err)
	wantError(t, "tokens of no device", s.PutFamily(t.Context(), deviceFamily("f4", newDevice("none")), pair("f4")), session.ErrNotFound)
}

func deviceOneFamily(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	a, b := registered(t, s, "a"), registered(t, s, "b")
	must(t, s.PutFamily(t.Context(), deviceFamily("f1", a), pair("f1")))
	must(t, s.PutFamily(t.Context(), deviceFamily("f2", b), pair("f2")))
	must(t, s.PutFamily(t.Context(), familyRow("f3", ""), pair("f3")))
	must(t, s.PutFamily(t.Context(), deviceFamily("f4", a), pair("f4")))
	_, _, err := s.FindToken(t.Context(), key("f1-refresh"))
	wantError(t, "the first of the device", err, session.ErrNotFound)
	for _, name := range []string{"f2", "f3", "f4"} {
		_, _, err := s.FindToken(t.Context(), key(name+"-refresh"))
		must(t, err)
	}
}

func bindFirst(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := registered(t, s, "a")
	got := bound(t, s, d, "alice")
	if got.Device.IdentityID != d.IdentityID || got.Alias != "" || got.Device.Subject != "alice" || got.Device.Provider != "corp" || got.Device.ID != d.ID {
		t.Errorf("got %+v", got)
	}
}

func bindAlias(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	a, b := registered(t, s, "a"), registered(t, s, "b")
	bound(t, s, a, "alice")
	got := bound(t, s, b, "alice")
	if got.Device.IdentityID != a.IdentityID || got.Alias != b.IdentityID {
		t.Errorf("got %+v, want the identity of the first device", got)
	}
	if again := registered(t, s, "b"); again.IdentityID != a.IdentityID {
		t.Errorf("registered again: %+v", again)
	}
}

func bindOther(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	a := registered(t, s, "a")
	bound(t, s, a, "alice")
	bob := bound(t, s, a, "bob")
	if bob.Device.IdentityID == a.IdentityID || bob.Alias != "" || bob.Device.Subject != "bob" {
		t.Errorf("bob got %+v", bob)
	}
	back := bound(t, s, a, "alice")
	if back.Device.IdentityID != a.IdentityID || back.Alias != "" {
		t.Errorf("alice came back to %+v", back)
	}
	carol := registered(t, s, "c")
	bound(t, s, carol, "carol")
	if got := bound(t, s, a, "carol"); got.Device.IdentityID != carol.IdentityID || got.Alias != "" {
		t.Errorf("carol, who has an identity, took alice's as an alias: %+v", got)
	}
}

func bindAgain(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	a := registered(t, s, "a")
	first, second := bound(t, s, a, "alice"), bound(t, s, a, "alice")
	if first.Device.IdentityID != second.Device.IdentityID || second.Alias != "" || second.Device.Generation <= first.Device.Generation {
		t.Errorf("first %+v, then %+v", first, second)
	}
}

func bindApart(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	a, b := registered(t, s, "a"), newDevice("b")
	b.App = "wallet"
	b, err := s.RegisterDevice(t.Context(), b)
	must(t, err)
	bound(t, s, a, "alice")
	if got := bound(t, s, b, "alice"); got.Device.IdentityID != b.IdentityID || got.Alias != "" {
		t.Errorf("in another app: %+v", got)
	}
	c := registered(t, s, "c")
	got, err := s.BindDevice(t.Context(), device.Binding{Device: c.ID, Provider: "google", Subject: "alice", Limit: 10}, "id-spare")
	must(t, err)
	if got.Device.IdentityID != c.IdentityID || got.Alias != "" {
		t.Errorf("of another provider: %+v", got)
	}
}

func bindLimit(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	var devices [crowd]device.Device
	for i := range devices {
		devices[i] = registered(t, node(0), fmt.Sprint("d", i))
	}
	const limit = 3
	bind := func(i, n int) error {
		_, err := node(n).BindDevice(t.Context(), device.Binding{Device: devices[i].ID, Provider: "corp", Subject: "alice", Limit: limit}, fmt.Sprint("id-spare-", i))
		return err
	}
	errs := atOnce(crowd, func(i int) error { return bind(i, i) })
	if won := wonBy(t, errs, device.ErrTooMany); won != limit {
		t.Fatalf("%d devices, want %d", won, limit)
	}
	in, out := -1, -1
	for i, err := range errs {
		if err == nil {
			in = i
		} else {
			out = i
		}
	}
	must(t, bind(in, 0)) // it is there already
	must(t, node(1).RevokeDevice(t.Context(), devices[in].ID))
	must(t, bind(out, 0))
}

func bindNone(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := registered(t, s, "a")
	must(t, s.RevokeDevice(t.Context(), d.ID))
	for _, id := range []string{d.ID, "dev-none"} {
		_, err := s.BindDevice(t.Context(), device.Binding{Device: id, Provider: "corp", Subject: "alice", Limit: 1}, "id-spare")
		wantError(t, id, err, device.ErrNotFound)
	}
}

func devicesOf(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	a, b, c, d := registered(t, s, "a"), registered(t, s, "b"), registered(t, s, "c"), registered(t, s, "d")
	for _, dev := range []device.Device{a, b, d} {
		bound(t, s, dev, "alice")
	}
	bound(t, s, c, "bob")
	must(t, s.RevokeDevice(t.Context(), b.ID))
	got, err := s.DevicesOf(t.Context(), "notes", "corp", "alice")
	must(t, err)
	if len(got) != 2 || got[0].ID != d.ID || got[1].ID != a.ID {
		t.Errorf("got %+v", got)
	}
	for _, none := range [][3]string{{"wallet", "corp", "alice"}, {"notes", "google", "alice"}, {"notes", "", ""}} {
		if got, err := s.DevicesOf(t.Context(), none[0], none[1], none[2]); err != nil || len(got) != 0 {
			t.Errorf("%q: %+v, %v", none, got, err)
		}
	}
}

func bindCrowd(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	d := registered(t, node(0), "a")
	got := make([]device.Bound, crowd)
	for _, err := range atOnce(crowd, func(i int) (err error) {
		got[i], err = node(i).BindDevice(t.Context(), device.Binding{Device: d.ID, Provider: "corp", Subject: fmt.Sprint("p", i), Limit: 1}, fmt.Sprint("id-spare-", i))
		return err
	}) {
		must(t, err)
	}
	have := map[string]int{}
	for _, b := range got {
		have[b.Device.IdentityID]++
	}
	if have[d.IdentityID] != 1 || len(have) != crowd {
		t.Errorf("identities: %v", have)
	}
}

func bindEverywhere(t *testing.T, fresh Fresh) {
	node := two(t, fresh)
	var devices [crowd]device.Device
	for i := range devices {
		devices[i] = registered(t, node(0), fmt.Sprint("d", i))
	}
	got := make([]device.Bound, crowd)
	for _, err := range atOnce(crowd, func(i int) (err error) {
		got[i], err = node(i).BindDevice(t.Context(), device.Binding{Device: devices[i].ID, Provider: "corp", Subject: "alice", Limit: crowd}, fmt.Sprint("id-spare-", i))
		return err
	}) {
		must(t, err)
	}
	for i, b := range got {
		if b.Device.IdentityID != got[0].Device.IdentityID {
			t.Errorf("device %d has %s, another %s", i, b.Device.IdentityID, got[0].Device.IdentityID)
		}
	}
}

func bindEndsTokens(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := registered(t, s, "a")
	must(t, s.PutFamily(t.Context(), deviceFamily("f1", d), pair("f1")))
	bound(t, s, d, "alice")
	for _, name := range []string{"f1-access", "f1-refresh"} {
		_, _, err := s.FindToken(t.Context(), key(name))
		wantError(t, name, err, session.ErrNotFound)
	}
}

func deviceSwept(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := registered(t, s, "a")
	must(t, s.PutFamily(t.Context(), deviceFamily("f1", d), pair("f1")))
	must(t, s.Sweep(t.Context(), now.Add(400*24*time.Hour)))
	if again := registered(t, s, "a"); again.ID != d.ID {
		t.Errorf("after the sweep the key is %+v", again)
	}
	_, _, err := s.FindToken(t.Context(), key("f1-refresh"))
	wantError(t, "its token", err, session.ErrNotFound)
}

func devicePersonEnds(t *testing.T, fresh Fresh) {
	s := one(t, fresh)
	d := bound(t, s, registered(t, s, "a"), "alice").Device
	must(t, s.PutFamily(t.Context(), deviceFamily("f1", d), pair("f1")))
	must(t, s.EndSubject(t.Context(), "corp", "alice"))
	_, _, err := s.FindToken(t.Context(), key("f1-refresh"))
	wantError(t, "the token", err, session.ErrNotFound)
	must(t, s.PutFamily(t.Context(), deviceFamily("f2", d), pair("f2")))
}
