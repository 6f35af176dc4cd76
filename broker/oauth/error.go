package oauth

import "fmt"

// ErrorCode is the error parameter of OAuth 2.0 on the wire.
type ErrorCode string

// The codes: RFC 6749 sections 4.1.2.1 and 5.2, OpenID Connect Core 1.0 section
// 3.1.2.6, RFC 9449 sections 5 and 8, RFC 8628 section 3.5.
const (
	errInvalidRequest       ErrorCode = "invalid_request"
	errInvalidClient        ErrorCode = "invalid_client"
	errInvalidGrant         ErrorCode = "invalid_grant"
	errInvalidScope         ErrorCode = "invalid_scope"
	errUnsupportedGrant     ErrorCode = "unsupported_grant_type"
	errUnsupportedResponse  ErrorCode = "unsupported_response_type"
	errUnsupportedTokenType ErrorCode = "unsupported_token_type"
	errAccessDenied         ErrorCode = "access_denied"
	errLoginRequired        ErrorCode = "login_required"
	errConsentRequired      ErrorCode = "consent_required"
	errRequestNotSupported  ErrorCode = "request_not_supported"
	errURINotSupported      ErrorCode = "request_uri_not_supported"
	errInvalidProof         ErrorCode = "invalid_dpop_proof"
	errUnauthorizedClient   ErrorCode = "unauthorized_client"
	errUseNonce             ErrorCode = "use_dpop_nonce"
	errAuthorizationPending ErrorCode = "authorization_pending"
	errSlowDown             ErrorCode = "slow_down"
	errExpiredToken         ErrorCode = "expired_token"
)

// Error is a refusal as OAuth 2.0 tells it: to the client by redirect or as JSON.
type Error struct {
	Code ErrorCode
	// Description says to a developer what was wrong and what to do. It holds no secret.
	Description string
	// Cause is for the audit and the log.
	Cause error
}

// Error implements error; it includes the cause and is for logs.
func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Description)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Description, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ClientFailed reports whether the client itself was not accepted, which RFC
// 6749 section 5.2 answers with 401.
func (e *Error) ClientFailed() bool { return e.Code == errInvalidClient }

func refuse(code ErrorCode, format string, args ...any) *Error {
	return &Error{Code: code, Description: fmt.Sprintf(format, args...)}
}

func (e *Error) because(cause error) *Error {
	e.Cause = cause
	return e
}
