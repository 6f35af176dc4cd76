// Package dpop is proof of possession (RFC 9449): a client shows with every
// request that it holds the private key to which its token is bound. Verify
// judges a proof that came in; a Prover makes proofs to send out.
//
// Nothing here does I/O. That a proof counts once is for the caller to see to:
// Proof.JTI and Proof.Until go into a replay cache.
package dpop
