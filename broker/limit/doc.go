// Package limit says how often somebody may ask: per client address and per
// person, each kind of request counted by itself. Arithmetic (GCRA, gcra.go) is
// pure and apart from what remembers (Memory, memory.go). Nobody is locked out:
// whoever waits may go on, so a stranger cannot lock a named user.
//
// README.md beside this file is for operators.
package limit
