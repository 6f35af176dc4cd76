package marks_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker/marks"
	"github.com/rolecall/rolecall/broker/store/sqlite"
)

var start = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func newBook(t *testing.T, now func() time.Time) *marks.Book {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return marks.NewBook(store, now)
}

const account = "111122223333"

func TestAMarkIsKeptPerPerson(t *testing.T) {
	t.Parallel()
	b := newBook(t, func() time.Time { return start })
	if err := b.Put(t.Context(), "corp", "1", marks.Mark{Account: account, Label: "  prod \t eu ", Colour: "red", Favourite: true}); err != nil {
		t.Fatal(err)
	}
	for who, want := range map[[2]string]map[string]marks.Mark{
		{"corp", "1"}:  {account: {Account: account, Label: "prod eu", Colour: "red", Favourite: true}},
		{"corp", "2"}:  {},
		{"other", "1"}: {},
	} {
		got, err := b.Of(t.Context(), who[0], who[1])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Marks); diff != "" {
			t.Errorf("%v (-want +got):\n%s", who, diff)
		}
	}
}

func TestAMarkThatNobodyCouldReadIsRefused(t *testing.T) {
	t.Parallel()
	b := newBook(t, func() time.Time { return start })
	for name, m := range map[string]marks.Mark{
		"no account":         {Label: "x"},
		"a name for account": {Account: "production", Label: "x"},
		"a long label":       {Account: account, Label: strings.Repeat("é", 25)},
		"a control":          {Account: account, Label: "a\x00b"},
		"a turned text":      {Account: account, Label: "a\u202eb"},
		"bytes":              {Account: account, Label: "\xff"},
		"an unknown colour":  {Account: account, Colour: "#ff0000"},
		"a colour's case":    {Account: account, Colour: "Red"},
	} {
		if err := b.Put(t.Context(), "corp", "1", m); !errors.Is(err, marks.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := b.Favour(t.Context(), "corp", "1", "'; DROP", true); !errors.Is(err, marks.ErrInvalid) {
		t.Errorf("a favourite of no account: %v", err)
	}
	if err := b.Put(t.Context(), "corp", "1", marks.Mark{Account: account, Label: strings.Repeat("é", 24)}); err != nil {
		t.Errorf("24 characters: %v", err)
	}
}

func TestAStarChangesNothingElse(t *testing.T) {
	t.Parallel()
	b := newBook(t, func() time.Time { return start })
	for _, step := range []error{
		b.Put(t.Context(), "corp", "1", marks.Mark{Account: account, Label: "prod", Colour: "red"}),
		b.Favour(t.Context(), "corp", "1", account, true),
		b.Favour(t.Context(), "corp", "1", "444455556666", true),
		b.Favour(t.Context(), "corp", "1", "444455556666", false),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	got, err := b.Of(t.Context(), "corp", "1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]marks.Mark{account: {Account: account, Label: "prod", Colour: "red", Favourite: true}}, got.Marks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheRolesUsedLastAreNewestFirstAndFew(t *testing.T) {
	t.Parallel()
	now := start
	b := newBook(t, func() time.Time { return now })
	for _, role := range strings.Split("a b c d e f g h i j c", " ") {
		now = now.Add(time.Minute)
		if err := b.Use(t.Context(), "corp", "1", role); err != nil {
			t.Fatal(err)
		}
	}
	got, err := b.Of(t.Context(), "corp", "1")
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, r := range got.Recent {
		order = append(order, r.Role)
	}
	if want := "c j i h g f e d"; strings.Join(order, " ") != want {
		t.Errorf("got %v, want %s", order, want)
	}
	if !got.Recent[0].Used.Equal(now) {
		t.Errorf("used %v", got.Recent[0].Used)
	}
}

// counting counts what is written.
type counting struct {
	marks.Store
	written int
	err     error
}

func (c *counting) PutRecentRole(ctx context.Context, provider, subject string, r marks.Recent) error {
	c.written++
	if c.err != nil {
		return c.err
	}
	return c.Store.PutRecentRole(ctx, provider, subject, r)
}

func TestARoleThatIsFetchedAllDayIsWrittenNowAndThen(t *testing.T) {
	t.Parallel()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	now, kept := start, &counting{Store: store}
	b := marks.NewBook(kept, func() time.Time { return now })
	use := func(subject, role string) {
		t.Helper()
		if err := b.Use(t.Context(), "corp", subject, role); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 {
		use("1", "a")
		now = now.Add(time.Second)
	}
	if kept.written != 1 {
		t.Errorf("written %d times in 100 seconds", kept.written)
	}
	use("1", "b")
	use("1", "a")
	use("2", "a")
	if kept.written != 4 {
		t.Errorf("another role, the first one again and another person: written %d times", kept.written)
	}
	now = now.Add(5 * time.Minute)
	use("1", "a")
	if kept.written != 5 {
		t.Errorf("after five minutes: written %d times", kept.written)
	}
	got, err := b.Of(t.Context(), "corp", "1")
	if err != nil || len(got.Recent) != 2 || got.Recent[0].Role != "a" || !got.Recent[0].Used.Equal(now) {
		t.Errorf("%+v, %v", got.Recent, err)
	}
	kept.err = errors.New("down")
	if err := b.Use(t.Context(), "corp", "1", "c"); err == nil {
		t.Error("a store that is down is no error")
	}
	kept.err, now = nil, now.Add(time.Second)
	use("1", "c")
	if got, err := b.Of(t.Context(), "corp", "1"); err != nil || got.Recent[0].Role != "c" {
		t.Errorf("after it was down: %+v, %v", got.Recent, err)
	}
}
