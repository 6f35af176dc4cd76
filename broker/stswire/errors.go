package stswire

import (
	"fmt"
	"net/http"
)

// Error is an answer other than success. Without a Code the body is empty, as
// STS answers a request that is too large.
type Error struct {
	Status  int
	Code    string
	Message string

	dispatch bool // found before any operation; STS names another XML namespace for these
}

// statuses holds the HTTP status of each code that is not 400.
var statuses = map[string]int{
	"AccessDenied":               http.StatusForbidden,
	"ExpiredToken":               http.StatusForbidden,
	"IDPRejectedClaim":           http.StatusForbidden,
	"InvalidClientTokenId":       http.StatusForbidden,
	"MissingAuthenticationToken": http.StatusForbidden,
	"RegionDisabledException":    http.StatusForbidden,
	"SignatureDoesNotMatch":      http.StatusForbidden,
	"InternalFailure":            http.StatusInternalServerError,
	"ServiceUnavailable":         http.StatusServiceUnavailable,
}

// Fail is the error with the code, at the HTTP status that STS gives it.
func Fail(code, message string) *Error {
	status, ok := statuses[code]
	if !ok {
		status = http.StatusBadRequest
	}
	return &Error{Status: status, Code: code, Message: message}
}

// InvalidAction is the answer to a call whose action is not served.
func InvalidAction(c *Call) *Error {
	version := c.Version
	if version == "" {
		version = "NO_VERSION_SPECIFIED"
	}
	e := Fail("InvalidAction", fmt.Sprintf("Could not find operation %s for version %s", clip(c.Action), clip(version)))
	e.dispatch = true
	return e
}

// Error implements error.
func (e *Error) Error() string {
	if e.Code == "" {
		return http.StatusText(e.Status)
	}
	return e.Code + ": " + e.Message
}

// clip bounds a caller's text that an answer repeats.
func clip(s string) string {
	const most = 256
	if len(s) <= most {
		return s
	}
	for i := range s {
		if i >= most {
			return s[:i] + "…"
		}
	}
	return s
}
