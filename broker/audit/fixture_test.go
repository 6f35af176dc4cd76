package audit_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
)

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func now() time.Time { return start }

func open(t testing.TB, path string) *audit.Log {
	t.Helper()
	l, err := audit.Open(audit.Config{File: path, Now: now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func newPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "audit.jsonl")
}

func event(id string) audit.Event {
	return audit.Event{RequestID: id, Event: "credentials", Outcome: audit.Granted, Username: "alice"}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// written is a closed file with the records r1 to rn.
func written(t *testing.T, n int) (path string, lines []string) {
	t.Helper()
	path = newPath(t)
	l := open(t, path)
	for i := range n {
		must(t, l.Append(t.Context(), event("r"+string(rune('1'+i)))))
	}
	must(t, l.Close())
	return path, readLines(t, path)
}

func readLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
}

func verify(t *testing.T, path string) (audit.Summary, error) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return audit.Verify(bytes.NewReader(text))
}

func decode(t *testing.T, line string) map[string]any {
	t.Helper()
	var record map[string]any
	must(t, json.Unmarshal([]byte(line), &record))
	return record
}
