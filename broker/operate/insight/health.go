package insight

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/audit"
)

// Bounds of looking: how often a provider is asked, for how long, and how much of
// the record is read.
const (
	examineEvery = time.Minute
	examineMost  = 5 * time.Second
	signInBytes  = 16 << 20
)

// Health is how everything is that sign-in leans on.
type Health struct {
	At        time.Time
	Providers []ProviderHealth
	// Certificates holds what runs out, the soonest end first.
	Certificates []Certificate
	// Whole says that the part of the record that was read links into one chain.
	Whole bool
}

// ProviderHealth is one identity provider.
type ProviderHealth struct {
	broker.ProviderInfo
	From        string
	Read, Until time.Time
	// Took is how long it needed to answer, zero where it was not asked.
	Took time.Duration
	// Static says that nothing is read from it that could be stale.
	Static bool
	// Fault says in words why it cannot be used now, "" where it can.
	Fault string
	Keys  int
	// SignIns and Refused are of the last hour; Last is the newest sign-in, Failed the
	// newest refusal, for Reason, all of the last 24 hours on this server.
	SignIns, Refused int
	Last, Failed     time.Time
	Reason           string
	// RequestID is that of the newest refusal.
	RequestID string
}

// Certificate is a certificate or key with an end. Mark is "", soon (30 days), near
// (7 days), now (1 day) or over.
type Certificate struct {
	What, Whose string
	Fingerprint string
	Ends        time.Time
	Left        time.Duration
	Mark        string
	Note        string
}

// examined remembers when each provider was asked last.
type examined struct {
	mu   sync.Mutex
	last map[string]answer
}

type answer struct {
	at   time.Time
	took time.Duration
	err  error
}

// Health says how the providers and their certificates are. With ask each provider
// that was not asked within the last minute is asked now.
func (i *Insight) Health(ctx context.Context, caller broker.Caller, ask bool) (Health, error) {
	if err := i.admit(ctx, caller); err != nil {
		return Health{}, err
	}
	running := i.cfg.Running()
	if ask {
		i.examine(ctx, running.Providers)
	}
	h := Health{At: i.cfg.Now()}
	for _, p := range running.Providers {
		h.Providers = append(h.Providers, i.providerHealth(p))
	}
	var err error
	if h.Whole, err = i.signIns(ctx, h.Providers); err != nil {
		return Health{}, err
	}
	if h.Certificates, err = i.certificates(ctx, running); err != nil {
		return Health{}, err
	}
	return h, nil
}

// examine asks the providers side by side. A browser that goes away stops nothing.
func (i *Insight) examine(ctx context.Context, providers []Source) {
	now := i.cfg.Now()
	var group sync.WaitGroup
	for _, p := range providers {
		if p.Examined == nil {
			continue
		}
		i.examined.mu.Lock()
		if i.examined.last == nil {
			i.examined.last = map[string]answer{}
		}
		due := now.Sub(i.examined.last[p.Name].at) >= examineEvery
		if due {
			i.examined.last[p.Name] = answer{at: now}
		}
		i.examined.mu.Unlock()
		if !due {
			continue
		}
		group.Go(func() {
			within, cancel := context.WithTimeout(context.WithoutCancel(ctx), examineMost)
			defer cancel()
			begun := time.Now()
			err := p.Examine(within)
			i.examined.mu.Lock()
			defer i.examined.mu.Unlock()
			i.examined.last[p.Name] = answer{at: now, took: time.Since(begun), err: err}
		})
	}
	group.Wait()
}

func (i *Insight) providerHealth(p Source) ProviderHealth {
	if p.Examined == nil {
		return ProviderHealth{ProviderInfo: p.ProviderInfo, Static: true}
	}
	i.examined.mu.Lock()
	asked := i.examined.last[p.Name]
	i.examined.mu.Unlock()
	known := p.Health()
	h := ProviderHealth{ProviderInfo: p.ProviderInfo, From: known.From, Read: known.Read, Until: known.Until, Took: asked.took, Keys: known.Keys}
	if err := cmp.Or(known.Err, asked.err); err != nil {
		h.Fault = err.Error()
	}
	return h
}

// signIns counts those of the last hour and finds the newest of the last 24.
func (i *Insight) signIns(ctx context.Context, providers []ProviderHealth) (whole bool, err error) {
	now := i.cfg.Now()
	found, err := i.cfg.Record.Search(ctx, audit.Query{
		Contains: []byte(`"event":"signin"`), Since: now.Add(-24 * time.Hour), Limit: 1, Bytes: signInBytes,
		Match: func(r audit.Record) bool {
			n := slices.IndexFunc(providers, func(p ProviderHealth) bool { return p.Name == r.Provider })
			if n < 0 {
				return false
			}
			p, recent := &providers[n], now.Sub(r.Time) <= time.Hour
			switch {
			case r.Outcome == audit.Granted:
				p.Last = newest(p.Last, r.Time)
				if recent {
					p.SignIns++
				}
			case r.Outcome == audit.Refused || r.Outcome == audit.Failed:
				if p.Failed.IsZero() {
					p.Failed, p.Reason, p.RequestID = r.Time, r.Reason, r.RequestID
				}
				if recent {
					p.Refused += max(1, r.Count)
				}
			}
			return false
		},
	})
	if err != nil {
		return false, fmt.Errorf("search the record: %w", err)
	}
	return found.Whole, nil
}

func newest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// certificates lists what runs out: the providers', those that they have of ours,
// the server's own, and our signing keys.
func (i *Insight) certificates(ctx context.Context, running Running) ([]Certificate, error) {
	now := i.cfg.Now()
	var all []Certificate
	add := func(what, whose string, certs []*x509.Certificate) {
		for n, c := range certs {
			one := Certificate{What: what, Whose: whose, Fingerprint: fingerprint(c), Ends: c.NotAfter, Left: c.NotAfter.Sub(now), Mark: mark(c.NotAfter.Sub(now))}
			if one.Mark != "" && slices.ContainsFunc(certs[n+1:], func(next *x509.Certificate) bool { return mark(next.NotAfter.Sub(now)) == "" }) {
				one.Note = "its successor is known"
			}
			all = append(all, one)
		}
	}
	for _, p := range running.Providers {
		if p.Examined == nil {
			continue
		}
		known := p.Health()
		add("Signs at "+p.Label, p.Name, known.Certificates)
		add("Our SAML signing, as "+p.Label+" knows it", p.Name, known.Signing)
		add("Our SAML encryption, as "+p.Label+" knows it", p.Name, known.Encryption)
	}
	if running.TLS != nil {
		add("TLS of this server", "", []*x509.Certificate{running.TLS})
	}
	states, err := i.cfg.Keys(ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if s.Word == "retired" {
			continue
		}
		one := Certificate{What: "Token key " + s.Algorithm + " (" + s.Use + "), " + s.Word, Fingerprint: s.KID, Ends: s.Until, Left: s.Until.Sub(now), Note: "followed by itself"}
		if s.Followed {
			one.Note = "its successor is published"
		}
		if one.Left < 0 {
			one.Mark, one.Note = "over", "no successor: the rotation does not run"
		}
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b Certificate) int { return a.Ends.Compare(b.Ends) })
	return all, nil
}

// mark is how near an end is.
func mark(left time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case left <= 0:
		return "over"
	case left <= day:
		return "now"
	case left <= 7*day:
		return "near"
	case left <= 30*day:
		return "soon"
	}
	return ""
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
