// Package idptest holds identity providers on loopback and builders of their
// evidence, for the tests of others: providers that can be told to misbehave in
// one chosen way, everything else being right.
package idptest
