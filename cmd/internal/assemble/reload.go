package assemble

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/operate/insight"
	"github.com/rolecall/rolecall/config"
)

// generation builds a generation and connects it, ready to answer.
func (d *Daemon) generation(ctx context.Context, options Options, before *generation) (*generation, error) {
	g, err := newGeneration(options, true, func() ([]crypto.Signer, error) { return d.samlKeys(ctx) }, before)
	if err != nil {
		return nil, err
	}
	return g, g.connect(d)
}

// enter gives the generation that answers now, counted as its user.
func (d *Daemon) enter() *generation {
	for {
		g := d.current.Load()
		g.use.enter()
		if g == d.current.Load() {
			return g
		}
		g.use.leave() // another one has come meanwhile
	}
}

// Reload puts another configuration into force: providers, policy, how credentials
// are ordered for a grant, pages and endpoints. Providers whose sections are
// unchanged are carried over; requests that have begun end under the configuration
// that they began with. What is of the process stays as it is, and the log says
// what waits for a restart. Where load or the check of what it gives fails, the
// running configuration stays in force; the record comes first.
func (d *Daemon) Reload(ctx context.Context, load func() (*config.Config, error)) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	before := d.current.Load()
	loaded, err := load()
	if err != nil {
		return d.notReloaded(ctx, err)
	}
	options := d.options
	var waiting []string
	options.Config, waiting = keepProcess(before.options.Config, loaded)
	next, err := d.generation(ctx, options, before)
	if err != nil {
		return d.notReloaded(ctx, err)
	}
	certificate, err := certificateOf(options.Config)
	if err != nil {
		return d.notReloaded(ctx, err)
	}
	change := changeOf(before, next, waiting)
	if err := d.recordReload(ctx, audit.Granted, "", change); err != nil {
		return d.notReloaded(ctx, fmt.Errorf("the record of it cannot be written: %w", err))
	}
	d.certificate.Store(certificate)
	d.background.start(next)
	d.current.Store(next)
	d.refused.Store(nil)
	d.options.metrics.Reloaded(d.options.Now(), next.names(), false)
	d.options.Log.Info("configuration reloaded", "config", loaded.File, "digest", loaded.Digest, "change", change)
	for _, w := range slices.Concat(loaded.Warnings, next.warnings) {
		d.options.Log.Warn("configuration", "warning", w.Error())
	}
	if len(waiting) > 0 {
		d.options.Log.Warn("parts of the configuration wait for a restart", "sections", waiting)
	}
	d.background.run(func(ctx context.Context) { before.end(ctx, next) })
	return nil
}

// end waits until nobody uses a generation, and stops what the next one did not take over.
func (g *generation) end(ctx context.Context, next *generation) {
	select {
	case <-g.use.retire():
	case <-ctx.Done():
		return // the daemon's end stops all of it
	}
	for _, u := range g.upstreams {
		if u.stop != nil && !slices.Contains(next.upstreams, u) {
			u.stop()
		}
	}
}

// notReloaded says that the running configuration stays in force, and why.
func (d *Daemon) notReloaded(ctx context.Context, err error) error {
	d.options.metrics.Reloaded(d.options.Now(), nil, true)
	d.options.Log.Error("the configuration was not reloaded: the running one stays in force", "error", err)
	detail, _, _ := strings.Cut(err.Error(), "\n")
	if faults, ok := errors.AsType[config.Faults](err); ok {
		detail = fmt.Sprintf("%d faults, the first: %s", len(faults), detail)
	}
	d.refused.Store(&insight.NotTaken{At: d.options.Now(), Why: detail})
	return errors.Join(err, d.recordReload(ctx, audit.Refused, "invalid_configuration", detail))
}

func (d *Daemon) recordReload(ctx context.Context, outcome audit.Outcome, reason, detail string) error {
	return d.audit.Append(context.WithoutCancel(ctx), audit.Event{
		RequestID: "reload", Event: "config.reload", Via: "operator", Outcome: outcome, Reason: reason, Detail: detail,
	})
}

// keepProcess is a configuration to run now: the next one's, but what is of the
// process the running one's. It names the sections that wait for a restart.
func keepProcess(running, next *config.Config) (kept *config.Config, waiting []string) {
	merged := *next
	for _, section := range []struct {
		name string
		of   func(*config.Config) any
		keep func()
	}{
		{"server.url", func(c *config.Config) any { return c.Server.URL }, func() { merged.Server.URL = running.Server.URL }},
		{"server.listen", func(c *config.Config) any { return c.Server.Listen }, func() { merged.Server.Listen = running.Server.Listen }},
		{"server.tls", func(c *config.Config) any { return c.Server.TLS.Cert != "" }, func() { merged.Server.TLS = running.Server.TLS }},
		{"store", func(c *config.Config) any { return c.Store }, func() { merged.Store = running.Store }},
		{"issuer", func(c *config.Config) any { return c.Issuer }, func() { merged.Issuer = running.Issuer }},
		{"aws", awsOfProcess, func() {
			mode, outlive := merged.AWS.Mode, merged.AWS.OutliveSession
			merged.AWS = running.AWS
			merged.AWS.Mode, merged.AWS.OutliveSession = mode, outlive
		}},
		{"limits", func(c *config.Config) any { return c.Limits }, func() { merged.Limits = running.Limits }},
		{"metrics", func(c *config.Config) any { return c.Metrics }, func() { merged.Metrics = running.Metrics }},
		{"mail", func(c *config.Config) any { return c.Mail }, func() { merged.Mail = running.Mail }},
		{"audit", func(c *config.Config) any { return c.Audit.File }, func() { merged.Audit = running.Audit }},
	} {
		if config.Fingerprint(section.of(running)) != config.Fingerprint(section.of(next)) {
			section.keep()
			waiting = append(waiting, section.name)
		}
	}
	return &merged, waiting
}

// awsOfProcess is what the way to STS was made of.
func awsOfProcess(c *config.Config) any {
	a := c.AWS
	a.Mode, a.OutliveSession = config.Text{}, false
	return a
}

// changeOf says what a reload changes, for log and record.
func changeOf(before, next *generation, waiting []string) string {
	parts := []string{"digest " + next.options.Config.Digest + " (was " + before.options.Config.Digest + ")"}
	var kept, made, gone []string
	for _, u := range next.upstreams {
		if slices.Contains(before.upstreams, u) {
			kept = append(kept, u.Name)
		} else {
			made = append(made, u.Name)
		}
	}
	for _, u := range before.upstreams {
		if !slices.ContainsFunc(next.upstreams, func(n *upstream) bool { return n.Name == u.Name }) {
			gone = append(gone, u.Name)
		}
	}
	for _, list := range []struct {
		word  string
		names []string
	}{{"providers unchanged", kept}, {"providers new or changed", made}, {"providers gone", gone}, {"wait for a restart", waiting}} {
		if len(list.names) > 0 {
			parts = append(parts, list.word+": "+strings.Join(list.names, ", "))
		}
	}
	if before.policy.Digest() != next.policy.Digest() {
		parts = append(parts, "the policy changes")
	}
	return strings.Join(parts, "; ")
}
