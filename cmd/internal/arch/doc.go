// Package arch holds the tests of the repository's own rules: who may import
// whom (docs/architecture.md), how large things may grow, and that every package
// says what it is. It has no code of its own.
package arch
