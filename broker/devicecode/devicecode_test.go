package devicecode_test

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/devicecode"
	"github.com/rolecall/rolecall/broker/store/sqlite"
)

func newCodes(t *testing.T) (codes *devicecode.Codes, pass func(time.Duration)) {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	return devicecode.New(store, func() time.Time { return now }), func(d time.Duration) { now = now.Add(d) }
}

func TestCodesArePeoplesAndProgramsCodes(t *testing.T) {
	t.Parallel()
	codes, _ := newCodes(t)
	seen := map[string]bool{}
	for range 200 {
		device, user, err := codes.Start(t.Context(), devicecode.Request{Client: "rolecall-cli"})
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$`).MatchString(user) || len(device) < 43 {
			t.Fatalf("codes %q and one of %d bytes", user, len(device))
		}
		if seen[device] || seen[user] {
			t.Fatal("a code came twice")
		}
		seen[device], seen[user] = true, true
	}
}

func TestPeopleTypeCodesAsTheyLike(t *testing.T) {
	t.Parallel()
	codes, _ := newCodes(t)
	_, user, err := codes.Start(t.Context(), devicecode.Request{Client: "rolecall-cli", Address: "192.0.2.9"})
	if err != nil {
		t.Fatal(err)
	}
	bare := strings.ReplaceAll(user, "-", "")
	for _, typed := range []string{user, bare, strings.ToLower(user), " " + bare[:2] + " " + bare[2:] + " "} {
		got, err := codes.ByUser(t.Context(), typed)
		if err != nil || got.Address != "192.0.2.9" || devicecode.Shown(typed) != user {
			t.Errorf("%q: %+v, %v", typed, got, err)
		}
	}
	for _, typed := range []string{"", bare[:7], bare + "B", "AAAAAAAA", strings.Repeat("-", 1<<16) + bare, user + "<script>"} {
		if _, err := codes.ByUser(t.Context(), typed); !errors.Is(err, devicecode.ErrNotFound) || devicecode.Shown(typed) != "" {
			t.Errorf("%.20q was taken: %v", typed, err)
		}
		if err := codes.Answer(t.Context(), typed, true, nil); !errors.Is(err, devicecode.ErrNotFound) {
			t.Errorf("%.20q was answered: %v", typed, err)
		}
	}
}

func TestADeviceWaitsUntilItIsAnswered(t *testing.T) {
	t.Parallel()
	codes, pass := newCodes(t)
	device, user, err := codes.Start(t.Context(), devicecode.Request{Client: "rolecall-cli"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []devicecode.State{devicecode.Waiting, devicecode.TooSoon} {
		if got, err := codes.Poll(t.Context(), device); err != nil || got.State != want {
			t.Errorf("%+v, %v; want state %d", got, err, want)
		}
	}
	if err := codes.Answer(t.Context(), user, true, []byte("yes")); err != nil {
		t.Fatal(err)
	}
	pass(2 * devicecode.Interval)
	if got, err := codes.Poll(t.Context(), device); err != nil || got.State != devicecode.Approved || string(got.Answer) != "yes" {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := codes.Poll(t.Context(), device); !errors.Is(err, devicecode.ErrNotFound) {
		t.Errorf("the answer was given twice: %v", err)
	}
}

func TestWhatIsKeptHoldsNoCode(t *testing.T) {
	t.Parallel()
	codes, pass := newCodes(t)
	device, user, err := codes.Start(t.Context(), devicecode.Request{Client: "rolecall-cli"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := codes.ByDevice(t.Context(), device)
	if err != nil || got.Client != "rolecall-cli" || got.Asked.IsZero() {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := codes.ByDevice(t.Context(), user); !errors.Is(err, devicecode.ErrNotFound) {
		t.Errorf("the short code works as the long one: %v", err)
	}
	pass(devicecode.Life)
	if _, err := codes.ByDevice(t.Context(), device); !errors.Is(err, devicecode.ErrNotFound) {
		t.Errorf("after its life: %v", err)
	}
}
