package oidc

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

// spoiled signs somebody in with an ID token whose claims were changed.
func (p party) spoiled(change func(map[string]any)) error {
	p.op.Behave(idptest.Behaviour{Claims: change})
	_, err := p.signIn(idp.Want{})
	return err
}

// minted signs somebody in with an ID token made by hand.
func (p party) minted(mint func(claims map[string]any) string) error {
	p.op.Behave(idptest.Behaviour{Mint: mint})
	_, err := p.signIn(idp.Want{})
	return err
}

// claimCase is a change of good claims and the reason for which it must be refused.
type claimCase struct {
	name   string
	change func(map[string]any)
	reason string
}

func refuseAll(t *testing.T, cases []claimCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			refused(t, start(t, nil).spoiled(c.change), c.reason)
		})
	}
}

func set(name string, value any) func(map[string]any) {
	return func(c map[string]any) { c[name] = value }
}

func drop(name string) func(map[string]any) { return func(c map[string]any) { delete(c, name) } }

func TestNamesThatAreRefused(t *testing.T) {
	t.Parallel()
	refuseAll(t, []claimCase{
		{"nonce of another sign-in", set("nonce", "other"), "nonce"},
		{"no nonce", drop("nonce"), "nonce"},
		{"nonce empty", set("nonce", ""), "nonce"},
		{"nonce null", set("nonce", nil), "nonce"},
		{"nonce a number", set("nonce", 7), "malformed"},
		{"another issuer", set("iss", "https://evil.example"), "issuer"},
		{"issuer with a slash more", func(c map[string]any) { c["iss"] = c["iss"].(string) + "/" }, "issuer"},
		{"no issuer", drop("iss"), "issuer"},
		{"issuer a list", func(c map[string]any) { c["iss"] = []any{c["iss"]} }, "malformed"},
		{"another audience", set("aud", "other"), "audience"},
		{"another audience in a list", set("aud", []string{"other", "third"}), "audience"},
		{"an audience of other case", set("aud", "ROLECALL"), "audience"},
		{"an empty list of audiences", set("aud", []string{}), "malformed"},
		{"no audience", drop("aud"), "audience"},
		{"audience a number", set("aud", 7), "malformed"},
		{"a list of audiences with a number", set("aud", []any{"rolecall", 7}), "malformed"},
		{"two audiences without azp", set("aud", []string{"rolecall", "other"}), "azp"},
		{"two audiences and another azp", func(c map[string]any) { c["aud"] = []string{"rolecall", "other"}; c["azp"] = "other" }, "azp"},
		{"azp of another", set("azp", "other"), "azp"},
		{"azp empty", set("azp", ""), "azp"},
		{"no subject", drop("sub"), "subject"},
		{"subject empty", set("sub", ""), "subject"},
		{"subject of 256 characters", set("sub", strings.Repeat("s", 256)), "subject"},
		{"subject beyond ASCII", set("sub", "admın"), "subject"},
		{"subject with a line end", set("sub", "a\nb"), "subject"},
		{"subject a number", set("sub", 7), "malformed"},
	})
}

func TestTimesThatAreRefused(t *testing.T) {
	t.Parallel()
	at := func(c map[string]any, seconds int64) int64 { return c["iat"].(int64) + seconds }
	refuseAll(t, []claimCase{
		{"expired", func(c map[string]any) { c["exp"] = at(c, -61); c["iat"] = at(c, -600) }, "expired"},
		{"expired a moment ago", func(c map[string]any) { c["exp"] = at(c, -60); c["iat"] = at(c, -600) }, "expired"},
		{"no expiry", drop("exp"), "expired"},
		{"expiry as text", func(c map[string]any) { c["exp"] = "9999999999" }, "malformed"},
		{"expiry null", set("exp", nil), "expired"},
		{"expiry negative", set("exp", -1), "malformed"},
		{"expiry beyond time", set("exp", json.Number("1e300")), "malformed"},
		{"expiry in a thousand years", set("exp", 32503680000), "lifetime"},
		{"a life of more than a day", func(c map[string]any) { c["exp"] = at(c, 24*3600+1) }, "lifetime"},
		{"a life of nothing", func(c map[string]any) { c["exp"] = c["iat"] }, "lifetime"},
		{"no time of issue", drop("iat"), "issued-at"},
		{"issued in the future", func(c map[string]any) { c["iat"] = at(c, 61) }, "issued-at"},
		{"time of issue as text", func(c map[string]any) { c["iat"] = "1" }, "malformed"},
		{"not valid yet", func(c map[string]any) { c["nbf"] = at(c, 61) }, "not-yet-valid"},
		{"not before as text", set("nbf", "1"), "malformed"},
	})
}

func TestKindsAndGroupsThatAreRefused(t *testing.T) {
	t.Parallel()
	refuseAll(t, []claimCase{
		{"a logout token", set("events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}), "typ"},
		{"events empty", set("events", []int{}), "typ"},
		{"an access token of Cognito", set("token_use", "access"), "typ"},
		{"at_hash of another token", set("at_hash", "xxxxxxxxxxxxxxxxxxxxxx"), "at-hash"},
		{"amr as text", set("amr", "mfa"), "malformed"},
		{"auth_time as text", set("auth_time", "1"), "malformed"},
		{"groups an object", set("groups", map[string]any{"a": 1}), "malformed"},
		{"groups a list of objects", set("groups", []any{"a", map[string]any{}}), "malformed"},
		{"groups elsewhere (Entra)", groupsElsewhere, "groups-overage"},
		{"too many groups to list (Entra)", func(c map[string]any) { delete(c, "groups"); c["hasgroups"] = true }, "groups-overage"},
		{"a group with a line end", set("groups", []string{"a\nb"}), "characters"},
		{"more groups than 900", set("groups", strings.Split(strings.Repeat("g", 901), "")), "too-many-values"},
	})
}

func groupsElsewhere(c map[string]any) {
	delete(c, "groups")
	c["_claim_names"] = map[string]any{"groups": "src1"}
	c["_claim_sources"] = map[string]any{"src1": map[string]any{"endpoint": "https://evil.example"}}
}

func TestClaimsThatAreAccepted(t *testing.T) {
	t.Parallel()
	at := func(c map[string]any, seconds int64) int64 { return c["iat"].(int64) + seconds }
	for name, change := range map[string]func(map[string]any){
		"an audience in a list":              func(c map[string]any) { c["aud"] = []string{"rolecall"} },
		"two audiences with our azp":         func(c map[string]any) { c["aud"] = []string{"other", "rolecall"}; c["azp"] = "rolecall" },
		"our azp":                            func(c map[string]any) { c["azp"] = "rolecall" },
		"expired within the skew":            func(c map[string]any) { c["exp"] = at(c, -59); c["iat"] = at(c, -600) },
		"issued within the skew":             func(c map[string]any) { c["iat"] = at(c, 59) },
		"not before within the skew":         func(c map[string]any) { c["nbf"] = at(c, 59) },
		"a life of exactly a day":            func(c map[string]any) { c["exp"] = at(c, 24*3600) },
		"times with fractions":               func(c map[string]any) { c["exp"] = float64(at(c, 300)) + 0.5 },
		"no at_hash":                         func(c map[string]any) { delete(c, "at_hash") },
		"a subject of 255 characters":        func(c map[string]any) { c["sub"] = strings.Repeat("s", 255) },
		"one group as text":                  func(c map[string]any) { c["groups"] = "platform" },
		"no groups":                          func(c map[string]any) { c["groups"] = []string{} },
		"an ID token of Cognito":             func(c map[string]any) { c["token_use"] = "id" },
		"claims that are objects":            func(c map[string]any) { c["address"] = map[string]any{"a": 1, "A": 2} },
		"claims that are null":               func(c map[string]any) { c["acr"], c["azp"] = nil, nil },
		"further claims of the other script": func(c map[string]any) { c["名前"] = "アリス" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := start(t, nil).spoiled(change); err != nil {
				t.Error(err)
			}
		})
	}
}

// forgery makes a token by hand.
type forgery func(t *testing.T, p party, claims map[string]any) string

func forgeAll(t *testing.T, cases []struct {
	name   string
	mint   forgery
	reason string
}) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			refused(t, p.minted(func(claims map[string]any) string { return c.mint(t, p, claims) }), c.reason)
		})
	}
}

// header signs with further members in the header.
func header(members map[string]any) forgery {
	return func(_ *testing.T, p party, claims map[string]any) string {
		return p.op.Sign(p.op.Key(), claims, members)
	}
}

// edited changes the text of a good token.
func edited(edit func(string) string) forgery {
	return func(_ *testing.T, p party, claims map[string]any) string {
		return edit(p.op.Sign(p.op.Key(), claims, nil))
	}
}

func unsigned(_ *testing.T, p party, claims map[string]any) string {
	parts := strings.Split(p.op.Sign(p.op.Key(), claims, nil), ".")
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + "."
}

func TestHeadersThatAreForged(t *testing.T) {
	t.Parallel()
	forgeAll(t, []struct {
		name   string
		mint   forgery
		reason string
	}{
		{"alg none", unsigned, "malformed"}, // the signature is empty
		{"alg None with a signature", header(map[string]any{"alg": "None"}), "algorithm"},
		{"alg none with a signature", header(map[string]any{"alg": "none"}), "algorithm"},
		{"HS256 with the public key", hmacWithPublicKey, "algorithm"},
		{"an algorithm that is not allowed", header(map[string]any{"alg": "PS256"}), "algorithm"},
		{"an algorithm of another key", header(map[string]any{"alg": "ES256"}), "unknown-key"},
		{"no algorithm", header(map[string]any{"alg": nil}), "algorithm"},
		{"an algorithm that is a list", header(map[string]any{"alg": []string{"RS256"}}), "algorithm"},
		{"an unknown key", header(map[string]any{"kid": "other"}), "unknown-key"},
		{"a kid that is a path", header(map[string]any{"kid": "../../etc/passwd\x00"}), "header"},
		{"a kid of 129 characters", header(map[string]any{"kid": strings.Repeat("k", 129)}), "header"},
		{"an empty kid", header(map[string]any{"kid": ""}), "header"},
		{"a kid that is a number", header(map[string]any{"kid": 7}), "header"},
		{"jku", header(map[string]any{"jku": "https://evil.example/jwks"}), "header"},
		{"x5u", header(map[string]any{"x5u": "https://evil.example/x"}), "header"},
		{"x5c", header(map[string]any{"x5c": []string{"AAAA"}}), "header"},
		{"a key in the header", header(map[string]any{"jwk": map[string]any{"kty": "RSA"}}), "header"},
		{"crit", header(map[string]any{"crit": []string{"exp"}, "exp": 1}), "header"},
		{"b64", header(map[string]any{"b64": false}), "header"},
		{"a nested token", header(map[string]any{"cty": "JWT"}), "header"},
		{"an access token (RFC 9068)", header(map[string]any{"typ": "at+jwt"}), "typ"},
		{"a logout token by its typ", header(map[string]any{"typ": "logout+jwt"}), "typ"},
		{"a DPoP proof", header(map[string]any{"typ": "dpop+jwt"}), "typ"},
		{"a typ that is null", header(map[string]any{"typ": []int{}}), "typ"},
	})
}

func TestBytesThatAreForged(t *testing.T) {
	t.Parallel()
	forgeAll(t, []struct {
		name   string
		mint   forgery
		reason string
	}{
		{"signed by another key", signedByAnother, "signature"},
		{"a changed payload", changedPayload, "signature"},
		{"a signature that is cut", edited(cutSignature), "signature"},
		{"trailing bits in base64", edited(trailingBits), "malformed"},
		{"padding in base64", edited(func(s string) string { return s + "==" }), "malformed"},
		{"white space", edited(func(s string) string { return " " + s }), "malformed"},
		{"a line end in the middle", edited(func(s string) string { return s[:40] + "\n" + s[40:] }), "malformed"},
		{"a line end at the end", edited(func(s string) string { return s + "\n" }), "malformed"},
		{"the other base64 alphabet", edited(func(s string) string { return strings.Replace(s, ".", "+.", 1) }), "malformed"},
		{"JSON serialisation", edited(jsonSerialised), "malformed"},
		{"two parts", edited(func(s string) string { return s[:strings.LastIndex(s, ".")] }), "malformed"},
		{"four parts", edited(func(s string) string { return s + ".AAAA" }), "malformed"},
		{"five parts (JWE)", edited(func(s string) string { return s + ".AAAA.AAAA" }), "malformed"},
		{"a million dots", edited(func(string) string { return strings.Repeat(".", 1_000_000>>7) }), "malformed"},
		{"16 KB and a byte", edited(func(s string) string { return s + strings.Repeat("A", maxToken+1-len(s)) }), "too-large"},
		{"a header that repeats alg", headerBytes(`{"alg":"none","alg":"RS256"}`), "malformed"},
		{"a header that folds to alg", headerBytes(`{"Alg":"none","alg":"RS256"}`), "malformed"},
		{"a header that is no JSON", headerBytes(`alg=RS256`), "malformed"},
		{"a header with something after it", headerBytes(`{"alg":"RS256"}{}`), "malformed"},
	})
}

func hmacWithPublicKey(t *testing.T, p party, claims map[string]any) string {
	der, err := x509.MarshalPKIXPublicKey(p.op.Key().Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	token := p.op.Sign(p.op.Key(), claims, map[string]any{"alg": "HS256"})
	input := token[:strings.LastIndex(token, ".")]
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(input))
	return input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func signedByAnother(t *testing.T, p party, claims map[string]any) string {
	key := idptest.NewOPKey(t, jose.ES256)
	published := idptest.NewOPKey(t, jose.ES256)
	key.ID = published.ID
	p.op.SetKeys(published)
	return p.op.Sign(key, claims, nil)
}

func changedPayload(_ *testing.T, p party, claims map[string]any) string {
	parts := strings.Split(p.op.Sign(p.op.Key(), claims, nil), ".")
	better := maps.Clone(claims)
	better["groups"] = []string{"admins"}
	parts[1] = strings.Split(p.op.Sign(p.op.Key(), better, nil), ".")[1]
	return strings.Join(parts, ".")
}

// trailingBits changes bits that base64 decoding throws away.
func trailingBits(s string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return s[:len(s)-1] + string(alphabet[strings.IndexByte(alphabet, s[len(s)-1])|1])
}

func cutSignature(s string) string {
	i := strings.LastIndex(s, ".") + 1
	signature, err := base64.RawURLEncoding.DecodeString(s[i:])
	if err != nil {
		panic(err)
	}
	return s[:i] + base64.RawURLEncoding.EncodeToString(signature[:len(signature)-3])
}

func jsonSerialised(s string) string {
	parts := strings.Split(s, ".")
	return `{"protected":"` + parts[0] + `","payload":"` + parts[1] + `","signature":"` + parts[2] + `"}`
}

func headerBytes(header string) forgery {
	return func(_ *testing.T, p party, claims map[string]any) string {
		parts := strings.Split(p.op.Sign(p.op.Key(), claims, nil), ".")
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "." + parts[2]
	}
}

func TestPayloadsThatReadersDisagreeAbout(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(string) string{
		"a claim twice":                     func(s string) string { return strings.Replace(s, `{`, `{"sub":"admin",`, 1) },
		"a claim of other case":             func(s string) string { return strings.Replace(s, `{`, `{"SUB":"admin",`, 1) },
		"a claim with a long s (U+017F)":    func(s string) string { return strings.Replace(s, `{`, `{"ſub":"admin",`, 1) },
		"a fresh Exp beside an expired exp": func(s string) string { return strings.Replace(s, `{`, `{"Exp":1,`, 1) },
		"a claim twice inside another":      func(s string) string { return strings.Replace(s, `{`, `{"x":{"a":1,"a":2},`, 1) },
		"a claim twice by an escape":        func(s string) string { return strings.Replace(s, `{`, `{"s\u0075b":"admin",`, 1) },
		"half a surrogate pair":             func(s string) string { return strings.Replace(s, `{`, `{"x":"\ud800",`, 1) },
		"not UTF-8":                         func(s string) string { return strings.Replace(s, `{`, "{\"x\":\"\xff\",", 1) },
		"something after the object":        func(s string) string { return s + `{}` },
		"a list of claims":                  func(s string) string { return `[` + s + `]` },
		"nested without end": func(s string) string {
			return strings.Replace(s, `{`, `{"x":`+strings.Repeat("[", 999)+strings.Repeat("]", 999)+`,`, 1)
		},
		"a comma too many":                    func(s string) string { return strings.Replace(s, `}`, `,}`, 1) },
		"a number with a leading zero":        func(s string) string { return strings.Replace(s, `{`, `{"x":01,`, 1) },
		"a claim without quotes":              func(s string) string { return strings.Replace(s, `{`, `{x:1,`, 1) },
		"a comment":                           func(s string) string { return `/**/` + s },
		"a byte order mark":                   func(s string) string { return "\ufeff" + s },
		"a claim twice among more than 32":    func(s string) string { return strings.Replace(s, `{`, `{`+many(40)+`"SUB":"x",`, 1) },
		"a claim repeated among more than 32": func(s string) string { return strings.Replace(s, `{`, `{`+many(40)+`"a7":1,`, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			refused(t, p.minted(func(claims map[string]any) string {
				payload, err := json.Marshal(claims)
				if err != nil {
					t.Fatal(err)
				}
				return p.op.SignBytes(p.op.Key(), []byte(edit(string(payload))), nil)
			}), "malformed")
		})
	}
}

// many is n distinct members.
func many(n int) string {
	var s strings.Builder
	for i := range n {
		s.WriteString(`"a` + string(rune('0'+i%10)) + strings.Repeat("x", i/10) + `":1,`)
	}
	return s.String()
}

func TestTokensOfEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			p := start(t, func(c *config.Provider) { c.Algorithms = []config.Text{text("RS256"), text("PS256"), text("ES256")} })
			p.op.SetKeys(idptest.NewOPKey(t, alg))
			if _, err := p.signIn(idp.Want{}); err != nil {
				t.Error(err)
			}
			for name, header := range map[string]map[string]any{"no typ": {"typ": nil}, "typ in small letters": {"typ": "jwt"}, "no kid": {"kid": nil}, "x5t": {"x5t": "AAAA"}} {
				if err := p.minted(func(c map[string]any) string { return p.op.Sign(p.op.Key(), c, header) }); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestOnceKeyIsThatOfWhatWasSigned(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	key := idptest.NewOPKey(t, jose.ES256)
	p.op.SetKeys(key)
	claims := p.op.Claims()
	first, err1 := p.Verify(t.Context(), p.op.Sign(key, claims, nil))
	again, err2 := p.Verify(t.Context(), p.op.Sign(key, claims, nil)) // ECDSA: another signature
	claims["jti"] = "2"
	other, err3 := p.Verify(t.Context(), p.op.Sign(key, claims, nil))
	if err1 != nil || err2 != nil || err3 != nil {
		t.Fatal(err1, err2, err3)
	}
	if first.Once.Key != again.Once.Key || first.Once.Key == other.Once.Key {
		t.Errorf("keys %s, %s, %s", first.Once.Key, again.Once.Key, other.Once.Key)
	}
	if want := p.clock.now().Add(11 * time.Minute); !first.Once.Until.Equal(want) {
		t.Errorf("until %v", first.Once.Until)
	}
}

// TestMutatedTokensAreRefused changes each character of a good token, without the
// key: nothing but a refusal may come of it.
func TestMutatedTokensAreRefused(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	key := idptest.NewOPKey(t, jose.ES256)
	p.op.SetKeys(key)
	raw := p.op.Sign(key, p.op.Claims(), nil)
	if _, err := p.Verify(t.Context(), raw); err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for _, other := range []byte{'A', 'x', '_', '.', '+', 0, 0xff} {
			if raw[i] == other {
				continue
			}
			changed := raw[:i] + string([]byte{other}) + raw[i+1:]
			if _, err := p.Verify(t.Context(), changed); err == nil {
				t.Fatalf("character %d as %q: accepted", i, other)
			}
		}
	}
	for cut := range len(raw) {
		if _, err := p.Verify(t.Context(), raw[:cut]); err == nil {
			t.Fatalf("cut after %d characters: accepted", cut)
		}
	}
	p.fetches(t, 3) // the first, and two for kids that the changes made up
}
