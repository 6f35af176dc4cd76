package picker

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

var items = []Item{
	{"production/Admin", "111122223333"}, {"production/Developer", "111122223333"}, {"development/Developer", "444455556666"},
	{"sandbox/PowerUser", "777788889999"}, {"data-platform/ReadOnly", "222233334444"},
}

// script is a terminal that sends keys, one read each.
type script struct{ keys []string }

func (s *script) Read(b []byte) (int, error) {
	if len(s.keys) == 0 {
		return 0, io.EOF
	}
	n := copy(b, s.keys[0])
	s.keys = s.keys[1:]
	return n, nil
}

func TestKeysLeadToAChoice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		keys []string
		want string // "" is nothing
	}{
		{"Enter takes the first", []string{"\r"}, "production/Admin"},
		{"arrows move", []string{"\x1b[B", "\x1b[B", "\x1b[A", "\r"}, "production/Developer"},
		{"arrows in the other mode", []string{"\x1bOB", "\r"}, "production/Developer"},
		{"they stop at the ends", []string{"\x1b[A", "\x1b[F", "\x1b[B", "\r"}, "data-platform/ReadOnly"},
		{"pages and home", []string{"\x1b[6~", "\x1b[H", "\r"}, "production/Admin"},
		{"letters search", []string{"p", "o", "w", "\r"}, "sandbox/PowerUser"},
		{"all at once, as pasted", []string{"pow\r"}, "sandbox/PowerUser"},
		{"by the account's number", []string{"2222 ro\r"}, "data-platform/ReadOnly"},
		{"a letter is taken back", []string{"powx", "\x7f", "\r"}, "sandbox/PowerUser"},
		{"all are taken back", []string{"pow", "\x15", "\r"}, "production/Admin"},
		{"nothing found, nothing chosen", []string{"zzz\r", "\x1b"}, ""},
		{"Escape", []string{"pow", "\x1b"}, ""},
		{"Ctrl-C", []string{"\x03"}, ""},
		{"Ctrl-D", []string{"\x04"}, ""},
		{"the terminal goes away", nil, ""},
		{"Emacs moves", []string{"\x0e", "\x0e", "\x10", "\r"}, "production/Developer"},
		{"an unknown sequence is no text", []string{"\x1b[200~pow\x1b[201~", "\r"}, "sandbox/PowerUser"},
		{"bytes of no character", []string{"\xff\xfepow\r"}, "sandbox/PowerUser"},
		{"a search starts at the top again", []string{"\x1b[B", "\x1b[B", "d", "e", "v", "\r"}, "development/Developer"},
	} {
		var out strings.Builder
		at, err := run(&script{c.keys}, &out, newModel("Role", items, 80, 10, false))
		if c.want == "" {
			if !errors.Is(err, ErrCancelled) {
				t.Errorf("%s: %v, want nothing chosen", c.name, err)
			}
		} else if err != nil || items[at].Name != c.want {
			t.Errorf("%s: %v %v, want %s", c.name, at, err, c.want)
		}
		if !strings.HasSuffix(out.String(), clear) {
			t.Errorf("%s: the screen is left as it was", c.name)
		}
	}
}

func TestTheScreenFitsTheTerminal(t *testing.T) {
	t.Parallel()
	var many []Item
	for i := range 200 {
		many = append(many, Item{fmt.Sprintf("account-%03d/%s", i, strings.Repeat("Long", 30)), "note"})
	}
	for _, size := range [][2]int{{20, 2}, {40, 5}, {80, 14}} {
		m := newModel("Role", many, size[0], size[1], false)
		for range 50 {
			m.keys("\x1b[B")
		}
		lines := strings.Split(strings.TrimPrefix(m.view(), clear), "\r\n")
		if len(lines) != size[1]+2 {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, line := range lines[:len(lines)-1] {
			if utf8.RuneCountInString(line) >= size[0] {
				t.Errorf("%v: %q is too wide", size, line)
			}
		}
		if !strings.Contains(m.view(), "> account-050") {
			t.Errorf("%v: the marked line is not shown:\n%s", size, m.view())
		}
	}
}

func TestColourIsOnlyWhereItIsWanted(t *testing.T) {
	t.Parallel()
	if plain := newModel("Role", items, 80, 10, false).view(); strings.Contains(plain, "\x1b[7m") || strings.Contains(plain, "\x1b[0m") {
		t.Errorf("%q", plain)
	}
	if coloured := newModel("Role", items, 80, 10, true).view(); !strings.Contains(coloured, "\x1b[7m> production/Admin  111122223333\x1b[0m") {
		t.Errorf("%q", coloured)
	}
}

func TestTheBestMatchIsFirst(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"":              "production/Admin",
		"dev":           "development/Developer",
		"developer":     "production/Developer", // as good as the other, and before it
		"prod dev":      "production/Developer",
		"dev prod":      "production/Developer",
		"pd":            "production/Developer",
		"PADM":          "production/Admin",
		"ro":            "data-platform/ReadOnly",
		"dp":            "data-platform/ReadOnly",
		"7777":          "sandbox/PowerUser",
		"admin x":       "",
		"nimda":         "",
		"productionnn":  "",
		"111122223333 ": "production/Admin",
	} {
		found := Search(query, items)
		switch {
		case want == "" && len(found) > 0:
			t.Errorf("%q finds %s", query, items[found[0]].Name)
		case want != "" && (len(found) == 0 || items[found[0]].Name != want):
			t.Errorf("%q: %v, want %s", query, found, want)
		}
	}
}

func FuzzKeys(f *testing.F) {
	for _, s := range []string{"\x1b[A", "pow\r", "\x1b", "\xff", "\x1b[", "\x1bO", "é漢\x7f"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, keys string) {
		m := newModel("Role", items, 40, 3, true)
		m.keys(keys)
		if m.chosen >= len(items) || m.at < 0 || len(m.found) > 0 && m.at >= len(m.found) || m.top > m.at {
			t.Errorf("%q leads to %d, %d of %d", keys, m.chosen, m.at, len(m.found))
		}
		if view := m.view(); !utf8.ValidString(view) {
			t.Errorf("%q draws %q", keys, view)
		}
	})
}

func BenchmarkSearchOf10000Roles(b *testing.B) {
	var many []Item
	for i := range 10000 {
		many = append(many, Item{fmt.Sprintf("account-%d/Role%d", i/20, i%20), fmt.Sprint(100000000000 + i)})
	}
	for b.Loop() {
		Search("acc 12 role3", many)
	}
}
