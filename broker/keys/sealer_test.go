package keys_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rolecall/rolecall/broker/keys"
)

func TestSealedBytesOpenInTheirPlaceOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rolecall.key")
	a, err := keys.OpenSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := keys.OpenSealer(path)
	if err != nil {
		t.Fatal(err)
	}
	plain := []byte("a private key")
	sealed := a.Seal(plain, "here")
	if bytes.Contains(sealed, plain) {
		t.Error("it is readable")
	}
	if bytes.Equal(sealed, a.Seal(plain, "here")) {
		t.Error("two seals of the same are alike: a nonce came twice")
	}
	if got, err := again.Open(sealed, "here"); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("after a restart: %q, %v", got, err)
	}
	flipped := bytes.Clone(sealed)
	flipped[len(flipped)/2] ^= 1
	for name, test := range map[string]struct {
		sealer *keys.Sealer
		sealed []byte
		place  string
	}{
		"in another place":        {a, sealed, "there"},
		"with another key":        {newSealer(t), sealed, "here"},
		"after a bit was changed": {a, flipped, "here"},
		"cut off":                 {a, sealed[:len(sealed)-1], "here"},
		"nothing":                 {a, nil, "here"},
	} {
		if got, err := test.sealer.Open(test.sealed, test.place); !errors.Is(err, keys.ErrUnsealed) || got != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestTheKeyFileIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rolecall.key")
	if _, err := keys.OpenSealer(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o", info.Mode().Perm())
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("%d files are left, %v", len(entries), err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := keys.OpenSealer(path); err == nil || !strings.Contains(err.Error(), "0600") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
}

func TestADamagedKeyFileIsRefusedAndKept(t *testing.T) {
	t.Parallel()
	good := filepath.Join(t.TempDir(), "good.key")
	if _, err := keys.OpenSealer(good); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty": "", "cut off": string(text[:len(text)-5]), "something else": "-----BEGIN PRIVATE KEY-----\n",
		"a longer key": "rolecall-seal-1 " + strings.Repeat("A", 64) + "\n", "not base64": "rolecall-seal-1 marker-" + string(text[20:]),
	} {
		path := filepath.Join(t.TempDir(), "bad.key")
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := keys.OpenSealer(path)
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "marker") {
			t.Errorf("%s: the error quotes the file: %v", name, err)
		}
		if kept, err := os.ReadFile(path); err != nil || string(kept) != bad {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := keys.OpenSealer(filepath.Join(t.TempDir(), "no", "rolecall.key")); err == nil {
		t.Error("a key file in no folder was made")
	}
}

func TestProcessesThatStartAtOnceShareOneKey(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rolecall.key")
	sealers := make([]*keys.Sealer, 32)
	var group sync.WaitGroup
	for i := range sealers {
		group.Go(func() {
			var err error
			if sealers[i], err = keys.OpenSealer(path); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	sealed := sealers[0].Seal([]byte("x"), "here")
	for i, s := range sealers {
		if s == nil {
			continue
		}
		if _, err := s.Open(sealed, "here"); err != nil {
			t.Errorf("process %d has another key", i)
		}
	}
}
