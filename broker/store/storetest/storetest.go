// Package storetest is the one conformance suite of all stores: what session,
// replay and keys say of their Store interfaces, and that it holds between nodes.
package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/devicecode"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/session"
	"github.com/rolecall/rolecall/idp/device"
	"github.com/rolecall/rolecall/idp/directory"
)

// Store is everything a store does.
type Store interface {
	session.Store
	replay.Store
	keys.Store
	later
	Upkeep
}

// later is what came after the first release.
type later interface {
	marks.Store
	devicecode.Store
	directory.Store
	device.Store
	limit.BlockStore
}

// Upkeep is what the daemon does with a store beside using it.
type Upkeep interface {
	revocation.Store
	SubjectsNamed(ctx context.Context, username string) ([][2]string, error)
	Ping(ctx context.Context) error
	Sweep(ctx context.Context, now time.Time) error
	Close() error
}

// Fresh makes an empty database and gives a function that opens it. Each call of
// that function is another node; the test closes them.
type Fresh func(t *testing.T) (open func() Store)

// Run holds a store to the suite.
func Run(t *testing.T, fresh Fresh) {
	t.Helper()
	for _, group := range []map[string]func(*testing.T, Fresh){
		sessionTests(), signInTests(), tokenTests(), peopleTests(), otherTests(), nodeTests(), deviceTests(), markTests(), listTests(), directoryTests(), appDeviceTests(), blockTests(), rotateTests(),
	} {
		for name, test := range group {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				test(t, fresh)
			})
		}
	}
}

var now = time.Date(2026, 11, 24, 9, 0, 0, 123_000, time.UTC) // microseconds are kept

func one(t *testing.T, fresh Fresh) Store {
	t.Helper()
	return opened(t, fresh(t))
}

func opened(t *testing.T, open func() Store) Store {
	t.Helper()
	s := open()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// key is the hash of a secret that has a name in a test.
func key(name string) session.Hash {
	var h session.Hash
	copy(h[:], name)
	h[31] = byte(len(name))
	return h
}

// sessionRow is a session of alice at corp.
func sessionRow(id string) session.Row {
	return session.Row{
		ID: id, Provider: "corp", Subject: "alice", Expires: now.Add(12 * time.Hour), Seen: now, Data: []byte(`{"id":"` + id + `"}`),
	}
}

func familyRow(id, sessionID string) session.Row {
	return session.Row{
		ID: id, Session: sessionID, Provider: "corp", Subject: "alice", Expires: now.Add(12 * time.Hour), Data: []byte(`{"family":"` + id + `"}`),
	}
}

func codeRow(family, sessionID string) session.Row {
	row := familyRow(family, sessionID)
	row.Expires, row.Keep = now.Add(time.Minute), now.Add(12*time.Hour)
	return row
}

// pair is the tokens NAME-access and NAME-refresh.
func pair(name string) []session.TokenRow {
	return []session.TokenRow{
		{Hash: key(name + "-access"), Thumbprint: "jkt-" + name, Expires: now.Add(10 * time.Minute)},
		{Hash: key(name + "-refresh"), Refresh: true, Thumbprint: "jkt-" + name, Expires: now.Add(12 * time.Hour)},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

// atOnce runs n calls together and gives what each returned.
func atOnce(n int, call func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	group.Wait()
	return errs
}

// wonBy counts who got no error, and demands that everybody else got want.
func wonBy(t *testing.T, errs []error, want error) int {
	t.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			wantError(t, "who came too late", err, want)
		}
	}
	return won
}
