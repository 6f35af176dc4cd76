// Package keys is the keys that the broker signs with: RS256 and ES256, rotated
// with overlap, kept in the store so that every node signs and publishes the same.
//
// States of a key: published -> active (a day later, so that everybody who caches
// the key set has it) -> retired (its successor is active) -> dropped (when the
// last token that it signed has expired). The first keys of a new store are active
// at once: nobody can have cached anything yet. RSA keys take a good part of a
// second to make; New makes none, Run or the first use does.
//
// # What the sealing is worth
//
// Private keys are in the store sealed with AES-256-GCM under a key of their own in
// a file beside it (Sealer). Whoever gets the store alone (a backup, a copied
// database, a dump) has no signing key. Whoever can read both files, or the
// daemon's memory, or is root on the machine, has them all. Back the two up apart;
// without the key file the stored keys are lost.
package keys
