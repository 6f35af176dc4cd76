package assemble

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/cmd/internal/scripted"
)

// phone is a registered guest of the app notes.
func (w world) phone(t *testing.T) *scripted.Phone {
	t.Helper()
	p := scripted.NewPhone(w.URL, "notes")
	want(t, 201)(p.Register(t.Context()))
	return p
}

// want expects a status.
func want(t *testing.T, status int) func(scripted.Reply, error) scripted.Reply {
	return func(r scripted.Reply, err error) scripted.Reply {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if r.Status != status {
			t.Fatalf("got %s, want %d", r, status)
		}
		return r
	}
}

func TestADeviceGetsCredentialsOfItsOwn(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p := w.phone(t)
	if !p.Device.Guest || p.Device.LoggedIn || p.Device.TokenType != "DPoP" || p.Device.ExpiresIn < 590 || p.Device.ExpiresIn > 600 {
		t.Errorf("registered: %+v", p.Device)
	}
	answer := want(t, 200)(p.Credentials(t.Context(), ""))
	var got struct {
		Version      int
		AccessKeyID  string `json:"AccessKeyId"`
		AccountID    string `json:"AccountId"`
		Expiration   time.Time
		SessionToken string
	}
	if err := json.Unmarshal(answer.Body, &got); err != nil {
		t.Fatal(err)
	}
	left := time.Until(got.Expiration)
	if got.Version != 1 || got.AccountID != "444455556666" || left > 15*time.Minute || left < 14*time.Minute {
		t.Errorf("got %+v, %s left", got, left)
	}
	again := want(t, 200)(p.Credentials(t.Context(), "development/NotesGuest"))
	if !strings.Contains(string(again.Body), got.AccessKeyID) {
		t.Error("the cache does not serve the second order")
	}
	record := w.record(t)
	for _, text := range []string{
		`"event":"device.register"`, `"session_name":"` + p.Device.IdentityID + `"`, `"device":"` + p.Device.DeviceID + `"`, `"client":"notes"`, `"via":"tvm"`, `"guest":"true"`,
		`"identity_id":"` + p.Device.IdentityID + `"`, `"source_identity":"device=` + p.Device.DeviceID + `"`,
	} {
		if !strings.Contains(record, text) {
			t.Errorf("the record lacks %s", text)
		}
	}
	without(t, "the record", record, p.Access, p.Refresh, got.SessionToken)
	without(t, "the log", w.log.String(), p.Access, p.Refresh, got.SessionToken)
}

func TestADeviceRefreshesItsTokens(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p := w.phone(t)
	before := *p
	want(t, 200)(p.Renew(t.Context()))
	if p.Access == before.Access || p.Refresh == before.Refresh {
		t.Error("the tokens are the same")
	}
	want(t, 200)(p.Credentials(t.Context(), ""))
	want(t, 200)(p.RenewWith(t.Context(), before.Refresh)) // the answer was lost
	if r := want(t, 400)(p.RenewWith(t.Context(), before.Refresh)); r.Error() != "invalid_grant" {
		t.Errorf("a third time: %s", r)
	}
	want(t, 401)(p.Credentials(t.Context(), ""))
	want(t, 200)(p.Register(t.Context()))
	want(t, 200)(p.Credentials(t.Context(), ""))
	if p.Device.DeviceID != before.Device.DeviceID || p.Device.IdentityID != before.Device.IdentityID {
		t.Errorf("the same key is another device: %+v, was %+v", p.Device, before.Device)
	}
}

func TestADeviceChangesItsKey(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p := w.phone(t)
	old := *p
	want(t, 200)(p.Rekey(t.Context(), scripted.NewKey()))
	if p.Device.DeviceID != old.Device.DeviceID || p.Device.IdentityID != old.Device.IdentityID || !p.Device.Guest {
		t.Errorf("got %+v, was %+v", p.Device, old.Device)
	}
	want(t, 200)(p.Credentials(t.Context(), ""))
	want(t, 401)(old.Credentials(t.Context(), ""))
	want(t, 400)(old.RenewWith(t.Context(), old.Refresh))
	want(t, 201)(old.Register(t.Context()))
	if old.Device.IdentityID == p.Device.IdentityID {
		t.Error("the old key is still the device")
	}
}

func TestADeviceGivesItselfUp(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p, other := w.phone(t), w.phone(t)
	want(t, 200)(p.Credentials(t.Context(), ""))
	if r := want(t, 403)(other.Call(t.Context(), http.MethodDelete, "/tvm/v1/devices/"+p.Device.DeviceID, other.Access, nil)); r.Error() != "access_denied" {
		t.Errorf("by another device: %s", r)
	}
	want(t, 204)(p.Call(t.Context(), http.MethodDelete, "/tvm/v1/devices/"+p.Device.DeviceID, p.Access, nil))
	want(t, 401)(p.Credentials(t.Context(), ""))
	want(t, 400)(p.RenewWith(t.Context(), p.Refresh))
	want(t, 403)(p.Register(t.Context()))
	want(t, 200)(other.Credentials(t.Context(), ""))
}

// An operator ends a device beside running daemons, with what they have cached.
func TestAnOperatorEndsADevice(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p, other := w.phone(t), w.phone(t)
	want(t, 200)(p.Credentials(t.Context(), ""))
	options := Options{Config: w.Config, Log: w.options.Log, Now: time.Now}
	done, err := Revoke(t.Context(), options, RevokeOptions{Order: operate.Order{Kind: revocation.Device, Target: p.Device.DeviceID}, Operator: "root"})
	if err != nil {
		t.Fatal(err)
	}
	if len(done.Deny.SourceIdentities) != 1 || done.Deny.SourceIdentities[0] != "device="+p.Device.DeviceID {
		t.Errorf("in AWS it would deny %q", done.Deny.SourceIdentities)
	}
	want(t, 401)(p.Credentials(t.Context(), ""))
	want(t, 400)(p.RenewWith(t.Context(), p.Refresh))
	want(t, 403)(p.Register(t.Context()))
	want(t, 200)(other.Credentials(t.Context(), ""))
	if _, err := Revoke(t.Context(), options, RevokeOptions{Order: operate.Order{Kind: revocation.Device, Target: "dev-none"}}); !errors.Is(err, operate.ErrBadOrder) {
		t.Errorf("an unknown device: %v", err)
	}
}
