package saml

import "strconv"

// Metadata is our own service provider metadata, to be imported at the provider.
// It is the same as long as the configuration and the keys are.
func (p *Provider) Metadata() ([]byte, error) {
	b := &builder{}
	b.raw([]byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n"))
	b.open("md:EntityDescriptor", "xmlns:md", spaceMetadata, "entityID", p.entityID)
	b.open("md:SPSSODescriptor",
		"AuthnRequestsSigned", strconv.FormatBool(p.signs()), "WantAssertionsSigned", "true",
		"protocolSupportEnumeration", spaceProtocol)
	for _, cert := range p.published.signing {
		b.open("md:KeyDescriptor", "xmlns:ds", spaceSignature, "use", "signing")
		b.keyInfo(cert)
		b.close()
	}
	if p.published.encryption != nil {
		b.open("md:KeyDescriptor", "xmlns:ds", spaceSignature, "use", "encryption")
		b.keyInfo(p.published.encryption)
		for _, method := range []string{spaceCipher11 + "aes256-gcm", spaceCipher11 + "aes128-gcm", keyTransportOAEP} {
			b.open("md:EncryptionMethod", "Algorithm", method)
			b.close()
		}
		b.close()
	}
	if p.signsLogout() {
		for _, binding := range []string{bindingRedirect, bindingPOST} {
			b.open("md:SingleLogoutService", "Binding", binding, "Location", p.sloURL)
			b.close()
		}
	}
	b.open("md:AssertionConsumerService", "Binding", bindingPOST, "Location", p.arrival(), "index", "0", "isDefault", "true")
	b.close()
	b.close()
	b.close()
	return append(b.out, '\n'), nil
}
