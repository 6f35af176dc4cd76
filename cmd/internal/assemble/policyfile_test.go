package assemble

import (
	"path/filepath"
	"strings"
	"testing"
)

// A file without end, named by mistake, must not take the memory of the machine.
func TestAPolicyFileIsBounded(t *testing.T) {
	t.Parallel()
	if _, err := readPolicy("/dev/zero"); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("got %v", err)
	}
	path := filepath.Join(t.TempDir(), "policy.json")
	write(t, path, strings.Repeat(" ", maxPolicyFile), 0o600)
	if text, err := readPolicy(path); err != nil || len(text) != maxPolicyFile {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if _, err := readPolicy(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}
