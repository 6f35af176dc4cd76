// Package assemble is the only package that sees everything: it turns a
// configuration into a running daemon, and for `rolecalld dev` puts an identity
// provider and an AWS stand-in beside it. A new provider, store, vending mode or
// endpoint is one line here.
package assemble

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/operate"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/config"
)

// Options is what a daemon is made of beside its configuration.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Now    func() time.Time
	// AWS are the broker's own credentials; nil is the SDK's default chain.
	AWS aws.CredentialsProvider
}

// Daemon is a broker that is ready to serve.
type Daemon struct {
	Broker *broker.Broker
	// Bound is what orders wait for before they are at STS; its queue is a number to watch.
	Bound *vend.Bound

	options Options
	store   *sqlite.Store
	audit   *audit.Log
	tally   *audit.Tally
	sealer  *keys.Sealer
	keys    *keys.Keys
	account *account.Service
	desk    *operate.Desk
	revoked *revocation.List
	awsKeys *keys.Keys // nil unless some grant is of the mode web-identity
	edge    *endpoint.Edge
	refresh []func(context.Context) // metadata and the like, until the context ends
}

// New builds everything that needs no network: it opens the store and the audit
// file and reads keys; providers are reached when somebody signs in.
func New(ctx context.Context, options Options) (*Daemon, error) {
	d := &Daemon{options: options}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Daemon) start(ctx context.Context) error {
	if err := d.openState(ctx); err != nil {
		return err
	}
	generation, err := newGeneration(d.options, true, func() ([]crypto.Signer, error) { return d.samlKeys(ctx) })
	if err != nil {
		return err
	}
	d.refresh = generation.refresh
	return d.connect(ctx, generation)
}

// openState opens what outlives a request: store, audit, signing keys.
func (d *Daemon) openState(ctx context.Context) error {
	c := d.options.Config
	path := storePath(c)
	var err error
	if d.store, err = sqlite.Open(ctx, path); err != nil {
		return fmt.Errorf("store %s: %w", c.Store.Value, err)
	}
	file := auditFile(c)
	if d.audit, err = audit.Open(audit.Config{File: file, Now: d.options.Now, Log: d.options.Log}); err != nil {
		return fmt.Errorf("audit file %s: %w", file, err)
	}
	d.tally = audit.NewTally(d.audit.Append, d.options.Now)
	if d.sealer, err = keys.OpenSealer(filepath.Join(filepath.Dir(path), "rolecall.key")); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	return nil
}

// samlKeys are what AuthnRequests are signed with (sign_requests): kept in the
// store, so that all nodes have the same, and never rotated by themselves, because
// identity providers learn them by hand: nothing runs the rotation.
func (d *Daemon) samlKeys(ctx context.Context) ([]crypto.Signer, error) {
	kept := keys.New(keys.Config{Store: d.store, Sealer: d.sealer, Use: "saml", Now: d.options.Now, Log: d.options.Log})
	return kept.Signers(ctx, "RS256")
}

// auditFile is the daemon's chain.
func auditFile(c *config.Config) string {
	if c.Audit.File != "" {
		return c.Audit.File
	}
	return filepath.Join(filepath.Dir(storePath(c)), "audit.jsonl")
}

// storePath is the file behind sqlite:PATH.
func storePath(c *config.Config) string {
	path := c.Store.Value[len("sqlite:"):]
	if !filepath.IsAbs(path) && c.File != "" {
		path = filepath.Join(filepath.Dir(c.File), path)
	}
	return path
}

// Serve answers on the listener until ctx ends, then lets requests finish for
// at most ten seconds. The listener is closed when it returns.
func (d *Daemon) Serve(ctx context.Context, listener net.Listener) error {
	background, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	for _, run := range d.refresh {
		group.Go(func() { run(background) })
	}
	group.Go(func() { d.sweep(background) })
	group.Go(func() { d.keys.Run(background) })
	group.Go(func() { d.revoked.Run(background) })
	if d.awsKeys != nil {
		group.Go(func() { d.awsKeys.Run(background) })
	}
	group.Go(func() {
		d.tally.Run(background, func(err error) { d.options.Log.Error("record what the limits turned away", "error", err) })
	})
	return serveHTTP(ctx, listener, d.edge, d.options.Config.Server.TLS, d.options.Log)
}

// serveHTTP runs one bounded HTTP server until ctx ends.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, tls config.TLS, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() {
		if tls.Cert != "" {
			ended <- server.ServeTLS(listener, tls.Cert, tls.Key)
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		_ = listener.Close() // a certificate that cannot be read leaves it open
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := server.Shutdown(grace)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// sweep deletes what has expired, once a minute.
func (d *Daemon) sweep(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := d.store.Sweep(ctx, d.options.Now()); err != nil && ctx.Err() == nil {
				d.options.Log.Error("delete what has expired from the store", "error", err)
			}
		}
	}
}

// Close ends the audit file and the store. Serve must have returned.
func (d *Daemon) Close() error {
	var errs []error
	if d.audit != nil {
		errs = append(errs, d.audit.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	return errors.Join(errs...)
}

// Handler is the whole HTTP surface.
func (d *Daemon) Handler() http.Handler { return d.edge }

// ready reports whether orders can be filled: the store reads, the record is
// written. A record that has failed stays failed, so that what watches the
// process must start it again.
func (d *Daemon) ready(ctx context.Context) error {
	return errors.Join(d.audit.Ready(), d.store.Ping(ctx))
}

// edgeConfig is what the HTTP edge takes from the configuration.
func (d *Daemon) edgeConfig(public *url.URL) endpoint.Config {
	c := d.options.Config
	edge := endpoint.Config{URL: public, Log: d.options.Log, Now: d.options.Now, Ready: d.ready}
	for _, cidr := range c.Server.TrustedProxies {
		if prefix, err := netip.ParsePrefix(cidr.Value); err == nil { // judged by config
			edge.TrustedProxies = append(edge.TrustedProxies, prefix)
		}
	}
	names := []string{c.Issuer.URL.Value}
	for _, p := range c.Providers {
		names = append(names, p.ACSURL.Value)
	}
	for _, name := range names {
		if u, err := url.Parse(name); err == nil && u.Host != "" {
			edge.Hosts = append(edge.Hosts, u.Host)
		}
	}
	return edge
}
