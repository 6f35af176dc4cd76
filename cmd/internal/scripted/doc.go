// Package scripted plays people and processes for the tests that drive the real
// programs: a browser without JavaScript (cookies, redirects, forms), a person who
// signs in with it, and what a process writes.
package scripted
