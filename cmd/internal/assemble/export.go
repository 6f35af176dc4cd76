package assemble

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/store/sqlite"
)

// ExportIssuer writes what the issuer publishes as files below dir, for a broker
// that AWS cannot reach: discovery, keys, and with the mode saml the metadata for
// accounts. It acts on the store alone, beside a running daemon, and makes keys
// that are missing.
func ExportIssuer(ctx context.Context, options Options, dir string) (written []string, err error) {
	d := &Daemon{options: options}
	path := storePath(options.Config)
	if d.store, err = sqlite.Open(ctx, path); err != nil {
		return nil, fmt.Errorf("store %s: %w", options.Config.Store.Value, err)
	}
	defer func() { err = errors.Join(err, d.store.Close()) }()
	if d.sealer, err = keys.OpenSealer(filepath.Join(filepath.Dir(path), "rolecall.key")); err != nil {
		return nil, fmt.Errorf("key file: %w", err)
	}
	d.openKeys()
	published, err := d.newIssuer(options.Config)
	if err != nil {
		return nil, err
	}
	files := []exported{
		{".well-known/openid-configuration", published.Discovery},
		{".well-known/jwks.json", published.JWKS},
	}
	if uses(options.Config, "saml") {
		files = append(files, exported{"saml-metadata.xml", d.newAssertions().Metadata})
	}
	for _, f := range files {
		text, err := f.text(ctx)
		if err != nil {
			return written, err
		}
		to := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := writeWhole(to, text); err != nil {
			return written, err
		}
		written = append(written, to)
	}
	return written, nil
}

type exported struct {
	name string
	text func(ctx context.Context) ([]byte, error)
}

// writeWhole puts a public file in its place in one step, so that whoever serves
// the folder never serves half of it.
func writeWhole(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // public
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".export-*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Close()) //nolint:gosec // public
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
