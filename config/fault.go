package config

import (
	"fmt"
	"strings"
)

// Pos is a place in a configuration file. Line and Column count from 1; a zero
// Line means that the place is not known (a value made by a program).
type Pos struct {
	File   string
	Line   int
	Column int
}

// String is FILE:LINE, or FILE.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Text is a value that somebody else must judge, with its place.
type Text struct {
	Value string
	Pos   Pos
}

// String gives the value.
func (t Text) String() string { return t.Value }

// Fault is one mistake in a configuration.
type Fault struct {
	Pos     Pos
	Message string
}

// Error is FILE:LINE: MESSAGE.
func (f Fault) Error() string {
	if at := f.Pos.String(); at != "" {
		return at + ": " + f.Message
	}
	return f.Message
}

// Faults are all the mistakes found, in file order. A nil Faults is none;
// return Err() where an error is wanted.
type Faults []Fault

// Add records a mistake at a place.
func (f *Faults) Add(at Pos, format string, args ...any) {
	*f = append(*f, Fault{Pos: at, Message: fmt.Sprintf(format, args...)})
}

// Err is nil without faults, else the Faults.
func (f Faults) Err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

// Error lists every fault, a line each.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.Error()
	}
	return strings.Join(lines, "\n")
}

// beside says where p is to somebody who reads at.
func (p Pos) beside(at Pos) string {
	if p.File != at.File {
		return p.String()
	}
	return fmt.Sprintf("line %d", p.Line)
}
