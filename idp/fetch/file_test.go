package fetch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOnlyBoundedRegularFilesAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, size int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if data, err := ReadFile(write("fits", maxFile)); err != nil || len(data) != maxFile {
		t.Errorf("a file at the limit: %d bytes, %v", len(data), err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{
		write("large", maxFile+1):     "larger than 4 MiB",
		pipe:                          "not a regular file",
		"/dev/zero":                   "not a regular file",
		dir:                           "not a regular file",
		filepath.Join(dir, "missing"): "no such file",
	} {
		if data, err := ReadFile(path); err == nil || !strings.Contains(err.Error(), says) || data != nil {
			t.Errorf("%s: %d bytes, %v; want %q", path, len(data), err, says)
		}
	}
}
