package oidc

import (
	"encoding/base64"
	"slices"
	"strings"

	"github.com/rolecall/rolecall/idp"
)

// maxToken bounds a token before anything reads it.
const maxToken = 16 << 10

// jws is a compact JWS taken apart, not yet believed.
type jws struct {
	alg, kid  string
	raw       string
	input     string // what the signature covers
	payload   []byte
	signature []byte
	claims    object // of payload, if somebody had to look before it was believed
}

// split takes a token apart: three parts of canonical base64url and a header
// that names nothing but an algorithm and a key of the provider's set.
func split(raw string) (jws, error) { return splitAs(raw, false) }

// splitAs is split for an ID token, or for a logout token, which must say that it
// is one (OpenID Connect Back-Channel Logout 1.0 section 2.4).
func splitAs(raw string, logout bool) (jws, error) {
	if len(raw) > maxToken {
		return jws{}, idp.Reject("too-large", "the token has %d bytes, more than %d", len(raw), maxToken)
	}
	first := strings.IndexByte(raw, '.')
	last := strings.LastIndexByte(raw, '.')
	switch {
	case strings.Count(raw, ".") == 4:
		return jws{}, idp.Reject("malformed", "encrypted tokens are not supported")
	case strings.Count(raw, ".") != 2 || first == 0 || last == first+1 || last == len(raw)-1:
		return jws{}, idp.Reject("malformed", "the token is not a compact JWS of three parts")
	}
	var parts [3][]byte
	for i, text := range []string{raw[:first], raw[first+1 : last], raw[last+1:]} {
		part, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err != nil || strings.ContainsAny(text, "\r\n") { // the decoder skips line breaks
			return jws{}, idp.Reject("malformed", "part %d of the token is not base64url", i+1)
		}
		parts[i] = part
	}
	token := jws{raw: raw, input: raw[:last], payload: parts[1], signature: parts[2]}
	return token, token.readHeader(parts[0], logout)
}

func (token *jws) readHeader(data []byte, logout bool) error {
	header, err := readObject(data)
	if err != nil {
		return idp.Reject("malformed", "the token's header: %v", err)
	}
	for _, m := range header {
		switch m.name {
		case "jku", "x5u", "jwk", "x5c", "crit", "b64", "zip", "enc", "cty":
			return idp.Reject("header", "the token's header must not have the member %s", m.name)
		}
	}
	typ, there := header.get("typ")
	switch {
	case logout && !(typ.kind == kindText && strings.EqualFold(typ.text, "logout+jwt")):
		return idp.Reject("typ", "the token's typ must be logout+jwt")
	case !logout && there && !(typ.kind == kindText && strings.EqualFold(typ.text, "JWT")):
		return idp.Reject("typ", "the token's typ must be JWT or absent; this is another kind of token")
	}
	alg, _ := header.get("alg")
	if alg.kind != kindText || !slices.Contains(knownAlgorithms(), alg.text) {
		return idp.Reject("algorithm", "the token's algorithm %.32q is none that proves anything", alg.text)
	}
	kid, there := header.get("kid")
	if there && (kid.kind != kindText || !printable(kid.text, 128)) {
		return idp.Reject("header", "the token's kid is not 1 to 128 printable characters")
	}
	token.alg, token.kid = alg.text, kid.text
	return nil
}

// printable reports 1 to limit characters of visible ASCII or space.
func printable(text string, limit int) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return text != "" && len(text) <= limit
}
