package assemble

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// expirySoon is when a certificate that runs out becomes a warning.
const expirySoon = 30 * 24 * time.Hour

// Online is what a provider answered when it was asked.
type Online struct {
	Provider string
	// Says are facts for the operator, a line each.
	Says []string
	// Warnings are facts that need a hand soon.
	Warnings config.Faults
	// Err says that the provider could not be used now.
	Err error
}

// CheckOnline asks every provider of a valid configuration for what a sign-in
// would need of it: metadata and certificates, or discovery.
func CheckOnline(ctx context.Context, options Options) ([]Online, error) {
	g, err := newGeneration(options, false, throwawayKeys, nil)
	if err != nil {
		return nil, err
	}
	answers := make([]Online, 0, len(g.upstreams))
	for i, p := range g.providers() {
		at := options.Config.Providers[i].Pos
		answer := Online{Provider: p.Name}
		within, cancel := context.WithTimeout(ctx, 15*time.Second)
		source, hasCertificates := p.Redirector.(certificates)
		keys, hasKeys := p.Verifier.(idp.Examined)
		switch {
		case hasCertificates:
			answer.ask(within, source, at, options.Now())
		case p.Redirector == nil && hasKeys:
			answer.reach(within, keys)
		default:
			answer.begin(within, p)
		}
		cancel()
		answers = append(answers, answer)
	}
	return answers, nil
}

// certificates is a provider whose answers are signed with certificates.
type certificates interface {
	Certificates(ctx context.Context) ([]*x509.Certificate, error)
}

func (o *Online) ask(ctx context.Context, source certificates, at config.Pos, now time.Time) {
	found, err := source.Certificates(ctx)
	if err != nil {
		o.Err = err
		return
	}
	for _, c := range found {
		left := c.NotAfter.Sub(now)
		days := int(left.Hours() / 24)
		line := fmt.Sprintf("signing certificate %q runs out on %s, in %d days", c.Subject, c.NotAfter.UTC().Format(time.DateOnly), days)
		switch {
		case left <= 0:
			o.Warnings.Add(at, "provider %q: signing certificate %q ran out on %s; it still counts because it is pinned by the metadata", o.Provider, c.Subject, c.NotAfter.UTC().Format(time.DateOnly))
		case left < expirySoon:
			o.Warnings.Add(at, "provider %q: %s", o.Provider, line)
		default:
			o.Says = append(o.Says, line)
		}
	}
}

// reach asks for the keys of a provider whose tokens programs bring.
func (o *Online) reach(ctx context.Context, source idp.Examined) {
	if o.Err = source.Examine(ctx); o.Err == nil {
		o.Says = append(o.Says, "its keys can be had")
	}
}

// begin starts a sign-in that nobody will finish: it needs discovery to answer.
func (o *Online) begin(ctx context.Context, p broker.Provider) {
	if _, _, err := p.Redirector.Begin(ctx, idp.Want{Handle: "check"}); err != nil {
		o.Err = err
		return
	}
	if source, ok := p.Redirector.(practising); ok {
		o.Says, o.Err = source.Practice(ctx)
	}
	if o.Err == nil && p.Type != "oauth2" { // which has none
		o.Says = append([]string{"answers, and its discovery document fits"}, o.Says...)
	}
}

// practising is a provider that says how sign-in goes with it, and what to register.
type practising interface {
	Practice(ctx context.Context) ([]string, error)
}
