// Package store is the schema of what the broker remembers, and its migrations.
// The interfaces that a store satisfies belong to the packages that need them
// (session.Store, replay.Store, keys.Store); one folder beside this file is one
// store, and storetest holds all of them to the same behaviour.
//
// What a store promises: a method that returns nil has taken effect durably; each
// is atomic, also between nodes; a failing one has no effect on its neighbours;
// it never learns a secret, only hashes and sealed bytes.
//
// Migrations are numbered SQL files, embedded, applied in order and never changed
// once released. A store whose schema is newer than the program is refused.
package store

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

//go:embed migrations
var files embed.FS

// Migration is one step of the schema. It takes the version from Version-1 to Version.
type Migration struct {
	Version int
	Name    string
	SQL     string
}

// Migrations gives the steps for one dialect ("sqlite") in order, from 1 without gaps.
func Migrations(dialect string) ([]Migration, error) {
	dir := path.Join("migrations", dialect)
	entries, err := fs.ReadDir(files, dir)
	if err != nil {
		return nil, fmt.Errorf("migrations of %q: %w", dialect, err)
	}
	steps := make([]Migration, 0, len(entries))
	for i, entry := range entries { // sorted by name
		number, _, _ := strings.Cut(entry.Name(), "_")
		version, err := strconv.Atoi(number)
		if err != nil || version != i+1 {
			return nil, fmt.Errorf("migration %s: want number %04d", entry.Name(), i+1)
		}
		text, err := files.ReadFile(path.Join(dir, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", entry.Name(), err)
		}
		steps = append(steps, Migration{Version: version, Name: entry.Name(), SQL: string(text)})
	}
	return steps, nil
}
