package client

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/zalando/go-keyring"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
	"github.com/rolecall/rolecall/config/secret"
)

func newVault(t *testing.T, pairs ...string) (vault, *bytes.Buffer) {
	t.Helper()
	env := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	var said bytes.Buffer
	s := settings.Settings{Dir: filepath.Join(t.TempDir(), "rolecall"), Profile: "default", URL: "https://sso.example.com"}
	return vault{s, func(name string) string { return env[name] }, &said}, &said
}

func newGrant(t *testing.T) grantKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return grantKey{secret.New("the-refresh-token"), key}
}

func keeps(t *testing.T, v vault) {
	t.Helper()
	want := newGrant(t)
	if err := v.saveKey(want); err != nil {
		t.Fatal(err)
	}
	got, err := v.loadKey()
	if err != nil || got.RefreshToken.Reveal() != want.RefreshToken.Reveal() || !got.Key.Equal(want.Key) {
		t.Errorf("read %v, %v", got, err)
	}
}

func onDisk(t *testing.T, v vault) string {
	t.Helper()
	text, err := os.ReadFile(v.settings.KeyFile())
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The keyring of the library is global, so this test is not parallel.
func TestSecretsAreInTheKeyringWhereThereIsOne(t *testing.T) {
	keyring.MockInit()
	for _, choice := range []string{"", "os"} {
		v, said := newVault(t, "ROLECALL_KEYRING", choice)
		keeps(t, v)
		if onDisk(t, v) != "" || said.Len() > 0 {
			t.Errorf("%q: a file %q, said %q", choice, onDisk(t, v), said)
		}
		if text, err := keyring.Get("rolecall", "default"); err != nil || !strings.Contains(text, "the-refresh-token") {
			t.Errorf("%q: the keyring has %q, %v", choice, text, err)
		}
		if err := v.forget(); err != nil {
			t.Error(err)
		}
		if _, err := keyring.Get("rolecall", "default"); !errors.Is(err, keyring.ErrNotFound) {
			t.Errorf("%q: not forgotten: %v", choice, err)
		}
		if _, err := v.loadKey(); !errors.Is(err, ErrSignedOut) {
			t.Errorf("%q: %v", choice, err)
		}
	}

	keyring.MockInitWithError(errors.New("no secret service"))
	v, said := newVault(t)
	keeps(t, v)
	keeps(t, v)
	if !strings.Contains(onDisk(t, v), "the-refresh-token") || strings.Count(said.String(), "no keyring here") != 1 {
		t.Errorf("without a keyring: a file %v, said %q; want one warning", onDisk(t, v) != "", said)
	}
	v, _ = newVault(t, "ROLECALL_KEYRING", "os")
	if err := v.saveKey(newGrant(t)); err == nil || !strings.Contains(err.Error(), "keyring does not answer") || onDisk(t, v) != "" {
		t.Errorf("ROLECALL_KEYRING=os without one: %v", err)
	}
	if _, err := v.loadKey(); err == nil || errors.Is(err, ErrSignedOut) {
		t.Errorf("ROLECALL_KEYRING=os without one, reading: %v", err)
	}
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes of a Unix system")
	}
	v, _ := newVault(t, "ROLECALL_KEYRING", "file")
	keeps(t, v)
	if err := v.saveAccess(access{secret.New("the-access-token"), "DPoP", time.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{
		v.settings.Dir: 0o700, filepath.Dir(v.settings.KeyFile()): 0o700, v.settings.KeyFile(): 0o600, v.settings.AccessFile(): 0o600,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(v.settings.Dir, "tokens", ".new-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAPassphraseEncryptsTheFile(t *testing.T) {
	t.Parallel()
	phrase := filepath.Join(t.TempDir(), "phrase")
	if err := os.WriteFile(phrase, []byte("correct horse\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v, _ := newVault(t, "ROLECALL_KEYRING", "file", "ROLECALL_PASSPHRASE_FILE", phrase)
	keeps(t, v)
	if text := onDisk(t, v); strings.Contains(text, "the-refresh-token") || !strings.HasPrefix(text, "age-encryption.org/v1\n") {
		t.Errorf("on disk: %.60q", text)
	}
	without := v
	without.getenv = func(string) string { return "" }
	if _, err := without.loadKey(); err == nil || !strings.Contains(err.Error(), "set ROLECALL_PASSPHRASE_FILE") {
		t.Errorf("without the passphrase: %v", err)
	}
	if err := v.settings.Remember(phrase); err != nil { // as a login does
		t.Fatal(err)
	}
	if _, err := without.loadKey(); err != nil {
		t.Errorf("a helper without the variable: %v", err)
	}
	if err := os.WriteFile(phrase, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := v.loadKey(); err == nil || !strings.Contains(err.Error(), "decrypt "+v.settings.KeyFile()) {
		t.Errorf("with another passphrase: %v", err)
	}
	if err := os.Remove(phrase); err != nil {
		t.Fatal(err)
	}
	if _, err := v.loadKey(); err == nil || !strings.Contains(err.Error(), "passphrase of the sign-in") {
		t.Errorf("when its file is gone: %v", err)
	}
}

// Tokens of one broker are never sent to another that took over the profile.
func TestSecretsOfAnotherBrokerAreNone(t *testing.T) {
	t.Parallel()
	v, _ := newVault(t, "ROLECALL_KEYRING", "file")
	keeps(t, v)
	if err := v.saveAccess(access{secret.New("a"), "DPoP", time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	v.settings.URL = "https://evil.example.com"
	if _, err := v.loadKey(); !errors.Is(err, ErrSignedOut) {
		t.Errorf("the key: %v", err)
	}
	if _, err := v.loadAccess(); !errors.Is(err, ErrSignedOut) {
		t.Errorf("the access token: %v", err)
	}
}

func TestDamagedFilesAreASignOut(t *testing.T) {
	t.Parallel()
	v, _ := newVault(t, "ROLECALL_KEYRING", "file")
	for _, text := range []string{"", "{", "{}", `{"url":"https://sso.example.com"}`, `{"url":"https://sso.example.com","refresh_token":"x","dpop_key":"AAAA"}`} {
		for _, file := range []string{v.settings.KeyFile(), v.settings.AccessFile()} {
			if err := settings.WriteFile(file, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := v.loadKey(); !errors.Is(err, ErrSignedOut) {
			t.Errorf("key file %q: %v", text, err)
		}
		if a, err := v.loadAccess(); err == nil && time.Now().Before(a.ExpiresAt) {
			t.Errorf("access file %q: a token", text)
		}
	}
}
