// Command reader is the least that an honest warm credential helper does, as a
// yardstick for the benchmark: read one sealed file, check its expiry, print it.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

type document struct {
	Version         int
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      time.Time
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run opens the file, or seals what stdin has where there is none yet.
func run(path string) error {
	key := sha256.Sum256([]byte("stands for a key of the keyring"))
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return err
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		return err
	}
	nonce := make([]byte, seal.NonceSize())
	if len(os.Args) > 2 {
		return os.WriteFile(path, seal.Seal(nil, nonce, []byte(os.Args[2]), nil), 0o600)
	}
	sealed, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := seal.Open(nil, nonce, sealed, nil)
	if err != nil {
		return err
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return err
	}
	if time.Until(d.Expiration) < time.Minute {
		return errors.New("expired")
	}
	out, err := json.Marshal(d)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(append(out, '\n'))
	return err
}
