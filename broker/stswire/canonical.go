package stswire

import (
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
)

// plainQuery decodes the query of a request that is to be verified. A name
// given twice, or in two spellings, is refused: the canonical form sorts
// parameters, so that a signature does not fix which one comes first. So is a
// path that is not in its shortest form, which signers canonicalise differently.
func plainQuery(r *http.Request) ([]pair, error) {
	query, err := parsePairs(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool, len(query))
	for _, p := range query {
		folded := strings.ToLower(p.name)
		if seen[folded] {
			return nil, Fail("MalformedQueryString", "The query string has a parameter more than once.")
		}
		seen[folded] = true
	}
	if p := r.URL.Path; p != "" && p != "/" {
		if short := path.Clean("/" + p); p != short && p != short+"/" || strings.Contains(strings.ToLower(r.URL.EscapedPath()), "%2f") {
			return nil, mismatch("The path must not have empty or dot segments, nor an encoded slash.")
		}
	}
	return query, nil
}

// canonicalRequest is the text whose hash is signed.
func canonicalRequest(r *http.Request, query []pair, signedHeaders []string, body []byte) string {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r) + "\n" + canonicalQuery(query) + "\n")
	for _, name := range signedHeaders {
		value, _ := headerValue(r, name)
		b.WriteString(name + ":" + value + "\n")
	}
	b.WriteString("\n" + strings.Join(signedHeaders, ";") + "\n" + hexHash(body))
	return b.String()
}

// canonicalPath encodes the path as sent once more: every service but S3 signs
// it encoded twice.
func canonicalPath(r *http.Request) string {
	if p := r.URL.EscapedPath(); p != "" {
		return encode(p, true)
	}
	return "/"
}

func canonicalQuery(query []pair) string {
	var encoded []pair
	for _, p := range query {
		if p.name != "X-Amz-Signature" {
			encoded = append(encoded, pair{encode(p.name, false), encode(p.value, false)})
		}
	}
	slices.SortFunc(encoded, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	var b strings.Builder
	for i, p := range encoded {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(p.name + "=" + p.value)
	}
	return b.String()
}

// headerValue is a signed header in canonical form: values trimmed, runs of
// spaces made one, repetitions joined by commas.
func headerValue(r *http.Request, name string) (string, bool) {
	values := r.Header.Values(name)
	switch {
	case name == "host":
		return r.Host, r.Host != ""
	case name == "content-length" && len(values) == 0 && r.ContentLength >= 0:
		return strconv.FormatInt(r.ContentLength, 10), true
	case len(values) == 0:
		return "", false
	}
	parts := make([]string, len(values))
	for i, value := range values {
		parts[i] = strings.Join(strings.FieldsFunc(value, func(c rune) bool { return c == ' ' }), " ")
	}
	return strings.Join(parts, ","), true
}

const upperHex = "0123456789ABCDEF"

// encode is RFC 3986 percent-encoding of all but unreserved characters.
func encode(s string, keepSlash bool) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '~', c == '/' && keepSlash:
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(upperHex[c>>4])
			b.WriteByte(upperHex[c&15])
		}
	}
	return b.String()
}
