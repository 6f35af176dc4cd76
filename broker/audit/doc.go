// Package audit is the record without which nothing is handed out: one JSON
// object a line, each with the hash of the line before it, in a file that one
// process owns. Append returns when the record is on the disk; whoever appends at
// the same time shares one sync. The intent of an order (an Event without an
// Outcome) must be appended before credentials leave; its outcome follows.
//
//	{"time":...,"request_id":...,"event":...,"outcome":...,...,"prev":"HEX","hash":"HEX"}
//
// hash is the SHA-256 of the line's own bytes before `,"hash":`; prev, among those
// bytes, is the hash of the line before, 64 zeros in the first. So Verify needs no
// second opinion on how JSON is written, and says at which line a record was
// edited, removed, inserted or moved.
//
// # What it cannot see
//
// The chain has no key. Whoever may write the file can cut records off at its end,
// or write all of it anew; neither shows in the file alone. It shows against what
// was noted elsewhere: Open and Close log the last hash, `rolecalld audit verify`
// prints it, and whoever ships lines to another machine as they come has them all.
//
// # After a crash
//
// A line without a newline at the end is a record that was being written: its
// Append never returned, so nothing was handed out on it. Open cuts it off and
// appends an "audit.recovered" record with its length and digest. A whole last
// line that is wrong is no work of ours: Open refuses, and nothing is touched.
// After a failed write or sync every later Append fails with ErrFailed until the
// process is started again.
package audit
