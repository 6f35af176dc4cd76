package scripted

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rolecall/rolecall/idp/dpop"
)

// Phone is a device of an app, as its developer would write it: it holds a key, takes
// the nonce of every answer, and makes a proof for each request. Its fields may be
// changed, to be what an attacker is.
type Phone struct {
	URL, App string
	Key      *ecdsa.PrivateKey
	Client   *http.Client
	// Now is its clock, which need not be right.
	Now func() time.Time

	Nonce           string
	Access, Refresh string
	Device          Device
}

// Device is what a registration or a login answers.
type Device struct {
	DeviceID     string `json:"device_id"`
	IdentityID   string `json:"identity_id"`
	Alias        string `json:"alias"`
	Guest        bool   `json:"guest"`
	LoggedIn     bool   `json:"logged_in"`
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token"`
	ExpiresIn    int    `json:"expires_in"`
}

// Reply is an answer as it came.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// Error is the member error of the answer, "" where there is none.
func (r Reply) Error() string {
	var fault struct {
		Error string `json:"error"`
	}
	_ = json.Unmarshal(r.Body, &fault) // no error is none
	return fault.Error
}

// String shows an answer in the message of a test.
func (r Reply) String() string {
	return fmt.Sprintf("%d %q %s", r.Status, r.Header.Get("WWW-Authenticate"), bytes.TrimSpace(r.Body))
}

// NewKey makes a key of a device.
func NewKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the machine has no randomness
	}
	return key
}

// NewPhone makes a device of an app that has not been registered.
func NewPhone(url, app string) *Phone {
	return &Phone{URL: url, App: app, Key: NewKey(), Client: &http.Client{Timeout: 30 * time.Second}, Now: time.Now}
}

// Prove makes a proof with the phone's key and nonce; token is "" for none.
func (p *Phone) Prove(method, path, token string) (string, error) {
	prover, err := dpop.NewProver(p.Key, p.Now)
	if err != nil {
		return "", err
	}
	return prover.ProveNonce(method, p.URL+path, token, p.Nonce)
}

// Send sends a request with exactly these headers, and keeps the nonce that comes.
func (p *Phone) Send(ctx context.Context, method, path, kind string, body []byte, header map[string]string) (Reply, error) {
	r, err := http.NewRequestWithContext(ctx, method, p.URL+path, bytes.NewReader(body))
	if err != nil {
		return Reply{}, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	resp, err := p.Client.Do(r)
	if err != nil {
		return Reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer := Reply{Status: resp.StatusCode, Header: resp.Header}
	if answer.Body, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20)); err != nil {
		return Reply{}, err
	}
	if nonce := resp.Header.Get("DPoP-Nonce"); nonce != "" {
		p.Nonce = nonce
	}
	return answer, nil
}

// Call sends JSON (nil is no body) with a proof and, where token is not "", an access
// token; where the nonce was not good it does so once more with the one that came.
func (p *Phone) Call(ctx context.Context, method, path, token string, document any) (Reply, error) {
	var body []byte
	kind := ""
	if document != nil {
		var err error
		if body, err = json.Marshal(document); err != nil {
			return Reply{}, err
		}
		kind = "application/json"
	}
	return p.proved(ctx, method, path, token, kind, body)
}

func (p *Phone) proved(ctx context.Context, method, path, token, kind string, body []byte) (Reply, error) {
	for again := false; ; again = true {
		proof, err := p.Prove(method, path, token)
		if err != nil {
			return Reply{}, err
		}
		header := map[string]string{"DPoP": proof}
		if token != "" {
			header["Authorization"] = "DPoP " + token
		}
		answer, err := p.Send(ctx, method, path, kind, body, header)
		wantsNonce := strings.Contains(answer.Header.Get("WWW-Authenticate"), `error="use_dpop_nonce"`) || answer.Error() == "use_dpop_nonce"
		if err != nil || !wantsNonce || again {
			return answer, err
		}
	}
}

// keep takes the tokens of an answer.
func (p *Phone) keep(answer Reply, err error) (Reply, error) {
	if err != nil || answer.Status/100 != 2 {
		return answer, err
	}
	var got Device
	if err := json.Unmarshal(answer.Body, &got); err != nil {
		return answer, err
	}
	if got.DeviceID != "" {
		p.Device = got
	}
	p.Access, p.Refresh = got.AccessToken, got.RefreshToken
	return answer, nil
}

// Register makes the phone's key a device, or finds it again.
func (p *Phone) Register(ctx context.Context) (Reply, error) {
	return p.keep(p.Call(ctx, http.MethodPost, "/tvm/v1/devices", "", map[string]string{"app": p.App}))
}

// Renew refreshes the tokens.
func (p *Phone) Renew(ctx context.Context) (Reply, error) {
	return p.keep(p.RenewWith(ctx, p.Refresh))
}

// RenewWith asks for what a refresh token gives, and keeps nothing of it.
func (p *Phone) RenewWith(ctx context.Context, refresh string) (Reply, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {p.App}}
	return p.proved(ctx, http.MethodPost, "/oauth2/token", "", "application/x-www-form-urlencoded", []byte(form.Encode()))
}

// Redeem turns the code of a sign-in in the browser into tokens of whoever signed in.
func (p *Phone) Redeem(ctx context.Context, code, redirectURI, verifier string) (Reply, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {p.App}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {verifier}}
	return p.keep(p.proved(ctx, http.MethodPost, "/oauth2/token", "", "application/x-www-form-urlencoded", []byte(form.Encode())))
}

// Credentials orders credentials of a role, "" for the only one.
func (p *Phone) Credentials(ctx context.Context, role string) (Reply, error) {
	ask := map[string]string{}
	if role != "" {
		ask["role"] = role
	}
	return p.Call(ctx, http.MethodPost, "/tvm/v1/credentials", p.Access, ask)
}

// Rekey gives the device another key by the word of the old one.
func (p *Phone) Rekey(ctx context.Context, next *ecdsa.PrivateKey) (Reply, error) {
	path := "/tvm/v1/devices/" + p.Device.DeviceID + "/key"
	if p.Nonce == "" {
		if _, err := p.Call(ctx, http.MethodGet, "/tvm/v1/devices", p.Access, nil); err != nil {
			return Reply{}, err
		}
	}
	other := *p
	other.Key = next
	proof, err := other.Prove(http.MethodPost, path, "")
	if err != nil {
		return Reply{}, err
	}
	answer, err := p.keep(p.Call(ctx, http.MethodPost, path, p.Access, map[string]string{"proof": proof, "signature": p.Sign(proof)}))
	if err == nil && answer.Status == http.StatusOK {
		p.Key = next
	}
	return answer, err
}

// Sign is ES256 of the phone's key, as WebCrypto gives it, in base64url.
func (p *Phone) Sign(text string) string {
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, p.Key, sum[:])
	if err != nil {
		panic(err) // the machine has no randomness
	}
	return base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}
