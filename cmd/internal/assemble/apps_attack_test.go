package assemble

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/config"
)

const (
	credentialsPath = "/tvm/v1/credentials"
	devicesPath     = "/tvm/v1/devices"
)

// wire sends a request to order credentials with exactly these headers.
func order1(t *testing.T, p *scripted.Phone, authorization, proof string) scripted.Reply {
	t.Helper()
	header := map[string]string{}
	for name, value := range map[string]string{"Authorization": authorization, "DPoP": proof} {
		if value != "" {
			header[name] = value
		}
	}
	r, err := p.Send(t.Context(), http.MethodPost, credentialsPath, "application/json", []byte("{}"), header)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func proof(t *testing.T, p *scripted.Phone, method, path, token string) string {
	t.Helper()
	text, err := p.Prove(method, path, token)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// challenged expects 401 with an error in WWW-Authenticate.
func challenged(t *testing.T, what string, r scripted.Reply, code string) {
	t.Helper()
	if r.Status != 401 || r.Error() != "unauthenticated" || !strings.HasPrefix(r.Header.Get("WWW-Authenticate"), `DPoP error="`+code+`"`) || r.Header.Get("DPoP-Nonce") == "" {
		t.Errorf("%s: %s, want %s", what, r, code)
	}
}

func TestAProofIsGoodForOneRequestOnly(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p, other := w.phone(t), w.phone(t)
	good := proof(t, p, "POST", credentialsPath, p.Access)
	if r := order1(t, p, "DPoP "+p.Access, good); r.Status != 200 {
		t.Fatalf("got %s", r)
	}
	challenged(t, "the same proof again", order1(t, p, "DPoP "+p.Access, good), "invalid_dpop_proof")
	for what, text := range map[string]string{
		"for another path":         proof(t, p, "POST", devicesPath, p.Access),
		"for another method":       proof(t, p, "GET", credentialsPath, p.Access),
		"without the token's hash": proof(t, p, "POST", credentialsPath, ""),
		"for another token":        proof(t, p, "POST", credentialsPath, other.Access),
		"of another key":           proof(t, other, "POST", credentialsPath, p.Access),
		"that is none":             "eyJhbGciOiJub25lIn0.e30.",
		"that is two":              good + ", " + good,
	} {
		challenged(t, "a proof "+what, order1(t, p, "DPoP "+p.Access, text), "invalid_dpop_proof")
	}
	elsewhere := *p
	elsewhere.URL = "https://sso.example.com"
	challenged(t, "a proof for another host", order1(t, p, "DPoP "+p.Access, proof(t, &elsewhere, "POST", credentialsPath, p.Access)), "invalid_dpop_proof")
	challenged(t, "no proof", order1(t, p, "DPoP "+p.Access, ""), "use_dpop_nonce")
	challenged(t, "the scheme Bearer", order1(t, p, "Bearer "+p.Access, proof(t, p, "POST", credentialsPath, p.Access)), "invalid_token")
	challenged(t, "a made-up token", order1(t, p, "DPoP rca_made-up", proof(t, p, "POST", credentialsPath, "rca_made-up")), "invalid_token")
	r := order1(t, p, "", proof(t, p, "POST", credentialsPath, p.Access))
	if r.Status != 401 || r.Header.Get("WWW-Authenticate") != `DPoP algs="ES256"` {
		t.Errorf("no token: %s", r)
	}
	challenged(t, "the refresh token", order1(t, p, "DPoP "+p.Refresh, proof(t, p, "POST", credentialsPath, p.Refresh)), "invalid_token")
	if r := order1(t, p, "DPoP "+p.Access, proof(t, p, "POST", credentialsPath, p.Access)); r.Status != 200 {
		t.Errorf("after all that the honest device gets %s", r)
	}
}

// What a phone believes of the time does not matter; what the server said does.
func TestTheNonceCountsAndNotTheClockOfThePhone(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	w := runAt(t, func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }, nil)
	p := scripted.NewPhone(w.URL, "notes")
	p.Now = func() time.Time { return time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC) }
	want(t, 201)(p.Register(t.Context()))
	want(t, 200)(p.Credentials(t.Context(), ""))
	want(t, 200)(p.Renew(t.Context()))
	p.Now = time.Now
	old := *p
	p.Nonce = ""
	challenged(t, "a proof without a nonce", order1(t, p, "DPoP "+p.Access, proof(t, p, "POST", credentialsPath, p.Access)), "use_dpop_nonce")
	p.Nonce = "AAAAAAAAAAAAAAAAAAAAAA"
	challenged(t, "a made-up nonce", order1(t, p, "DPoP "+p.Access, proof(t, p, "POST", credentialsPath, p.Access)), "use_dpop_nonce")
	captured := proof(t, &old, "POST", credentialsPath, old.Access)
	ahead.Store(int64(time.Minute))
	if r := order1(t, &old, "DPoP "+old.Access, proof(t, &old, "POST", credentialsPath, old.Access)); r.Status != 200 {
		t.Errorf("a nonce of a minute ago: %s", r)
	}
	ahead.Store(int64(2 * time.Minute))
	challenged(t, "a proof of two minutes ago", order1(t, &old, "DPoP "+old.Access, captured), "use_dpop_nonce")
	want(t, 200)(p.Credentials(t.Context(), ""))
}

// forged is a proof for an order that says and is signed with whatever.
func forged(t *testing.T, p *scripted.Phone, header map[string]any, sign func(input string) []byte) string {
	t.Helper()
	genuine := strings.Split(proof(t, p, "POST", credentialsPath, p.Access), ".")
	text, err := base64.RawURLEncoding.DecodeString(genuine[0])
	if err != nil {
		t.Fatal(err)
	}
	var have map[string]any
	if err := json.Unmarshal(text, &have); err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		have[name] = value
	}
	if text, err = json.Marshal(have); err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString(text) + "." + genuine[1]
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(input))
}

func TestForgedProofsProveNothing(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p := w.phone(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public := func(key any) map[string]any {
		var jwk map[string]any
		text, err := json.Marshal(jose.JSONWebKey{Key: key})
		if err == nil {
			err = json.Unmarshal(text, &jwk)
		}
		if err != nil {
			t.Fatal(err)
		}
		return jwk
	}
	own := func(input string) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(p.Sign(input))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	point, err := p.Key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	hs := func(input string) []byte {
		mac := hmac.New(sha256.New, point) // a forger knows the public key
		mac.Write([]byte(input))
		return mac.Sum(nil)
	}
	rs := func(input string) []byte {
		sum := sha256.Sum256([]byte(input))
		signature, err := rsa.SignPKCS1v15(rand.Reader, rsaKey, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	for what, c := range map[string]struct {
		header map[string]any
		sign   func(string) []byte
	}{
		"alg none":                    {map[string]any{"alg": "none"}, func(string) []byte { return []byte{0} }},
		"alg HS256 of the public key": {map[string]any{"alg": "HS256"}, hs},
		"a good one of RS256":         {map[string]any{"alg": "RS256", "jwk": public(rsaKey.Public())}, rs},
		"a private key inside":        {map[string]any{"jwk": public(p.Key)}, own},
		"an ID token's typ":           {map[string]any{"typ": "JWT"}, own},
		"no key":                      {map[string]any{"jwk": nil}, own},
		"a key elsewhere":             {map[string]any{"jku": "https://attacker.example.com/jwks"}, own},
		"an unknown crit":             {map[string]any{"crit": []string{"b64"}, "b64": false}, own},
		"a wrong signature":           {nil, func(input string) []byte { return own(input + "x") }},
	} {
		challenged(t, what, order1(t, p, "DPoP "+p.Access, forged(t, p, c.header, c.sign)), "invalid_dpop_proof")
	}
	if r := order1(t, p, "DPoP "+p.Access, forged(t, p, nil, own)); r.Status != 200 {
		t.Errorf("the genuine one: %s", r)
	}
}

func TestAnAppGetsNoFurtherThanItsGrants(t *testing.T) {
	t.Parallel()
	w := run(t, func(c *config.Config) {
		guest := c.Grants[len(c.Grants)-1]
		guest.Name = config.Text{Value: "wallet-guest"}
		guest.Role = config.Text{Value: "development/Developer"}
		c.Grants = append(c.Grants, guest)
		wallet := c.Apps[0]
		wallet.Name, wallet.Grants = config.Text{Value: "wallet"}, []config.Text{guest.Name}
		closed := c.Apps[0]
		closed.Name, closed.Guests = config.Text{Value: "closed"}, false
		c.Apps = append(c.Apps, wallet, closed)
	})
	p := w.phone(t)
	for what, role := range map[string]string{
		"a role of people":                      "production/Admin",
		"a role that another app's guests have": "development/Developer",
		"a role that is none":                   "development/None",
	} {
		if r := want(t, 403)(p.Credentials(t.Context(), role)); r.Error() != "access_denied" {
			t.Errorf("%s: %s", what, r)
		}
	}
	wallet := scripted.NewPhone(w.URL, "wallet")
	want(t, 201)(wallet.Register(t.Context()))
	want(t, 200)(wallet.Credentials(t.Context(), "development/Developer"))
	want(t, 403)(wallet.Credentials(t.Context(), "development/NotesGuest"))

	closed := scripted.NewPhone(w.URL, "closed")
	want(t, 201)(closed.Register(t.Context()))
	want(t, 403)(closed.Credentials(t.Context(), ""))

	// One key in two apps is two devices, whose tokens are apart.
	wallet.Key = p.Key
	want(t, 201)(wallet.Register(t.Context()))
	if wallet.Device.DeviceID == p.Device.DeviceID || wallet.Device.IdentityID == p.Device.IdentityID {
		t.Errorf("one device in two apps: %+v", wallet.Device)
	}
	stolen := *wallet
	if r := want(t, 400)(stolen.RenewWith(t.Context(), p.Refresh)); r.Error() != "invalid_grant" {
		t.Errorf("the refresh token of another app: %s", r)
	}
	want(t, 200)(p.Renew(t.Context()))
	unknown := scripted.NewPhone(w.URL, "nope")
	if r := want(t, 400)(unknown.Register(t.Context())); r.Error() != "invalid_request" {
		t.Errorf("an unknown app: %s", r)
	}
	if r := want(t, 401)(unknown.RenewWith(t.Context(), p.Refresh)); r.Error() != "invalid_client" {
		t.Errorf("an unknown client: %s", r)
	}
}

// A token is good where it was made for.
func TestTokensOfAppsAndOfTheCommandLineAreApart(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p := w.phone(t)
	for _, path := range []string{"/api/v1/identity", "/api/v1/roles"} {
		if r := want(t, 401)(p.Call(t.Context(), http.MethodGet, path, p.Access, nil)); r.Error() != "unauthenticated" {
			t.Errorf("%s: %s", path, r)
		}
	}
	want(t, 401)(p.Call(t.Context(), http.MethodPost, "/api/v1/credentials", p.Access, map[string]string{"role": "development/NotesGuest"}))
	for form, code := range map[string]string{
		"grant_type=authorization_code&client_id=notes&code=x&redirect_uri=x&code_verifier=x":   "invalid_dpop_proof",
		"grant_type=urn:ietf:params:oauth:grant-type:device_code&client_id=notes&device_code=x": "unauthorized_client",
	} {
		r, err := p.Send(t.Context(), http.MethodPost, "/oauth2/token", "application/x-www-form-urlencoded", []byte(form), nil)
		if err != nil || r.Status != 400 || r.Error() != code {
			t.Errorf("%s: %s %v", form, r, err)
		}
	}
	form := "grant_type=refresh_token&client_id=rolecall-cli&refresh_token=" + p.Refresh
	r, err := p.Send(t.Context(), http.MethodPost, "/oauth2/token", "application/x-www-form-urlencoded", []byte(form), map[string]string{"DPoP": proof(t, p, "POST", "/oauth2/token", "")})
	if err != nil || r.Status != 400 || r.Error() != "invalid_grant" {
		t.Errorf("the refresh token as the command line's: %s %v", r, err)
	}
	r, err = p.Send(t.Context(), http.MethodPost, "/oauth2/token", "application/x-www-form-urlencoded", []byte(strings.Replace(form, "rolecall-cli", "notes", 1)), nil)
	if err != nil || r.Status != 400 || r.Error() != "invalid_dpop_proof" {
		t.Errorf("a refresh without a proof: %s %v", r, err)
	}
	thief := scripted.NewPhone(w.URL, "notes")
	if r := want(t, 400)(thief.RenewWith(t.Context(), p.Refresh)); r.Error() != "invalid_dpop_proof" {
		t.Errorf("a refresh with another key: %s", r)
	}
	want(t, 200)(p.Renew(t.Context()))
}

func TestAFloodOfRegistrationsIsTurnedAway(t *testing.T) {
	t.Parallel()
	w := run(t, func(c *config.Config) {
		c.Apps[0].Limits.Registrations = config.Rate{Events: 5, Period: time.Hour}
		c.Apps[0].Limits.PerDevice = config.Rate{Events: 3, Period: time.Hour}
	})
	p := w.phone(t)
	made, refused := 1, 0
	for range 20 {
		other := scripted.NewPhone(w.URL, "notes")
		r, err := other.Register(t.Context())
		switch {
		case err != nil:
			t.Fatal(err)
		case r.Status == 201:
			made++
		case r.Status == 429 && r.Error() == "rate_limited" && r.Header.Get("Retry-After") != "":
			refused++
		default:
			t.Errorf("got %s", r)
		}
	}
	if made != 5 || refused != 16 {
		t.Errorf("%d registered and %d turned away", made, refused)
	}
	for i := range 5 {
		r, err := p.Credentials(t.Context(), "")
		if wanted := map[bool]int{true: 200, false: 429}[i < 3]; err != nil || r.Status != wanted {
			t.Errorf("order %d: %s %v, want %d", i, r, err, wanted)
		}
	}
}

func TestBodiesAreReadStrictly(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	p := w.phone(t)
	for what, c := range map[string]struct {
		path, kind, body string
		status           int
	}{
		"an unknown member":        {devicesPath, "application/json", `{"app":"notes","admin":true}`, 400},
		"an attestation":           {devicesPath, "application/json", `{"app":"notes","attestation":"AAAA"}`, 400},
		"a member in other case":   {devicesPath, "application/json", `{"App":"notes"}`, 400},
		"a member twice":           {devicesPath, "application/json", `{"app":"notes","app":"wallet"}`, 400},
		"an app that is no text":   {devicesPath, "application/json", `{"app":7}`, 400},
		"no object":                {devicesPath, "application/json", `[]`, 400},
		"two documents":            {devicesPath, "application/json", `{"app":"notes"}{"app":"notes"}`, 400},
		"no JSON":                  {devicesPath, "application/json", `app=notes`, 400},
		"a form":                   {devicesPath, "application/x-www-form-urlencoded", `app=notes`, 400},
		"too much":                 {devicesPath, "application/json", `{"app":"` + strings.Repeat("x", 20<<10) + `"}`, 413},
		"a policy of the caller's": {credentialsPath, "application/json", `{"policy":"{}"}`, 400},
		"a duration that is none":  {credentialsPath, "application/json", `{"duration":"long"}`, 400},
		"a duration too long":      {credentialsPath, "application/json", `{"duration":"1h"}`, 400},
		"a role that is none":      {credentialsPath, "application/json", `{"role":"arn:aws:iam::1:user/x"}`, 400},
	} {
		header := map[string]string{}
		token := ""
		if c.path == credentialsPath {
			token = p.Access
			header["Authorization"] = "DPoP " + token
		}
		header["DPoP"] = proof(t, p, "POST", c.path, token)
		r, err := p.Send(t.Context(), http.MethodPost, c.path, c.kind, []byte(c.body), header)
		if err != nil || r.Status != c.status || !strings.Contains(string(r.Body), `"request_id":"`+r.Header.Get("X-Request-Id")) {
			t.Errorf("%s: %s %v, want %d", what, r, err, c.status)
		}
	}
}

func TestPagesOfAppsMayCallAndOthersMayNot(t *testing.T) {
	t.Parallel()
	const page = "https://notes.example.com"
	w := run(t, func(c *config.Config) { c.Apps[0].Origins = []config.Text{{Value: page}} })
	p := w.phone(t)
	for _, path := range []string{devicesPath, credentialsPath, devicesPath + "/x", devicesPath + "/x/key", "/oauth2/token"} {
		for origin, allowed := range map[string]bool{page: true, "https://evil.example.com": false, "null": false, page + ".evil.example.com": false} {
			r, err := p.Send(t.Context(), http.MethodOptions, path, "", nil, map[string]string{"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "dpop"})
			if err != nil || r.Status != 204 || r.Header.Get("Vary") == "" {
				t.Fatalf("%s: %s %v", path, r, err)
			}
			got := r.Header.Get("Access-Control-Allow-Origin")
			if (got == origin) != allowed || (got == "") == allowed || r.Header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s from %s: %q", path, origin, got)
			}
			if allowed && (!strings.Contains(r.Header.Get("Access-Control-Allow-Headers"), "DPoP") || r.Header.Get("Access-Control-Allow-Methods") == "") {
				t.Errorf("%s: %v", path, r.Header)
			}
		}
	}
	for origin, exposed := range map[string]bool{page: true, "https://evil.example.com": false} {
		r, err := p.Send(t.Context(), http.MethodPost, credentialsPath, "application/json", []byte("{}"), map[string]string{
			"Origin": origin, "Authorization": "DPoP " + p.Access, "DPoP": proof(t, p, "POST", credentialsPath, p.Access)})
		if err != nil || r.Status != 200 || strings.Contains(r.Header.Get("Access-Control-Expose-Headers"), "DPoP-Nonce") != exposed || (r.Header.Get("Access-Control-Allow-Origin") != "") != exposed {
			t.Errorf("from %s: %s %v %v", origin, r, err, r.Header)
		}
	}
}

// An app that is taken out of the configuration is gone, with the tokens of its devices.
func TestAnAppThatIsRemovedIsGone(t *testing.T) {
	t.Parallel()
	w := run(t, func(c *config.Config) {
		other := c.Apps[0]
		other.Name = config.Text{Value: "other"}
		c.Apps = append(c.Apps, other)
	})
	p := w.phone(t)
	next := *w.Config
	next.Apps = next.Apps[1:]
	if err := w.daemon.Reload(t.Context(), func() (*config.Config, error) { return &next, nil }); err != nil {
		t.Fatal(err)
	}
	challenged(t, "an order", order1(t, p, "DPoP "+p.Access, proof(t, p, "POST", credentialsPath, p.Access)), "invalid_token")
	if r := want(t, 401)(p.RenewWith(t.Context(), p.Refresh)); r.Error() != "invalid_client" {
		t.Errorf("a refresh: %s", r)
	}
	want(t, 400)(p.Register(t.Context()))
	next.Apps = nil
	if err := w.daemon.Reload(t.Context(), func() (*config.Config, error) { return &next, nil }); err != nil {
		t.Fatal(err)
	}
	if r, err := p.Send(t.Context(), http.MethodGet, "/tvm/v1/openapi.json", "", nil, nil); err != nil || r.Status != 404 {
		t.Errorf("without apps: %s %v", r, err)
	}
}

// handled sends requests to a node that has no listener.
type handled struct{ http.Handler }

func (h handled) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// What one node did the other one knows: nonces, tokens, and at once what has been
// revoked, also where it has the credentials at hand.
func TestEveryNodeKnowsTheDevicesOfAll(t *testing.T) {
	t.Parallel()
	w := run(t, nil)
	second := *w.Config
	second.Audit.File = filepath.Join(t.TempDir(), "audit.jsonl")
	node := start(t, Options{Config: &second, Log: w.options.Log, Now: time.Now, AWS: w.daemon.options.AWS})
	p := w.phone(t)
	there := *p
	there.Client = &http.Client{Transport: handled{node.Handler()}}
	want(t, 200)(p.Credentials(t.Context(), ""))
	if r := want(t, 200)(there.Call(t.Context(), http.MethodGet, devicesPath, p.Access, nil)); !strings.Contains(string(r.Body), p.Device.DeviceID) {
		t.Errorf("the other node lists %s", r)
	}
	want(t, 200)(there.Register(t.Context()))
	if there.Device.DeviceID != p.Device.DeviceID {
		t.Error("the other node makes another device of the key")
	}
	want(t, 401)(p.Credentials(t.Context(), "")) // its tokens ended there
	p.Access, p.Refresh = there.Access, there.Refresh
	want(t, 200)(p.Credentials(t.Context(), ""))
	want(t, 204)(there.Call(t.Context(), http.MethodDelete, devicesPath+"/"+p.Device.DeviceID, p.Access, nil))
	want(t, 401)(p.Credentials(t.Context(), ""))
	want(t, 403)(p.Register(t.Context()))
}
