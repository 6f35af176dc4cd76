package devidp

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

const (
	passwordContext = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
	bearerMethod    = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	persistentName  = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
	emailName       = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
	entityName      = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	basicName       = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"
	samlProtocol    = "urn:oasis:names:tc:SAML:2.0:protocol"
	assertionLife   = 5 * time.Minute
	requestAge      = 10 * time.Minute
)

// certify makes the self-signed certificate of the key, and the key's id.
func (p *IDP) certify() error {
	now := p.config.Now()
	public := p.config.Key.Public()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "rolecall development identity provider"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, p.config.Key)
	if err != nil {
		return fmt.Errorf("devidp: certificate: %w", err)
	}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("devidp: certificate: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return fmt.Errorf("devidp: key: %w", err)
	}
	sum := sha256.Sum256(spki)
	p.kid = hex.EncodeToString(sum[:8])
	return nil
}

func (p *IDP) entityID() string { return p.config.URL + "/saml/metadata" }

func (p *IDP) samlMetadata(w http.ResponseWriter, _ *http.Request) {
	document, err := p.SAMLMetadata()
	if err != nil {
		p.fail(w, http.StatusInternalServerError, "The metadata could not be made", "")
		return
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	_, _ = w.Write(document)
}

// SAMLMetadata is the document at /saml/metadata; crewjam's own Metadata goes by the
// wall clock and offers encryption that this provider does not do.
func (p *IDP) SAMLMetadata() ([]byte, error) {
	sso := p.config.URL + "/saml/sso"
	document, err := xml.MarshalIndent(saml.EntityDescriptor{
		EntityID:   p.entityID(),
		ValidUntil: p.config.Now().Add(7 * 24 * time.Hour).UTC(),
		IDPSSODescriptors: []saml.IDPSSODescriptor{{
			SSODescriptor: saml.SSODescriptor{
				RoleDescriptor: saml.RoleDescriptor{
					ProtocolSupportEnumeration: samlProtocol,
					KeyDescriptors: []saml.KeyDescriptor{{Use: "signing", KeyInfo: saml.KeyInfo{X509Data: saml.X509Data{
						X509Certificates: []saml.X509Certificate{{Data: base64.StdEncoding.EncodeToString(p.cert.Raw)}},
					}}}},
				},
				NameIDFormats: []saml.NameIDFormat{persistentName, emailName},
			},
			SingleSignOnServices: []saml.Endpoint{
				{Binding: saml.HTTPRedirectBinding, Location: sso},
				{Binding: saml.HTTPPostBinding, Location: sso},
			},
		}},
	}, "", "  ")
	return append([]byte(xml.Header), document...), err
}

// registry answers crewjam's question for a service provider.
type registry []ServiceProvider

// GetServiceProvider implements saml.ServiceProviderProvider.
func (list registry) GetServiceProvider(_ *http.Request, entityID string) (*saml.EntityDescriptor, error) {
	for _, sp := range list {
		if sp.EntityID == entityID {
			return &saml.EntityDescriptor{EntityID: entityID, SPSSODescriptors: []saml.SPSSODescriptor{{
				AssertionConsumerServices: []saml.IndexedEndpoint{{Binding: saml.HTTPPostBinding, Location: sp.ACSURL, Index: 1}},
			}}}, nil
		}
	}
	return nil, os.ErrNotExist
}

// samlSSO takes an AuthnRequest and asks for the person.
func (p *IDP) samlSSO(w http.ResponseWriter, r *http.Request) {
	if !p.parseForm(w, r) {
		return
	}
	request, err := p.authnRequest(r)
	if err != nil {
		p.config.Log.WarnContext(r.Context(), "devidp: SAML request refused", "error", err)
		p.fail(w, http.StatusBadRequest, "This SAML request cannot be answered", "The application sent something that this provider does not accept: "+err.Error()+".")
		return
	}
	again := request.Request.ForceAuthn != nil && *request.Request.ForceAuthn
	p.ask(w, r, asked{
		origin: originOf(request.ACSEndpoint.Location),
		answer: func(w http.ResponseWriter, s session) { p.respond(w, *request, s) },
	}, func(session) bool { return !again })
}

// authnRequest reads and judges a request with crewjam's code, which knows the
// time by package variables only; the age is judged here by the clock given.
func (p *IDP) authnRequest(r *http.Request) (request *saml.IdpAuthnRequest, err error) {
	defer func() {
		if recover() != nil {
			request, err = nil, errors.New("it is not well formed")
		}
	}()
	sso, err := url.Parse(p.config.URL + "/saml/sso")
	if err != nil {
		return nil, err
	}
	metadata, err := url.Parse(p.entityID())
	if err != nil {
		return nil, err
	}
	request, err = saml.NewIdpAuthnRequest(&saml.IdentityProvider{
		Signer: p.config.Key, Certificate: p.cert, MetadataURL: *metadata, SSOURL: *sso,
		ServiceProviderProvider: registry(p.config.ServiceProviders), SignatureMethod: dsig.RSASHA256SignatureMethod,
	}, r)
	if err != nil {
		return nil, err
	}
	request.Now = p.config.Now().UTC()
	if err := request.Validate(); err != nil {
		return nil, err
	}
	request.HTTPRequest = nil
	age := request.Now.Sub(request.Request.IssueInstant)
	switch {
	case request.Request.ID == "":
		return nil, errors.New("it has no ID")
	case age > requestAge || age < -requestAge:
		return nil, fmt.Errorf("its IssueInstant %s is not now", request.Request.IssueInstant.Format(time.RFC3339))
	case request.Request.IsPassive != nil && *request.Request.IsPassive:
		return nil, errors.New("IsPassive is not supported")
	case len(request.RelayState) > 1024:
		return nil, errors.New("its RelayState is too long")
	}
	return request, nil
}

// respond posts the signed answer to the assertion consumer service.
func (p *IDP) respond(w http.ResponseWriter, request saml.IdpAuthnRequest, s session) {
	request.Now = p.config.Now().UTC()
	request.Assertion = p.assertion(&request, s)
	form, err := request.PostBinding()
	if err != nil {
		p.config.Log.Error("devidp: SAML response", "error", err)
		p.fail(w, http.StatusInternalServerError, "The SAML response could not be made", "")
		return
	}
	fields := []field{{"SAMLResponse", form.SAMLResponse}}
	if form.RelayState != "" {
		fields = append(fields, field{"RelayState", form.RelayState})
	}
	origin := originOf(form.URL)
	p.render(w, http.StatusOK, "post.html", origin, postView{Action: form.URL, For: origin, Fields: fields})
}

func (p *IDP) assertion(request *saml.IdpAuthnRequest, s session) *saml.Assertion {
	audience := request.ServiceProviderMetadata.EntityID
	name := &saml.NameID{Format: persistentName, NameQualifier: p.entityID(), SPNameQualifier: audience, Value: s.person.Username}
	if policy := request.Request.NameIDPolicy; policy != nil && policy.Format != nil && *policy.Format == emailName && s.person.Email != "" {
		name = &saml.NameID{Format: emailName, Value: s.person.Email}
	}
	recipient, list := request.ACSEndpoint.Location, attributes(s.person)
	for _, sp := range p.config.ServiceProviders {
		if sp.EntityID != audience {
			continue
		}
		recipient = cmp.Or(sp.Recipient, recipient)
		if sp.AWS {
			list = append(list, awsAttributes(s.person)...)
		}
	}
	until := request.Now.Add(assertionLife)
	return &saml.Assertion{
		ID:           "_" + hex.EncodeToString(random(20)),
		IssueInstant: request.Now,
		Version:      "2.0",
		Issuer:       saml.Issuer{Format: entityName, Value: p.entityID()},
		Subject: &saml.Subject{
			NameID: name,
			SubjectConfirmations: []saml.SubjectConfirmation{{
				Method: bearerMethod,
				SubjectConfirmationData: &saml.SubjectConfirmationData{
					InResponseTo: request.Request.ID, NotOnOrAfter: until, Recipient: recipient,
				},
			}},
		},
		Conditions: &saml.Conditions{
			NotBefore: request.Now, NotOnOrAfter: until,
			AudienceRestrictions: []saml.AudienceRestriction{{Audience: saml.Audience{Value: audience}}},
		},
		AuthnStatements: []saml.AuthnStatement{{
			AuthnInstant: s.since.UTC(), SessionIndex: s.id,
			AuthnContext: saml.AuthnContext{AuthnContextClassRef: &saml.AuthnContextClassRef{Value: passwordContext}},
		}},
		AttributeStatements: []saml.AttributeStatement{{Attributes: list}},
	}
}

// attributes of a person; an empty one is left out.
func attributes(person Person) []saml.Attribute {
	var list []saml.Attribute
	add := func(name string, values ...string) {
		attribute := saml.Attribute{Name: name, NameFormat: basicName}
		for _, value := range values {
			if value != "" {
				attribute.Values = append(attribute.Values, saml.AttributeValue{Type: "xs:string", Value: value})
			}
		}
		if len(attribute.Values) > 0 {
			list = append(list, attribute)
		}
	}
	add("email", person.Email)
	add("uid", person.Username)
	add("displayName", person.Name)
	add("team", person.team())
	add("groups", person.Groups...)
	return list
}

// awsAttributes are what AWS reads: the roles, and the name of the session.
func awsAttributes(person Person) []saml.Attribute {
	const prefix = "https://aws.amazon.com/SAML/Attributes/"
	roles := saml.Attribute{Name: prefix + "Role", NameFormat: basicName}
	for _, role := range person.AWSRoles {
		roles.Values = append(roles.Values, saml.AttributeValue{Type: "xs:string", Value: role})
	}
	list := []saml.Attribute{{Name: prefix + "RoleSessionName", NameFormat: basicName, Values: []saml.AttributeValue{{Type: "xs:string", Value: person.Username}}}}
	if len(roles.Values) > 0 {
		list = append(list, roles)
	}
	return list
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
