// Package stswire is the wire form of AWS STS's query API: it reads calls,
// verifies their SigV4 signatures, and writes answers and errors as STS does.
// It decides nothing about who may have what. broker/endpoint/sts and
// broker/devaws both speak through it.
//
//	http.Request -> Read -> Call -> Verifier.Verify (signed actions) -> Call.AssumeRole ... -> WriteAnswer | WriteError
//
// Where real STS merges, guesses or tolerates, this package refuses: a request
// has one meaning, and the bytes whose signature was verified are those read.
//
// https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
package stswire
