// Package picker lets a person choose one of many on a terminal, by typing a few
// letters of it. What it shows goes away when the choice is made.
package picker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// ErrCancelled says that the person chose nothing.
var ErrCancelled = errors.New("nothing was chosen")

// Item is a choice; the person may type parts of both.
type Item struct{ Name, Note string }

// maxLines is how much of the screen is taken at most.
const maxLines = 14

// Pick shows the items and gives the index of the one chosen. Both files are the
// terminal. Colour says whether to use it.
func Pick(in, out *os.File, title string, items []Item, colour bool) (int, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return 0, fmt.Errorf("read keys of the terminal: %w", err)
	}
	defer func() { _ = term.Restore(int(in.Fd()), before) }()
	width, height, err := term.GetSize(int(out.Fd()))
	if err != nil || width < 20 || height < 4 {
		width, height = 80, 24
	}
	return run(in, out, newModel(title, items, width, min(height-2, maxLines), colour))
}

// run is the loop: draw, read keys, until there is an end.
func run(in io.Reader, out io.Writer, m *model) (int, error) {
	var b [256]byte
	for {
		if _, err := io.WriteString(out, m.view()); err != nil {
			return 0, err
		}
		n, err := in.Read(b[:])
		if err != nil {
			_, _ = io.WriteString(out, clear)
			return 0, ErrCancelled
		}
		if m.keys(string(b[:n])) {
			_, err := io.WriteString(out, clear)
			if err == nil && m.chosen < 0 {
				err = ErrCancelled
			}
			return m.chosen, err
		}
	}
}

// model is what the screen shows and what the keys change.
type model struct {
	title         string
	items         []Item
	width, height int
	colour        bool
	query         []rune
	found         []int // indexes of items, best first
	at, top       int   // the marked one and the first shown, in found
	chosen        int
}

func newModel(title string, items []Item, width, height int, colour bool) *model {
	m := &model{title: title, items: items, width: width, height: height, colour: colour, chosen: -1}
	m.search()
	return m
}

func (m *model) search() {
	m.found, m.at, m.top = Search(string(m.query), m.items), 0, 0
}

// sequences are what terminals send for keys, in their two modes.
var sequences = map[string]string{
	"\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down", "\x1b[5~": "page up", "\x1b[6~": "page down",
	"\x1b[H": "home", "\x1b[F": "end", "\x1bOH": "home", "\x1bOF": "end",
}

// keys takes what was read, which may be several keys, and reports the end.
func (m *model) keys(read string) bool {
	for read != "" {
		if read[0] == 0x1b {
			if read == "\x1b" {
				return true // Escape alone
			}
			n := sequenceLength(read)
			m.move(sequences[read[:n]])
			read = read[n:]
			continue
		}
		r := []rune(read)[0]
		read = strings.TrimPrefix(read, string(r))
		if m.key(r) {
			return true
		}
		if r == '\ufffd' { // a byte of no character: skip it
			read = strings.ToValidUTF8(read, "")
		}
	}
	return false
}

// sequenceLength is where an escape sequence ends.
func sequenceLength(s string) int {
	for i := 2; i < len(s); i++ {
		if s[i] >= 0x40 && s[i] <= 0x7e {
			return i + 1
		}
	}
	return len(s)
}

func (m *model) key(r rune) bool {
	switch r {
	case '\r', '\n':
		if len(m.found) > 0 {
			m.chosen = m.found[m.at]
			return true
		}
	case 0x03, 0x04: // Ctrl-C, Ctrl-D
		return true
	case 0x7f, 0x08:
		if len(m.query) > 0 {
			m.query = m.query[:len(m.query)-1]
			m.search()
		}
	case 0x15, 0x17: // Ctrl-U, Ctrl-W
		m.query = nil
		m.search()
	case 0x0e, '\t':
		m.move("down")
	case 0x10:
		m.move("up")
	default:
		if r >= ' ' && r != '\ufffd' && len(m.query) < 100 {
			m.query = append(m.query, r)
			m.search()
		}
	}
	return false
}

func (m *model) move(where string) {
	last, page := len(m.found)-1, m.height
	switch where {
	case "up":
		m.at--
	case "down":
		m.at++
	case "page up":
		m.at -= page
	case "page down":
		m.at += page
	case "home":
		m.at = 0
	case "end":
		m.at = last
	}
	m.at = max(min(m.at, last), 0)
	m.top = max(min(m.top, m.at), m.at-m.height+1)
}

// clear goes to the start of the line and empties the screen from there.
const clear = "\r\x1b[J"

// view draws a line to type in and the choices below it, and leaves the cursor
// in the first line.
func (m *model) view() string {
	var b strings.Builder
	b.WriteString(clear)
	b.WriteString(m.fit(fmt.Sprintf("%s: %s", m.title, string(m.query))))
	count := fmt.Sprintf("%d of %d", len(m.found), len(m.items))
	lines := 1
	for i := m.top; i < min(m.top+m.height, len(m.found)); i++ {
		item := m.items[m.found[i]]
		b.WriteString("\r\n" + m.line(i == m.at, item))
		lines++
	}
	b.WriteString("\r\n" + m.paint("\x1b[2m", m.fit("  "+count+" · type to search, arrows, Enter, Esc")))
	fmt.Fprintf(&b, "\x1b[%dA\r", lines)
	if column := min(len([]rune(m.title))+2+len(m.query), m.width-1); column > 0 {
		fmt.Fprintf(&b, "\x1b[%dC", column)
	}
	return b.String()
}

func (m *model) line(marked bool, item Item) string {
	mark := "  "
	if marked {
		mark = "> "
	}
	text := mark + item.Name
	if item.Note != "" {
		text += "  " + item.Note
	}
	text = m.fit(text)
	if marked {
		return m.paint("\x1b[7m", text)
	}
	return text
}

func (m *model) paint(colour, text string) string {
	if !m.colour {
		return text
	}
	return colour + text + "\x1b[0m"
}

// fit cuts a line to the screen, so that it never wraps.
func (m *model) fit(text string) string {
	if r := []rune(text); len(r) > m.width-1 {
		return string(r[:m.width-2]) + "…"
	}
	return text
}
