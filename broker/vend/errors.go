package vend

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// ownKeys are codes by which STS says that the broker's own keys or clock are
// wrong: nothing that the caller did.
var ownKeys = map[string]bool{
	"InvalidClientTokenId": true, "SignatureDoesNotMatch": true, "ExpiredToken": true, "ExpiredTokenException": true,
	"InvalidAccessKeyId": true, "UnrecognizedClientException": true, "MissingAuthenticationToken": true,
	"IncompleteSignature": true, "RequestExpired": true, "InvalidSignatureException": true, "AuthFailure": true,
}

// idpUnreachable is how STS says that it could not fetch our keys; it may at the next try.
const idpUnreachable = "IDPCommunicationError"

// elsewhere reports whether another region may answer what this one did not.
func elsewhere(raw, judged error) bool {
	if refused, ok := errors.AsType[*Refused](judged); ok {
		return refused.Code == "RegionDisabledException"
	}
	if api, ok := errors.AsType[smithy.APIError](raw); ok && ownKeys[api.ErrorCode()] {
		return false
	}
	return errors.Is(judged, ErrUnavailable)
}

// judge sorts what the SDK reports. caller is the context that was handed in:
// its end is the caller's own doing, every other end is STS being slow.
func judge(caller context.Context, err error) error {
	if refused, ok := errors.AsType[*Refused](err); ok { // judged already, inside the hub's session
		return refused
	}
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	if ended := caller.Err(); ended != nil {
		return ended
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return unavailable(err)
	}
	code := api.ErrorCode()
	if response, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		status := response.HTTPStatusCode()
		if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
			return unavailable(err)
		}
	}
	if code == idpUnreachable {
		return unavailable(err)
	}
	_, throttled := retry.DefaultThrottleErrorCodes[code]
	_, timedOut := retry.DefaultRetryableErrorCodes[code]
	if ownKeys[code] || throttled || timedOut {
		return unavailable(err)
	}
	return &Refused{Code: code, Message: api.ErrorMessage()}
}

// unavailable keeps the cause for the log without letting its type through: an
// SDK error must not be taken for a refusal later.
func unavailable(err error) error { return fmt.Errorf("%w: %v", ErrUnavailable, err) } //nolint:errorlint // see above
