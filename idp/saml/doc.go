// Package saml is a SAML 2.0 service provider for browser sign-in (Web Browser
// SSO, saml-profiles-2.0-os section 4.1) with two opinions: this package verifies,
// reads and judges a response by itself and is the authority; crewjam/saml then
// reads the same bytes with other parsers and must come to the same identity.
//
//	Begin   -> AuthnRequest by HTTP-Redirect (or HTTP-POST)        request.go
//	Finish  -> Judge                                               judge.go
//	    gate             bytes, limits, one strict pass            gate.go scan.go tree.go
//	    readMessage      one assertion, signatures in their place  message.go
//	    verify           signatures, by our own canonical form     signature.go algorithm.go c14n.go
//	    decrypt          encrypted assertions and names            decrypt.go
//	    decode           reads the canonical bytes that were signed, and only those
//	    check...         issuer, times, request, audience, ...     checks.go
//	    login            the identity                              identity.go
//	    secondOpinion    crewjam/saml agrees                       crewjam.go
//	Departed, FinishLogout -> single logout, by our own code alone logout.go
//	BeginLogout, LeaveDeparture -> our messages, always signed     logoutsend.go
//	Metadata -> ours, to be imported at the provider               spmetadata.go
//	Run      -> keeps the provider's metadata fresh                source.go metadata.go
//
// What is verified is what is read: verify gives the canonical bytes that a
// signature covers, and decode parses those bytes anew. No other part of the
// document contributes to an identity.
//
// # Reasons
//
// A refusal is a *idp.Rejection. Weaknesses have the words of docs/providers/saml.md
// (sha1, no-audience-restriction ...); a provider may allow four of them. Faults:
//
//	not-base64 binding                       how it came
//	too-large too-deep too-many-elements     limits
//	too-many-attributes
//	not-utf8 malformed doctype               the bytes
//	processing-instruction duplicate-id
//	not-a-response structure version         the message
//	several-assertions no-assertion
//	signature-placement
//	status                                   the provider says no
//	unsigned signature digest                signatures
//	signature-form signature-reference
//	algorithm
//	no-decryption-key encryption-form        encryption
//	encryption-algorithm decryption
//	issuer destination recipient audience    for whom and from whom
//	in-response-to                           the pending request
//	expired not-yet-valid conditions         time
//	condition session-ended not-fresh
//	subject no-bearer-confirmation           who
//	confirmation authn-statement
//	authn-context attribute username
//	too-many-values value-too-long groups-overage
//	characters
//	second-opinion crewjam-panic             crewjam/saml disagrees
//	judge-panic                              a panic of ours
package saml
