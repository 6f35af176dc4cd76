package broker

import (
	"errors"
	"fmt"
	"time"
)

// Code is the outcome of a call as a client may learn it. One adapter per
// protocol (package endpoint) maps a Code to the wire.
type Code string

// The codes. Internal is what an error without a Code has.
const (
	InvalidRequest  Code = "invalid_request"
	Unauthenticated Code = "unauthenticated"
	AccessDenied    Code = "access_denied"
	StepUp          Code = "step_up"
	TooLarge        Code = "too_large"
	RateLimited     Code = "rate_limited"
	AWSRefused      Code = "aws_refused"
	Unavailable     Code = "unavailable"
	Internal        Code = "internal"
)

// Error is a failure with a Code, a sentence that is safe to show to whoever
// asked, and a cause for the log and the audit only.
type Error struct {
	Code Code
	// Message says what was wrong and what to do. It holds no secret and nothing of the provider's evidence.
	Message string
	// Reason is a stable word for the audit and the error page ("expired", "replay", "unknown_provider").
	Reason string
	// RetryAfter is set with RateLimited and Unavailable.
	RetryAfter time.Duration
	// MaxAge and ACR are set with StepUp (RFC 9470).
	MaxAge time.Duration
	ACR    string
	// Cause is never shown.
	Cause error
}

// Error implements error; it includes the cause and is for logs.
func (e *Error) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s: %v", e.Code, e.Message, e.Cause)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Fail makes an Error.
func Fail(code Code, reason, message string) *Error {
	return &Error{Code: code, Reason: reason, Message: message}
}

// Because sets the hidden cause.
func (e *Error) Because(cause error) *Error {
	e.Cause = cause
	return e
}

// CodeOf finds the Code of an error; an error without one is Internal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Shown gives the *Error to render for err: err's own, or a blank Internal.
func Shown(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Code: Internal, Reason: "internal", Message: "Something went wrong on our side.", Cause: err}
}
