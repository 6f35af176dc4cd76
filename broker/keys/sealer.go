package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	sealKeyBytes  = 32
	sealKeyPrefix = "rolecall-seal-1 "
)

// ErrUnsealed says that sealed bytes do not open: another key sealed them, they
// were changed, or they were moved to another place.
var ErrUnsealed = errors.New("it does not open with this key file")

// Sealer encrypts what the store keeps (AES-256-GCM with random nonces). It is
// safe for concurrent use.
type Sealer struct{ aead cipher.AEAD }

// OpenSealer reads the key file at path, or creates it, readable by its owner
// alone, with a new random key. Of processes that create it at once one wins, and
// all get its key.
func OpenSealer(path string) (*Sealer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := createSealKey(path); err != nil {
			return nil, fmt.Errorf("create the key file %s: %w", path, err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("key file %s: others may read it (mode %04o): the keys sealed with it may be known; "+
			"if they are not, chmod it to 0600", path, info.Mode().Perm())
	}
	key, err := parseSealKey(text)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w: restore it from a backup", path, err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead}, nil
}

func parseSealKey(text []byte) ([]byte, error) {
	encoded, ok := bytes.CutPrefix(text, []byte(sealKeyPrefix))
	if !ok {
		return nil, errors.New("it is not a key file of rolecall")
	}
	key, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSuffix(encoded, []byte("\n"))))
	if err != nil || len(key) != sealKeyBytes {
		return nil, errors.New("it is damaged") // the decoder's own error could quote the key
	}
	return key, nil
}

// createSealKey puts a whole, synced file in place by a link, which fails where
// somebody was faster; then theirs is the one that counts.
func createSealKey(path string) error {
	var key [sealKeyBytes]byte
	_, _ = rand.Read(key[:])                                          // never fails: crypto/rand ends the program instead
	file, err := os.CreateTemp(filepath.Dir(path), ".rolecall-key-*") // 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.WriteString(sealKeyPrefix + base64.StdEncoding.EncodeToString(key[:]) + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(file.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Seal encrypts plain. place says what it is and where it is kept; Open must name
// the same, so that sealed bytes cannot change places.
func (s *Sealer) Seal(plain []byte, place string) []byte {
	return s.aead.Seal(nil, nil, plain, []byte(place))
}

// Open decrypts what Seal gave for the same place.
func (s *Sealer) Open(sealed []byte, place string) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, sealed, []byte(place))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, ErrUnsealed)
	}
	return plain, nil
}
