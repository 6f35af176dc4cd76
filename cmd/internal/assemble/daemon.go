// Package assemble is the only package that sees everything: it turns a
// configuration into a running daemon, and for `rolecalld dev` puts an identity
// provider and an AWS stand-in beside it. A new provider, store, vending mode or
// endpoint is one line here.
package assemble

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/keys"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/mail"
	"github.com/rolecall/rolecall/broker/operate/insight"
	"github.com/rolecall/rolecall/broker/replay"
	"github.com/rolecall/rolecall/broker/revocation"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/cmd/internal/metrics"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/dpop"
)

// Options is what a daemon is made of beside its configuration.
type Options struct {
	Config *config.Config
	Log    *slog.Logger
	Now    func() time.Time
	// AWS are the broker's own credentials; nil is the SDK's default chain.
	AWS aws.CredentialsProvider

	// Mail sends letters where the configuration names no mail server; nil sends none.
	Mail mail.Sender

	metrics *metrics.Metrics // of a daemon; nil in a check
	daemon  *Daemon          // whose configuration it is; nil in a check
}

// Daemon is a broker that is ready to serve: what lives as long as the process, and
// the generation that answers now.
type Daemon struct {
	// Bound is what orders wait for before they are at STS; its queue is a number to watch.
	Bound *vend.Bound

	options     Options
	store       *sqlite.Store
	audit       *audit.Log
	tally       *audit.Tally
	sealer      *keys.Sealer
	keys        *keys.Keys
	awsKeys     *keys.Keys // asked for keys by generations with the mode web-identity only
	revoked     *revocation.List
	limiter     *limit.Limiter
	blocks      *limit.Blocks
	blocking    bool           // offences count
	counts      *limit.Memory  // of apps and their devices
	nonces      *dpop.Nonces   // of proofs of devices
	proofs      *replay.Window // that have been used
	deviceTries *limit.Limiter
	guard       broker.Guard // before passwords
	outbox      *mail.Outbox // nil without mail
	vendor      vend.Vendor
	federation  broker.Federation

	certificate atomic.Pointer[tls.Certificate] // nil without TLS
	current     atomic.Pointer[generation]
	reloading   sync.Mutex
	damage      atomic.Pointer[error]            // of the store, once it is known
	refused     atomic.Pointer[insight.NotTaken] // the last reload, where that failed
	background  background
}

// New builds everything that needs no network: it opens the store and the audit
// file and reads keys; providers are reached when somebody signs in.
func New(ctx context.Context, options Options) (*Daemon, error) {
	options.metrics = metrics.New()
	d := &Daemon{options: options}
	d.options.daemon = d
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Daemon) start(ctx context.Context) error {
	if err := d.openState(ctx); err != nil {
		return err
	}
	if err := d.openVendor(ctx); err != nil {
		return err
	}
	certificate, err := certificateOf(d.options.Config)
	if err != nil {
		return err
	}
	d.certificate.Store(certificate)
	g, err := d.generation(ctx, d.options, nil)
	if err != nil {
		return err
	}
	d.current.Store(g)
	d.options.metrics.Started(d.options.Now(), g.names())
	return nil
}

// openState opens what outlives a request: store, audit, signing keys.
func (d *Daemon) openState(ctx context.Context) error {
	c, o := d.options.Config, d.options
	path := storePath(c)
	var err error
	if d.store, err = sqlite.Open(ctx, path); err != nil {
		return fmt.Errorf("store %s: %w", c.Store.Value, err)
	}
	file := auditFile(c)
	if d.audit, err = audit.Open(audit.Config{File: file, Now: o.Now, Log: o.Log, Observe: d.observe}); err != nil {
		return fmt.Errorf("audit file %s: %w", file, err)
	}
	d.tally = audit.NewTally(d.audit.Append, o.Now)
	if d.sealer, err = keys.OpenSealer(filepath.Join(filepath.Dir(path), "rolecall.key")); err != nil {
		return fmt.Errorf("key file: %w", err)
	}
	d.openKeys()
	limits := limit.Config{PerAddress: c.Limits.PerAddress, PerSubject: c.Limits.PerSubject, Now: o.Now}
	if err := d.openBlocks(ctx); err != nil {
		return err
	}
	limits.Blocked = d.blocks.Until
	d.limiter = limit.New(limits)
	d.deviceTries = newDeviceTries(o)
	if err := d.openProofs(ctx); err != nil {
		return err
	}
	if err := d.openPeople(); err != nil {
		return err
	}
	d.revoked = revocation.New(d.store, o.Log)
	return d.revoked.Poll(ctx)
}

// openKeys makes the signing keys of the store; nothing is read yet.
func (d *Daemon) openKeys() {
	of := func(use string) *keys.Keys {
		return keys.New(keys.Config{Store: d.store, Sealer: d.sealer, Use: use, Now: d.options.Now, Log: d.options.Log})
	}
	d.keys, d.awsKeys = of(""), of("aws")
}

// certificateOf is the certificate that the listener shows; nil is none.
func certificateOf(c *config.Config) (*tls.Certificate, error) {
	if c.Server.TLS.Cert == "" {
		return nil, nil
	}
	certificate, err := c.Server.TLS.Load()
	if err != nil {
		return nil, fmt.Errorf("server.tls: the certificate cannot be used: %w", err)
	}
	return &certificate, nil
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
	defer d.background.begin(ctx)()
	for _, run := range []func(context.Context){
		d.sweep, d.keys.Run, d.checkStore, d.revoked.Run, d.blocks.Run, d.runAWSKeys, d.runOutbox,
		func(ctx context.Context) {
			d.tally.Run(ctx, func(err error) { d.options.Log.Error("record what the limits turned away", "error", err) })
		},
	} {
		d.background.run(run)
	}
	d.reloading.Lock()
	d.background.start(d.current.Load())
	d.reloading.Unlock()
	var certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	if d.certificate.Load() != nil {
		certificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return d.certificate.Load(), nil }
	}
	return serveHTTP(ctx, listener, d.Handler(), certificate, d.options.Log)
}

// runAWSKeys rotates the keys for AWS where some grant needs them.
func (d *Daemon) runAWSKeys(ctx context.Context) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for !uses(d.current.Load().options.Config, "web-identity") {
		select {
		case <-ctx.Done():
			return
		case <-tick.C: // a reload may bring the first such grant
		}
	}
	d.awsKeys.Run(ctx)
}

// serveHTTP runs one bounded HTTP server until ctx ends; with a certificate it
// speaks TLS.
func serveHTTP(ctx context.Context, listener net.Listener, handler http.Handler, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), log *slog.Logger) error {
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
		if certificate != nil {
			server.TLSConfig = &tls.Config{GetCertificate: certificate}
			ended <- server.ServeTLS(listener, "", "")
			return
		}
		ended <- server.Serve(listener)
	}()
	select {
	case err := <-ended:
		_ = listener.Close()
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

// revoke keeps a revocation for all nodes, and knows of it here before it returns.
func (d *Daemon) revoke(ctx context.Context, r revocation.Revocation) (int64, error) {
	number, err := d.store.AddRevocation(ctx, r)
	if err == nil {
		err = d.revoked.Poll(ctx)
	}
	return number, err
}

// checkStore looks for damage in the store at the start and once a day, beside
// everything else. A damaged one is for operators: nothing is ready until then.
func (d *Daemon) checkStore(ctx context.Context) {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		err := d.store.Check(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, sqlite.ErrDamaged):
			d.damage.Store(&err)
			d.options.Log.Error("not ready from now on", "store", d.options.Config.Store.Value, "error", err)
		case err != nil:
			d.options.Log.Error("look for damage in the store", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
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

// Broker is the broker of the generation that answers now.
func (d *Daemon) Broker() *broker.Broker { return d.current.Load().broker }

// Handler is the whole HTTP surface. A request keeps the generation that it began with.
func (d *Daemon) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g := d.enter()
		defer g.use.leave()
		g.edge.ServeHTTP(w, r)
	})
}

// ready reports whether orders can be filled: the store reads, the record is
// written. A record that has failed stays failed, so that what watches the
// process must start it again.
func (d *Daemon) ready(ctx context.Context) error {
	if damage := d.damage.Load(); damage != nil {
		return *damage
	}
	return errors.Join(d.audit.Ready(), d.store.Ping(ctx))
}

// edgeConfig is what the HTTP edge takes from the configuration.
func (d *Daemon) edgeConfig(c *config.Config, public *url.URL) endpoint.Config {
	edge := endpoint.Config{URL: public, Log: d.options.Log, Now: d.options.Now, Ready: d.ready, Observe: d.options.metrics.Request}
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
