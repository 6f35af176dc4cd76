package saml

import (
	"compress/flate"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rolecall/rolecall/idp"
)

// Single Logout (saml-profiles-2.0-os section 4.4), by HTTP-Redirect and
// HTTP-POST. Every message is signed, in both directions: a message without a
// signature, or with one that is weak, is refused; nothing in `allow` changes
// that. No library takes part.

// logoutMessage is a LogoutRequest or LogoutResponse whose signature held.
type logoutMessage struct {
	root    *node
	covered []byte // what root was read from, and the signature covers
	relay   string
}

// logoutCase is what a logout message is judged by.
type logoutCase struct {
	idp *Metadata
	url string
	// SAMLRequest and LogoutRequest, or SAMLResponse and LogoutResponse
	parameter, local string

	at   time.Time
	skew time.Duration
}

// read gives the message once its signature held and it is from the provider, for
// us, of now. The cheap checks come first.
func (c logoutCase) read(answer idp.Answer) (logoutMessage, *idp.Rejection) {
	var m logoutMessage
	var fault *idp.Rejection
	r := &record{}
	switch answer.Method {
	case http.MethodGet:
		m, fault = c.fromQuery(answer, r)
	case http.MethodPost:
		m, fault = c.fromForm(answer, r)
	default:
		fault = idp.Reject("binding", "the message came by %s", shorten(answer.Method))
	}
	if fault == nil && len(r.findings) > 0 {
		fault = idp.Reject(r.findings[0].Code, "%s", r.findings[0].Detail)
	}
	if fault == nil {
		fault = c.check(m.root)
	}
	if fault != nil {
		return logoutMessage{}, fault
	}
	return m, nil
}

// signedQuery is the query of the HTTP-Redirect binding: each parameter once, as
// its octets came.
type signedQuery map[string]string

// The parameters of the binding.
var queryParameters = []string{"SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding"}

func splitQuery(raw string) (signedQuery, *idp.Rejection) {
	if len(raw) > messageLimits.bytes {
		return nil, idp.Reject("too-large", "the query has %d characters", len(raw))
	}
	found := signedQuery{}
	for part := range strings.SplitSeq(raw, "&") {
		name, value, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || !slices.Contains(queryParameters, plain) {
			continue
		}
		if _, twice := found[plain]; twice || plain != name {
			return nil, idp.Reject("binding", "%s is there twice, or in an odd spelling", plain)
		}
		found[plain] = value
	}
	return found, nil
}

// text decodes a parameter.
func (q signedQuery) text(name string) (string, *idp.Rejection) {
	text, err := url.QueryUnescape(q[name])
	if err != nil {
		return "", idp.Reject("binding", "%s is not percent-encoded", name)
	}
	return text, nil
}

// fromQuery reads the HTTP-Redirect binding; the signature is over the octets as
// they came.
func (c logoutCase) fromQuery(answer idp.Answer, r *record) (logoutMessage, *idp.Rejection) {
	q, fault := splitQuery(answer.RawQuery)
	if fault != nil {
		return logoutMessage{}, fault
	}
	values := map[string]string{}
	for name := range q {
		if values[name], fault = q.text(name); fault != nil {
			return logoutMessage{}, fault
		}
	}
	switch coding := values["SAMLEncoding"]; {
	case q["SAMLRequest"] != "" && q["SAMLResponse"] != "", q[c.parameter] == "":
		return logoutMessage{}, idp.Reject("binding", "the query does not hold exactly one %s", c.parameter)
	case coding != "" && coding != "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE":
		return logoutMessage{}, idp.Reject("binding", "the SAMLEncoding %q is unknown", shorten(coding))
	case q["Signature"] == "" || q["SigAlg"] == "":
		return logoutMessage{}, idp.Reject("unsigned", "the query has no signature")
	}
	if fault := c.verifyQuery(q, values, r); fault != nil {
		return logoutMessage{}, fault
	}
	packed, fault := decode64(values[c.parameter])
	if fault != nil {
		return logoutMessage{}, fault
	}
	document, fault := inflate(packed)
	if fault != nil {
		return logoutMessage{}, fault
	}
	root, fault := gate(document, messageLimits)
	if fault != nil {
		return logoutMessage{}, fault
	}
	if fault := onlySignature(root, nil); fault != nil {
		return logoutMessage{}, fault
	}
	return relayed(logoutMessage{root: root, covered: document, relay: values["RelayState"]})
}

// verifyQuery verifies the signature of the HTTP-Redirect binding.
func (c logoutCase) verifyQuery(q signedQuery, values map[string]string, r *record) *idp.Rejection {
	how, known := algorithms[values["SigAlg"]]
	if !known {
		return idp.Reject("algorithm", "the signature algorithm %q is not accepted", shorten(values["SigAlg"]))
	}
	signature, err := base64.StdEncoding.DecodeString(squeeze(values["Signature"]))
	if err != nil {
		return idp.Reject("signature-form", "the signature is not base64")
	}
	signed := c.parameter + "=" + q[c.parameter]
	if relay, ok := q["RelayState"]; ok {
		signed += "&RelayState=" + relay
	}
	signed += "&SigAlg=" + q["SigAlg"]
	cert := signerOf(how, c.idp.certs, []byte(signed), signature)
	if cert == nil {
		return idp.Reject("signature", "the signature of the query was made by none of the provider's %d certificates", len(c.idp.certs))
	}
	if how.hash == crypto.SHA1 {
		r.weak(weakSHA1, "the query is signed with SHA-1; let the provider use SHA-256")
	}
	if shortRSA(cert.PublicKey) {
		r.weak(weakRSA, "the provider's RSA key has under 2048 bits")
	}
	return nil
}

func signerOf(how algorithm, certs []*x509.Certificate, text, signature []byte) *x509.Certificate {
	for _, cert := range certs {
		if how.verify(cert.PublicKey, text, signature) {
			return cert
		}
	}
	return nil
}

// inflate undoes DEFLATE up to the size of a message.
func inflate(packed []byte) ([]byte, *idp.Rejection) {
	document, err := io.ReadAll(io.LimitReader(flate.NewReader(strings.NewReader(string(packed))), int64(messageLimits.bytes)+1))
	switch {
	case len(document) > messageLimits.bytes:
		return nil, idp.Reject("too-large", "the message inflates to more than %d bytes", messageLimits.bytes)
	case err != nil:
		return nil, idp.Reject("binding", "the message is not deflated")
	}
	return document, nil
}

// fromForm reads the HTTP-POST binding, whose message carries its signature.
func (c logoutCase) fromForm(answer idp.Answer, r *record) (logoutMessage, *idp.Rejection) {
	values := answer.Form[c.parameter]
	if len(values) != 1 || len(answer.Form["RelayState"]) > 1 || answer.Form.Has("SAMLRequest") && answer.Form.Has("SAMLResponse") ||
		answer.Query.Has("SAMLRequest") || answer.Query.Has("SAMLResponse") {
		return logoutMessage{}, idp.Reject("binding", "the form does not hold exactly one %s", c.parameter)
	}
	document, fault := decode64(values[0])
	if fault != nil {
		return logoutMessage{}, fault
	}
	root, fault := gate(document, messageLimits)
	if fault != nil {
		return logoutMessage{}, fault
	}
	found := root.children(spaceSignature, "Signature")
	if len(found) != 1 {
		return logoutMessage{}, idp.Reject("unsigned", "the message carries %d signatures and not one", len(found))
	}
	if fault := onlySignature(root, found[0]); fault != nil {
		return logoutMessage{}, fault
	}
	signed, fault := verify(found[0], c.idp.certs, c.at, r)
	if fault != nil {
		return logoutMessage{}, fault
	}
	again, fault := gate(signed.bytes, messageLimits) // what is verified is what is read
	if fault != nil {
		return logoutMessage{}, fault
	}
	return relayed(logoutMessage{root: again, covered: signed.bytes, relay: answer.Form.Get("RelayState")})
}

// relayed bounds what is given back.
func relayed(m logoutMessage) (logoutMessage, *idp.Rejection) {
	if len(m.relay) > 1024 {
		return logoutMessage{}, idp.Reject("binding", "the RelayState has %d bytes", len(m.relay))
	}
	return m, nil
}

// onlySignature refuses every signature but that one, and what could hide in one.
func onlySignature(root, but *node) (fault *idp.Rejection) {
	root.walk(func(n *node) bool {
		switch {
		case n.is(spaceSignature, "Signature") && n != but:
			fault = idp.Reject("signature-placement", "a signature that has no place in this message")
		case n.is(spaceSignature, "Object"):
			fault = form("a ds:Object")
		}
		return fault == nil
	})
	return fault
}

// check judges what both kinds of message have.
func (c logoutCase) check(root *node) *idp.Rejection {
	if !root.is(spaceProtocol, c.local) {
		return idp.Reject("structure", "the message is {%s}%s and not a samlp:%s", shorten(root.space), shorten(root.local), c.local)
	}
	if fault := identified(root); fault != nil {
		return fault
	}
	issuers := root.children(spaceAssertion, "Issuer")
	if len(issuers) != 1 || root.loose() {
		return structure("%d Issuers, or loose text, in %s", len(issuers), c.local)
	}
	issuer, fault := issuerOf(issuers[0])
	if fault != nil {
		return fault
	}
	if issuer != c.idp.EntityID {
		return idp.Reject("issuer", "the Issuer is %q and not %q", shorten(issuer), c.idp.EntityID)
	}
	if to := root.value("Destination"); to != c.url {
		return idp.Reject("destination", "the Destination is %q and not %q", shorten(to), c.url)
	}
	issued, fault := instant(root, "IssueInstant")
	if fault != nil {
		return fault
	}
	switch {
	case c.at.Before(issued.Add(-c.skew)):
		return idp.Reject("not-yet-valid", "the %s is from the future: issued %s, now %s", c.local, stamp(issued), stamp(c.at))
	case !c.at.Before(issued.Add(issueAge + c.skew)):
		return idp.Reject("expired", "the %s was issued %s, more than %s before now (%s)", c.local, stamp(issued), issueAge, stamp(c.at))
	}
	return nil
}

// leaving is what LeaveDeparture needs of a LogoutRequest.
type leaving struct {
	ID    string `json:"id"`
	Relay string `json:"relay,omitempty"`
}

// judgeDeparture reads who a LogoutRequest is about.
func (p *Provider) judgeDeparture(m *Metadata, answer idp.Answer) (idp.Departure, *idp.Rejection) {
	c := p.logoutCase(m, "SAMLRequest", "LogoutRequest")
	message, fault := c.read(answer)
	if fault != nil {
		return idp.Departure{}, fault
	}
	root := message.root
	issued, fault := instant(root, "IssueInstant")
	if fault != nil {
		return idp.Departure{}, fault
	}
	until, fault := instant(root, "NotOnOrAfter")
	switch {
	case fault != nil:
		return idp.Departure{}, fault
	case until.IsZero():
		until = issued.Add(issueAge)
	case !c.at.Before(until.Add(c.skew)):
		return idp.Departure{}, idp.Reject("expired", "the LogoutRequest ended %s, now is %s", stamp(until), stamp(c.at))
	}
	d := idp.Departure{Once: idp.Once{Key: "logout:" + root.value("ID"), Until: later(until, issued.Add(issueAge)).Add(c.skew)}}
	if fault := p.readDeparture(&d, message); fault != nil {
		return idp.Departure{}, fault
	}
	var err error
	if d.Reply, err = json.Marshal(leaving{root.value("ID"), message.relay}); err != nil {
		return idp.Departure{}, asRejection(err)
	}
	return d, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// readDeparture reads the name and the sessions.
func (p *Provider) readDeparture(d *idp.Departure, m logoutMessage) *idp.Rejection {
	var named *node
	for _, kid := range m.root.elements() {
		switch {
		case kid.is(spaceAssertion, "Issuer"), kid.is(spaceSignature, "Signature"), kid.is(spaceProtocol, "Extensions"):
		case (kid.is(spaceAssertion, "NameID") || kid.is(spaceAssertion, "EncryptedID")) && named == nil:
			named = kid
		case kid.is(spaceProtocol, "SessionIndex"):
			text, simple := kid.content()
			if text = trim(text); !simple || text == "" {
				return structure("a SessionIndex that is no text")
			}
			d.Sessions = append(d.Sessions, text)
		default:
			return structure("%s has no place there in LogoutRequest", shorten(kid.qualified()))
		}
	}
	if named != nil && named.local == "EncryptedID" {
		var fault *idp.Rejection
		if named, fault = p.openName(m, named); fault != nil {
			return fault
		}
	}
	if named == nil {
		return idp.Reject("subject", "the LogoutRequest names nobody")
	}
	name, fault := readNameID(named)
	if fault != nil {
		return fault
	}
	if d.NameID = name.value; d.NameID == "" {
		return idp.Reject("subject", "the LogoutRequest names nobody")
	}
	return nil
}

// openName decrypts an EncryptedID inside what was signed.
func (p *Provider) openName(m logoutMessage, sealed *node) (*node, *idp.Rejection) {
	j := &judgement{Case: Case{Decryption: p.decryption, Allow: p.allow}, record: record{allow: p.allow}}
	plaintext, fault := j.open(sealed, true)
	if fault != nil {
		return nil, fault
	}
	root, fault := gate(splice(m.covered, sealed, plaintext), messageLimits)
	if fault != nil {
		return nil, undecryptable(fault)
	}
	names := root.children(spaceAssertion, "NameID")
	if len(names) != 1 || len(root.elements()) != len(m.root.elements()) {
		return nil, undecryptable(errDecryption)
	}
	return names[0], nil
}

func (p *Provider) logoutCase(m *Metadata, parameter, local string) logoutCase {
	return logoutCase{
		idp: m, url: p.sloURL, parameter: parameter, local: local,
		at: p.config.Now(), skew: p.config.Provider.ClockSkew,
	}
}

// withMetadata judges by the kept metadata, and once more by fresh metadata where
// the signature's key is not known.
func (p *Provider) withMetadata(ctx context.Context, judge func(*Metadata) *idp.Rejection) error {
	m, err := p.source.get(ctx)
	if err != nil {
		return err
	}
	fault := judge(m)
	if fault != nil && fault.Reason == "signature" {
		if fresh := p.source.rolled(ctx, m); fresh != nil {
			fault = judge(fresh)
		}
	}
	if fault != nil {
		return fault
	}
	return nil
}

// Departed implements idp.Departer.
func (p *Provider) Departed(ctx context.Context, answer idp.Answer) (idp.Departure, error) {
	var d idp.Departure
	if !p.signsLogout() {
		return d, fmt.Errorf("saml: there is no key to sign the answer with: %w", idp.ErrNoLogout)
	}
	err := p.withMetadata(ctx, func(m *Metadata) (fault *idp.Rejection) {
		d, fault = p.judgeDeparture(m, answer)
		return fault
	})
	return d, err
}

// FinishLogout implements idp.Logouter.
func (p *Provider) FinishLogout(ctx context.Context, data []byte, answer idp.Answer) error {
	var kept leaving
	if err := json.Unmarshal(data, &kept); err != nil || kept.ID == "" {
		return fmt.Errorf("saml: the pending logout cannot be read: %w", err)
	}
	return p.withMetadata(ctx, func(m *Metadata) *idp.Rejection {
		message, fault := p.logoutCase(m, "SAMLResponse", "LogoutResponse").read(answer)
		if fault != nil {
			return fault
		}
		if answered := message.root.value("InResponseTo"); answered != kept.ID {
			return idp.Reject("in-response-to", "the LogoutResponse answers %q and not the pending request %q", shorten(answered), shorten(kept.ID))
		}
		if len(message.root.children(spaceProtocol, "Status")) != 1 {
			return structure("not exactly one Status in LogoutResponse")
		}
		status := message.root.child(spaceProtocol, "Status")
		if fault := checkStatus(status); fault != nil {
			return fault
		}
		// Success, and yet (SAML core 3.7.3.2): the provider could not tell others.
		if inner := status.child(spaceProtocol, "StatusCode").child(spaceProtocol, "StatusCode"); inner != nil && inner.value("Value") == statusPartial {
			return idp.Reject("partial-logout", "the provider has ended its own session, and could not sign out everywhere else")
		}
		return nil
	})
}
