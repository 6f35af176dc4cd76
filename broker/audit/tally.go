package audit

import (
	"context"
	"sync"
	"time"
)

// maxTallied bounds the addresses that are counted apart in one minute; the
// records of further ones are counted together, without address.
const maxTallied = 4096

// Tally counts what the rate limit turns away, so that a flood is one record per
// address, event and minute, and cannot fill the disk. It is safe for concurrent use.
type Tally struct {
	append func(context.Context, Event) error
	now    func() time.Time

	mu     sync.Mutex
	counts map[tallied]Event
}

type tallied struct {
	minute         int64
	event, address string
}

// NewTally makes a Tally whose records go to append, usually Log.Append.
func NewTally(append func(context.Context, Event) error, now func() time.Time) *Tally {
	return &Tally{append: append, now: now, counts: map[tallied]Event{}}
}

// Add counts an event by its Address and Event; everything else is taken from the
// first one of the minute. It writes nothing and never waits.
func (t *Tally) Add(event Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := tallied{t.now().Unix() / 60, event.Event, event.Address}
	counted, known := t.counts[key]
	if !known && len(t.counts) >= maxTallied {
		key.address = ""
		counted, known = t.counts[key]
		event = Event{RequestID: event.RequestID, Event: event.Event, Outcome: event.Outcome, Reason: event.Reason, Detail: "of many addresses together"}
	}
	if !known {
		counted, counted.Count = event, 0
	}
	counted.Count++
	t.counts[key] = counted
}

// Flush appends a record for every minute that is over, or for all where all is
// true. What could not be written is kept and tried again by the next Flush.
func (t *Tally) Flush(ctx context.Context, all bool) error {
	due := map[tallied]Event{}
	t.mu.Lock()
	minute := t.now().Unix() / 60
	for key, event := range t.counts {
		if all || key.minute < minute {
			due[key] = event
			delete(t.counts, key)
		}
	}
	t.mu.Unlock()
	var first error
	for key, event := range due {
		if first == nil {
			event.Detail = joinDetail(event.Detail, key.minute)
			first = t.append(ctx, event)
		}
		if first != nil {
			t.putBack(key, due[key])
		}
	}
	return first
}

func (t *Tally) putBack(key tallied, event Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if later, ok := t.counts[key]; ok {
		event.Count += later.Count
	}
	t.counts[key] = event
}

func joinDetail(detail string, minute int64) string {
	at := "in the minute from " + time.Unix(minute*60, 0).UTC().Format(time.RFC3339)
	if detail == "" {
		return at
	}
	return detail + ", " + at
}

// Run flushes every minute until ctx ends, then once more whatever is left.
// failed hears of records that could not be written; they are tried again.
func (t *Tally) Run(ctx context.Context, failed func(error)) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := t.Flush(ctx, false); err != nil {
				failed(err)
			}
		case <-ctx.Done():
			if err := t.Flush(context.WithoutCancel(ctx), true); err != nil {
				failed(err)
			}
			return
		}
	}
}
