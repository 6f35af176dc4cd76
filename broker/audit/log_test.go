package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/audit"
)

func TestARecordIsOneLineOfJSON(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := open(t, path)
	must(t, l.Append(t.Context(), audit.Event{
		RequestID: "req-1", Event: "credentials", Cached: true, Outcome: audit.Granted, Address: "192.0.2.1", Via: "cli",
		Provider: "corp", Subject: "a\n\"1\"", Username: "al\u2028ice\x00<script>", Session: "s1", Role: "arn:aws:iam::111122223333:role/Admin",
		Grant: "platform-admin", SessionName: "alice", SourceIdentity: "corp=1", Tags: map[string]string{"team": "core", "cost": "7"},
		Duration: 3600, TokenDigest: "ab12", AccessKeyID: "ASIAEXAMPLE",
	}))
	must(t, l.Append(t.Context(), audit.Event{RequestID: "req-2", Event: "credentials"}))
	must(t, l.Close())
	lines := readLines(t, path)
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	got := decode(t, lines[0])
	want := map[string]any{
		"time": "2026-11-24T09:00:00.000000Z", "request_id": "req-1", "event": "credentials", "cached": true, "outcome": "granted",
		"address": "192.0.2.1", "via": "cli", "provider": "corp", "subject": "a\n\"1\"", "username": "al\u2028ice\x00<script>",
		"session": "s1", "role": "arn:aws:iam::111122223333:role/Admin", "grant": "platform-admin", "session_name": "alice",
		"source_identity": "corp=1", "tags": map[string]any{"team": "core", "cost": "7"}, "duration": 3600.0,
		"token_digest": "ab12", "access_key_id": "ASIAEXAMPLE", "prev": strings.Repeat("0", 64), "hash": got["hash"],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	intent := decode(t, lines[1])
	if _, has := intent["outcome"]; has {
		t.Errorf("an intent has an outcome: %s", lines[1])
	}
	if intent["prev"] != got["hash"] {
		t.Error("the second record does not name the first")
	}
}

func TestAnEventHasNoPlaceForASecret(t *testing.T) {
	t.Parallel()
	event := reflect.TypeFor[audit.Event]()
	for i := range event.NumField() {
		field := event.Field(i)
		switch field.Type.Kind() {
		case reflect.String, reflect.Int, reflect.Bool, reflect.Map:
		default:
			t.Errorf("%s is a %s", field.Name, field.Type)
		}
		for _, word := range []string{"secret", "password", "sessiontoken", "cookie", "assertion"} {
			if strings.Contains(strings.ToLower(field.Name), word) {
				t.Errorf("the name %s says that it holds a secret", field.Name)
			}
		}
	}
}

func TestARestartContinuesTheChain(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	for i := range 4 {
		l := open(t, path)
		must(t, l.Append(t.Context(), event(fmt.Sprint("r", i))))
		must(t, l.Close())
	}
	summary, err := verify(t, path)
	if err != nil || summary.Records != 4 {
		t.Errorf("%+v, %v", summary, err)
	}
}

func TestTheFileIsItsOwnersAndOneProcesss(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	must(t, os.WriteFile(path, nil, 0o644))
	l := open(t, path)
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o", info.Mode().Perm())
	}
	config := audit.Config{File: path, Now: now, Log: slog.New(slog.DiscardHandler)}
	if _, err := audit.Open(config); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second process gets %v", err)
	}
	must(t, l.Close())
	again, err := audit.Open(config)
	must(t, err)
	must(t, again.Close())
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"a folder": t.TempDir(), "a device": os.DevNull, "a file in no folder": filepath.Join(t.TempDir(), "no", "audit.jsonl"),
	} {
		if _, err := audit.Open(audit.Config{File: path, Now: now, Log: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%s was opened", name)
		}
	}
}

func TestManyAppendAtOnceAndAllIsThere(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := open(t, path)
	var group sync.WaitGroup
	for c := range 32 {
		group.Go(func() {
			for i := range 20 {
				if err := l.Append(t.Context(), event(fmt.Sprintf("r-%d-%d", c, i))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	// All have been answered, so all must be there before Close.
	summary, err := verify(t, path)
	if err != nil || summary.Records != 640 {
		t.Errorf("%+v, %v", summary, err)
	}
	seen := map[any]bool{}
	for _, line := range readLines(t, path) {
		seen[decode(t, line)["request_id"]] = true
	}
	if len(seen) != 640 {
		t.Errorf("%d different records", len(seen))
	}
}

func TestCloseWritesWhatIsWaiting(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := open(t, path)
	var group sync.WaitGroup
	var mu sync.Mutex
	kept := map[string]bool{}
	for i := range 64 {
		group.Go(func() {
			id := fmt.Sprint("r", i)
			if err := l.Append(t.Context(), event(id)); err == nil {
				mu.Lock()
				kept[id] = true
				mu.Unlock()
			} else if !errors.Is(err, audit.ErrFailed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
	must(t, l.Close())
	must(t, l.Close())
	group.Wait()
	found := map[string]bool{}
	if len(kept) > 0 {
		for _, line := range readLines(t, path) {
			found[decode(t, line)["request_id"].(string)] = true
		}
	}
	if diff := cmp.Diff(kept, found); diff != "" {
		t.Errorf("what was answered and what is there (-answered +there):\n%s", diff)
	}
	if err := l.Append(t.Context(), event("late")); !errors.Is(err, audit.ErrFailed) {
		t.Errorf("append after Close: %v", err)
	}
}

func TestWhoGivesUpWaitingIsToldSo(t *testing.T) {
	t.Parallel()
	l := open(t, newPath(t))
	ended, end := context.WithCancel(t.Context())
	end()
	for range 100 { // both may be ready; the disk may win
		if err := l.Append(ended, event("r")); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
}

func TestAfterAFailureNothingIsAccepted(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, path string){
		"the file was removed": func(t *testing.T, path string) { must(t, os.Remove(path)) },
		"the file was moved away": func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".1"))
		},
		"another file took its place": func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".1"))
			must(t, os.WriteFile(path, nil, 0o600))
		},
		"the file was cut off": func(t *testing.T, path string) { must(t, os.Truncate(path, 10)) },
		"somebody else wrote to it": func(t *testing.T, path string) {
			file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = file.WriteString("{}\n")
			must(t, errors.Join(err, file.Close()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := newPath(t)
			l := open(t, path)
			must(t, l.Append(t.Context(), event("before")))
			spoil(t, path)
			for i := range 3 {
				if err := l.Append(t.Context(), event(fmt.Sprint("after", i))); !errors.Is(err, audit.ErrFailed) {
					t.Errorf("append %d: %v", i, err)
				}
			}
		})
	}
}

func TestAFullDiskStopsEverything(t *testing.T) {
	t.Parallel()
	l := open(t, newPath(t))
	must(t, l.Append(t.Context(), event("before")))
	audit.Break(l)
	for range 3 {
		if err := l.Append(t.Context(), event("after")); !errors.Is(err, audit.ErrFailed) {
			t.Fatalf("append on a broken disk: %v", err)
		}
	}
}

func TestARecordIsBounded(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := open(t, path)
	long := event("long")
	long.Detail = strings.Repeat("é", 100_000)
	must(t, l.Append(t.Context(), long))
	huge := event("huge")
	huge.Subject = strings.Repeat("x", 2<<20)
	if l.Append(t.Context(), huge) == nil {
		t.Error("a record of 2 MB was accepted")
	}
	must(t, l.Append(t.Context(), event("next")))
	must(t, l.Close())
	lines := readLines(t, path)
	if len(lines) != 2 || len(lines[0]) > 4<<10 {
		t.Errorf("%d lines, the first of %d bytes", len(lines), len(lines[0]))
	}
	if detail := decode(t, lines[0])["detail"].(string); strings.ContainsRune(detail, '\ufffd') {
		t.Error("the cut goes through a character")
	}
}

// What watches the process asks for it (GET /readyz).
func TestAFailedRecordIsNotReadyUntilTheNextStart(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	l := open(t, path)
	must(t, l.Append(t.Context(), event("r1")))
	if err := l.Ready(); err != nil {
		t.Fatalf("a record that is being written is not ready: %v", err)
	}
	must(t, os.Rename(path, path+".moved"))
	if err := l.Append(t.Context(), event("r2")); !errors.Is(err, audit.ErrFailed) {
		t.Fatalf("a record whose file is gone was accepted: %v", err)
	}
	must(t, os.Rename(path+".moved", path))
	for range 2 { // it stays so, although the file is back
		if err := l.Ready(); !errors.Is(err, audit.ErrFailed) {
			t.Errorf("ready: %v", err)
		}
	}
	must(t, l.Close())
	if err := open(t, path).Ready(); err != nil {
		t.Errorf("after a new start: %v", err)
	}
}

// An outcome does not keep its caller waiting, and is in its place all the same.
func TestWhatFollowsLaterIsInTheChain(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := audit.Open(audit.Config{File: file, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		id := fmt.Sprintf("R%d", i)
		if err := l.Append(t.Context(), audit.Event{RequestID: id, Event: "credentials"}); err != nil {
			t.Fatal(err)
		}
		if err := l.Later(audit.Event{RequestID: id, Event: "credentials", Outcome: audit.Granted}); err != nil {
			t.Fatal(err)
		}
	}
	count := func() int {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		s, err := audit.Verify(f)
		if err != nil {
			t.Fatal(err)
		}
		return s.Records
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 100 {
		t.Errorf("%d records after Flush, want 100", n)
	}
	if err := l.Later(audit.Event{RequestID: "last", Event: "credentials", Outcome: audit.Granted}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 101 {
		t.Errorf("%d records after Close, want 101", n)
	}
	if err := l.Later(audit.Event{RequestID: "late", Event: "credentials"}); !errors.Is(err, audit.ErrFailed) {
		t.Errorf("after Close: %v", err)
	}
}
