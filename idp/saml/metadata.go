package saml

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Metadata is what we need of an identity provider's metadata.
type Metadata struct {
	EntityID string
	// ValidUntil ends the trust in it; zero is no end.
	ValidUntil time.Time
	// CacheDuration is how long it may be kept without a refresh; zero is not said.
	CacheDuration time.Duration

	certs              []*x509.Certificate // signing, at least one
	redirectURL        string
	postURL            string
	logout             logoutServices
	wantRequestsSigned bool
	library            *library
}

// Certificates are the signing certificates, in the order of the metadata.
func (m *Metadata) Certificates() []*x509.Certificate { return m.certs }

// ParseMetadata reads an EntityDescriptor, or picks one from an
// EntitiesDescriptor: the one named entityID, or without that the only identity
// provider. With a pinned certificate the document, or that entity, must be signed
// by it, and only the signed bytes are read.
func ParseMetadata(document []byte, entityID string, pinned *x509.Certificate, now time.Time) (*Metadata, error) {
	root, fault := gate(document, metadataLimits)
	if fault != nil {
		return nil, fmt.Errorf("metadata: %w", fault)
	}
	var err error
	if pinned != nil {
		if root, err = signedMetadata(root, entityID, pinned, now); err != nil {
			return nil, fmt.Errorf("metadata: %w", err)
		}
	}
	entity, err := pick(root, entityID)
	if err != nil {
		return nil, err
	}
	m := &Metadata{EntityID: entity.value("entityID")}
	if m.EntityID == "" || len(m.EntityID) > 1024 {
		return nil, fmt.Errorf("metadata: the entityID is missing or longer than 1024 characters")
	}
	for at := entity; at != nil; at = at.parent {
		if err := m.lifetime(at); err != nil {
			return nil, err
		}
	}
	role := singleSignOn(entity)
	if role == nil {
		return nil, fmt.Errorf("metadata: %q is no SAML 2.0 identity provider (it has no IDPSSODescriptor)", shorten(m.EntityID))
	}
	if err := m.lifetime(role); err != nil {
		return nil, err
	}
	if err := m.read(role); err != nil {
		return nil, err
	}
	m.library = newLibrary(m)
	return m, nil
}

// signedMetadata verifies the signature of the root or of the wanted entity and
// gives the root of the signed bytes.
func signedMetadata(root *node, entityID string, pinned *x509.Certificate, now time.Time) (*node, error) {
	target := root
	signature := root.child(spaceSignature, "Signature")
	if signature == nil {
		entity, err := pick(root, entityID)
		if err != nil {
			return nil, err
		}
		if signature = entity.child(spaceSignature, "Signature"); signature == nil {
			return nil, fmt.Errorf("it is not signed, and metadata_cert demands that")
		}
		target = entity
	}
	r := &record{}
	signed, fault := verify(signature, []*x509.Certificate{pinned}, now, r)
	if fault != nil {
		return nil, fault
	}
	if len(r.findings) > 0 {
		return nil, fmt.Errorf("its signature is weak: %s", r.findings[0].Code)
	}
	again, fault := gate(signed.bytes, metadataLimits)
	if fault != nil {
		return nil, fault
	}
	// what stands above the signed entity may only shorten its life
	again.parent = target.parent
	return again, nil
}

// pick finds the entity.
func pick(root *node, entityID string) (*node, error) {
	var all []*node
	root.walk(func(n *node) bool {
		if n.is(spaceMetadata, "EntityDescriptor") && (n == root || n.parent.is(spaceMetadata, "EntitiesDescriptor")) {
			all = append(all, n)
		}
		return true
	})
	var found []*node
	for _, n := range all {
		if (entityID != "" && n.value("entityID") == entityID) || (entityID == "" && singleSignOn(n) != nil) {
			found = append(found, n)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(all) == 0:
		return nil, fmt.Errorf("metadata: the document holds no md:EntityDescriptor")
	case entityID != "" && len(found) == 0:
		return nil, fmt.Errorf("metadata: none of its %d entities is %q (entity_id)", len(all), entityID)
	case entityID != "":
		return nil, fmt.Errorf("metadata: %q occurs %d times", entityID, len(found))
	case len(found) == 0:
		return nil, fmt.Errorf("metadata: it holds no SAML 2.0 identity provider (IDPSSODescriptor)")
	}
	return nil, fmt.Errorf("metadata: it holds %d identity providers; name one as entity_id", len(found))
}

// singleSignOn is the SAML 2.0 IDPSSODescriptor of an entity.
func singleSignOn(entity *node) *node {
	for _, role := range entity.children(spaceMetadata, "IDPSSODescriptor") {
		for _, protocol := range strings.Fields(role.value("protocolSupportEnumeration")) {
			if protocol == spaceProtocol {
				return role
			}
		}
	}
	return nil
}

// lifetime takes the earliest validUntil and the shortest cacheDuration.
func (m *Metadata) lifetime(n *node) error {
	until, fault := instant(n, "validUntil")
	if fault != nil {
		return fmt.Errorf("metadata: %w", fault)
	}
	if !until.IsZero() && (m.ValidUntil.IsZero() || until.Before(m.ValidUntil)) {
		m.ValidUntil = until
	}
	text, ok := n.attr("cacheDuration")
	if !ok {
		return nil
	}
	d, ok := duration(trim(text))
	if !ok {
		return fmt.Errorf("metadata: cacheDuration %q is not a duration", shorten(text))
	}
	if m.CacheDuration == 0 || d < m.CacheDuration {
		m.CacheDuration = d
	}
	return nil
}

var durationForm = regexp.MustCompile(`^P(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,9})(?:\.\d+)?S)?)?$`)

// duration reads an xs:duration, cut at ten years.
func duration(text string) (time.Duration, bool) {
	found := durationForm.FindStringSubmatch(text)
	if found == nil || strings.HasSuffix(text, "T") || text == "P" {
		return 0, false
	}
	const day, most = 24 * time.Hour, 3650 * 24 * time.Hour
	var sum time.Duration
	for i, unit := range []time.Duration{365 * day, 30 * day, day, time.Hour, time.Minute, time.Second} {
		n, _ := strconv.Atoi("0" + found[i+1])
		if sum += min(time.Duration(n), most/unit) * unit; sum > most {
			return most, true
		}
	}
	return sum, true
}

// read takes keys and addresses of the role.
func (m *Metadata) read(role *node) error {
	var bad error
	for _, key := range role.children(spaceMetadata, "KeyDescriptor") {
		if use := key.value("use"); use != "" && use != "signing" {
			continue
		}
		for _, info := range key.children(spaceSignature, "KeyInfo") {
			for _, data := range info.children(spaceSignature, "X509Data") {
				for _, n := range data.children(spaceSignature, "X509Certificate") {
					cert, err := certificate(n)
					if err != nil {
						bad = err
						continue
					}
					m.certs = append(m.certs, cert)
				}
			}
		}
	}
	if len(m.certs) == 0 {
		if bad != nil {
			return fmt.Errorf("metadata: no signing certificate of %q can be read: %w", shorten(m.EntityID), bad)
		}
		return fmt.Errorf("metadata: %q names no signing certificate", shorten(m.EntityID))
	}
	const most = 16
	if len(m.certs) > most {
		return fmt.Errorf("metadata: %q names %d signing certificates; the limit is %d", shorten(m.EntityID), len(m.certs), most)
	}
	want := trim(role.value("WantAuthnRequestsSigned"))
	m.wantRequestsSigned = want == "true" || want == "1"
	m.logout.read(role)
	for _, service := range role.children(spaceMetadata, "SingleSignOnService") {
		location := trim(service.value("Location"))
		if !addressable(location) {
			continue
		}
		switch binding := service.value("Binding"); {
		case binding == bindingRedirect && m.redirectURL == "":
			m.redirectURL = location
		case binding == bindingPOST && m.postURL == "":
			m.postURL = location
		}
	}
	return nil
}

// addressable reports whether a browser can be sent to a Location.
func addressable(location string) bool {
	u, err := url.Parse(location)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
}

func certificate(n *node) (*x509.Certificate, error) {
	text, _ := n.content()
	der, err := base64.StdEncoding.DecodeString(squeeze(text))
	if err != nil {
		return nil, fmt.Errorf("a certificate is not base64: %w", err)
	}
	return x509.ParseCertificate(der)
}
