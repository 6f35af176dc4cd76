package client

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/zalando/go-keyring"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
	"github.com/rolecall/rolecall/config/secret"
)

// ErrSignedOut says that the profile has no sign-in that still works.
var ErrSignedOut = errors.New("not signed in")

const keyringService = "rolecall"

// access is the access token as kept between calls.
type access struct {
	Token     secret.String
	Type      string // Bearer or DPoP
	ExpiresAt time.Time
}

// grantKey is what a refresh needs: the refresh token and the DPoP key that
// both tokens are bound to.
type grantKey struct {
	RefreshToken secret.String
	Key          *ecdsa.PrivateKey
}

// vault keeps a profile's secrets: the access token in a 0600 file, the rest in
// the system's keyring or, without one, in another 0600 file.
type vault struct {
	settings settings.Settings
	getenv   func(string) string
	stderr   io.Writer
}

func (v vault) loadAccess() (access, error) {
	text, err := os.ReadFile(v.settings.AccessFile())
	if errors.Is(err, fs.ErrNotExist) {
		return access{}, ErrSignedOut
	}
	if err != nil {
		return access{}, err
	}
	var kept accessFile
	if err := json.Unmarshal(text, &kept); err != nil || kept.URL != v.settings.URL {
		return access{}, ErrSignedOut
	}
	return access{secret.New(kept.AccessToken), kept.TokenType, kept.ExpiresAt}, nil
}

type accessFile struct {
	URL         string    `json:"url"`
	AccessToken string    `json:"access_token"`
	TokenType   string    `json:"token_type"`
	ExpiresAt   time.Time `json:"expires_at"`
}

func (v vault) saveAccess(a access) error {
	text, err := json.Marshal(accessFile{v.settings.URL, a.Token.Reveal(), a.Type, a.ExpiresAt})
	if err != nil {
		return err
	}
	return settings.WriteFile(v.settings.AccessFile(), text)
}

type keyFile struct {
	URL          string `json:"url"`
	RefreshToken string `json:"refresh_token"`
	DPoPKey      []byte `json:"dpop_key"` // PKCS #8
}

func (v vault) loadKey() (grantKey, error) {
	text, err := v.readSecret()
	if err != nil {
		return grantKey{}, err
	}
	var kept keyFile
	if err := json.Unmarshal(text, &kept); err != nil || kept.URL != v.settings.URL {
		return grantKey{}, ErrSignedOut
	}
	parsed, err := x509.ParsePKCS8PrivateKey(kept.DPoPKey)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok {
		return grantKey{}, ErrSignedOut
	}
	return grantKey{secret.New(kept.RefreshToken), key}, nil
}

func (v vault) saveKey(g grantKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(g.Key)
	if err != nil {
		return fmt.Errorf("encode the DPoP key: %w", err)
	}
	text, err := json.Marshal(keyFile{v.settings.URL, g.RefreshToken.Reveal(), der})
	if err != nil {
		return err
	}
	return v.writeSecret(text)
}

// useFile reports whether secrets go to a file: asked for, or already there
// because the machine had no keyring when the person signed in.
func (v vault) useFile() bool {
	switch v.getenv("ROLECALL_KEYRING") {
	case "file":
		return true
	case "os":
		return false
	}
	_, err := os.Stat(v.settings.KeyFile())
	return err == nil
}

func (v vault) readSecret() ([]byte, error) {
	if !v.useFile() {
		text, err := keyring.Get(keyringService, v.settings.Profile)
		if errors.Is(err, keyring.ErrNotFound) {
			return nil, ErrSignedOut
		}
		if err == nil {
			return []byte(text), nil
		}
		if v.getenv("ROLECALL_KEYRING") == "os" {
			return nil, fmt.Errorf("the system's keyring does not answer: %w", err)
		}
		return nil, ErrSignedOut
	}
	text, err := os.ReadFile(v.settings.KeyFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrSignedOut
	}
	if err != nil || !encrypted(text) {
		return text, err
	}
	phrase, err := v.passphrase()
	if err != nil {
		return nil, err
	}
	if phrase == "" {
		return nil, fmt.Errorf("%s is encrypted; set ROLECALL_PASSPHRASE_FILE", v.settings.KeyFile())
	}
	identity, err := age.NewScryptIdentity(phrase)
	if err != nil {
		return nil, err
	}
	plain, err := age.Decrypt(bytes.NewReader(text), identity)
	if err != nil {
		return nil, fmt.Errorf("decrypt %s: %w", v.settings.KeyFile(), err)
	}
	return io.ReadAll(plain)
}

func (v vault) writeSecret(text []byte) error {
	if !v.useFile() {
		err := keyring.Set(keyringService, v.settings.Profile, string(text))
		if err == nil {
			return nil
		}
		if v.getenv("ROLECALL_KEYRING") == "os" {
			return fmt.Errorf("the system's keyring does not answer: %w", err)
		}
		fmt.Fprintf(v.stderr, "rolecall: no keyring here; the sign-in is kept in %s, readable by you only.\n", v.settings.KeyFile())
	}
	phrase, err := v.passphrase()
	if err != nil {
		return err
	}
	if phrase != "" {
		if text, err = encrypt(text, phrase); err != nil {
			return err
		}
	}
	return settings.WriteFile(v.settings.KeyFile(), text)
}

func encrypted(text []byte) bool { return bytes.HasPrefix(text, []byte("age-encryption.org/")) }

// encrypt seals with a passphrase. The work factor takes some 50 ms: a refresh
// happens every ten minutes at most.
func encrypt(text []byte, phrase string) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(phrase)
	if err != nil {
		return nil, err
	}
	recipient.SetWorkFactor(15)
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, recipient)
	if err == nil {
		_, err = w.Write(text)
	}
	if err == nil {
		err = w.Close()
	}
	return sealed.Bytes(), err
}

func (v vault) passphrase() (string, error) {
	file := v.getenv("ROLECALL_PASSPHRASE_FILE")
	if file == "" {
		file = v.settings.PassphraseFile()
	}
	if file == "" {
		return "", nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the passphrase of the sign-in (ROLECALL_PASSPHRASE_FILE): %w", err)
	}
	return strings.TrimRight(string(text), "\r\n"), nil
}

// forget removes everything secret of the profile.
func (v vault) forget() error {
	var errs []error
	for _, file := range []string{v.settings.AccessFile(), v.settings.KeyFile()} {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if v.getenv("ROLECALL_KEYRING") != "file" {
		// Without a keyring there is nothing in it; any other failure leaves a token
		// that the broker has revoked.
		_ = keyring.Delete(keyringService, v.settings.Profile)
	}
	return errors.Join(errs...)
}
