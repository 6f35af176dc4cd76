package marks_test

import (
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
