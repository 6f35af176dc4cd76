package saml

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/rolecall/rolecall/idp"
)

var (
	_ idp.Logouter = (*Provider)(nil)
	_ idp.Departer = (*Provider)(nil)
)

// logoutServices are where a provider takes logout messages.
type logoutServices struct{ redirect, post logoutService }

type logoutService struct{ request, response string }

// read takes the addresses of the role.
func (s *logoutServices) read(role *node) {
	for _, service := range role.children(spaceMetadata, "SingleLogoutService") {
		location := trim(service.value("Location"))
		response := or(trim(service.value("ResponseLocation")), location)
		if !addressable(location) || !addressable(response) {
			continue
		}
		switch binding := service.value("Binding"); {
		case binding == bindingRedirect && s.redirect.request == "":
			s.redirect = logoutService{location, response}
		case binding == bindingPOST && s.post.request == "":
			s.post = logoutService{location, response}
		}
	}
}

// signsLogout reports whether there is a key: no logout message goes out unsigned.
func (p *Provider) signsLogout() bool { return len(p.published.signing) > 0 }

// logoutLife is how long a LogoutRequest of ours is good.
const logoutLife = 5 * time.Minute

// BeginLogout implements idp.Logouter. Of the two bindings HTTP-Redirect is taken
// where there is one: a form would bind the browser to the provider's origin
// (form-action), and a provider sends it on to others.
func (p *Provider) BeginLogout(ctx context.Context, up idp.Upstream, handle string) (idp.Redirect, []byte, error) {
	if up.NameID == "" || !p.signsLogout() {
		return idp.Redirect{}, nil, fmt.Errorf("saml: no name or no key: %w", idp.ErrNoLogout)
	}
	m, err := p.source.get(ctx)
	if err != nil {
		return idp.Redirect{}, nil, err
	}
	id, now := newMessageID(), p.config.Now().UTC()
	to, err := p.sendLogout(m, "SAMLRequest", handle, func(destination string) []byte {
		b := &builder{}
		b.open("samlp:LogoutRequest", "xmlns:samlp", spaceProtocol, "Destination", destination, "ID", id,
			"IssueInstant", wholeSeconds(now), "NotOnOrAfter", wholeSeconds(now.Add(logoutLife)), "Version", "2.0")
		p.issuer(b)
		b.open("saml:NameID", "xmlns:saml", spaceAssertion)
		b.attr(up.NameIDFormat != "", "Format", up.NameIDFormat)
		b.attr(up.NameQualifier != "", "NameQualifier", up.NameQualifier)
		b.attr(up.SPNameQualifier != "", "SPNameQualifier", up.SPNameQualifier)
		b.text(up.NameID)
		b.close()
		if up.SessionIndex != "" {
			b.open("samlp:SessionIndex")
			b.text(up.SessionIndex)
			b.close()
		}
		b.close()
		return b.out
	})
	if err != nil {
		return idp.Redirect{}, nil, err
	}
	data, err := json.Marshal(leaving{ID: id})
	return to, data, err
}

// LeaveDeparture implements idp.Departer: a signed LogoutResponse that says
// success, whether or not there was a session left to end, or that we failed to end
// it. (PartialLogout is for providers to say: we are the last in the chain.)
func (p *Provider) LeaveDeparture(ctx context.Context, d idp.Departure) (idp.Redirect, error) {
	var asked leaving
	if err := json.Unmarshal(d.Reply, &asked); err != nil || asked.ID == "" {
		return idp.Redirect{}, fmt.Errorf("saml: the logout to answer cannot be read: %w", errors.Join(err))
	}
	m, err := p.source.get(ctx)
	if err != nil {
		return idp.Redirect{}, err
	}
	id, now := newMessageID(), p.config.Now().UTC()
	return p.sendLogout(m, "SAMLResponse", asked.Relay, func(destination string) []byte {
		b := &builder{}
		b.open("samlp:LogoutResponse", "xmlns:samlp", spaceProtocol, "Destination", destination, "ID", id,
			"InResponseTo", asked.ID, "IssueInstant", wholeSeconds(now), "Version", "2.0")
		p.issuer(b)
		b.open("samlp:Status")
		status := statusSuccess
		if d.Failed {
			status = statusResponder
		}
		b.open("samlp:StatusCode", "Value", status)
		b.close()
		b.close()
		b.close()
		return b.out
	})
}

func wholeSeconds(t time.Time) string { return t.Format("2006-01-02T15:04:05Z") }

func (p *Provider) issuer(b *builder) {
	b.open("saml:Issuer", "xmlns:saml", spaceAssertion)
	b.text(p.entityID)
	b.close()
}

// sendLogout signs a message and gives it a way.
func (p *Provider) sendLogout(m *Metadata, parameter, relay string, document func(destination string) []byte) (idp.Redirect, error) {
	address := func(s logoutService) string {
		if parameter == "SAMLResponse" {
			return s.response
		}
		return s.request
	}
	if to := address(m.logout.redirect); to != "" && p.reachable(to) {
		sent, err := p.redirect(outgoing{parameter, to, document(to), relay}, true)
		return idp.Redirect{URL: sent}, err
	}
	to := address(m.logout.post)
	if to == "" || !p.reachable(to) {
		return idp.Redirect{}, fmt.Errorf("saml: %q has no SingleLogoutService that can be used: %w", shorten(m.EntityID), idp.ErrNoLogout)
	}
	signed, err := signEnveloped(document(to), p.config.Keys[0], p.published.signing[0], "</saml:Issuer>")
	if err != nil {
		return idp.Redirect{}, err
	}
	fields := map[string]string{parameter: base64.StdEncoding.EncodeToString(signed)}
	if relay != "" {
		fields["RelayState"] = relay
	}
	return idp.Redirect{Form: &idp.Form{Action: to, Fields: fields}}, nil
}
