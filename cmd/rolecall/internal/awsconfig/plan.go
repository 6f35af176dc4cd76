package awsconfig

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// Profile is a section that there should be.
type Profile struct {
	Name    string
	Command string // the value of credential_process
	Region  string // "" leaves it to the user
}

// Skipped is a profile that was left out, and why.
type Skipped struct{ Name, Why string }

// Changes is a plan: the text that the file should have, and what that means.
type Changes struct {
	Before, After                      []byte
	Added, Updated, Unchanged, Removed []string
	Skipped                            []Skipped
}

// Options of a plan.
type Options struct {
	// Owner is the rolecall profile whose sections these are.
	Owner string
	// Taken are profile names with static keys in the credentials file, which
	// would win over a section of ours.
	Taken []string
	// Prune removes sections of the owner that are not wanted any more.
	Prune bool
}

// Plan says how the text has to change so that the wanted profiles are there.
func (f *File) Plan(want []Profile, options Options) Changes {
	e := &edit{parsed: f.parsed, replace: map[int]string{}, after: map[int]string{}, remove: map[int]bool{}}
	e.Before = f.text
	for _, w := range want {
		e.want(w, options)
	}
	if options.Prune {
		for _, s := range f.parsed.sections {
			if s.owner == options.Owner && !slices.ContainsFunc(want, func(w Profile) bool { return w.Name == s.profile }) {
				e.prune(s)
			}
		}
	}
	e.After = e.text()
	return e.Changes
}

// edit collects changes of lines; text applies them.
type edit struct {
	*parsed
	Changes
	replace  map[int]string // the new text of a line
	after    map[int]string // text to put behind a line
	remove   map[int]bool
	appended []string
}

func (e *edit) want(w Profile, options Options) {
	if slices.Contains(options.Taken, w.Name) {
		e.skip(w.Name, "the credentials file has a profile of this name, which would win")
		return
	}
	for _, s := range e.sections {
		if s.profile != w.Name {
			continue
		}
		switch {
		case s.owner == "":
			e.skip(w.Name, fmt.Sprintf("line %d has a section of this name that is not ours", s.line+1))
		case s.owner != options.Owner:
			e.skip(w.Name, fmt.Sprintf("line %d has it for the rolecall profile %s", s.line+1, s.owner))
		default:
			e.update(s, w)
		}
		return
	}
	e.Added = append(e.Added, w.Name)
	lines := []string{"[profile " + w.Name + "]", markerStart + options.Owner + markerEnd, "credential_process = " + w.Command}
	if w.Region != "" {
		lines = append(lines, "region = "+w.Region)
	}
	e.appended = append(e.appended, strings.Join(lines, e.newline)+e.newline)
}

func (e *edit) skip(name, why string) { e.Skipped = append(e.Skipped, Skipped{name, why}) }

func (e *edit) update(s *section, w Profile) {
	changed := e.set(s, "credential_process", w.Command)
	if w.Region != "" && e.set(s, "region", w.Region) {
		changed = true
	}
	if changed {
		e.Updated = append(e.Updated, w.Name)
	} else {
		e.Unchanged = append(e.Unchanged, w.Name)
	}
}

// set gives an option its value and reports whether it had another.
func (e *edit) set(s *section, key, value string) bool {
	o, there := s.option(key)
	if !there {
		e.after[s.marker] += key + " = " + value + e.newline
		return true
	}
	if e.value(o) == value {
		return false
	}
	raw := string(e.lines[o.line])
	at := strings.IndexAny(raw, "=:") + 1
	at += len(raw[at:]) - len(strings.TrimLeft(raw[at:], " \t"))
	head := strings.TrimRight(raw[:at], "\r\n")
	e.replace[o.line] = head + value + raw[len(strings.TrimRight(raw, "\r\n")):]
	for i := o.line + 1; i < o.end; i++ {
		e.remove[i] = true
	}
	return true
}

// prune removes a section that holds nothing but what we wrote.
func (e *edit) prune(s *section) {
	for _, o := range s.options {
		if o.key != "credential_process" && o.key != "region" {
			e.skip(s.profile, fmt.Sprintf("no role of yours any more, but %s in line %d is not ours: remove the section yourself", o.key, o.line+1))
			return
		}
	}
	e.Removed = append(e.Removed, s.profile)
	last := s.marker
	for _, o := range s.options {
		last = max(last, o.end-1)
	}
	for i := s.line; i <= last; i++ {
		if text := bytes.TrimSpace(e.lines[i]); i == s.line || i == s.marker || len(text) > 0 && text[0] != '#' && text[0] != ';' {
			e.remove[i] = true
		}
	}
	if s.line > 0 && len(bytes.TrimSpace(e.lines[s.line-1])) == 0 {
		e.remove[s.line-1] = true // the blank line that came with it
	}
}

func (e *edit) text() []byte {
	var b bytes.Buffer
	for i, line := range e.lines {
		if e.remove[i] {
			continue
		}
		text, replaced := e.replace[i]
		if !replaced {
			text = string(line)
		}
		b.WriteString(text)
		if more := e.after[i]; more != "" {
			e.endLine(&b)
			b.WriteString(more)
		}
	}
	for _, section := range e.appended {
		if b.Len() > 0 {
			e.endLine(&b)
			b.WriteString(e.newline)
		}
		b.WriteString(section)
	}
	return b.Bytes()
}

func (e *edit) endLine(b *bytes.Buffer) {
	if !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteString(e.newline)
	}
}
