package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
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
