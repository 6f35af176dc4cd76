package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/zalando/go-keyring"
)

// Probe is what can be learnt of a broker without a sign-in.
type Probe struct {
	Took time.Duration
	// Ahead is how far this machine's clock is before the broker's, half of the
	// way there and back taken off; the broker's is known to the second.
	Ahead time.Duration
}

// Probe asks the broker for its metadata.
func (c *Client) Probe(ctx context.Context) (Probe, error) {
	if _, err := c.discover(ctx); err != nil {
		return Probe{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.settings.URL+"/healthz", nil)
	if err != nil {
		return Probe{}, err
	}
	start := c.now()
	resp, err := c.http.Do(req)
	if err != nil {
		return Probe{}, c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	p := Probe{Took: c.now().Sub(start)}
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return p, fmt.Errorf("%s sends no time of day: %w", c.settings.URL, err)
	}
	p.Ahead = ahead(start.Add(p.Took/2), date)
	return p, nil
}

// ahead is the difference of the clocks, as far as it is more than the second
// that the broker's time is cut to.
func ahead(here, there time.Time) time.Duration {
	switch diff := here.Sub(there); {
	case diff < 0:
		return diff
	case diff < time.Second:
		return 0
	default:
		return diff - time.Second
	}
}

// Place says where the profile's refresh token and key are, or would be kept.
func (c *Client) Place() string {
	if !c.vault.useFile() {
		_, err := keyring.Get(keyringService, c.settings.Profile)
		if err == nil || errors.Is(err, keyring.ErrNotFound) {
			return "the system's keyring"
		}
		if c.vault.getenv("ROLECALL_KEYRING") == "os" {
			return "" // asked for, and not there
		}
	}
	phrase, err := c.vault.passphrase()
	switch text, read := os.ReadFile(c.settings.KeyFile()); {
	case err != nil:
		return ""
	case read == nil && encrypted(text), read != nil && phrase != "":
		return "an encrypted file"
	}
	return "a file that only you can read"
}
