package audit_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/broker/audit"
)

func TestAnUnfinishedRecordIsCutOffAndRecorded(t *testing.T) {
	t.Parallel()
	_, whole := written(t, 3)
	for name, torn := range map[string]string{
		"one byte":                  "{",
		"half a record":             whole[2][:len(whole[2])/2],
		"all but the newline":       strings.TrimSuffix(whole[2], "\n"),
		"garbage of a broken disk ": "\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			must(t, os.WriteFile(path, []byte(whole[0]+whole[1]+torn), 0o600))
			l := open(t, path)
			must(t, l.Append(t.Context(), event("after")))
			must(t, l.Close())
			summary, err := verify(t, path)
			if err != nil || summary.Records != 4 {
				t.Fatalf("%+v, %v", summary, err)
			}
			marker := decode(t, readLines(t, path)[2])
			if marker["event"] != "audit.recovered" || marker["outcome"] != "failed" || marker["request_id"] == "" {
				t.Errorf("the marker is %v", marker)
			}
		})
	}
}

func TestACrashWhileTheFirstRecordIsWritten(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	must(t, os.WriteFile(path, []byte(`{"time":"2026`), 0o600))
	l := open(t, path)
	must(t, l.Close())
	if summary, err := verify(t, path); err != nil || summary.Records != 1 {
		t.Errorf("%+v, %v", summary, err)
	}
}

func TestABrokenEndIsEvidenceAndStays(t *testing.T) {
	t.Parallel()
	_, whole := written(t, 3)
	for name, text := range map[string]string{
		"an edited last record":         whole[0] + whole[1] + strings.Replace(whole[2], "alice", "mallory", 1) + "\n",
		"a last line of something else": whole[0] + "not ours\n",
		"an empty last line":            whole[0] + "\n",
		"a file of something else":      strings.Repeat("some log\n", 1000),
		"a huge file without a line":    strings.Repeat("x", 3<<20),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			must(t, os.WriteFile(path, []byte(text), 0o600))
			if _, err := audit.Open(audit.Config{File: path, Now: now, Log: slog.New(slog.DiscardHandler)}); err == nil {
				t.Error("it was opened")
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != text {
				t.Errorf("it was changed: %v", err)
			}
		})
	}
}

func TestALongRecordAtTheEndIsFound(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := open(t, path)
	long := event("long")
	long.Subject = strings.Repeat("x", 900<<10)
	must(t, l.Append(t.Context(), long))
	must(t, l.Append(t.Context(), long))
	must(t, l.Close())
	l = open(t, path)
	must(t, l.Append(t.Context(), event("after")))
	must(t, l.Close())
	if summary, err := verify(t, path); err != nil || summary.Records != 3 {
		t.Errorf("%+v, %v", summary, err)
	}
}
