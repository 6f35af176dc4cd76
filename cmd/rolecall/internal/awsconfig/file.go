package awsconfig

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// File is a configuration file as it was read.
type File struct {
	// Path is the file itself, behind all links.
	Path   string
	mode   fs.FileMode
	exists bool
	text   []byte
	parsed *parsed
}

// ErrChanged says that somebody else wrote the file in the meantime.
var ErrChanged = errors.New("the file was changed by another program in the meantime; run the command again")

// Load reads a file, following links; one that is not there yet is empty.
func Load(path string) (*File, error) {
	target, err := follow(path)
	if err != nil {
		return nil, err
	}
	f := &File{Path: target, mode: 0o600}
	info, err := os.Stat(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", target)
	default:
		f.exists, f.mode = true, info.Mode().Perm()
		if f.text, err = os.ReadFile(target); err != nil {
			return nil, err
		}
	}
	if f.parsed, err = parse(f.text); err != nil {
		return nil, fmt.Errorf("%s, %w; it was left alone", path, err)
	}
	return f, nil
}

// follow resolves links; the last one may point to a file that is not there yet.
func follow(path string) (string, error) {
	for range 40 {
		to, err := os.Readlink(path)
		if err != nil { // not a link, or not there
			return path, nil
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return "", fmt.Errorf("%s: a circle of links", path)
}

// Profiles lists the names of the profiles that the file configures.
func (f *File) Profiles() []string {
	var names []string
	for _, s := range f.parsed.sections {
		if s.profile != "" {
			names = append(names, s.profile)
		}
	}
	return names
}

// Commands gives the credential_process of each section that an owner wrote.
func (f *File) Commands(owner string) map[string]string {
	found := map[string]string{}
	for _, s := range f.parsed.sections {
		if o, ok := s.option("credential_process"); ok && s.owner == owner {
			found[s.profile] = f.parsed.value(o)
		}
	}
	return found
}

// Write replaces the file in one step: another program reads the old text or the
// new one, never a part. Links to it and its mode stay.
func (f *File) Write(c Changes) error {
	if bytes.Equal(c.Before, c.After) {
		return nil
	}
	if n := hardLinks(f.Path); n > 1 {
		return fmt.Errorf("%s has %d hard links, which a replacement in one step would break; it was left alone (a symbolic link is fine)", f.Path, n)
	}
	dir := filepath.Dir(f.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fresh, err := os.CreateTemp(dir, ".config-rolecall-*")
	if err != nil {
		return err
	}
	err = errors.Join(f.fill(fresh, c.After), fresh.Close())
	if err == nil {
		err = f.unchanged()
	}
	if err == nil {
		err = os.Rename(fresh.Name(), f.Path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh.Name()))
	}
	return nil
}

func (f *File) fill(fresh *os.File, text []byte) error {
	if _, err := fresh.Write(text); err != nil {
		return err
	}
	if err := fresh.Chmod(f.mode); err != nil {
		return err
	}
	if f.exists {
		keepOwner(f.Path, fresh)
	}
	return fresh.Sync()
}

func (f *File) unchanged() error {
	now, err := os.ReadFile(f.Path)
	if errors.Is(err, fs.ErrNotExist) && !f.exists {
		return nil
	}
	if err == nil && (!f.exists || !bytes.Equal(now, f.text)) {
		return ErrChanged
	}
	return err
}
