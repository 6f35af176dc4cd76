// Package awsconfig edits the configuration file of the AWS CLI and SDKs, which
// belongs to its user: it adds and keeps sections of its own, and every other
// byte stays what and where it was.
//
// The file is read as botocore reads it (Python's configparser), because that is
// the strictest of its readers: what the AWS CLI cannot parse is left alone.
//
//	Load -> File -> Plan(owner, profiles) -> Changes -> File.Write
package awsconfig

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// section is one [header] and the lines below it.
type section struct {
	header  string // as written between the brackets
	profile string // the profile it configures, "" for other kinds
	line    int    // of the header
	end     int    // the line after its last one
	options []option
	owner   string // the rolecall profile that wrote it, "" is somebody else
	marker  int    // line of the marker
}

// option is KEY = VALUE, on one line or with indented lines below it.
type option struct {
	key       string
	line, end int
}

// parsed is a text in lines, each with its line end, and what they mean.
type parsed struct {
	lines    [][]byte
	sections []*section
	newline  string
}

// SyntaxError says where a file cannot be read.
type SyntaxError struct {
	Line int
	Text string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

const markerStart, markerEnd = "# managed by rolecall configure (profile ", ")"

func parse(text []byte) (*parsed, error) {
	if err := readable(text); err != nil {
		return nil, err
	}
	p := &parsed{lines: bytes.SplitAfter(text, []byte("\n")), newline: "\n"}
	if last := len(p.lines) - 1; len(p.lines[last]) == 0 {
		p.lines = p.lines[:last]
	}
	if len(p.lines) > 0 && bytes.HasSuffix(p.lines[0], []byte("\r\n")) {
		p.newline = "\r\n"
	}
	r := reader{parsed: p, seen: map[string]int{}}
	for i := range p.lines {
		if err := r.line(i); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func readable(text []byte) error {
	line := func(at int) int { return 1 + bytes.Count(text[:at], []byte("\n")) }
	if bytes.HasPrefix(text, []byte("\xef\xbb\xbf")) {
		return &SyntaxError{1, "a byte order mark, which the AWS CLI cannot read; save the file without it"}
	}
	if at := bytes.IndexByte(text, 0); at >= 0 {
		return &SyntaxError{line(at), "a zero byte; this is not a text file in UTF-8"}
	}
	if at := bytes.IndexByte(bytes.ReplaceAll(text, []byte("\r\n"), []byte(" \n")), '\r'); at >= 0 {
		return &SyntaxError{line(at), "a carriage return in the middle of a line"}
	}
	for at := 0; at < len(text); {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 {
			return &SyntaxError{line(at), "not text in UTF-8"}
		}
		at += n
	}
	return nil
}

// reader follows configparser's rules line by line.
type reader struct {
	*parsed
	current *section
	indent  int            // of the option that may go on
	seen    map[string]int // section headers, and options of the current section
}

func (r *reader) line(i int) error {
	raw := string(r.lines[i])
	text := strings.TrimSpace(raw)
	indent := len(raw) - len(strings.TrimLeft(raw, " \t\f\v"))
	switch {
	case text == "":
	case text[0] == '#' || text[0] == ';':
		r.comment(i, text)
	case r.current != nil && len(r.current.options) > 0 && indent > r.indent:
		last := len(r.current.options) - 1
		r.current.options[last].end = i + 1
	case text[0] == '[' && strings.Contains(text[1:], "]"):
		return r.header(i, text)
	default:
		return r.option(i, indent, text)
	}
	if r.current != nil {
		r.current.end = i + 1
	}
	return nil
}

func (r *reader) comment(i int, text string) {
	if r.current == nil || r.current.owner != "" {
		return
	}
	if rest, ok := strings.CutPrefix(text, markerStart); ok {
		r.current.owner, _ = strings.CutSuffix(rest, markerEnd)
		r.current.marker = i
	}
}

func (r *reader) header(i int, text string) error {
	name := text[1:strings.LastIndexByte(text, ']')]
	if strings.TrimSpace(name) == "" {
		return &SyntaxError{i + 1, "a section without a name"}
	}
	if first, twice := r.seen["["+name]; twice {
		return &SyntaxError{i + 1, fmt.Sprintf("section [%.80s] is there twice, first in line %d", name, first)}
	}
	r.seen["["+name] = i + 1
	r.current = &section{header: name, profile: profileOf(name), line: i, end: i + 1}
	r.sections = append(r.sections, r.current)
	return nil
}

// profileOf is the name in [profile NAME] and [profile "NAME"]. A bare [NAME] is
// no profile to the AWS CLI, but it is to older readers.
func profileOf(header string) string {
	words := strings.Fields(header)
	switch {
	case len(words) == 1:
		return words[0]
	case len(words) >= 2 && words[0] == "profile":
		return strings.Trim(strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(header), "profile")), `"'`)
	}
	return ""
}

func (r *reader) option(i, indent int, text string) error {
	at := strings.IndexAny(text, "=:")
	switch {
	case r.current == nil:
		return &SyntaxError{i + 1, "text before the first [section]"}
	case at < 0:
		return &SyntaxError{i + 1, "neither a [section] nor KEY = VALUE"}
	case at == 0:
		return &SyntaxError{i + 1, "a value without a key"}
	}
	key := strings.ToLower(strings.TrimSpace(text[:at]))
	for _, other := range r.current.options {
		if other.key == key {
			return &SyntaxError{i + 1, fmt.Sprintf("%.80s is there twice in [%.80s], first in line %d", key, r.current.header, other.line+1)}
		}
	}
	r.current.options = append(r.current.options, option{key, i, i + 1})
	r.current.end = i + 1
	r.indent = indent
	return nil
}

// value is an option's value; continued lines are joined as they are.
func (p *parsed) value(o option) string {
	text := string(bytes.Join(p.lines[o.line:o.end], nil))
	return strings.TrimSpace(text[strings.IndexAny(text, "=:")+1:])
}

func (s *section) option(key string) (option, bool) {
	for _, o := range s.options {
		if o.key == key {
			return o, true
		}
	}
	return option{}, false
}
