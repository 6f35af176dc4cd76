package audit_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rolecall/rolecall/broker/audit"
)

// record keeps what is appended and can fail.
type record struct {
	events []audit.Event
	err    error
}

func (r *record) append(_ context.Context, e audit.Event) error {
	if r.err == nil {
		r.events = append(r.events, e)
	}
	return r.err
}

func away(address, what string) audit.Event {
	return audit.Event{RequestID: "first", Event: what, Outcome: audit.Refused, Reason: "rate_limited", Address: address}
}

func TestWhatIsTurnedAwayIsOneRecordPerAddressAndMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &record{}
		tally := audit.NewTally(r.append, time.Now)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { tally.Run(ctx, func(err error) { t.Error(err) }); close(ended) }()
		for range 1000 {
			tally.Add(away("192.0.2.1", "signin"))
		}
		tally.Add(away("192.0.2.1", "token"))
		tally.Add(away("192.0.2.2", "signin"))
		time.Sleep(2 * time.Minute) // the clock of the bubble
		tally.Add(away("192.0.2.1", "signin"))
		stop()
		<-ended
		counts := map[string]int{}
		for _, e := range r.events {
			if e.Outcome != audit.Refused || e.Reason != "rate_limited" || e.RequestID != "first" || e.Detail == "" {
				t.Errorf("%+v", e)
			}
			counts[fmt.Sprintf("%s %s %d", e.Address, e.Event, e.Count)]++
		}
		want := map[string]int{"192.0.2.1 signin 1000": 1, "192.0.2.1 token 1": 1, "192.0.2.2 signin 1": 1, "192.0.2.1 signin 1": 1}
		if diff := cmp.Diff(want, counts); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestAFloodOfAddressesDoesNotFillTheMemory(t *testing.T) {
	t.Parallel()
	r := &record{}
	tally := audit.NewTally(r.append, now)
	for i := range 20_000 {
		tally.Add(away(fmt.Sprint("2001:db8::", i), "signin"))
	}
	must(t, tally.Flush(t.Context(), true))
	total := 0
	for _, e := range r.events {
		total += e.Count
	}
	if len(r.events) > 4100 || total != 20_000 {
		t.Errorf("%d records of %d requests", len(r.events), total)
	}
}

func TestAMinuteThatIsNotOverWaits(t *testing.T) {
	t.Parallel()
	r := &record{}
	tally := audit.NewTally(r.append, now)
	tally.Add(away("192.0.2.1", "signin"))
	must(t, tally.Flush(t.Context(), false))
	if len(r.events) != 0 {
		t.Errorf("%+v", r.events)
	}
}

func TestWhatCouldNotBeWrittenIsKept(t *testing.T) {
	t.Parallel()
	r := &record{err: errors.New("disk full")}
	tally := audit.NewTally(r.append, now)
	for _, address := range []string{"192.0.2.1", "192.0.2.1", "192.0.2.2"} {
		tally.Add(away(address, "signin"))
	}
	if err := tally.Flush(t.Context(), true); !errors.Is(err, r.err) {
		t.Errorf("flush: %v", err)
	}
	tally.Add(away("192.0.2.1", "signin"))
	r.err = nil
	must(t, tally.Flush(t.Context(), true))
	got := map[string]int{}
	for _, e := range r.events {
		got[e.Address] += e.Count
	}
	if diff := cmp.Diff(map[string]int{"192.0.2.1": 3, "192.0.2.2": 1}, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
