package keys_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/store/sqlite"
)

func TestNodesShareASecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "rolecall.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	sealer, err := keys.OpenSealer(filepath.Join(dir, "rolecall.key"))
	if err != nil {
		t.Fatal(err)
	}
	got := make([][]byte, 16)
	var group sync.WaitGroup
	for i := range got {
		group.Go(func() {
			secret, err := keys.Shared(t.Context(), store, sealer, "dpop-nonce", time.Now())
			if err != nil {
				t.Error(err)
			}
			got[i] = secret
		})
	}
	group.Wait()
	for _, secret := range got {
		if len(secret) != 32 || !bytes.Equal(secret, got[0]) {
			t.Fatalf("secrets of %d and %d bytes differ", len(secret), len(got[0]))
		}
	}
	if other, err := keys.Shared(t.Context(), store, sealer, "other", time.Now()); err != nil || bytes.Equal(other, got[0]) {
		t.Errorf("another use has the same secret, or none: %v", err)
	}
	rows, err := store.Keys(t.Context(), "dpop-nonce")
	if err != nil || len(rows) != 1 || bytes.Contains(rows[0].Sealed, got[0]) {
		t.Errorf("%d rows, %v; the secret is sealed in them", len(rows), err)
	}
	elsewhere, err := keys.OpenSealer(filepath.Join(dir, "other.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Shared(t.Context(), store, elsewhere, "dpop-nonce", time.Now()); !errors.Is(err, keys.ErrUnsealed) {
		t.Errorf("with another key file: %v", err)
	}
}
