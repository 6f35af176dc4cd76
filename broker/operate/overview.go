package operate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
)

// Overview is the four figures and what wants attention: of this node's record,
// the last 24 hours as far as the search reaches.
type Overview struct {
	Live, People    int
	Issued, Refused int
	// Reasons are why things were refused in the last hour, the most frequent first.
	Reasons []Reason
	// Last are the newest refusals.
	Last        []Entry
	Read        int
	Whole, More bool
}

// Reason is a word of refusals, where they came from, and how many there were.
type Reason struct {
	Event, Provider, Reason string
	Count                   int
}

// Overview counts. Looking at it is no record: it shows counts, and of people only
// the newest refusals.
func (d *Desk) Overview(ctx context.Context, caller broker.Caller) (Overview, error) {
	live, _, err := d.Live(ctx, caller) // admits
	if err != nil {
		return Overview{}, err
	}
	o := Overview{Live: len(live)}
	people := map[[2]string]bool{}
	for _, l := range live {
		people[[2]string{l.Provider, l.Subject}] = true
	}
	o.People = len(people)
	counts := map[Reason]int{}
	now := d.cfg.Now()
	found, err := d.cfg.Record.Search(ctx, audit.Query{Since: now.Add(-24 * time.Hour), Limit: maxFound, Bytes: maxBytes, Match: func(r audit.Record) bool {
		switch {
		case r.Outcome == audit.Granted && (r.Event.Event == "credentials" || r.Event.Event == "console"):
			o.Issued++
		case r.Outcome == audit.Refused:
			o.Refused += max(1, r.Count)
			if now.Sub(r.Time) <= time.Hour {
				counts[Reason{Event: r.Event.Event, Provider: r.Provider, Reason: r.Reason}] += max(1, r.Count)
			}
			if len(o.Last) < 5 {
				o.Last = append(o.Last, r)
			}
		}
		return false
	}})
	if err != nil {
		return Overview{}, fmt.Errorf("search the record: %w", err)
	}
	o.Read, o.Whole, o.More = found.Read, found.Whole, found.More
	for reason, n := range counts {
		reason.Count = n
		o.Reasons = append(o.Reasons, reason)
	}
	slices.SortFunc(o.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Event+a.Provider+a.Reason, b.Event+b.Provider+b.Reason))
	})
	o.Reasons = o.Reasons[:min(len(o.Reasons), 3)]
	return o, nil
}
