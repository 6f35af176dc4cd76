package stswire

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// readClaim reads the signature's parts from the header or from the query.
func readClaim(r *http.Request, query []pair, body []byte) (claim, error) {
	inHeader := len(r.Header.Values("Authorization")) > 0
	inQuery := slices.ContainsFunc(query, func(p pair) bool { return p.name == "X-Amz-Signature" || p.name == "X-Amz-Algorithm" })
	switch {
	case inHeader && inQuery:
		return claim{}, incomplete("Only one auth mechanism allowed: the Authorization header or the query.")
	case inHeader:
		return headerClaim(r)
	case inQuery:
		return queryClaim(r, query, body)
	}
	return claim{}, Fail("MissingAuthenticationToken", "Request is missing Authentication Token")
}

func incomplete(message string) *Error { return Fail("IncompleteSignature", message) }

// headerClaim reads "AWS4-HMAC-SHA256 Credential=..., SignedHeaders=..., Signature=...".
func headerClaim(r *http.Request) (claim, error) {
	lines := r.Header.Values("Authorization")
	rest, ok := strings.CutPrefix(lines[0], algorithm+" ")
	if len(lines) != 1 || !ok || len(rest) > 4096 {
		return claim{}, incomplete("The Authorization header must be one " + algorithm + " signature.")
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.Trim(part, " \t"), "=")
		if _, again := parts[name]; !ok || again {
			return claim{}, incomplete("The Authorization header has a part that is not NAME=VALUE, or one twice.")
		}
		parts[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if parts[name] == "" {
			return claim{}, incomplete("Authorization header requires '" + name + "' parameter.")
		}
	}
	if len(parts) != 3 {
		return claim{}, incomplete("The Authorization header has a part other than Credential, SignedHeaders and Signature.")
	}
	date, errDate := oneHeader(r, "X-Amz-Date")
	token, errToken := oneHeader(r, "X-Amz-Security-Token")
	if errDate != nil || errToken != nil {
		return claim{}, incomplete("The headers X-Amz-Date and X-Amz-Security-Token may be there once.")
	}
	if date == "" {
		return claim{}, incomplete("Authorization header requires existence of a 'X-Amz-Date' header.")
	}
	c := claim{date: date, token: token, signature: parts["Signature"], expires: maxSkew}
	return c, c.fill(parts["Credential"], parts["SignedHeaders"])
}

// queryClaim reads a presigned request. It must be a GET without a body, as the
// SDKs make it.
func queryClaim(r *http.Request, query []pair, body []byte) (claim, error) {
	if r.Method != http.MethodGet || len(body) > 0 {
		return claim{}, incomplete("A presigned request must be a GET without a body.")
	}
	q := params{}
	for _, p := range query {
		q[p.name] = p.value
	}
	if q["X-Amz-Algorithm"] != algorithm {
		return claim{}, incomplete("AWS query-string parameters must include 'X-Amz-Algorithm' with the value '" + algorithm + "'.")
	}
	for _, name := range []string{"X-Amz-Credential", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		if q[name] == "" {
			return claim{}, incomplete("AWS query-string parameters must include '" + name + "'.")
		}
	}
	for _, name := range []string{"X-Amz-Date", "X-Amz-Security-Token"} {
		if len(r.Header.Values(name)) > 0 {
			return claim{}, incomplete("A presigned request has '" + name + "' in the query only.")
		}
	}
	if sum, ok := q["X-Amz-Content-Sha256"]; ok && sum != hexHash(body) {
		return claim{}, mismatch("'X-Amz-Content-Sha256' must be the hash of the payload; " + unsignedWay + " is not accepted.")
	}
	c := claim{date: q["X-Amz-Date"], token: q["X-Amz-Security-Token"], signature: q["X-Amz-Signature"], expires: maxSkew}
	c.Presigned = true
	if text, ok := q["X-Amz-Expires"]; ok {
		seconds, err := strconv.ParseUint(text, 10, 32)
		if err != nil || seconds < 1 || time.Duration(seconds)*time.Second > maxExpires {
			return claim{}, incomplete("'X-Amz-Expires' must be 1 to 604800 seconds.")
		}
		c.expires = time.Duration(seconds) * time.Second
	}
	return c, c.fill(q["X-Amz-Credential"], q["X-Amz-SignedHeaders"])
}

// fill reads the credential scope and the list of signed headers.
func (c *claim) fill(credential, signedHeaders string) error {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || !accessKeyShape.MatchString(scope[0]) {
		return incomplete("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	c.AccessKeyID, c.scopeDate, c.Region, c.service = scope[0], scope[1], scope[2], scope[3]
	c.terminated = scope[4] == terminator
	at, err := time.Parse(dateLayout, c.date)
	if err != nil || at.Format(dateLayout) != c.date {
		return incomplete("Date must be in ISO-8601 'basic format': YYYYMMDDTHHMMSSZ.")
	}
	c.At = at
	c.SignedHeaders = strings.Split(signedHeaders, ";")
	for i, name := range c.SignedHeaders {
		if !headerName.MatchString(name) || i > 0 && c.SignedHeaders[i-1] >= name {
			return incomplete("SignedHeaders must be lower-case names, sorted, each once, joined by ';'.")
		}
	}
	if !hexSignature.MatchString(c.signature) {
		return incomplete("Signature must be 64 lower-case hexadecimal digits.")
	}
	return nil
}

// oneHeader is a header that may be there once; "" is absent.
func oneHeader(r *http.Request, name string) (string, error) {
	values := r.Header.Values(name)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", incomplete(name)
}
