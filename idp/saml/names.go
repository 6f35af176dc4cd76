package saml

// Namespaces and identifiers of the specifications.
const (
	spaceAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	spaceProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	spaceMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	spaceSignature = "http://www.w3.org/2000/09/xmldsig#"
	spacePSS       = "http://www.w3.org/2007/05/xmldsig-more#"
	spaceCipher    = "http://www.w3.org/2001/04/xmlenc#"
	spaceCipher11  = "http://www.w3.org/2009/xmlenc11#"
	spaceSchema    = "http://www.w3.org/2001/XMLSchema-instance"

	statusSuccess   = "urn:oasis:names:tc:SAML:2.0:status:Success"
	statusResponder = "urn:oasis:names:tc:SAML:2.0:status:Responder"
	statusPartial   = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
	methodBearer    = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	formatEntity    = "urn:oasis:names:tc:SAML:2.0:nameid-format:entity"
	formatTransient = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"

	bindingRedirect = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
	bindingPOST     = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"

	transformEnveloped   = spaceSignature + "enveloped-signature"
	exclusive            = "http://www.w3.org/2001/10/xml-exc-c14n#"
	exclusiveComments    = exclusive + "WithComments"
	inclusive10          = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
	inclusive10Comments  = inclusive10 + "#WithComments"
	inclusive11          = "http://www.w3.org/2006/12/xml-c14n11"
	inclusive11Comments  = inclusive11 + "#WithComments"
	signatureRSASHA256   = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
	spaceSignatureMore   = "http://www.w3.org/2001/04/xmldsig-more#"
	digestSHA256         = spaceCipher + "sha256"
	keyTransportPKCS1v15 = spaceCipher + "rsa-1_5"
	keyTransportOAEP     = spaceCipher + "rsa-oaep-mgf1p"
	keyTransportOAEP11   = spaceCipher11 + "rsa-oaep"
)

// Codes of weaknesses: recorded as findings, refused at the ACS unless the
// provider's `allow` names one of the allowable ones.
const (
	weakSHA1          = "sha1"
	weakRSA           = "rsa-1024"
	weakStale         = "stale-issue-instant"
	weakInitiated     = "idp-initiated"
	weakAudience      = "no-audience-restriction"
	weakDestination   = "no-destination-on-signed-response"
	weakEmptyURI      = "empty-reference-URI"
	weakInclusive     = "non-exclusive-c14n"
	weakCBC           = "cbc"
	weakCBCUnsigned   = "cbc-in-unsigned-response"
	weak3DES          = "3des-cbc"
	weakPKCS1v15      = "rsa-pkcs1v15-key-transport"
	weakAdvice        = "advice-assertions"
	weakConfirmation  = "bearer-sc-has-notbefore"
	weakNotOnOrAfter  = "conditions-no-notonorafter"
	notedEncrypted    = "encrypted"
	notedPSS          = "rsa-pss"
	notedQualifier    = "foreign-SPNameQualifier"
	notedMerged       = "duplicate-attribute-names"
	notedComment      = "comment-inside-nameid"
	notedTransient    = "transient-nameid"
	notedCertificate  = "idp-cert-outside-validity"
	notedNoIssuer     = "no-response-issuer"
	notedEncryptedID  = "encrypted-nameid"
	notedStructured   = "structured-attribute-value"
	notedConfirmation = "confirmation-address"
	notedFuture       = "future-authn-instant"
)

// allowable are the weaknesses that a provider's configuration may accept.
var allowable = []string{weakInitiated, weakCBC, weakDestination, weakStale}
