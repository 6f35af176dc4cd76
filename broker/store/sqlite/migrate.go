package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/rolecall/rolecall/broker/store"
)

// migrate brings the schema up to date in one transaction, which holds off other
// processes that start at the same time.
func migrate(ctx context.Context, db *sql.DB) (err error) {
	steps, err := store.Migrations("sqlite")
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return fmt.Errorf("take the store for a migration: %w", err)
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK") // err tells more
		}
	}()
	var version int
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return fmt.Errorf("read the schema's version: %w", err)
	}
	if version > len(steps) {
		return fmt.Errorf("its schema has version %d and this program knows %d: it was written by a newer rolecalld; start that one, or restore an older copy", version, len(steps))
	}
	for _, step := range steps[version:] {
		if _, err := conn.ExecContext(ctx, step.SQL); err != nil {
			return fmt.Errorf("migration %s: %w", step.Name, err)
		}
		if _, err := conn.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", step.Version)); err != nil {
			return fmt.Errorf("migration %s: %w", step.Name, err)
		}
	}
	if _, err := conn.ExecContext(ctx, "COMMIT"); err != nil {
		return fmt.Errorf("commit migrations: %w", err)
	}
	return nil
}
