package endpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/rolecall/rolecall/broker"
)

// Problem is an error as a page shows it.
type Problem struct {
	Status    int
	Code      broker.Code
	Reason    string // stable word: "expired", "csrf" ...
	Message   string // what was wrong and what to do
	RequestID string
	Time      time.Time
	// Retry is how long to wait, zero where waiting does not help.
	Retry time.Duration
}

// ProblemPage renders problems for people.
type ProblemPage interface {
	Problem(w http.ResponseWriter, r *http.Request, p Problem) error
}

// codeStatus is the HTTP status of a code at the API and on pages.
func codeStatus(code broker.Code) int {
	switch code {
	case broker.InvalidRequest:
		return http.StatusBadRequest
	case broker.Unauthenticated, broker.StepUp:
		return http.StatusUnauthorized
	case broker.AccessDenied:
		return http.StatusForbidden
	case broker.TooLarge:
		return http.StatusRequestEntityTooLarge
	case broker.RateLimited:
		return http.StatusTooManyRequests
	case broker.AWSRefused:
		return http.StatusBadGateway
	case broker.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// Status is the status of an error as it is shown.
func Status(e *broker.Error) int {
	switch {
	case errors.Is(e, errMethod):
		return http.StatusMethodNotAllowed
	case errors.Is(e, ErrNoPage):
		return http.StatusNotFound
	}
	return codeStatus(e.Code)
}

// SetRetryAfter says when to come back, in whole seconds, at least one.
func SetRetryAfter(w http.ResponseWriter, e *broker.Error) {
	wait := e.RetryAfter
	if wait <= 0 && e.Code != broker.Unavailable && e.Code != broker.RateLimited {
		return
	}
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
}

// WriteJSON answers with a document made for one client.
func WriteJSON(w http.ResponseWriter, status int, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return fmt.Errorf("encode the answer: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that went away is no error of ours
	return nil
}

// apiProblem is the JSON API's error adapter.
func apiProblem(w http.ResponseWriter, r *http.Request, err error) {
	e := broker.Shown(err)
	SetRetryAfter(w, e)
	code := string(e.Code)
	switch e.Code {
	case broker.Unauthenticated:
		challenge(w, e.Reason)
	case broker.StepUp: // RFC 9470 section 3
		code = "insufficient_user_authentication"
		step := `Bearer realm="rolecall", error="insufficient_user_authentication"`
		if e.MaxAge > 0 {
			step += fmt.Sprintf(`, max_age="%d"`, int(e.MaxAge.Seconds()))
		}
		if e.ACR != "" {
			step += fmt.Sprintf(`, acr_values=%q`, e.ACR)
		}
		w.Header().Add("WWW-Authenticate", step)
	}
	_ = WriteJSON(w, Status(e), struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
		RequestID   string `json:"request_id"`
	}{code, e.Message, Origin(r).RequestID})
}

// challenge says which tokens are taken, and what was wrong with the one that
// came (RFC 6750 section 3, RFC 9449 section 7.1).
func challenge(w http.ResponseWriter, reason string) {
	bearer, proof := `Bearer realm="rolecall"`, `DPoP algs="ES256 EdDSA RS256"`
	switch reason {
	case "invalid_token":
		bearer += `, error="invalid_token"`
		proof += `, error="invalid_token"`
	case "invalid_dpop_proof":
		proof += `, error="invalid_dpop_proof"`
	}
	w.Header().Add("WWW-Authenticate", bearer)
	w.Header().Add("WWW-Authenticate", proof)
}

// readable gives the errors of body reading their code.
func readable(err error) error {
	if tooBig, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(tooBig.Limit)
	}
	return err
}

func tooLarge(limit int64) *broker.Error {
	return broker.Fail(broker.TooLarge, "too_large", fmt.Sprintf("The request is larger than the %s allowed here.", size(limit)))
}

// size is "512 KB", or bytes where that is not whole.
func size(bytes int64) string {
	if bytes >= 1<<10 && bytes%(1<<10) == 0 {
		return fmt.Sprintf("%d KB", bytes>>10)
	}
	return fmt.Sprintf("%d bytes", bytes)
}
