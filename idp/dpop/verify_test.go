package dpop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/dpop"
)

// The examples of RFC 9449, figures 1 and 13.
const (
	rfcHeader = "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19"
	rfcProof  = rfcHeader + ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ" +
		".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
	rfcWithToken = rfcHeader + ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9" +
		".2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA"
	rfcToken      = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
	rfcThumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
)

var now = time.Unix(1562262616, 0)

func TestTheExamplesOfTheRFCHold(t *testing.T) {
	t.Parallel()
	got, err := dpop.Verify(rfcProof, dpop.Want{Method: "POST", URL: "https://server.example.com/token", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	want := dpop.Proof{Thumbprint: rfcThumbprint, JTI: "-BwC3ESc6acc2lTc", Until: now.Add(dpop.DefaultWindow)}
	if key, ok := got.Key.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is %T", got.Key)
	}
	got.Key = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := dpop.Verify(rfcWithToken, dpop.Want{
		Method: "GET", URL: "https://resource.example.org/protectedresource",
		AccessToken: rfcToken, Thumbprint: rfcThumbprint, Now: now,
	}); err != nil {
		t.Errorf("figure 13: %v", err)
	}
}

func TestAProofForSomethingElseIsRefused(t *testing.T) {
	t.Parallel()
	good := dpop.Want{Method: "GET", URL: "https://resource.example.org/protectedresource", AccessToken: rfcToken, Thumbprint: rfcThumbprint, Now: now}
	for name, c := range map[string]struct {
		change func(*dpop.Want)
		reason string
	}{
		"another method":                      {func(w *dpop.Want) { w.Method = "POST" }, "htm"},
		"the method in lower case":            {func(w *dpop.Want) { w.Method = "get" }, "htm"},
		"another path":                        {func(w *dpop.Want) { w.URL += "/x" }, "htu"},
		"the path in another case":            {func(w *dpop.Want) { w.URL = "https://resource.example.org/ProtectedResource" }, "htu"},
		"another host":                        {func(w *dpop.Want) { w.URL = "https://other.example.org/protectedresource" }, "htu"},
		"another port":                        {func(w *dpop.Want) { w.URL = "https://resource.example.org:8443/protectedresource" }, "htu"},
		"another scheme":                      {func(w *dpop.Want) { w.URL = "http://resource.example.org/protectedresource" }, "htu"},
		"another access token":                {func(w *dpop.Want) { w.AccessToken += "x" }, "ath"},
		"a token bound to another key":        {func(w *dpop.Want) { w.Thumbprint = strings.Repeat("A", 43) }, "key"},
		"a proof two minutes and a half old":  {func(w *dpop.Want) { w.Now = now.Add(153 * time.Second) }, "expired"},
		"a proof two minutes and more ahead":  {func(w *dpop.Want) { w.Now = now.Add(-121 * time.Second) }, "future"},
		"a proof outside of a smaller window": {func(w *dpop.Want) { w.Now, w.Window = now.Add(63*time.Second), time.Minute }, "expired"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := good
			c.change(&want)
			refused(t, rfcWithToken, want, c.reason)
		})
	}
	t.Run("a proof without ath beside an access token", func(t *testing.T) {
		t.Parallel()
		refused(t, rfcProof, dpop.Want{Method: "POST", URL: "https://server.example.com/token", AccessToken: rfcToken, Now: now}, "ath")
	})
}

func TestAddressesAreComparedAfterNormalisation(t *testing.T) {
	t.Parallel()
	key := p256(t)
	for htu, here := range map[string]string{
		"HTTPS://Server.Example.COM/token":             "https://server.example.com/token",
		"https://server.example.com:443/token":         "https://server.example.com/token",
		"https://server.example.com/token?a=b#c":       "https://server.example.com/token?d=e",
		"https://server.example.com/a/../token":        "https://server.example.com/token",
		"https://server.example.com/%74oken/%c3%a4":    "https://server.example.com/token/%C3%A4",
		"https://server.example.com":                   "https://server.example.com/",
		"http://[::1]:80/token":                        "http://[::1]/token",
		"http://127.0.0.1:8400/oauth2/token":           "http://127.0.0.1:8400/oauth2/token",
		"https://server.example.com/%2e%2e/token/%2Fx": "https://server.example.com/token/%2fx",
	} {
		proof := sign(t, jose.ES256, key, header(t, key), claims(map[string]any{"htu": htu}))
		if _, err := dpop.Verify(proof, dpop.Want{Method: "POST", URL: here, Now: now}); err != nil {
			t.Errorf("%s at %s: %v", htu, here, err)
		}
	}
	for _, htu := range []string{
		"https://user@server.example.com/token", "//server.example.com/token", "/token", "", "https:server.example.com/token",
		"ftp://server.example.com/token", "https://server.example.com/token%2Fx", "https://server.example.com/%zz", "https://server.example.com.evil.example/token",
	} {
		proof := sign(t, jose.ES256, key, header(t, key), claims(map[string]any{"htu": htu}))
		refused(t, proof, tokenRequest(), "htu")
	}
}

func TestEachAllowedAlgorithmHolds(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for alg, key := range map[jose.SignatureAlgorithm]crypto.Signer{jose.ES256: p256(t), jose.EdDSA: ed, jose.RS256: rsaKey(t, 2048)} {
		proof := sign(t, alg, key, header(t, key), claims(nil))
		if _, err := dpop.Verify(proof, tokenRequest()); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestHeadersThatMustBeRefused(t *testing.T) {
	t.Parallel()
	key := p256(t)
	jwk := publicJWK(t, key)
	private := map[string]any{"d": base64.RawURLEncoding.EncodeToString(make([]byte, 32))}
	for name, c := range map[string]struct {
		header map[string]any
		reason string
	}{
		"no typ":                 {map[string]any{"alg": "ES256", "jwk": jwk}, "typ"},
		"typ JWT":                {map[string]any{"typ": "JWT", "alg": "ES256", "jwk": jwk}, "typ"},
		"typ that is no string":  {map[string]any{"typ": []string{"dpop+jwt"}, "alg": "ES256", "jwk": jwk}, "typ"},
		"no jwk":                 {map[string]any{"typ": "dpop+jwt", "alg": "ES256"}, "key"},
		"jwk that is a list":     {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": []any{jwk}}, "key"},
		"a private jwk":          {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": merge(jwk, private)}, "private-key"},
		"a symmetric jwk":        {map[string]any{"typ": "dpop+jwt", "alg": "HS256", "jwk": map[string]any{"kty": "oct", "k": "c2VjcmV0"}}, "private-key"},
		"alg none":               {map[string]any{"typ": "dpop+jwt", "alg": "none", "jwk": jwk}, "algorithm"},
		"alg HS256 with EC key":  {map[string]any{"typ": "dpop+jwt", "alg": "HS256", "jwk": jwk}, "algorithm"},
		"alg of another family":  {map[string]any{"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk}, "algorithm"},
		"alg ES384 with P-256":   {map[string]any{"typ": "dpop+jwt", "alg": "ES384", "jwk": jwk}, "algorithm"},
		"no alg":                 {map[string]any{"typ": "dpop+jwt", "jwk": jwk}, "algorithm"},
		"alg that is a number":   {map[string]any{"typ": "dpop+jwt", "alg": 1, "jwk": jwk}, "malformed"},
		"crit":                   {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk, "crit": []string{"b64"}}, "header"},
		"b64 false":              {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk, "b64": false}, "header"},
		"jku":                    {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk, "jku": "https://evil.example/"}, "header"},
		"x5c":                    {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": jwk, "x5c": []string{"AA"}}, "header"},
		"a key for encryption":   {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": merge(jwk, map[string]any{"use": "enc"})}, "key"},
		"a key for another alg":  {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": merge(jwk, map[string]any{"alg": "ES512"})}, "key"},
		"a point off the curve":  {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": merge(jwk, map[string]any{"x": "AAAA"})}, "key"},
		"the key of an attacker": {map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": publicJWK(t, p256(t))}, "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(c.header)
			if err != nil {
				t.Fatal(err)
			}
			refused(t, sign(t, jose.ES256, key, string(text), claims(nil)), tokenRequest(), c.reason)
		})
	}
}

func TestWeakAndOversizedKeysAreRefused(t *testing.T) {
	t.Parallel()
	for bits, reason := range map[int]string{1024: "algorithm", 2040: "algorithm", 8192: "key"} { // go-jose reads none above 4,096
		refused(t, sign(t, jose.ES256, p256(t), rsaHeader(t, bits), claims(nil)), tokenRequest(), reason)
	}
	refused(t, sign(t, jose.ES256, p256(t), rsaHeader(t, 2048), claims(nil)), tokenRequest(), "signature")
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, sign(t, jose.ES384, p384, header(t, p384), claims(nil)), tokenRequest(), "algorithm")
}

func TestClaimsThatMustBeRefused(t *testing.T) {
	t.Parallel()
	key := p256(t)
	for name, c := range map[string]struct{ payload, reason string }{
		"not JSON":                       {`jti`, "malformed"},
		"a list":                         {`["jti"]`, "malformed"},
		"null":                           {`null`, "malformed"},
		"an object cut off":              {`{"jti":"a"`, "malformed"},
		"two documents":                  {claims(nil) + claims(nil), "malformed"},
		"jti twice":                      {claims(nil)[:len(claims(nil))-1] + `,"jti":"b"}`, "malformed"},
		"jti twice, once by escapes":     {claims(nil)[:len(claims(nil))-1] + `,"\u006ati":"b"}`, "malformed"},
		"not UTF-8":                      {strings.Replace(claims(nil), "jti-1", "\xff", 1), "malformed"},
		"no jti":                         {claims(map[string]any{"jti": nil}), "malformed"},
		"an empty jti":                   {claims(map[string]any{"jti": ""}), "jti"},
		"a jti that is a number":         {claims(map[string]any{"jti": 7}), "malformed"},
		"a jti of 257 bytes":             {claims(map[string]any{"jti": strings.Repeat("a", 257)}), "jti"},
		"JTI in capitals only":           {strings.Replace(claims(nil), "jti", "JTI", 1), "jti"},
		"an iat that is text":            {claims(map[string]any{"iat": "1562262616"}), "malformed"},
		"an iat that is negative":        {claims(map[string]any{"iat": -1}), "malformed"},
		"an iat beyond year 9999":        {claims(map[string]any{"iat": 1e18}), "malformed"},
		"an iat too large for a float":   {strings.Replace(claims(nil), "1562262616", "1e999", 1), "malformed"},
		"a htm that is a list":           {claims(map[string]any{"htm": []string{"POST"}}), "malformed"},
		"Htm beside nothing":             {strings.Replace(claims(nil), "htm", "Htm", 1), "htm"},
		"a htu with user information":    {claims(map[string]any{"htu": "https://server.example.com@evil.example/token"}), "htu"},
		"an empty object without claims": {`{}`, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, sign(t, jose.ES256, key, header(t, key), c.payload), tokenRequest(), c.reason)
		})
	}
}

func TestSerialisationsThatMustBeRefused(t *testing.T) {
	t.Parallel()
	parts := strings.Split(rfcProof, ".")
	signature := []byte(parts[2])
	signature[len(signature)-1]++ // g -> h: other trailing bits, the same bytes to a lax decoder
	for name, c := range map[string]struct{ proof, reason string }{
		"empty":                      {"", "malformed"},
		"two parts":                  {parts[0] + "." + parts[1], "malformed"},
		"four parts":                 {rfcProof + ".e30", "malformed"},
		"a million dots":             {strings.Repeat(".", 1_000_000), "too-large"},
		"dots up to the limit":       {strings.Repeat(".", 8192), "malformed"},
		"no signature":               {parts[0] + "." + parts[1] + ".", "malformed"},
		"padding":                    {parts[0] + "." + parts[1] + "." + parts[2] + "==", "malformed"},
		"base64 with trailing bits":  {parts[0] + "." + parts[1] + "." + string(signature), "malformed"},
		"white space around":         {" " + rfcProof, "malformed"},
		"a line break inside":        {parts[0] + ".\n" + parts[1] + "." + parts[2], "malformed"},
		"standard base64":            {parts[0] + "." + parts[1] + "." + strings.ReplaceAll(parts[2], "-", "+"), "malformed"},
		"JSON serialisation":         {`{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`, "malformed"},
		"a signature of other bytes": {parts[0] + "." + parts[1] + "." + strings.Repeat("A", 86), "signature"},
		"a signature cut short":      {parts[0] + "." + parts[1] + "." + parts[2][:43], "malformed"},
		"claims of another proof":    {parts[0] + "." + strings.Split(rfcWithToken, ".")[1] + "." + parts[2], "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, c.proof, dpop.Want{Method: "POST", URL: "https://server.example.com/token", Now: now}, c.reason)
		})
	}
}

func FuzzVerifyTakesOnlyWhatWasSigned(f *testing.F) {
	for _, seed := range []string{rfcProof, rfcWithToken, "", "..", rfcHeader + ".e30.AA", strings.Replace(rfcProof, ".", ".e30", 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, proof string) {
		got, err := dpop.Verify(proof, dpop.Want{Method: "POST", URL: "https://server.example.com/token", Now: now, Thumbprint: rfcThumbprint})
		if err == nil && (proof != rfcProof || got.JTI != "-BwC3ESc6acc2lTc") {
			t.Errorf("accepted %q", proof)
		}
		if _, ok := errors.AsType[*idp.Rejection](err); err != nil && !ok {
			t.Errorf("%T is not a rejection", err)
		}
	})
}

func refused(t *testing.T, proof string, want dpop.Want, reason string) {
	t.Helper()
	got, err := dpop.Verify(proof, want)
	rejection, ok := errors.AsType[*idp.Rejection](err)
	if !ok || rejection.Reason != reason {
		t.Errorf("got %v, want a rejection for %q", err, reason)
	}
	if got != (dpop.Proof{}) {
		t.Errorf("a refused proof gave %+v", got)
	}
}

func tokenRequest() dpop.Want {
	return dpop.Want{Method: "POST", URL: "https://server.example.com/token", Now: now}
}

// claims are those of a good token request with changes; nil is JSON null.
func claims(changes map[string]any) string {
	c := merge(map[string]any{"jti": "jti-1", "htm": "POST", "htu": "https://server.example.com/token", "iat": now.Unix()}, changes)
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func merge(a, b map[string]any) map[string]any {
	m := map[string]any{}
	for _, from := range []map[string]any{a, b} {
		for k, v := range from {
			m[k] = v
		}
	}
	return m
}
