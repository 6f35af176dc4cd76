package insight

import (
	"context"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/config"
)

// Configuration is the file as it runs.
type Configuration struct {
	File, Digest string
	// PolicyDigest covers what decisions depend on.
	PolicyDigest string
	Loaded       time.Time
	Warnings     []string
	NotTaken     *NotTaken
	Lines        []config.Line
}

// Configuration gives the file as it runs, with its defaults and without its secrets.
func (i *Insight) Configuration(ctx context.Context, caller broker.Caller) (Configuration, error) {
	if err := i.admit(ctx, caller); err != nil {
		return Configuration{}, err
	}
	running := i.cfg.Running()
	c := Configuration{
		File: running.Config.File, Digest: running.Config.Digest, PolicyDigest: running.Policy.Digest(), Loaded: running.Loaded, Lines: running.Config.Running(), NotTaken: running.NotTaken,
	}
	for _, w := range running.Warnings {
		c.Warnings = append(c.Warnings, w.Error())
	}
	return c, nil
}
