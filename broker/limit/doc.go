// Package limit says how often somebody may ask: per client address and per
// person, each kind of request counted by itself. Arithmetic (GCRA, gcra.go) is
// pure and apart from what remembers (Memory, memory.go). Nobody is locked out:
// whoever waits may go on, so a stranger cannot lock a named user.
//
//	Limiter   how often: sign-ins, token requests, orders          limit.go
//	Guesses   how often wrong: passwords and codes                 guess.go
//	Blocks    addresses that are kept out, for all nodes           blocks.go
//	Gate      how many at once: what costs much, with a queue      gate.go
//
// README.md beside this file is for operators.
package limit
