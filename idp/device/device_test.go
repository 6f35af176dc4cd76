package device_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/idp/device"
)

const (
	keyA = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
	keyB = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
)

var now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// attestor takes the attestation "genuine".
type attestor struct{}

func (attestor) Verify(_ context.Context, r device.Registration) error {
	if r.Attestation != "genuine" || r.App != "notes" || r.Thumbprint != keyA {
		return errors.New("not of this key")
	}
	return nil
}

func newDevices(t *testing.T, verifier device.Verifier) *device.Devices {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return device.New(device.Config{Store: store, Attestation: verifier, Now: func() time.Time { return now }})
}

func registered(t *testing.T, s *device.Devices, app, key string) device.Device {
	t.Helper()
	d, _, err := s.Register(t.Context(), device.Registration{App: app, Thumbprint: key})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// An identity_id stands in S3 keys, ARNs, tags, session names and the name of a
// federated user, as it is.
func TestIDsFitWhereTheyAreUsed(t *testing.T) {
	t.Parallel()
	s := newDevices(t, nil)
	seen := map[string]bool{}
	for i := range 50 {
		d := registered(t, s, "notes", keyB[:41]+string(rune('A'+i%26))+string("AEIMQUYcgkosw048"[i%16]))
		if seen[d.ID] {
			continue
		}
		seen[d.ID] = true
		for _, id := range []string{d.ID, d.IdentityID} {
			if len(id) > 32 || !iam.ValidName(id) || strings.Trim(id, "abcdefghijklmnopqrstuvwxyz234567-") != "" {
				t.Errorf("%q does not fit", id)
			}
			if got := iam.FitName(id, "device", d.ID, 32, false); got != id {
				t.Errorf("as a name of GetFederationToken %q becomes %q", id, got)
			}
			if err := iam.CheckTag("identity_id", id); err != nil {
				t.Error(err)
			}
		}
		if !device.IsIdentityID(d.IdentityID) || device.IsIdentityID(d.ID) || !strings.HasPrefix(d.ID, "dev-") {
			t.Errorf("%+v", d)
		}
	}
	if len(seen) < 20 {
		t.Errorf("%d devices", len(seen))
	}
	for _, other := range []string{"", "id-", "alice", "id-short", "id-abcdefghijklmnopqrstuvwxy1", "xid-abcdefghijklmnopqrstuvwxyz", "id-abcdefghijklmnopqrstuvwxyzz"} {
		if device.IsIdentityID(other) {
			t.Errorf("%q is taken for an identity_id", other)
		}
	}
	if !device.IsIdentityID("ID-ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t.Error("names of AWS are compared without case")
	}
}

func TestWhatIsNoKeyIsNoDevice(t *testing.T) {
	t.Parallel()
	s := newDevices(t, nil)
	for _, key := range []string{"", "short", keyA + "A", keyA[:42], keyA[:42] + "J", keyA[:42] + "\n", strings.Repeat("=", 43)} {
		if _, _, err := s.Register(t.Context(), device.Registration{App: "notes", Thumbprint: key}); err == nil {
			t.Errorf("%q is a key", key)
		}
		if _, _, err := s.Find(t.Context(), device.Registration{App: "notes", Thumbprint: key}); err == nil {
			t.Errorf("%q is found", key)
		}
	}
	d := registered(t, s, "notes", keyA)
	if _, err := s.Rotate(t.Context(), d.ID, keyA, "short"); err == nil {
		t.Error("a short key takes the place of a good one")
	}
}

func TestAttestationsAreRefusedUntilSomebodyJudgesThem(t *testing.T) {
	t.Parallel()
	r := device.Registration{App: "notes", Thumbprint: keyA, Attestation: "genuine"}
	if _, _, err := newDevices(t, nil).Register(t.Context(), r); !errors.Is(err, device.ErrAttestation) {
		t.Errorf("without a judge: %v", err)
	}
	s := newDevices(t, attestor{})
	if _, made, err := s.Register(t.Context(), r); err != nil || !made {
		t.Errorf("a genuine one: %v", err)
	}
	r.Attestation = "forged"
	if _, _, err := s.Find(t.Context(), r); err == nil {
		t.Error("a forged one is taken")
	}
}

func TestADeviceFromItsFirstToItsLastDay(t *testing.T) {
	t.Parallel()
	s := newDevices(t, nil)
	fresh, known, err := s.Find(t.Context(), device.Registration{App: "notes", Thumbprint: keyA})
	if err != nil || known || fresh.ID == "" || !fresh.Guest() {
		t.Fatalf("%+v %t %v", fresh, known, err)
	}
	d := registered(t, s, "notes", keyA)
	found, known, err := s.Find(t.Context(), device.Registration{App: "notes", Thumbprint: keyA})
	if err != nil || !known || found != d || !d.Created.Equal(now) {
		t.Errorf("%+v %t %v", found, known, err)
	}
	for _, b := range []device.Binding{
		{Device: d.ID, Provider: "device", Subject: "x", Limit: 1}, {Device: d.ID, Provider: "corp", Limit: 1},
		{Device: d.ID, Subject: "x", Limit: 1}, {Device: d.ID, Provider: "corp", Subject: "x"},
	} {
		if _, err := s.Bind(t.Context(), b); err == nil {
			t.Errorf("%+v is a person", b)
		}
	}
	bound, err := s.Bind(t.Context(), device.Binding{Device: d.ID, Provider: "corp", Subject: "alice", Limit: 1})
	if err != nil || bound.Device.Guest() || bound.Device.IdentityID != d.IdentityID {
		t.Fatalf("%+v %v", bound, err)
	}
	if list, err := s.Of(t.Context(), "notes", "corp", "alice"); err != nil || len(list) != 1 {
		t.Errorf("alice's: %+v %v", list, err)
	}
	if list, err := s.Of(t.Context(), "notes", "", ""); err != nil || len(list) != 0 {
		t.Errorf("nobody's: %+v %v", list, err)
	}
	if d, err = s.Rotate(t.Context(), d.ID, keyA, keyB); err != nil || d.Thumbprint != keyB || d.Subject != "alice" {
		t.Fatalf("%+v %v", d, err)
	}
	if err := s.Revoke(t.Context(), d.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ByID(t.Context(), d.ID); !errors.Is(err, device.ErrNotFound) {
		t.Errorf("a revoked device: %v", err)
	}
	if again := registered(t, s, "notes", keyB); !again.Revoked || again.ID != d.ID {
		t.Errorf("its key: %+v", again)
	}
}
