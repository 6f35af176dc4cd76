package stswire

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/rolecall/rolecall/config/secret"
)

const (
	algorithm   = "AWS4-HMAC-SHA256"
	terminator  = "aws4_request"
	dateLayout  = "20060102T150405Z"
	maxSkew     = 15 * time.Minute
	maxExpires  = 7 * 24 * time.Hour
	unsignedWay = "UNSIGNED-PAYLOAD"
)

var (
	accessKeyShape = regexp.MustCompile(`^[A-Za-z0-9_]{16,128}$`)
	regionShape    = regexp.MustCompile(`^[a-z0-9-]{0,64}$`)
	hexSignature   = regexp.MustCompile(`^[0-9a-f]{64}$`)
	headerName     = regexp.MustCompile(`^[a-z0-9!#$%&'*+.^_|~-]+$`)
)

// Verifier verifies SigV4 signatures, in the Authorization header or presigned
// in the query.
//
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
type Verifier struct {
	// Service is the service in the credential scope, "sts" by default.
	Service string
	// Region says whether a region in the scope is ours. SDKs that have an
	// endpoint but no region sign the empty one. nil takes any region's name.
	Region func(region string) bool
	Now    func() time.Time
	// Secret finds the secret key of an access key. It must refuse a session
	// token that is not the key's own (InvalidClientTokenId) and keys that have
	// expired (ExpiredToken); sessionToken is "" for a long-term key. Its *Error
	// is answered before the signature is looked at, as STS does.
	Secret func(ctx context.Context, accessKeyID, sessionToken string) (secret.String, error)
}

// Signed is what a verified signature says.
type Signed struct {
	AccessKeyID   string
	Region        string
	SignedHeaders []string
	At            time.Time
	// Presigned is true for the query form.
	Presigned bool
}

// claim is a signature as the request states it.
type claim struct {
	Signed
	date, scopeDate, service string // X-Amz-Date; from the scope
	token                    string
	signature                string
	expires                  time.Duration
	terminated               bool
}

// Verify checks the signature of r, whose body was read before. Its errors are
// *Error, except what Secret gave otherwise.
func (v Verifier) Verify(r *http.Request, body []byte) (Signed, error) {
	query, err := plainQuery(r)
	if err != nil {
		return Signed{}, err
	}
	c, err := readClaim(r, query, body)
	if err != nil {
		return Signed{}, err
	}
	if err := v.checkScope(c); err != nil {
		return Signed{}, err
	}
	if err := checkCovered(r, c, body); err != nil {
		return Signed{}, err
	}
	if err := v.checkTime(c); err != nil {
		return Signed{}, err
	}
	key, err := v.Secret(r.Context(), c.AccessKeyID, c.token)
	if err != nil {
		return Signed{}, err
	}
	canonical := canonicalRequest(r, query, c.SignedHeaders, body)
	want := sign(key.Reveal(), c, v.service(), canonical)
	if subtle.ConstantTimeCompare([]byte(want), []byte(c.signature)) != 1 {
		return Signed{}, mismatch("The request signature we calculated does not match the signature you provided. " +
			"Check your AWS Secret Access Key and signing method. Consult the service documentation for details.")
	}
	return c.Signed, nil
}

func mismatch(message string) *Error { return Fail("SignatureDoesNotMatch", message) }

func (v Verifier) service() string {
	if v.Service == "" {
		return "sts"
	}
	return v.Service
}

func (v Verifier) checkScope(c claim) error {
	switch {
	case !c.terminated:
		return mismatch("Credential should be scoped with a valid terminator: 'aws4_request'. ")
	case !regionShape.MatchString(c.Region) || v.Region != nil && !v.Region(c.Region):
		return mismatch("Credential should be scoped to a valid region. ")
	case c.service != v.service():
		return mismatch("Credential should be scoped to correct service: '" + v.service() + "'. ")
	case len(c.date) < 8 || c.scopeDate != c.date[:8]:
		return mismatch("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	return nil
}

// checkTime holds the 15 minutes either side. A presigned request lives as long
// as it says, and never longer than those.
func (v Verifier) checkTime(c claim) error {
	now, from := v.Now().UTC().Truncate(time.Second), c.At
	if now.Before(from.Add(-maxSkew)) {
		return mismatch(fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 15 min.)",
			c.date, now.Add(maxSkew).Format(dateLayout), now.Format(dateLayout)))
	}
	if life := min(c.expires, maxSkew); now.After(from.Add(life)) {
		return mismatch(fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %d min.)",
			c.date, now.Add(-life).Format(dateLayout), now.Format(dateLayout), int(life.Minutes())))
	}
	return nil
}

// checkCovered demands that the signature covers all that could change the
// request's meaning.
func checkCovered(r *http.Request, c claim, body []byte) error {
	signed := map[string]bool{}
	for _, name := range c.SignedHeaders {
		signed[name] = true
		if _, present := headerValue(r, name); !present {
			return mismatch("The signed header '" + clip(name) + "' is not in the request.")
		}
	}
	if !signed["host"] {
		return mismatch("'Host' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name := range r.Header {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-amz-") && !signed[lower] {
			return mismatch("The header '" + clip(lower) + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
	}
	declared := r.Header.Values("X-Amz-Content-Sha256")
	if len(declared) > 1 || len(declared) == 1 && declared[0] != hexHash(body) {
		return mismatch("The header 'x-amz-content-sha256' must be the hash of the payload; " + unsignedWay + " is not accepted.")
	}
	return nil
}

// sign computes the signature of a canonical request.
func sign(key string, c claim, service, canonical string) string {
	scope := strings.Join([]string{c.scopeDate, c.Region, service, terminator}, "/")
	text := strings.Join([]string{algorithm, c.date, scope, hexHash([]byte(canonical))}, "\n")
	k := mac([]byte("AWS4"+key), c.scopeDate)
	k = mac(k, c.Region)
	k = mac(k, service)
	k = mac(k, terminator)
	return hex.EncodeToString(mac(k, text))
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func hexHash(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
