// Package metrics counts what the daemon does, for Prometheus. Nothing below cmd
// knows of it: packages have func fields in their Config (audit.Config.Observe,
// endpoint.Config.Observe, fetch.Config.Observe) or plain figures to read
// (vend.Bound.Queue, sqlite.Store.Stats), and assemble binds them.
//
// Most figures come from the audit record, through which every outcome passes. A
// label has one of few values that the program or the configuration chose: words of
// the code, names of providers, routes, statuses. Never a person, a role, an
// address or a secret; what is no such word is "other".
package metrics

import (
	"net/http"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rolecall/rolecall/broker/audit"
)

// Metrics has a registry of its own. It is safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	words     words
	providers atomic.Pointer[map[string]bool]

	requests, events, signins, vends, fetches, limited, reloads *prometheus.CounterVec

	took                          *prometheus.HistogramVec
	append                        prometheus.Histogram
	appendFailures, panics        prometheus.Counter
	reloadGood, reloadedAt, since prometheus.Gauge
}

// New makes the metrics of a process.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.requests = m.counter("http_requests_total", "HTTP requests by the pattern of their route and the status of the answer.", "route", "code")
	m.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "rolecall_http_request_duration_seconds", Help: "How long requests took, by the pattern of their route.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"route"})
	m.events = m.counter("records_total", "Audit records with an outcome, by event, outcome and word of the reason.", "event", "outcome", "reason")
	m.signins = m.counter("signins_total", "Sign-ins and token exchanges by provider, outcome and word of the reason.", "kind", "provider", "outcome", "reason")
	m.vends = m.counter("vends_total", "Orders of credentials and console addresses by mode, outcome, word of the reason and origin (sts, cache, stale).", "kind", "mode", "outcome", "reason", "from")
	m.fetches = m.counter("provider_requests_total", "Requests to identity providers by what was asked for (keys, discovery, metadata, ...) and outcome (ok, refused, failed).", "provider", "what", "outcome")
	m.limited = m.counter("limited_total", "Requests that limits turned away, by what was asked for and word of the reason.", "what", "reason")
	m.reloads = m.counter("config_reloads_total", "Reloads of the configuration by outcome.", "outcome")
	m.append = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "rolecall_audit_append_duration_seconds", Help: "How long callers waited until their audit record was on the disk.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5},
	})
	m.appendFailures = prometheus.NewCounter(prometheus.CounterOpts{Name: "rolecall_audit_failures_total", Help: "Audit records that could not be written: nothing is handed out without."})
	m.panics = prometheus.NewCounter(prometheus.CounterOpts{Name: "rolecall_saml_panics_total", Help: "SAML documents that were refused because judging them panicked."})
	m.reloadGood = m.gauge("config_last_reload_successful", "1 where the file that was read last is in force, 0 where it was refused.")
	m.reloadedAt = m.gauge("config_loaded_timestamp_seconds", "When the configuration in force was loaded.")
	m.since = m.gauge("start_timestamp_seconds", "When the daemon was started.")
	m.registry.MustRegister(m.took, m.append, m.appendFailures, m.panics,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.build()
	return m
}

func (m *Metrics) counter(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "rolecall_" + name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "rolecall_" + name, Help: help})
	m.registry.MustRegister(g)
	return g
}

// build says which program it is.
func (m *Metrics) build() {
	labels := prometheus.Labels{"version": "unknown", "revision": "unknown", "goversion": "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		labels["version"], labels["goversion"] = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				labels["revision"] = s.Value
			}
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "rolecall_build_info", Help: "Which program runs; always 1.", ConstLabels: labels})
	g.Set(1)
	m.registry.MustRegister(g)
}

// Watch adds a figure of the moment that is read when it is asked for.
func (m *Metrics) Watch(name, help string, figure func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "rolecall_" + name, Help: help}, figure))
}

// Count adds a figure that only rises; kind is the value of its label "kind", empty none.
func (m *Metrics) Count(name, kind, help string, figure func() float64) {
	options := prometheus.CounterOpts{Name: "rolecall_" + name, Help: help}
	if kind != "" {
		options.ConstLabels = prometheus.Labels{"kind": kind}
	}
	m.registry.MustRegister(prometheus.NewCounterFunc(options, figure))
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Started says when the daemon was started and by which configuration.
func (m *Metrics) Started(now time.Time, providers []string) {
	m.since.Set(float64(now.Unix()))
	m.inForce(now, providers)
}

// Reloaded counts a reload; refused is one that left the running configuration in force.
func (m *Metrics) Reloaded(now time.Time, providers []string, refused bool) {
	if refused {
		m.reloads.WithLabelValues("refused").Inc()
		m.reloadGood.Set(0)
		return
	}
	m.reloads.WithLabelValues("granted").Inc()
	m.inForce(now, providers)
}

func (m *Metrics) inForce(now time.Time, providers []string) {
	known := map[string]bool{}
	for _, name := range providers {
		known[name] = true
	}
	m.providers.Store(&known)
	m.reloadGood.Set(1)
	m.reloadedAt.Set(float64(now.Unix()))
}

// Request counts an HTTP request by the pattern that took it.
func (m *Metrics) Request(route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(route, strconv.Itoa(status)).Inc()
	m.took.WithLabelValues(route).Observe(took.Seconds())
}

// Fetched counts a request to an identity provider.
func (m *Metrics) Fetched(provider, what, outcome string) {
	m.fetches.WithLabelValues(m.provider(provider), m.words.word(what), m.words.word(outcome)).Inc()
}

// TurnedAway counts a request that a limit refused.
func (m *Metrics) TurnedAway(what, reason string) {
	m.limited.WithLabelValues(m.words.word(what), m.words.word(reason)).Inc()
}

// Record counts what an audit record says.
func (m *Metrics) Record(event audit.Event, took time.Duration, err error) {
	if err != nil {
		m.appendFailures.Inc()
		return
	}
	if took > 0 {
		m.append.Observe(took.Seconds())
	}
	if event.Outcome == "" || event.Count > 0 { // an intent, or what TurnedAway has counted
		return
	}
	name, outcome, reason := m.words.word(event.Event), m.words.word(string(event.Outcome)), m.words.word(event.Reason)
	m.events.WithLabelValues(name, outcome, reason).Inc()
	if event.Reason == "crewjam-panic" || event.Reason == "judge-panic" {
		m.panics.Inc()
	}
	switch event.Event {
	case "signin", "exchange":
		m.signins.WithLabelValues(name, m.provider(event.Provider), outcome, reason).Inc()
	case "credentials", "console":
		from := "sts"
		switch {
		case event.Stale:
			from = "stale"
		case event.Cached:
			from = "cache"
		case event.Outcome != audit.Granted:
			from = "none"
		}
		m.vends.WithLabelValues(name, m.words.word(event.Mode), outcome, reason, from).Inc()
	}
}

// provider is a name of the configuration; a request may bring any other.
func (m *Metrics) provider(name string) string {
	if known := m.providers.Load(); known != nil && (*known)[name] {
		return name
	}
	if name == "" {
		return "none"
	}
	return "other"
}
