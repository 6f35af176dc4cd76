package settings

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTheFolderIsTheFlagsThenTheEnvironmentsThenTheUsers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, env, want string }{{"/a", "/b", "/a"}, {"", "/b", "/b"}} {
		if s, err := Load(Flags{Dir: c.flag}, env("ROLECALL_CONFIG_DIR", c.env)); err != nil || s.Dir != c.want {
			t.Errorf("flag %q, environment %q: %q, %v", c.flag, c.env, s.Dir, err)
		}
	}
	base, err := os.UserConfigDir()
	if err != nil {
		t.Skip(err)
	}
	if s, err := Load(Flags{Profile: "nobody-has-this"}, env()); err != nil || s.Dir != filepath.Join(base, "rolecall") {
		t.Errorf("neither: %q, %v", s.Dir, err)
	}
}

func TestProfilesAreThoseOfThisFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if found, err := (Settings{Dir: dir}).Profiles(); err != nil || len(found) != 0 {
		t.Errorf("an empty folder: %v, %v", found, err)
	}
	for _, s := range []Settings{{dir, "work", "https://work.example.com"}, {dir, "default", "https://sso.example.com"}} {
		if err := s.Remember(""); err != nil {
			t.Fatal(err)
		}
	}
	for _, stray := range []string{".new-1.json", "a b.json", "note.txt"} {
		if err := os.WriteFile(filepath.Join(dir, "profiles", stray), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := (Settings{Dir: dir}).Profiles()
	want := []Settings{{dir, "default", "https://sso.example.com"}, {dir, "work", "https://work.example.com"}}
	if d := cmp.Diff(want, found); err != nil || d != "" {
		t.Errorf("%v %s", err, d)
	}
}

// A file that somebody edited must not send tokens in the clear.
func TestARememberedAddressIsCheckedAgain(t *testing.T) {
	t.Parallel()
	s := Settings{Dir: t.TempDir(), Profile: "default"}
	for text, ok := range map[string]bool{
		`{"url":"https://sso.example.com"}`: true, `{"url":"http://sso.example.com"}`: false, `{"url":"https://u:p@sso.example.com"}`: false, `{"url":""}`: true, `{}`: true,
	} {
		if err := WriteFile(s.ProfileFile(), []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Remembered(); (err == nil) != ok {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func TestThePassphrasesPlaceIsKeptAsAnAbsolutePath(t *testing.T) {
	t.Parallel()
	s := Settings{Dir: t.TempDir(), Profile: "default", URL: "https://sso.example.com"}
	if got := s.PassphraseFile(); got != "" {
		t.Errorf("before a sign-in: %q", got)
	}
	if err := s.Remember("phrase"); err != nil {
		t.Fatal(err)
	}
	here, err := filepath.Abs("phrase")
	if got := s.PassphraseFile(); err != nil || got != here {
		t.Errorf("%q, %v; want %q", got, err, here)
	}
	if err := s.Remember(""); err != nil || s.PassphraseFile() != "" {
		t.Errorf("a sign-in without one: %q, %v", s.PassphraseFile(), err)
	}
}

func TestALockIsForOne(t *testing.T) {
	t.Parallel()
	s := Settings{Dir: t.TempDir()}
	var inside, most atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			unlock, err := s.Lock(context.Background(), "test")
			if err != nil {
				t.Error(err)
				return
			}
			most.Store(max(most.Load(), inside.Add(1)))
			runtime.Gosched()
			inside.Add(-1)
			unlock()
		})
	}
	group.Wait()
	if most.Load() != 1 {
		t.Errorf("%d held it at once", most.Load())
	}
	unlock, err := s.Lock(t.Context(), "test")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Lock(ctx, "test"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another rolecall (test)") {
		t.Errorf("a second one: %v", err)
	}
	if other, err := s.Lock(t.Context(), "else"); err != nil {
		t.Errorf("a lock on something else: %v", err)
	} else {
		other()
	}
}

// Whoever reads while others write sees one whole file, old or new.
func TestAFileIsReplacedInOneStep(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "sub", "file")
	texts := map[string]bool{}
	for i := range 4 {
		texts[strings.Repeat(fmt.Sprint(i), 5000)] = true
	}
	var group sync.WaitGroup
	for text := range texts {
		group.Go(func() {
			for range 50 {
				if err := WriteFile(path, []byte(text)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Go(func() {
		for range 300 {
			if text, err := os.ReadFile(path); err == nil && !texts[string(text)] {
				t.Errorf("a part of a file, %d bytes", len(text))
			}
		}
	})
	group.Wait()
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	folder, err1 := os.Stat(filepath.Dir(path))
	file, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || folder.Mode().Perm() != 0o700 || file.Mode().Perm() != 0o600 {
		t.Errorf("modes %v %v", folder.Mode(), file.Mode())
	}
}

func TestAPlantedLinkOrFolderIsNotWrittenThrough(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim, link, folder := filepath.Join(dir, "victim"), filepath.Join(dir, "link"), filepath.Join(dir, "folder")
	if err := errors.Join(os.WriteFile(victim, []byte("mine"), 0o600), os.Symlink(victim, link), os.Mkdir(folder, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, folder} {
		if err := WriteFile(path, []byte("ours")); err == nil || !strings.Contains(err.Error(), "is not a regular file; remove it") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if text, _ := os.ReadFile(victim); string(text) != "mine" {
		t.Errorf("the victim has %q", text)
	}
}
