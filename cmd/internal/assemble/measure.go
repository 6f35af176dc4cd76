package assemble

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/rolecall/rolecall/broker/audit"
	"github.com/rolecall/rolecall/broker/vend"
	"github.com/rolecall/rolecall/cmd/internal/metrics"
	"github.com/rolecall/rolecall/config"
)

// measure binds the figures that are read when somebody asks for them.
func (d *Daemon) measure(cache *vend.Cache) {
	m := d.options.metrics
	m.Watch("sts_orders_in_flight", "Orders that are at STS now.", func() float64 { return float64(d.Bound.InFlight()) })
	m.Watch("sts_orders_waiting", "Orders that wait for a place at STS.", func() float64 { return float64(d.Bound.Queue()) })
	m.Watch("credentials_cached", "Sets of credentials that are kept.", func() float64 { return float64(cache.Len()) })
	for _, c := range []struct {
		name, kind, help string
		figure           func() int64
	}{
		{"store_operations_total", "read", "What was asked of the store.", func() int64 { return d.store.Stats().Reads }},
		{"store_operations_total", "write", "What was asked of the store.", func() int64 { return d.store.Stats().Writes }},
		{"store_errors_total", "read", "What the store could not do.", func() int64 { return d.store.Stats().ReadErrors }},
		{"store_errors_total", "write", "What the store could not do.", func() int64 { return d.store.Stats().WriteErrors }},
	} {
		m.Count(c.name, c.kind, c.help, func() float64 { return float64(c.figure()) })
	}
}

// countedTally counts what limits turn away at once; the record follows by the minute.
type countedTally struct {
	*audit.Tally
	metrics *metrics.Metrics
}

// Add implements broker.Tally.
func (t countedTally) Add(event audit.Event) {
	t.metrics.TurnedAway(event.Event, event.Reason)
	t.Tally.Add(event)
}

// observeFetch counts what is asked of one provider; nil where nobody counts.
func observeFetch(m *metrics.Metrics, p config.Provider) func(what string, status int) {
	if m == nil {
		return nil
	}
	usual := "other"
	if p.Type.Value == "saml" {
		usual = "metadata"
	}
	return func(what string, status int) {
		outcome := "failed"
		switch {
		case status >= 200 && status < 300:
			outcome = "ok"
		case status != 0:
			outcome = "refused"
		}
		m.Fetched(p.Name.Value, cmp.Or(what, usual), outcome)
	}
}

// names are the providers of a generation.
func (g *generation) names() []string {
	names := make([]string, len(g.upstreams))
	for i, u := range g.upstreams {
		names[i] = u.Name
	}
	return names
}

// usualMetrics is the default of metrics.listen.
const usualMetrics = "127.0.0.1:9464"

// ListenMetrics listens where the configuration says; nil is off. The usual address
// may be taken by another daemon, and is gone without: the error is then for the log.
func (d *Daemon) ListenMetrics() (listener net.Listener, goOn bool, err error) {
	at := d.options.Config.Metrics.Listen
	if at.Value == config.Off || at.Value == "" {
		return nil, true, nil
	}
	listener, err = net.Listen("tcp", at.Value)
	if err != nil {
		return nil, at.Value == usualMetrics, fmt.Errorf("metrics.listen %s: %w", at.Value, err)
	}
	return listener, true, nil
}

// Metrics answers GET /metrics.
func (d *Daemon) Metrics() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", d.options.metrics.Handler())
	return mux
}

// ServeMetrics answers on a listener of its own until ctx ends.
func (d *Daemon) ServeMetrics(ctx context.Context, listener net.Listener) error {
	return serveHTTP(ctx, listener, d.Metrics(), nil, d.options.Log)
}
