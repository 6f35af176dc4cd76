package saml

import (
	"bytes"
	"compress/flate"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// authnRequest is one samlp:AuthnRequest.
type authnRequest struct {
	id          string
	at          time.Time
	destination string
	issuer, acs string
	fresh       bool
	contexts    []string
}

// request makes the AuthnRequest of a sign-in.
func (p *Provider) request(m *Metadata, want idp.Want) authnRequest {
	return authnRequest{
		id: newMessageID(), at: p.config.Now().UTC(),
		destination: or(m.redirectURL, m.postURL),
		issuer:      p.entityID, acs: p.wantedACS(),
		fresh: want.Fresh, contexts: want.ACR,
	}
}

// wantedACS is the address that a request names for its answer. Where acs_url is
// AWS's none is: the provider would send the browser there, and not to us.
func (p *Provider) wantedACS() string {
	if p.forAWS() {
		return ""
	}
	return p.acsURL
}

// newMessageID is an ID that nobody can guess.
func newMessageID() string {
	random := make([]byte, 20)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return "_" + hex.EncodeToString(random)
}

// xml is the request in canonical form.
func (r authnRequest) xml() []byte {
	b := &builder{}
	b.open("samlp:AuthnRequest", "xmlns:samlp", spaceProtocol)
	b.attr(r.acs != "", "AssertionConsumerServiceURL", r.acs)
	b.attr(true, "Destination", r.destination)
	b.attr(r.fresh, "ForceAuthn", "true")
	b.attr(true, "ID", r.id)
	b.attr(true, "IssueInstant", r.at.Format("2006-01-02T15:04:05Z"))
	b.attr(r.acs != "", "ProtocolBinding", bindingPOST)
	b.attr(true, "Version", "2.0")
	b.open("saml:Issuer", "xmlns:saml", spaceAssertion)
	b.text(r.issuer)
	b.close()
	b.open("samlp:NameIDPolicy", "AllowCreate", "true")
	b.close()
	if len(r.contexts) > 0 {
		b.open("samlp:RequestedAuthnContext", "Comparison", "exact")
		for _, class := range r.contexts {
			b.open("saml:AuthnContextClassRef", "xmlns:saml", spaceAssertion)
			b.text(class)
			b.close()
		}
		b.close()
	}
	b.close()
	return b.out
}

// send gives the request a way: HTTP-Redirect, else HTTP-POST.
func (p *Provider) send(m *Metadata, r authnRequest, relay string) (idp.Redirect, error) {
	if r.destination == "" {
		return idp.Redirect{}, unavailable(fmt.Errorf("%q offers no SingleSignOnService by HTTP-Redirect or HTTP-POST", shorten(m.EntityID)))
	}
	if !p.reachable(r.destination) {
		return idp.Redirect{}, unavailable(fmt.Errorf("its SingleSignOnService is plain http"))
	}
	if m.redirectURL != "" {
		address, err := p.redirect(outgoing{"SAMLRequest", r.destination, r.xml(), relay}, p.signs())
		return idp.Redirect{URL: address}, err
	}
	document := r.xml()
	if p.signs() {
		var err error
		if document, err = signEnveloped(document, p.config.Keys[0], p.published.signing[0], "</saml:Issuer>"); err != nil {
			return idp.Redirect{}, err
		}
	}
	fields := map[string]string{"SAMLRequest": base64.StdEncoding.EncodeToString(document), "RelayState": relay}
	return idp.Redirect{Form: &idp.Form{Action: r.destination, Fields: fields}}, nil
}

// reachable reports whether a browser may be sent there: by https, but for tests.
func (p *Provider) reachable(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || p.config.Provider.AllowPrivate || loopback(u.Hostname()))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// outgoing is a message of ours: parameter is SAMLRequest or SAMLResponse.
type outgoing struct {
	parameter, destination string
	document               []byte
	relay                  string
}

// redirect is the HTTP-Redirect binding (saml-bindings-2.0-os section 3.4): the
// signature is over the octets of the query as they are sent.
func (p *Provider) redirect(o outgoing, signed bool) (string, error) {
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		return "", err
	}
	if _, err := w.Write(o.document); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	query := o.parameter + "=" + url.QueryEscape(base64.StdEncoding.EncodeToString(deflated.Bytes()))
	if o.relay != "" {
		query += "&RelayState=" + url.QueryEscape(o.relay)
	}
	if signed {
		query += "&SigAlg=" + url.QueryEscape(signatureRSASHA256)
		sum := sha256.Sum256([]byte(query))
		signature, err := p.config.Keys[0].Sign(rand.Reader, sum[:], crypto.SHA256)
		if err != nil {
			return "", fmt.Errorf("saml: sign the request: %w", err)
		}
		query += "&Signature=" + url.QueryEscape(base64.StdEncoding.EncodeToString(signature))
	}
	address, _, _ := strings.Cut(o.destination, "#")
	if strings.Contains(address, "?") {
		return strings.TrimRight(address, "&") + "&" + query, nil
	}
	return address + "?" + query, nil
}

// builder writes XML that is canonical as long as attributes come in order.
type builder struct {
	writer
	tags    []string
	pending bool // the start tag is still open
}

func (b *builder) open(tag string, attrs ...string) {
	b.done()
	b.out = append(append(b.out, '<'), tag...)
	b.tags, b.pending = append(b.tags, tag), true
	for i := 0; i < len(attrs); i += 2 {
		b.attr(true, attrs[i], attrs[i+1])
	}
}

func (b *builder) attr(present bool, name, value string) {
	if present {
		b.out = append(append(append(b.out, ' '), name...), `="`...)
		b.escape(value, true)
		b.out = append(b.out, '"')
	}
}

func (b *builder) done() {
	if b.pending {
		b.out, b.pending = append(b.out, '>'), false
	}
}

func (b *builder) text(s string) {
	b.done()
	b.escape(s, false)
}

func (b *builder) close() {
	b.done()
	tag := b.tags[len(b.tags)-1]
	b.tags = b.tags[:len(b.tags)-1]
	b.out = append(append(append(b.out, "</"...), tag...), '>')
}

// raw appends XML that is canonical already.
func (b *builder) raw(xml []byte) {
	b.done()
	b.out = append(b.out, xml...)
}
