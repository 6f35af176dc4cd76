package dpop

import (
	"net/url"
	"strings"

	"github.com/rolecall/rolecall/idp"
)

// normalise makes addresses comparable (RFC 3986 sections 6.2.2 and 6.2.3):
// case of scheme and host, default port, percent-encoding, dot segments, empty
// path; query and fragment are dropped (RFC 9449 section 4.3).
func normalise(address string) (string, error) {
	u, err := url.Parse(unescapeUnreserved(address))
	if err != nil || u.Host == "" || u.User != nil {
		return "", idp.Reject("htu", "not an absolute http address without user information")
	}
	u = new(url.URL).ResolveReference(u) // removes dot segments
	host := strings.ToLower(u.Host)
	switch u.Scheme { // in lower case already
	case "https":
		host = strings.TrimSuffix(host, ":443")
	case "http":
		host = strings.TrimSuffix(host, ":80")
	default:
		return "", idp.Reject("htu", "not an http address")
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + strings.TrimSuffix(host, ":") + path, nil
}

// unescapeUnreserved decodes %XX where it stands for an unreserved character and
// writes the others in upper case.
func unescapeUnreserved(p string) string {
	if !strings.Contains(p, "%") {
		return p
	}
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		if p[i] != '%' || i+2 >= len(p) {
			b.WriteByte(p[i])
			continue
		}
		if c := unhex(p[i+1])<<4 | unhex(p[i+2]); unreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(p[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}
