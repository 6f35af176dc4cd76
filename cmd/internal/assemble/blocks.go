package assemble

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/limit"
	"github.com/rolecall/rolecall/broker/operate/gatekeeper"
	"github.com/rolecall/rolecall/broker/store/sqlite"
	"github.com/rolecall/rolecall/config"
)

// openBlocks makes what keeps offending addresses out. Where it is switched off
// nobody is added to it, and what other nodes or operators have put there counts.
func (d *Daemon) openBlocks(ctx context.Context) error {
	c, o := d.options.Config, d.options
	made := limit.BlockConfig{
		After: c.Limits.Block.After, For: c.Limits.Block.For, Store: d.store, Record: d.recordBlock, Now: o.Now, Log: o.Log,
	}
	for _, cidrs := range [][]config.Text{c.Limits.Block.Exempt, c.Server.TrustedProxies} {
		for _, cidr := range cidrs {
			if prefix, err := netip.ParsePrefix(cidr.Value); err == nil { // judged by config
				made.Exempt = append(made.Exempt, prefix)
			}
		}
	}
	d.blocks = limit.NewBlocks(made)
	d.blocking = blocksByItself(c)
	if c.Limits.Block.Enabled && !d.blocking {
		o.Log.Warn("no address is blocked by itself: TLS ends in a proxy that server.trusted_proxies does not name, so all clients have its address")
	}
	m := o.metrics
	m.Watch("blocked_addresses", "Networks that are kept out now, by whichever node.", func() float64 { n, _, _ := d.blocks.Figures(); return float64(n) })
	m.Count("address_blocks_total", "", "Networks that this node has blocked.", func() float64 { _, n, _ := d.blocks.Figures(); return float64(n) })
	m.Count("address_offences_total", "", "Bad evidence that came, of whatever address.", func() float64 { _, _, n := d.blocks.Figures(); return float64(n) })
	return d.blocks.Poll(ctx)
}

// blocksByItself reports whether addresses are blocked without an operator: not where all
// clients seem to have the one of a proxy, which a stranger could get blocked for all.
func blocksByItself(c *config.Config) bool {
	u, err := url.Parse(c.Server.URL.Value)
	behindProxy := err == nil && u.Scheme == "https" && c.Server.TLS.Cert == ""
	return c.Limits.Block.Enabled && (!behindProxy || len(c.Server.TrustedProxies) > 0)
}

func (d *Daemon) recordBlock(ctx context.Context, b limit.Block) error {
	return d.audit.Append(context.WithoutCancel(ctx), audit.Event{
		RequestID: "limits", Event: "address.blocked", Outcome: audit.Refused, Reason: "offences", Count: b.Count, Address: addressOf(b.Network),
		Detail: fmt.Sprintf("kept out until %s; the last offence was %s", b.Until.UTC().Format(time.RFC3339), b.What),
	})
}

// addressOf writes one address without its length.
func addressOf(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// observe hears of every record: it is counted, and bad evidence is an offence of
// its address. So no service need know of blocks.
func (d *Daemon) observe(event audit.Event, took time.Duration, err error) {
	d.options.metrics.Record(event, took, err)
	if event.Address == "" || event.Count > 0 || !d.blocking {
		return
	}
	switch {
	case isOffence(event):
		if address, err := netip.ParseAddr(event.Address); err == nil {
			d.blocks.Offence(address, event.Event)
		}
	case isGood(event):
		if address, err := netip.ParseAddr(event.Address); err == nil {
			d.blocks.Forgive(address)
		}
	}
}

// evidence are the events in which somebody brings what is to prove who they are.
var evidence = []string{
	"signin", "exchange", "token", "token.exchange", "authenticate", "introspect", "logout.provider",
	"device.code", "device.register", "device.login", "device.key",
	"user.login", "user.confirm", "user.reset", "user.redeem", "user.password", "user.email",
}

// honest are reasons why evidence of honest people and programs is refused: they
// were told no by policy or by their provider, came too late, or were asked for more.
var honest = []string{
	"access_denied", "access-denied", "idp-error", "cancelled", "login_required", "consent_required", "interaction_required", "unknown_client",
	"authorization_pending", "slow_down", "expired_token", "use_dpop_nonce", "invalid_token", "no_token", "not-fresh", "not_fresh",
	"revoked", "step_up", "session_ends", "session-ended", "no_role", "role_missing", "role_not_granted", "ambiguous_person", "policy_changed",
	"device_flow_off", "device_revoked", "not_logged_in", "too_many_devices", "provider_not_of_app", "rate_limited", "blocked", "busy",
	"totp_required", "weak_password", "malformed_email", "no_directory", "no_mail",
	"groups-overage", "email-unverified", "require", "attribute",
}

func isOffence(e audit.Event) bool {
	return e.Outcome == audit.Refused && slices.Contains(evidence, e.Event) && !slices.Contains(honest, e.Reason)
}

// isGood is evidence that was accepted. What anybody can have without being known
// (a device of a guest), and what the cache gives again, forgives nothing.
func isGood(e audit.Event) bool {
	if e.Outcome != audit.Granted || e.Cached {
		return false
	}
	switch e.Event {
	case "signin", "token", "token.exchange", "device.login", "user.login":
		return true
	}
	return e.Event == "credentials" && strings.HasPrefix(e.Via, "exchange")
}

// Limits gives what lists and clears blocks in the store, beside running daemons,
// to use; record is the file of operators' deeds, which only clear writes to.
func Limits(ctx context.Context, options Options, operator string, use func(g gatekeeper.Gatekeeper) error) (record string, err error) {
	store, err := sqlite.Open(ctx, storePath(options.Config))
	if err != nil {
		return "", fmt.Errorf("store %s: %w", options.Config.Store.Value, err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	deeds := &lateRecord{options: options, file: filepath.Join(filepath.Dir(auditFile(options.Config)), operatorFile)}
	defer func() { err = errors.Join(err, deeds.close()) }()
	return deeds.file, use(gatekeeper.Gatekeeper{Store: store, Audit: deeds, Operator: operator, Now: options.Now})
}

// lateRecord is a chain that is opened when something is to be written: only one
// process at a time may have it.
type lateRecord struct {
	options Options
	file    string
	log     *audit.Log
}

// Append implements gatekeeper.Auditor.
func (r *lateRecord) Append(ctx context.Context, event audit.Event) (err error) {
	if r.log == nil {
		if r.log, err = audit.Open(audit.Config{File: r.file, Now: r.options.Now, Log: r.options.Log}); err != nil {
			return fmt.Errorf("record of operators %s: %w", r.file, err)
		}
	}
	return r.log.Append(ctx, event)
}

func (r *lateRecord) close() error {
	if r.log == nil {
		return nil
	}
	return r.log.Close()
}
