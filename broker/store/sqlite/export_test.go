package sqlite

import "testing"

// WriterPragma reads a setting of the connection that writes, and closes the store.
func WriterPragma(t *testing.T, s *Store, name string) string {
	t.Helper()
	defer s.Close()
	value, err := write(t.Context(), s, func(tx *tx) (string, error) {
		var value string
		_, err := tx.query("PRAGMA "+name, nil, &value)
		return value, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// SetPragma sets a setting of the connection that writes.
func SetPragma(t *testing.T, s *Store, text string) {
	t.Helper()
	_, err := write(t.Context(), s, func(tx *tx) (int64, error) {
		var value int64
		_, err := tx.query("PRAGMA "+text, nil, &value)
		return value, err
	})
	if err != nil {
		t.Fatal(err)
	}
}
