package container

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
)

var errDown = errors.New("the broker cannot be reached")

// broker gives credentials that live for some time, and counts orders.
type broker struct {
	life   time.Duration
	orders atomic.Int32
	down   atomic.Bool
	failed atomic.Int32
}

func (b *broker) order(context.Context, string) (iam.ProcessDocument, error) {
	b.orders.Add(1)
	if b.down.Load() {
		return iam.ProcessDocument{}, errDown
	}
	return iam.ProcessDocument{Version: 1, AccessKeyID: "ASIA", Expiration: time.Now().Add(b.life)}, nil
}

func keep(t *testing.T, b *broker) *Keeper {
	t.Helper()
	k := &Keeper{Order: b.order, Roles: []string{"a/B"}, Now: time.Now, Failed: func(string, error) { b.failed.Add(1) }}
	if err := k.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { k.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	return k
}

// A command may run for longer than one set of credentials lives.
func TestCredentialsAreAlwaysFreshForADay(t *testing.T) {
	t.Parallel()
	for _, life := range []time.Duration{15 * time.Minute, time.Hour, 12 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			b := &broker{life: life}
			k := keep(t, b)
			for range 24 * 60 {
				time.Sleep(time.Minute)
				synctest.Wait()
				d, err := k.Credentials(t.Context(), "a/B")
				if left := time.Until(d.Expiration); err != nil || left < min(14*time.Minute, life/3) {
					t.Fatalf("life %s: %s left, %v", life, left, err)
				}
			}
			if most := int32(24*time.Hour/(life/2)) + 2; b.orders.Load() > most {
				t.Errorf("life %s: %d orders a day, want %d at most", life, b.orders.Load(), most)
			}
		})
	}
}

func TestWhileTheBrokerIsDownOldCredentialsWorkToTheirEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &broker{life: time.Hour}
		k := keep(t, b)
		b.down.Store(true)
		time.Sleep(59 * time.Minute)
		if _, err := k.Credentials(t.Context(), "a/B"); err != nil || b.failed.Load() == 0 {
			t.Errorf("a minute before their end: %v, %d failures said", err, b.failed.Load())
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if d, err := k.Credentials(t.Context(), "a/B"); !errors.Is(err, errDown) || d.AccessKeyID != "" {
			t.Errorf("after their end: %v %v", d, err)
		}
		if b.orders.Load() > 60 {
			t.Errorf("%d orders in a quarter of an hour", b.orders.Load())
		}
		b.down.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		if _, err := k.Credentials(t.Context(), "a/B"); err != nil {
			t.Errorf("when it is back: %v", err)
		}
	})
}

func TestOnlyItsOwnRolesAreServed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &broker{life: time.Hour}
		k := keep(t, b)
		for _, role := range []string{"", "a/C", "A/B", "a/B "} {
			if _, err := k.Credentials(t.Context(), role); !errors.Is(err, ErrUnknownRole) {
				t.Errorf("%q: %v", role, err)
			}
		}
		if b.orders.Load() != 1 {
			t.Errorf("%d orders", b.orders.Load())
		}
	})
}

func TestTheFirstRefusalIsToldAtOnce(t *testing.T) {
	t.Parallel()
	b := &broker{}
	b.down.Store(true)
	k := &Keeper{Order: b.order, Roles: []string{"a/B", "c/D"}, Now: time.Now}
	if err := k.Fill(t.Context()); !errors.Is(err, errDown) || b.orders.Load() != 1 {
		t.Errorf("%v after %d orders", err, b.orders.Load())
	}
}

func TestExpiredCredentialsAreNotHandedOut(t *testing.T) {
	t.Parallel()
	now := time.Now()
	k := &Keeper{Roles: []string{"a/B"}, Now: func() time.Time { return now }, Order: (&broker{life: time.Hour}).order}
	if err := k.Fill(t.Context()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Hour) // as after a night of sleep
	if _, err := k.Credentials(t.Context(), "a/B"); err == nil || !strings.Contains(err.Error(), "a/B have expired") {
		t.Errorf("%v", err)
	}
}
