package keys

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// secretBytes is the size of a shared secret.
const secretBytes = 32

// Shared gives a random secret that all nodes share, by the name of its use. Who
// asks first makes it; it is kept sealed, as signing keys are, and does not rotate.
func Shared(ctx context.Context, store Store, sealer *Sealer, use string, now time.Time) ([]byte, error) {
	rows, err := store.Keys(ctx, use)
	if err != nil {
		return nil, fmt.Errorf("shared secret %s: %w", use, err)
	}
	if len(rows) == 0 {
		var made [secretBytes]byte
		_, _ = rand.Read(made[:]) // never fails: crypto/rand ends the program instead
		row := Row{Use: use, Algorithm: "secret", Generation: 1, KID: rand.Text(), Active: now}
		row.Sealed = sealer.Seal(made[:], place(row))
		if _, err := store.AddKey(ctx, row); err != nil { // where another node was faster, theirs counts
			return nil, fmt.Errorf("keep the shared secret %s: %w", use, err)
		}
		if rows, err = store.Keys(ctx, use); err != nil || len(rows) == 0 {
			return nil, fmt.Errorf("shared secret %s: %d rows: %w", use, len(rows), err)
		}
	}
	plain, err := sealer.Open(rows[0].Sealed, place(rows[0]))
	if err != nil {
		return nil, fmt.Errorf("shared secret %w: restore the key file that belongs to this store", err)
	}
	return plain, nil
}
