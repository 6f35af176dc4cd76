package operate_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/operate"
)

// found are the request ids of a search, without its own records.
func found(t *testing.T, d *desk, f operate.Filter) (string, operate.Records) {
	t.Helper()
	records, err := d.Search(t.Context(), deskOrigin, admin, f)
	check(t, err)
	var ids []string
	for _, r := range records.List {
		if !strings.HasPrefix(r.Event.Event, "admin.") {
			ids = append(ids, r.RequestID)
		}
	}
	return strings.Join(ids, " "), records
}

func TestEachFieldOfAFilterNarrows(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	for i, e := range []audit.Event{
		{Event: "credentials", Outcome: audit.Granted, Username: "Alice@example.com", Subject: "00u1", Role: "arn:aws:iam::111122223333:role/Admin", Address: "198.51.100.24"},
		{Event: "signin", Outcome: audit.Refused, Username: "bob", Address: "198.51.100.25", Reason: "expired"},
		{Event: "console", Outcome: audit.Granted, Username: "bob", Subject: "00u2", Role: "arn:aws:iam::111122223333:role/AdminOther", Address: "2001:db8::1"},
		{Event: "credentials", Outcome: audit.Failed, Username: "bob", Role: "arn:aws:iam::444455556666:role/Admin", Detail: `says "00u1"`},
	} {
		e.RequestID = fmt.Sprintf("R%d", i)
		check(t, d.log.Append(t.Context(), e))
	}
	for want, f := range map[string]operate.Filter{
		"R0":          {Person: "ALICE"},
		"R3 R2 R1":    {Person: "bob"},
		"R2":          {Person: "00u2"},
		"R0 ":         {Person: "00u1"},
		"R3 R0":       {Event: "credentials"},
		"R1":          {Outcome: "refused"},
		"R0  ":        {Role: "production/Admin"},
		"R3 R2 R0":    {Role: "role/admin"},
		"R1 R0":       {Address: "198.51.100."},
		"R2 ":         {Address: "2001:db8::1"},
		"R1 ":         {Request: "R1"},
		"":            {Request: `R1" or "`},
		"R3":          {Text: "444455556666"},
		"R3  ":        {Person: "bob", Event: "credentials", Outcome: "failed", Role: "Admin"},
		"R3 R2 R1 R0": {From: nine, Until: nine},
		" ":           {From: nine.Add(time.Second)},
		"  ":          {Until: nine.Add(-time.Second)},
	} {
		if got, records := found(t, d, f); got != strings.TrimSpace(want) || !records.Whole {
			t.Errorf("%+v: %s, want %s", f, got, want)
		}
	}
	_, last := found(t, d, operate.Filter{Event: "admin.audit", Text: "until"})
	if len(last.List) < 2 || !strings.Contains(last.List[len(last.List)-1].Detail, "2026-11-24T") {
		t.Errorf("recorded %+v", last.List)
	}
}

func TestPagesOfTheRecordGoBothWaysWhileSearchesAreAppended(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	for i := range 250 {
		check(t, d.log.Append(t.Context(), audit.Event{RequestID: fmt.Sprintf("R%03d", i), Event: "signin", Outcome: audit.Granted}))
	}
	first, a := found(t, d, operate.Filter{Event: "signin"})
	second, b := found(t, d, operate.Filter{Event: "signin", Before: a.Older})
	third, c := found(t, d, operate.Filter{Event: "signin", Before: b.Older})
	for name, page := range map[string]struct{ got, newest, oldest string }{"first": {first, "R249", "R150"}, "second": {second, "R149", "R050"}, "third": {third, "R049", "R000"}} {
		if !strings.HasPrefix(page.got, page.newest) || !strings.HasSuffix(page.got, page.oldest) {
			t.Errorf("%s: %s", name, page.got)
		}
	}
	if a.Newer != 0 || b.Newer == 0 || c.Newer == 0 || c.Older != 0 {
		t.Errorf("places: %d %d %d, %d", a.Newer, b.Newer, c.Newer, c.Older)
	}
	back, e := found(t, d, operate.Filter{Event: "signin", After: c.Newer})
	if back != second || e.Newer == 0 {
		t.Errorf("newer than the third: %s", back)
	}
	if again, _ := found(t, d, operate.Filter{Event: "signin", Before: e.Older}); again != third {
		t.Errorf("older again: %s", again)
	}
	front, g := found(t, d, operate.Filter{Event: "signin", After: e.Newer})
	if front != first || g.Newer == 0 {
		t.Errorf("newer than the second: %s", front)
	}
	if newest, h := found(t, d, operate.Filter{Event: "signin", After: g.Newer}); newest != first || h.Newer != 0 {
		t.Errorf("nothing newer: %s, %d", newest, h.Newer)
	}
	if _, err := d.Search(t.Context(), deskOrigin, admin, operate.Filter{Before: 7}); broker.CodeOf(err) != broker.InvalidRequest {
		t.Errorf("a place that is none: %v", err)
	}
}

func TestARecordIsReadWithItsChainAndThatIsARecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	check(t, d.log.Append(t.Context(), audit.Event{RequestID: "R1", Event: "signin", Outcome: audit.Granted}))
	check(t, d.log.Append(t.Context(), audit.Event{RequestID: "R2", Event: "signin", Outcome: audit.Granted}))
	_, records := found(t, d, operate.Filter{Request: "R2"})
	p, err := d.Entry(t.Context(), deskOrigin, admin, records.List[0].At)
	check(t, err)
	if p.Number != 2 || p.RequestID != "R2" || p.Followed != 1 || !p.Linked {
		t.Errorf("%+v", p)
	}
	if _, all := found(t, d, operate.Filter{Text: "record 2, request R2"}); len(all.List) == 0 {
		t.Error("reading it is no record")
	}
	if _, err := d.Entry(t.Context(), deskOrigin, admin, 3); broker.CodeOf(err) != broker.InvalidRequest {
		t.Errorf("no record: %v", err)
	}
	if _, err := d.Entry(t.Context(), deskOrigin, broker.Caller{}, 0); broker.CodeOf(err) != broker.AccessDenied {
		t.Errorf("somebody else: %v", err)
	}
}

func TestAnExportIsTheLinesThemselvesAndARecord(t *testing.T) {
	t.Parallel()
	d := newDesk(t, false)
	for i := range 150 {
		check(t, d.log.Append(t.Context(), audit.Event{RequestID: fmt.Sprintf("R%03d", i), Event: []string{"signin", "console"}[i%2], Outcome: audit.Granted}))
	}
	var lines []string
	more, err := d.Export(t.Context(), deskOrigin, admin, operate.Filter{Event: "signin"}, func(line []byte) error {
		lines = append(lines, string(line))
		return nil
	})
	check(t, err)
	if len(lines) != 75 || more {
		t.Fatalf("%d lines, more %t", len(lines), more)
	}
	var first struct {
		RequestID  string `json:"request_id"`
		Prev, Hash string
	}
	check(t, json.Unmarshal([]byte(lines[0]), &first))
	if first.RequestID != "R148" || len(first.Prev) != 64 || len(first.Hash) != 64 {
		t.Errorf("%+v", first)
	}
	if _, exports := found(t, d, operate.Filter{Event: "admin.export"}); len(exports.List) != 1 {
		t.Errorf("%d records of the export", len(exports.List))
	}
	gone := errors.New("the client went away")
	if _, err := d.Export(t.Context(), deskOrigin, admin, operate.Filter{}, func([]byte) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
	if _, err := d.Export(t.Context(), deskOrigin, broker.Caller{}, operate.Filter{}, nil); broker.CodeOf(err) != broker.AccessDenied {
		t.Errorf("somebody else: %v", err)
	}
	deaf := newDesk(t, true)
	if _, err := deaf.Export(t.Context(), deskOrigin, admin, operate.Filter{}, nil); broker.CodeOf(err) != broker.Unavailable {
		t.Errorf("without a record: %v", err)
	}
}
