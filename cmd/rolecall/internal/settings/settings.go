// Package settings knows where the CLI keeps its files and which profile of them
// is in use. A profile is one broker, signed in to as one person.
//
//	DIR/profiles/NAME.json   the broker's URL; nothing secret
//	DIR/locks/WHAT.lock      one process at a time
//	DIR/tokens/NAME.json     the access token, 0600
//	DIR/tokens/NAME.key      refresh token and DPoP key, 0600, only without a keyring
//	DIR/cache/NAME~*.json    role credentials, 0600
package settings

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

var profileName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

// DefaultProfile is the profile of whoever names none.
const DefaultProfile = "default"

// Settings is the folder and profile of one call.
type Settings struct {
	Dir     string
	Profile string
	// URL of the broker: the flag or environment, else what the last login used; "" is none.
	URL string
}

// Flags are what the command line says; empty fields fall back to the environment.
type Flags struct {
	Dir     string
	Profile string
	URL     string
}

// Load resolves flags, environment (ROLECALL_CONFIG_DIR, ROLECALL_PROFILE,
// ROLECALL_URL) and the profile's file, in this order.
func Load(flags Flags, getenv func(string) string) (Settings, error) {
	s := Settings{Dir: first(flags.Dir, getenv("ROLECALL_CONFIG_DIR")), Profile: first(flags.Profile, getenv("ROLECALL_PROFILE"), DefaultProfile)}
	if s.Dir == "" {
		base, err := os.UserConfigDir()
		if err != nil {
			return s, fmt.Errorf("no folder for settings: %w; set ROLECALL_CONFIG_DIR", err)
		}
		s.Dir = filepath.Join(base, "rolecall")
	}
	if !profileName.MatchString(s.Profile) {
		return s, fmt.Errorf("profile %q: a name has letters, digits, _ . and - only", s.Profile)
	}
	if given := first(flags.URL, getenv("ROLECALL_URL")); given != "" {
		clean, err := cleanURL(given)
		s.URL = clean
		return s, err
	}
	remembered, err := s.Remembered()
	s.URL = remembered
	return s, err
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// cleanURL accepts https, and http on a loopback address only.
func cleanURL(given string) (string, error) {
	u, err := url.Parse(given)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%q is not the address of a broker; it looks like https://sso.example.com", given)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return "", fmt.Errorf("%q: tokens are sent by https only (http on a loopback address)", given)
	}
	return u.Scheme + "://" + u.Host + strings.TrimSuffix(u.Path, "/"), nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && a.IsLoopback())
}

// profileFile is what a profile keeps that is not secret.
type profileFile struct {
	URL string `json:"url"`
	// PassphraseFile is where ROLECALL_PASSPHRASE_FILE pointed at the sign-in, so
	// that a helper that is started without it can still refresh.
	PassphraseFile string `json:"passphrase_file,omitempty"`
}

func (s Settings) read() (profileFile, error) {
	var p profileFile
	text, err := os.ReadFile(s.ProfileFile())
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return p, fmt.Errorf("%s: %w; delete it and sign in again", s.ProfileFile(), err)
	}
	return p, nil
}

// Remembered is the broker of the profile's last login, "" for none.
func (s Settings) Remembered() (string, error) {
	p, err := s.read()
	if err != nil || p.URL == "" {
		return "", err
	}
	return cleanURL(p.URL)
}

// Remember keeps the broker's URL, and where the passphrase is, for the profile.
func (s Settings) Remember(passphraseFile string) error {
	if passphraseFile != "" {
		abs, err := filepath.Abs(passphraseFile)
		if err != nil {
			return err
		}
		passphraseFile = abs
	}
	text, err := json.Marshal(profileFile{URL: s.URL, PassphraseFile: passphraseFile})
	if err != nil {
		return err
	}
	return WriteFile(s.ProfileFile(), append(text, '\n'))
}

// PassphraseFile is where the passphrase was at the sign-in, "" for none.
func (s Settings) PassphraseFile() string {
	p, err := s.read()
	if err != nil {
		return ""
	}
	return p.PassphraseFile
}

// Profiles lists the profiles that somebody signed in with, by name.
func (s Settings) Profiles() ([]Settings, error) {
	found, err := filepath.Glob(filepath.Join(s.Dir, "profiles", "*.json"))
	if err != nil {
		return nil, err
	}
	var profiles []Settings
	for _, path := range found {
		other := Settings{Dir: s.Dir, Profile: strings.TrimSuffix(filepath.Base(path), ".json")}
		if !profileName.MatchString(other.Profile) {
			continue
		}
		if other.URL, err = other.Remembered(); err != nil {
			return nil, err
		}
		profiles = append(profiles, other)
	}
	return profiles, nil
}

// Lock waits until this process alone does what, which is the same for all
// profiles. The kernel drops a lock with its process.
func (s Settings) Lock(ctx context.Context, what string) (unlock func(), err error) {
	dir := filepath.Join(s.Dir, "locks")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(dir, what+".lock"))
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, fmt.Errorf("wait for another rolecall (%s): %w", what, err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// ProfileFile is where the profile is kept.
func (s Settings) ProfileFile() string { return s.path("profiles", ".json") }

func (s Settings) path(folder, end string) string {
	return filepath.Join(s.Dir, folder, s.Profile+end)
}

// AccessFile is where the access token is kept.
func (s Settings) AccessFile() string { return s.path("tokens", ".json") }

// KeyFile is where refresh token and DPoP key are kept without a keyring.
func (s Settings) KeyFile() string { return s.path("tokens", ".key") }

// LockFile serialises refreshes of the profile.
func (s Settings) LockFile() string { return s.path("tokens", ".lock") }

// CacheDir holds role credentials of all profiles.
func (s Settings) CacheDir() string { return filepath.Join(s.Dir, "cache") }

// WriteFile replaces a file in one step: readable by its owner only, in a folder
// that is too, never through a link that somebody planted.
func WriteFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file; remove it", path)
	}
	f, err := os.CreateTemp(dir, ".new-*") // 0600, O_EXCL
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
