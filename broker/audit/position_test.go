package audit_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker/audit"
)

// places are where the records of a log begin, the oldest first.
func places(t *testing.T, l *audit.Log) []int64 {
	t.Helper()
	found, err := l.Search(t.Context(), audit.Query{Limit: 1000, Bytes: 1 << 20})
	must(t, err)
	at := make([]int64, len(found.Records))
	for i, r := range found.Records {
		at[len(at)-1-i] = r.At
	}
	return at
}

func TestARecordIsShownWithItsPlaceInTheChain(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := ticking(t, path, 5)
	lines, at := readLines(t, path), places(t, l)
	for i := range at {
		p, err := l.Position(t.Context(), at[i])
		must(t, err)
		if p.Number != i+1 || p.Line != strings.TrimSuffix(lines[i], "\n") || !p.Intact || p.Followed != 1 || p.Broken != 0 || p.At != at[i] || len(p.Prev) != 64 {
			t.Errorf("record %d: %+v", i+1, p)
		}
		if last := i == 4; p.Linked == last || (p.NextHash == "") != last {
			t.Errorf("record %d: linked %t to %q", i+1, p.Linked, p.NextHash)
		}
	}
	first, err := l.Position(t.Context(), 0)
	must(t, err)
	second, err := l.Position(t.Context(), at[1])
	must(t, err)
	if first.Hash != second.Prev || first.NextHash != second.Hash || first.Prev != strings.Repeat("0", 64) {
		t.Errorf("%+v, then %+v", first, second)
	}
}

func TestARecordBehindABreakSaysWhereItIs(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := ticking(t, path, 5)
	lines := readLines(t, path)
	lines[4] += "\n"
	for name, c := range map[string]struct {
		lines  []string
		number int
		broken int
		intact bool
	}{
		"one before it was edited":   {[]string{lines[0], strings.Replace(lines[1], "r1", "rX", 1), lines[2], lines[3], lines[4]}, 5, 2, true},
		"one before it was removed":  {[]string{lines[0], lines[2], lines[3], lines[4]}, 4, 2, true},
		"the first was cut off":      {lines[1:], 4, 1, true},
		"it was edited itself":       {[]string{lines[0], lines[1], lines[2], lines[3], strings.Replace(lines[4], "r4", "rX", 1)}, 5, 5, false},
		"the one before was removed": {[]string{lines[0], lines[1], lines[2], lines[4]}, 4, 4, true},
	} {
		must(t, os.WriteFile(path, []byte(strings.Join(c.lines, "")), 0o600))
		at := int64(len(strings.Join(c.lines[:len(c.lines)-1], "")))
		p, err := l.Position(t.Context(), at)
		must(t, err)
		if p.Number != c.number || p.Broken != c.broken || p.Followed != 0 || p.Intact != c.intact || p.Why == "" {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func TestWhereNoRecordBeginsThereIsNone(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := ticking(t, path, 2)
	for _, at := range []int64{-1, 1, 100, 1 << 40} {
		if _, err := l.Position(t.Context(), at); !errors.Is(err, audit.ErrNoRecord) {
			t.Errorf("place %d: %v", at, err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := l.Position(ended, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody waits: %v", err)
	}
	must(t, os.WriteFile(path, []byte("nonsense\n"), 0o600))
	if _, err := l.Position(t.Context(), 0); !errors.Is(err, audit.ErrNoRecord) {
		t.Errorf("no record: %v", err)
	}
}
