package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colour says whether colours may be written to a stream (https://no-color.org).
func (t *tool) colour(w io.Writer) bool {
	return t.getenv("NO_COLOR") == "" && t.getenv("TERM") != "dumb" && isTerminal(w)
}

// Colours of the 16 that every terminal has in its own theme.
const (
	red, green, yellow, cyan, bold, plainly = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[1m", "\x1b[0m"
)

// paintDiff colours what is added and what goes.
func (t *tool) paintDiff(text []byte) []byte {
	if !t.colour(t.stdout) {
		return text
	}
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		colour := ""
		switch line[0] {
		case '+':
			colour = green
		case '-':
			colour = red
		case '@':
			colour = cyan
		}
		if colour == "" {
			b.Write(line)
			continue
		}
		b.WriteString(colour + strings.TrimSuffix(string(line), "\n") + plainly + "\n")
	}
	return b.Bytes()
}

// printable makes text of others harmless on a terminal: nothing in it moves the
// cursor, changes a colour or the direction of writing.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == unicode.ReplacementChar {
			return '?'
		}
		return r
	}, s)
}
