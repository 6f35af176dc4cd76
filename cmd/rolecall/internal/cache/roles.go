package cache

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// rolesFile is the list of a person's roles as it was last seen, so that a shell
// can complete their names without a wait.
type rolesFile struct {
	URL   string    `json:"url"`
	Seen  time.Time `json:"seen"`
	Names []string  `json:"names"`
}

func (c Cache) rolesPath() string {
	return filepath.Join(c.Settings.CacheDir(), c.Settings.Profile+"~roles.json")
}

// KeepRoles remembers the names of the person's roles.
func (c Cache) KeepRoles(names []string) error {
	text, err := json.Marshal(rolesFile{c.Settings.URL, c.Now(), names})
	if err != nil {
		return err
	}
	return settings.WriteFile(c.rolesPath(), text)
}

// Roles gives the names as they were at most age ago.
func (c Cache) Roles(age time.Duration) ([]string, bool) {
	var f rolesFile
	text, err := os.ReadFile(c.rolesPath())
	if err != nil || json.Unmarshal(text, &f) != nil || f.URL != c.Settings.URL {
		return nil, false
	}
	old := c.Now().Sub(f.Seen)
	return f.Names, old >= 0 && old <= age
}
