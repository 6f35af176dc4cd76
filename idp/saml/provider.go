package saml

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/claims"
)

// Fetcher gets a document; idp/fetch.Client does, within bounds.
type Fetcher interface {
	Get(ctx context.Context, url string) (body []byte, header http.Header, err error)
}

// Config makes a Provider.
type Config struct {
	// Provider is its section of the configuration.
	Provider config.Provider
	// URL is server.url without a slash at the end.
	URL string
	// Keys sign: the first signs, all are published, so that one can follow another.
	// RSA of 2048 bits or more. None is needed without sign_requests; without one
	// nobody is signed out at the provider, nor by it.
	Keys []crypto.Signer
	// Fetch gets metadata_url.
	Fetch Fetcher
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log is where refreshes and their failures are said; default none.
	Log *slog.Logger
}

// Provider signs people in at one SAML identity provider. It is safe for use by
// several goroutines.
type Provider struct {
	config     Config
	entityID   string
	acsURL     string
	sloURL     string
	allow      []string
	mapping    claims.Mapping
	decryption *rsa.PrivateKey
	published  published
	source     *source
	warnings   config.Faults
}

var _ idp.Redirector = (*Provider)(nil)

// defaultSkew is clock_skew where the configuration is made by a program.
const defaultSkew = time.Minute

// New judges the configuration and reads the files that it names; it opens no
// connection. Its error is config.Faults.
func New(c Config) (*Provider, error) {
	widen()
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Provider.ClockSkew == 0 {
		c.Provider.ClockSkew = defaultSkew
	}
	base := c.URL + "/saml/" + c.Provider.Name.Value
	p := &Provider{
		config:   c,
		entityID: or(c.Provider.SPEntityID.Value, base+"/metadata"),
		acsURL:   or(c.Provider.ACSURL.Value, base+"/acs"),
		sloURL:   base + "/slo",
		mapping: claims.Mapping{
			Groups:   c.Provider.Groups.Attribute.Value,
			Username: c.Provider.Username.Attribute.Value,
			Subject:  c.Provider.Subject.Attribute.Value,
		},
	}
	var faults config.Faults
	p.addresses(&faults)
	p.weaknesses(&faults)
	p.keys(&faults)
	p.source = newSource(c, &faults)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	p.warn()
	return p, nil
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// addresses judges our own names.
func (p *Provider) addresses(faults *config.Faults) {
	c := p.config.Provider
	u, err := url.Parse(p.acsURL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.Fragment != "" || u.String() != p.acsURL {
		faults.Add(c.ACSURL.Pos, "acs_url: %q is not an absolute http(s) URL as the provider sends it", p.acsURL)
	}
	if len(p.entityID) > 1024 || strings.TrimSpace(p.entityID) != p.entityID {
		faults.Add(c.SPEntityID.Pos, "sp_entity_id: at most 1024 characters, without spaces at its ends")
	}
	if c.ClockSkew < 0 || c.ClockSkew > 10*time.Minute {
		faults.Add(c.Pos, "clock_skew: %s is not between 0s and 10m", c.ClockSkew)
	}
}

// weaknesses reads `allow`.
func (p *Provider) weaknesses(faults *config.Faults) {
	for _, word := range p.config.Provider.Allow {
		if !slices.Contains(allowable, word.Value) {
			faults.Add(word.Pos, "allow: %q cannot be allowed; only %s can", word.Value, strings.Join(allowable, ", "))
			continue
		}
		p.allow = append(p.allow, word.Value)
	}
	if p.config.Provider.IDPInitiated {
		p.allow = append(p.allow, weakInitiated)
	}
}

// warn collects what an operator should know.
func (p *Provider) warn() {
	c := p.config.Provider
	if p.decryption != nil && p.decryption.N.BitLen() < 2048 {
		p.warnings.Add(c.Pos, "encryption.key: the RSA key has %d bits; use 2048 or more", p.decryption.N.BitLen())
	}
	m := p.source.kept()
	if m == nil {
		return
	}
	if m.wantRequestsSigned && !p.signs() {
		p.warnings.Add(c.Pos, "the provider's metadata wants signed requests; set sign_requests")
	}
	for _, cert := range m.certs {
		switch now := p.config.Now(); {
		case shortRSA(cert.PublicKey):
			p.warnings.Add(c.MetadataFile.Pos, "the provider's certificate %q has an RSA key under 2048 bits: what it signs is refused", cert.Subject.String())
		case now.After(cert.NotAfter):
			p.warnings.Add(c.MetadataFile.Pos, "the provider's certificate %q ended %s; it stays trusted because the metadata names it", cert.Subject.String(), cert.NotAfter.UTC().Format(time.DateOnly))
		case now.After(cert.NotAfter.AddDate(0, 0, -30)):
			p.warnings.Add(c.MetadataFile.Pos, "the provider's certificate %q ends %s", cert.Subject.String(), cert.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	if m.expired(p.config.Now()) {
		p.warnings.Add(c.MetadataFile.Pos, "the metadata was valid until %s: nobody can sign in until it is replaced", stamp(m.ValidUntil))
	}
}

// Unsolicited reports whether a response that nobody asked for may be accepted.
func (p *Provider) Unsolicited() bool { return slices.Contains(p.allow, weakInitiated) }

// Warnings are what `check` says about a configuration that runs.
func (p *Provider) Warnings() config.Faults { return slices.Clone(p.warnings) }

// Certificates are the identity provider's signing certificates as last known;
// it fetches the metadata if there is none yet.
func (p *Provider) Certificates(ctx context.Context) ([]*x509.Certificate, error) {
	m, err := p.source.get(ctx)
	if err != nil {
		return nil, err
	}
	return slices.Clone(m.certs), nil
}

// Run keeps the metadata fresh until ctx ends.
func (p *Provider) Run(ctx context.Context) { p.source.run(ctx) }

// pending is what Finish must know of the request that Begin made.
type pending struct {
	ID     string        `json:"id"`
	Since  time.Time     `json:"since,omitzero"`
	MaxAge time.Duration `json:"max_age,omitempty"`
	ACR    []string      `json:"acr,omitempty"`
	PassOn bool          `json:"pass_on,omitempty"`
}

// Begin implements idp.Redirector: an AuthnRequest by HTTP-Redirect, or by
// HTTP-POST where the provider takes only that.
func (p *Provider) Begin(ctx context.Context, want idp.Want) (idp.Redirect, []byte, error) {
	m, err := p.source.get(ctx)
	if err != nil {
		return idp.Redirect{}, nil, err
	}
	request := p.request(m, want)
	to, err := p.send(m, request, want.Handle)
	if err != nil {
		return idp.Redirect{}, nil, err
	}
	kept := pending{ID: request.id, MaxAge: want.MaxAge, ACR: want.ACR, PassOn: want.PassOn}
	if want.Fresh {
		kept.Since = request.at
	}
	data, err := json.Marshal(kept)
	return to, data, err
}

// Finish implements idp.Redirector. Empty pending bytes are a response that
// nobody asked for; only a provider with idp_initiated accepts one.
func (p *Provider) Finish(ctx context.Context, data []byte, answer idp.Answer) (idp.Login, error) {
	var kept pending
	if len(data) > 0 {
		if err := json.Unmarshal(data, &kept); err != nil || kept.ID == "" {
			return idp.Login{}, fmt.Errorf("saml: the pending sign-in cannot be read: %w", errors.Join(err))
		}
	}
	document, fault := posted(answer)
	if fault != nil {
		return idp.Login{}, fault
	}
	m, err := p.source.get(ctx)
	if err != nil {
		return idp.Login{}, err
	}
	c := p.judgedAs(m)
	c.RequestID, c.Since, c.MaxAge, c.ACR = kept.ID, kept.Since, kept.MaxAge, kept.ACR
	verdict := Judge(document, c)
	if verdict.Reason == "signature" { // a new key of the provider, perhaps
		if fresh := p.source.rolled(ctx, m); fresh != nil {
			c.IDP = fresh
			verdict = Judge(document, c)
		}
	}
	if verdict.Reason == "crewjam-panic" {
		p.config.Log.ErrorContext(ctx, "saml: crewjam/saml panicked on a response that was refused for it", "provider", c.Provider, "error", verdict.cause)
	}
	if err := verdict.Err(); err != nil {
		return idp.Login{}, err
	}
	if kept.PassOn {
		return passOn(verdict, document)
	}
	return verdict.Login, nil
}

// judgedAs is the case of this provider, now, with nothing pending.
func (p *Provider) judgedAs(m *Metadata) Case {
	return Case{
		Provider: p.config.Provider.Name.Value, IDP: m,
		EntityID: p.entityID, ACSURL: p.acsURL, Destinations: p.destinations(),
		At: p.config.Now(), Skew: p.config.Provider.ClockSkew,
		Allow: p.allow, Mapping: p.mapping, Decryption: p.decryption,
		AWSAttributes: p.config.Provider.AWSAttributes,
	}
}

// Inspection says how a document is to be judged without a session.
type Inspection struct {
	At        time.Time // zero is now
	RequestID string
	Exchange  bool
}

// Inspect judges a document, XML or base64 of it, as the ACS would at that time
// with that pending request. It uses no network: metadata that is not there yet
// is idp.ErrUnavailable.
func (p *Provider) Inspect(document []byte, how Inspection) (Verdict, error) {
	m := p.source.kept()
	if m == nil {
		return Verdict{}, fmt.Errorf("saml: inspection does not fetch metadata_url; save the metadata and set metadata_file: %w", idp.ErrUnavailable)
	}
	if text := trim(strings.TrimPrefix(string(document), "\uFEFF")); !strings.HasPrefix(text, "<") {
		raw, fault := decode64(text)
		if fault != nil {
			return refused(fault), nil
		}
		document = raw
	} else if len(document) <= messageLimits.bytes {
		document = []byte(strings.TrimRight(string(document), " \t\r\n"))
	}
	c := p.judgedAs(m)
	c.RequestID, c.Exchange, c.Inspect = how.RequestID, how.Exchange, true
	if !how.At.IsZero() {
		c.At = how.At
	}
	if how.Exchange {
		c.Recipients = []string{p.config.URL + "/oauth2/token"}
	}
	return Judge(document, c), nil
}

func refused(fault *idp.Rejection) Verdict {
	return Verdict{Reason: fault.Reason, Detail: fault.Detail, Steps: []Step{{Step: fault.Reason, Detail: fault.Detail}}}
}

// posted takes the one SAMLResponse of a POST; it looks at sizes first.
func posted(answer idp.Answer) ([]byte, *idp.Rejection) {
	values := answer.Form["SAMLResponse"]
	switch {
	case answer.Method != http.MethodPost:
		return nil, idp.Reject("binding", "the answer came by %s; a response is accepted by POST only", shorten(answer.Method))
	case len(values) != 1 || answer.Query.Has("SAMLResponse") || answer.Query.Has("SAMLart") || answer.Form.Has("SAMLart"):
		return nil, idp.Reject("binding", "the answer does not hold exactly one SAMLResponse in its form")
	}
	return decode64(values[0])
}

// decode64 decodes base64 with or without line ends, in either alphabet.
func decode64(text string) ([]byte, *idp.Rejection) {
	if base64.StdEncoding.DecodedLen(len(text)) > messageLimits.bytes*5/4 {
		return nil, idp.Reject("too-large", "the SAMLResponse has %d characters", len(text))
	}
	text = strings.TrimRight(squeeze(text), "=")
	coding := base64.RawStdEncoding
	if strings.ContainsAny(text, "-_") {
		coding = base64.RawURLEncoding
	}
	raw, err := coding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		return nil, idp.Reject("not-base64", "the SAMLResponse is not base64")
	}
	return raw, nil
}
