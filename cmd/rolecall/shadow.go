package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"

	"github.com/rolecall/rolecall/cmd/rolecall/internal/awsconfig"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
)

// unshadowed gives variables that hide the credentials of the default profile from
// the command: SDKs would take those before ours. It sees copies of the user's
// files without them; remove deletes the copies.
func (x *executing) unshadowed(ctx context.Context, s settings.Settings) (env []string, remove func(), err error) {
	view := copies{settings: s}
	for _, f := range []struct{ variable, name string }{{"AWS_CONFIG_FILE", "config"}, {"AWS_SHARED_CREDENTIALS_FILE", "credentials"}} {
		path, err := awsFile(x.getenv, f.variable, f.name)
		if err != nil {
			continue // no home, no file
		}
		file, err := awsconfig.Load(path)
		if err != nil {
			fmt.Fprintf(x.stderr, "rolecall: %v\n", err)
			continue
		}
		text, shadows := file.WithoutDefaultCredentials()
		if !shadows {
			continue
		}
		at, err := view.put(ctx, f.name, text)
		if err != nil {
			view.remove()
			return nil, func() {}, err
		}
		env = append(env, f.variable+"="+at)
		fmt.Fprintf(x.stderr, "rolecall: the default profile in %s has credentials of its own; the command does not see them.\n", path)
	}
	return env, view.remove, nil
}

// copies is a folder of one running exec. It is locked for as long as that lives,
// so that the next one may remove what a killed one left.
type copies struct {
	settings settings.Settings
	dir      string
	lock     *flock.Flock
}

func (c *copies) put(ctx context.Context, name string, text []byte) (string, error) {
	if c.dir == "" {
		if err := c.open(ctx); err != nil {
			return "", err
		}
	}
	path := filepath.Join(c.dir, name)
	return path, settings.WriteFile(path, text)
}

// open makes the folder. No other exec looks at folders meanwhile: one that is not
// locked yet would be taken for a leftover.
func (c *copies) open(ctx context.Context) error {
	done, err := c.settings.Lock(ctx, "exec")
	if err != nil {
		return err
	}
	defer done()
	c.sweep()
	dir, err := os.MkdirTemp(c.settings.Dir, "exec-*")
	if err != nil {
		return err
	}
	c.dir, c.lock = dir, flock.New(filepath.Join(dir, "lock"))
	_, err = c.lock.TryLock()
	return err
}

func (c *copies) sweep() {
	left, _ := filepath.Glob(filepath.Join(c.settings.Dir, "exec-*"))
	for _, dir := range left {
		lock := flock.New(filepath.Join(dir, "lock"))
		if free, err := lock.TryLock(); err == nil && free {
			_ = lock.Unlock()
			_ = os.RemoveAll(dir) // the next one tries again
		}
	}
}

func (c *copies) remove() {
	if c.lock != nil {
		_ = c.lock.Unlock()
	}
	if c.dir != "" {
		_ = os.RemoveAll(c.dir) // the next one sweeps
	}
}
