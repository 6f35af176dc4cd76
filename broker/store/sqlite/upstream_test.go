package sqlite_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rolecall/rolecall/broker/store"
	"github.com/rolecall/rolecall/broker/store/sqlite"
)

// Sessions that an earlier version made are found by a provider's logout too.
func TestSessionsOfAnEarlierVersionHaveTheirProvidersNames(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rolecall.db")
	steps, err := store.Migrations("sqlite")
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	run := func(text string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), text, args...); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range steps[:2] {
		run(step.SQL)
		run(fmt.Sprintf("PRAGMA user_version = %d", step.Version))
	}
	for id, data := range map[string]string{
		"saml": `{"upstream":{"name_id":"alice","session_index":"_i"}}`,
		"oidc": `{"upstream":{"sid":"x"}}`,
		"odd":  "\x00 no JSON",
	} {
		run("INSERT INTO sessions (id, token, provider, subject, expires, seen, data) VALUES (?, ?, 'corp', 'alice', 1, 1, ?)", id, []byte(id), []byte(data))
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	rows, err := s.EndUpstream(t.Context(), "corp", "alice", []string{"_i"})
	if err != nil || len(rows) != 1 || rows[0].ID != "saml" {
		t.Errorf("ended %v, %v", rows, err)
	}
}
