package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
)

// ticking is a log whose clock goes on by a minute with each record.
func ticking(t *testing.T, path string, n int) *audit.Log {
	t.Helper()
	clock := start
	l, err := audit.Open(audit.Config{File: path, Now: func() time.Time { return clock }, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	for i := range n {
		e := event(fmt.Sprintf("r%d", i))
		e.Subject = []string{"alice", "bob"}[i%2]
		must(t, l.Append(t.Context(), e))
		clock = clock.Add(time.Minute)
	}
	return l
}

func ids(f audit.Found) string {
	var out []string
	for _, r := range f.Records {
		out = append(out, r.RequestID)
	}
	return strings.Join(out, " ")
}

func TestASearchGivesTheNewestFirst(t *testing.T) {
	t.Parallel()
	l := ticking(t, newPath(t), 7)
	for name, c := range map[string]struct {
		query audit.Query
		want  string
		more  bool
	}{
		"all":               {audit.Query{Limit: 10, Bytes: 1 << 20}, "r6 r5 r4 r3 r2 r1 r0", false},
		"a few":             {audit.Query{Limit: 2, Bytes: 1 << 20}, "r6 r5", true},
		"by a text":         {audit.Query{Limit: 10, Bytes: 1 << 20, Contains: []byte(`"subject":"bob"`)}, "r5 r3 r1", false},
		"by a judgement":    {audit.Query{Limit: 10, Bytes: 1 << 20, Match: func(r audit.Record) bool { return r.Subject == "alice" && r.RequestID != "r2" }}, "r6 r4 r0", false},
		"since":             {audit.Query{Limit: 10, Bytes: 1 << 20, Since: start.Add(4 * time.Minute)}, "r6 r5 r4", false},
		"of the end only":   {audit.Query{Limit: 10, Bytes: 700}, "r6 r5", true},
		"of nearly nothing": {audit.Query{Limit: 10, Bytes: 10}, "", true},
	} {
		found, err := l.Search(t.Context(), c.query)
		must(t, err)
		if ids(found) != c.want || found.More != c.more || !found.Whole {
			t.Errorf("%s: %q, more %t, whole %t; want %q, %t", name, ids(found), found.More, found.Whole, c.want, c.more)
		}
	}
	found, err := l.Search(t.Context(), audit.Query{Limit: 1, Bytes: 1 << 20})
	must(t, err)
	if r := found.Records[0]; !r.Time.Equal(start.Add(6*time.Minute)) || len(r.Hash) != 64 || r.Event.Event != "credentials" || r.Username != "alice" {
		t.Errorf("got %+v", r)
	}
}

func TestASearchSeesThatTheChainIsBroken(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := ticking(t, path, 5)
	lines := readLines(t, path)
	for name, text := range map[string]string{
		"edited":  strings.Replace(strings.Join(lines, ""), `"request_id":"r2"`, `"request_id":"rX"`, 1),
		"removed": strings.Join(append(append([]string{}, lines[:2]...), lines[3:]...), ""),
		"no JSON": strings.Join(lines[:2], "") + "nonsense\n" + strings.Join(lines[2:], ""),
	} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		found, err := l.Search(t.Context(), audit.Query{Limit: 10, Bytes: 1 << 20})
		must(t, err)
		if found.Whole || len(found.Records) < 3 {
			t.Errorf("%s: whole %t, %d records", name, found.Whole, len(found.Records))
		}
	}
}

func TestASearchOfNothingAndOfAMissingFile(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := open(t, path)
	found, err := l.Search(t.Context(), audit.Query{Limit: 10, Bytes: 1 << 20})
	if err != nil || len(found.Records) > 0 || !found.Whole || found.More {
		t.Errorf("an empty file: %+v, %v", found, err)
	}
	must(t, l.Append(t.Context(), event("r1")))
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := l.Search(ended, audit.Query{Limit: 1, Bytes: 1 << 20}); !errors.Is(err, context.Canceled) {
		t.Errorf("a search that nobody waits for: %v", err)
	}
	must(t, os.Remove(path))
	if _, err := l.Search(t.Context(), audit.Query{Limit: 1, Bytes: 1 << 20}); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestPagesStayWhereTheyAreWhileRecordsAreAppended(t *testing.T) {
	t.Parallel()
	l := ticking(t, newPath(t), 7)
	page := func(q audit.Query) audit.Found {
		t.Helper()
		q.Limit, q.Bytes = 3, 1<<20
		found, err := l.Search(t.Context(), q)
		must(t, err)
		if !found.Whole {
			t.Errorf("%+v: the chain is broken", q)
		}
		return found
	}
	first := page(audit.Query{})
	must(t, l.Append(t.Context(), event("new1")))
	second := page(audit.Query{Before: first.Next})
	must(t, l.Append(t.Context(), event("new2")))
	third := page(audit.Query{Before: second.Next})
	if got := ids(first) + ", " + ids(second) + ", " + ids(third); got != "r6 r5 r4, r3 r2 r1, r0" || !first.More || !second.More || third.More {
		t.Errorf("older: %s", got)
	}
	back := page(audit.Query{After: third.Records[0].At + 1})
	again := page(audit.Query{After: back.Records[0].At + 1})
	newest := page(audit.Query{After: again.Records[0].At + 1})
	if got := ids(back) + ", " + ids(again) + ", " + ids(newest); got != "r3 r2 r1, r6 r5 r4, new2 new1" {
		t.Errorf("newer: %s", got)
	}
	if older := page(audit.Query{Before: back.Next}); ids(older) != "r0" {
		t.Errorf("older than newer: %s", ids(older))
	}
	for _, place := range []int64{1, 5, 1 << 40, -3} {
		if found, err := l.Search(t.Context(), audit.Query{Before: place, Limit: 1, Bytes: 1 << 20}); place > 0 && !errors.Is(err, audit.ErrNoRecord) || place < 0 && (err != nil || ids(found) != "new2") {
			t.Errorf("place %d: %v, %v", place, ids(found), err)
		}
	}
}

func TestASearchOfALongFileBeginsAtItsTime(t *testing.T) {
	t.Parallel()
	l := ticking(t, newPath(t), 0)
	_ = l.Close()
	path := newPath(t)
	clock := start
	l, err := audit.Open(audit.Config{File: path, Now: func() time.Time { return clock }, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	var group sync.WaitGroup
	for i := range 40 {
		clock = start.Add(time.Duration(i) * time.Minute)
		for range 40 {
			group.Go(func() {
				e := event(fmt.Sprintf("r%d", i))
				e.Detail = strings.Repeat("x", 1900)
				if err := l.Append(t.Context(), e); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
	}
	found, err := l.Search(t.Context(), audit.Query{Until: start.Add(10*time.Minute + time.Second), Limit: 41, Bytes: 300_000})
	must(t, err)
	if len(found.Records) != 41 || found.Records[0].RequestID != "r10" || found.Records[40].RequestID != "r9" || !found.Whole {
		t.Errorf("%d records, the first %+v", len(found.Records), found.Records[:min(1, len(found.Records))])
	}
	if none, err := l.Search(t.Context(), audit.Query{Until: start.Add(-time.Second), Limit: 1, Bytes: 300_000}); err != nil || len(none.Records) > 0 || none.More {
		t.Errorf("before the first: %+v, %v", none, err)
	}
}

func TestAWalkGivesEachLineAsItStandsAndStopsWhenTold(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := ticking(t, path, 5)
	var got []string
	found, err := l.Walk(t.Context(), audit.Query{Bytes: 1 << 20}, func(_ audit.Record, line []byte) error {
		got = append(got, string(line)+"\n")
		return nil
	})
	must(t, err)
	lines := readLines(t, path)
	slices.Reverse(got)
	if strings.Join(got, "") != strings.Join(lines, "")+"\n" || found.Records != nil || found.Read != 5 {
		t.Errorf("got %q", got)
	}
	full := errors.New("full")
	if _, err := l.Walk(t.Context(), audit.Query{Bytes: 1 << 20}, func(audit.Record, []byte) error { return full }); !errors.Is(err, full) {
		t.Errorf("an error on the way: %v", err)
	}
}

func TestALineLongerThanWhatIsReadAtATimeIsWhole(t *testing.T) {
	t.Parallel()
	l := open(t, newPath(t))
	for i := range 5 {
		e := event(fmt.Sprintf("r%d", i))
		e.Tags = map[string]string{"long": strings.Repeat("y", 700_000)}
		must(t, l.Append(t.Context(), e))
	}
	found, err := l.Search(t.Context(), audit.Query{Limit: 10, Bytes: 1 << 30})
	must(t, err)
	if ids(found) != "r4 r3 r2 r1 r0" || !found.Whole {
		t.Errorf("%s, whole %t", ids(found), found.Whole)
	}
}
