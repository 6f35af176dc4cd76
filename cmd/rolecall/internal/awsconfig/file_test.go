package awsconfig

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func addAdmin(t *testing.T, path string) error {
	t.Helper()
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return f.Write(f.Plan([]Profile{admin}, mine))
}

func TestANewFileIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "home", ".aws", "config")
	if err := addAdmin(t, path); err != nil {
		t.Fatal(err)
	}
	file, err := os.Stat(path)
	folder, err2 := os.Stat(filepath.Dir(path))
	if err != nil || err2 != nil || runtime.GOOS != "windows" && (file.Mode().Perm() != 0o600 || folder.Mode().Perm() != 0o700) {
		t.Errorf("%v %v, %v %v", file.Mode(), folder.Mode(), err, err2)
	}
}

func TestModesAndLinksStay(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("modes of a Unix system")
	}
	dir := t.TempDir()
	target, link, chain := filepath.Join(dir, "dotfiles", "aws"), filepath.Join(dir, "config"), filepath.Join(dir, "chain")
	if err := os.Mkdir(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink("dotfiles/aws", link), os.Symlink(link, chain)); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o644, 0o640, 0o400} {
		write(t, target, "[default]\n", mode)
		if err := addAdmin(t, chain); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(target)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode %v, %v; want %v", info.Mode(), err, mode)
		}
		if to, err := os.Readlink(link); err != nil || to != "dotfiles/aws" {
			t.Errorf("the link became %q, %v", to, err)
		}
		if text, _ := os.ReadFile(target); !strings.Contains(string(text), admin.Name) {
			t.Errorf("the target was not written: %q", text)
		}
		if err := os.Remove(target); err != nil {
			t.Fatal(err)
		}
	}
	if err := addAdmin(t, chain); err != nil { // the link points to nothing
		t.Fatal(err)
	}
	if text, err := os.ReadFile(target); err != nil || !strings.Contains(string(text), admin.Name) {
		t.Errorf("a link to no file yet: %q, %v", text, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", ".config-rolecall-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestAHardLinkIsNotBroken(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("link counts of a Unix system")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "config")
	write(t, path, "[default]\n", 0o600)
	if err := os.Link(path, filepath.Join(dir, "other")); err != nil {
		t.Skip(err)
	}
	if err := addAdmin(t, path); err == nil || !strings.Contains(err.Error(), "2 hard links") {
		t.Errorf("%v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "[default]\n" {
		t.Errorf("the file became %q", text)
	}
}

func TestAFileThatSomebodyElseWroteMeanwhileIsNotOverwritten(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{"changed": "[default]\n", "made": ""} {
		path := filepath.Join(t.TempDir(), "config")
		if before != "" {
			write(t, path, before, 0o600)
		}
		f, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, "[theirs]\n", 0o600)
		if err := f.Write(f.Plan([]Profile{admin}, mine)); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v", name, err)
		}
		if text, _ := os.ReadFile(path); string(text) != "[theirs]\n" {
			t.Errorf("%s: the file became %q", name, text)
		}
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("%s: %d files", name, len(left))
		}
	}
}

func TestWhatIsNoFileIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder: %v", err)
	}
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	if errors.Join(os.Symlink(a, b), os.Symlink(b, a)) == nil {
		if _, err := Load(a); err == nil || !strings.Contains(err.Error(), "circle") {
			t.Errorf("a circle of links: %v", err)
		}
	}
	broken := filepath.Join(dir, "broken")
	write(t, broken, "nonsense\n", 0o600)
	if _, err := Load(broken); err == nil || !strings.Contains(err.Error(), broken+", line 1") || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("nonsense: %v", err)
	}
}

func TestNothingToDoWritesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "config")
	if err := addAdmin(t, path); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := addAdmin(t, path); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("the file was written again: %v", err)
	}
}
