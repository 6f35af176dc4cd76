package keys

import "context"

// Rotate is one round of Run.
func Rotate(ctx context.Context, k *Keys) error { return k.rotate(ctx) }

// Unseal opens a stored key.
func Unseal(s *Sealer, row Row) ([]byte, error) { return s.Open(row.Sealed, place(row)) }
