package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/oauth2"

	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/dpop"
)

// clientID is the public client that every broker knows.
const clientID = "rolecall-cli"

// server is what the broker's metadata says (RFC 8414).
type server struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Token         string `json:"token_endpoint"`
	Revocation    string `json:"revocation_endpoint"`
	Device        string `json:"device_authorization_endpoint"`
}

// discover reads the broker's metadata. Tokens and codes go to addresses under
// the broker's own URL only, whatever the document says.
func (c *Client) discover(ctx context.Context) (server, error) {
	var s server
	err := c.get(ctx, c.settings.URL+"/.well-known/oauth-authorization-server", &s)
	if err != nil {
		return s, err
	}
	for address, needed := range map[string]bool{s.Revocation: false, s.Device: false, s.Authorization: true, s.Token: true} {
		if (needed || address != "") && !strings.HasPrefix(address, c.settings.URL+"/") {
			return s, fmt.Errorf("%s names an endpoint elsewhere (%q); is this the broker's public address?", c.settings.URL, address)
		}
	}
	return s, nil
}

// get reads a public JSON document.
func (c *Client) get(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s; is it the address of a rolecall broker?", address, resp.Status)
	}
	if err := json.NewDecoder(limited(resp.Body)).Decode(into); err != nil {
		return fmt.Errorf("%s is not the document of a rolecall broker: %w", address, err)
	}
	return nil
}

func (c *Client) unreachable(err error) error {
	var inner *url.Error
	if errors.As(err, &inner) { // its own text repeats method and address
		err = inner.Err
	}
	return fmt.Errorf("%s cannot be reached: %w", c.settings.URL, err)
}

// prover adds a DPoP proof to the requests of a token endpoint.
type prover struct {
	next http.RoundTripper
	dpop *dpop.Prover
}

// RoundTrip implements http.RoundTripper.
func (p prover) RoundTrip(req *http.Request) (*http.Response, error) {
	proof, err := p.dpop.Prove(req.Method, req.URL.String(), "")
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.Header.Set("DPoP", proof)
	return p.next.RoundTrip(req)
}

// flow is x/oauth2's client for one server, with proofs of one key.
func (c *Client) flow(ctx context.Context, s server, key *ecdsa.PrivateKey, redirect string) (*oauth2.Config, context.Context, error) {
	p, err := dpop.NewProver(key, c.now)
	if err != nil {
		return nil, nil, err
	}
	bound := *c.http
	bound.Transport = prover{next: c.http.Transport, dpop: p}
	config := &oauth2.Config{
		ClientID:    clientID,
		RedirectURL: redirect,
		Scopes:      []string{"openid", "offline_access"},
		Endpoint:    oauth2.Endpoint{AuthURL: s.Authorization, TokenURL: s.Token, DeviceAuthURL: s.Device, AuthStyle: oauth2.AuthStyleInParams},
	}
	return config, context.WithValue(ctx, oauth2.HTTPClient, &bound), nil
}

// ErrNoDeviceFlow says that the broker has the device flow switched off.
var ErrNoDeviceFlow = errors.New("does not offer the device flow")

// LoginByDevice signs in with a code that the person types on another device
// (RFC 8628). announce is told the address and the code.
func (c *Client) LoginByDevice(ctx context.Context, announce func(address, code string)) error {
	s, err := c.discover(ctx)
	if err != nil {
		return err
	}
	if s.Device == "" {
		return fmt.Errorf("%s %w; sign in with: rolecall login --no-browser", c.settings.URL, ErrNoDeviceFlow)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	config, ctx, err := c.flow(ctx, s, key, "")
	if err != nil {
		return err
	}
	asked, err := config.DeviceAuth(ctx)
	if err != nil {
		return c.tokenError(err)
	}
	announce(asked.VerificationURI, asked.UserCode)
	token, err := config.DeviceAccessToken(ctx, asked)
	if err != nil {
		return c.tokenError(err)
	}
	return c.remember(token, key)
}

// remember keeps a new sign-in.
func (c *Client) remember(token *oauth2.Token, key *ecdsa.PrivateKey) error {
	if err := c.keep(token, key); err != nil {
		return err
	}
	return c.settings.Remember(c.vault.getenv("ROLECALL_PASSPHRASE_FILE"))
}

// SignedIn reports whether there is a sign-in to use; the broker is not asked.
func (c *Client) SignedIn() bool {
	if a, err := c.vault.loadAccess(); err == nil && c.now().Before(a.ExpiresAt) {
		return true
	}
	_, err := c.vault.loadKey()
	return err == nil
}

// Login signs in by a browser and keeps the tokens. announce is told the address
// to open, and opens it if it can.
func (c *Client) Login(ctx context.Context, fresh bool, announce func(address string)) error {
	s, err := c.discover(ctx)
	if err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	callback, err := listenForCallback(ctx, s.Issuer)
	if err != nil {
		return err
	}
	defer callback.close()
	config, ctx, err := c.flow(ctx, s, key, callback.redirectURI())
	if err != nil {
		return err
	}
	verifier := oauth2.GenerateVerifier()
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(verifier)}
	if fresh {
		options = append(options, oauth2.SetAuthURLParam("prompt", "login"))
	}
	announce(config.AuthCodeURL(callback.state, options...))
	code, err := callback.wait(ctx)
	if err != nil {
		return err
	}
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return c.tokenError(err)
	}
	return c.remember(token, key)
}

func (c *Client) keep(token *oauth2.Token, key *ecdsa.PrivateKey) error {
	if token.RefreshToken == "" {
		return errors.New("the broker gave no refresh token")
	}
	if err := c.vault.saveKey(grantKey{secret.New(token.RefreshToken), key}); err != nil {
		return err
	}
	return c.vault.saveAccess(access{secret.New(token.AccessToken), token.TokenType, token.Expiry})
}

// expiryMargin keeps an access token from running out on its way.
const expiryMargin = 20 * time.Second

// token gives an access token that works, refreshing it if need be; of several
// processes one refreshes and the others take what it got.
func (c *Client) token(ctx context.Context) (access, error) {
	if a, err := c.vault.loadAccess(); err == nil && c.now().Add(expiryMargin).Before(a.ExpiresAt) {
		return a, nil
	}
	if c.settings.URL == "" {
		return access{}, ErrSignedOut
	}
	lock := flock.New(c.settings.LockFile())
	if _, err := lock.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		if errors.Is(err, errNotExist) {
			return access{}, ErrSignedOut
		}
		return access{}, fmt.Errorf("wait for another rolecall that refreshes the sign-in: %w", err)
	}
	defer func() { _ = lock.Unlock() }()
	if a, err := c.vault.loadAccess(); err == nil && c.now().Add(expiryMargin).Before(a.ExpiresAt) {
		return a, nil
	}
	return c.refresh(ctx)
}

func (c *Client) refresh(ctx context.Context) (access, error) {
	kept, err := c.vault.loadKey()
	if err != nil {
		return access{}, err
	}
	s, err := c.discover(ctx)
	if err != nil {
		return access{}, err
	}
	config, ctx, err := c.flow(ctx, s, kept.Key, "")
	if err != nil {
		return access{}, err
	}
	token, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: kept.RefreshToken.Reveal()}).Token()
	if err != nil {
		return access{}, c.tokenError(err)
	}
	if err := c.keep(token, kept.Key); err != nil {
		return access{}, err
	}
	return access{secret.New(token.AccessToken), token.TokenType, token.Expiry}, nil
}

// tokenError says what the token endpoint's refusal means for the person.
func (c *Client) tokenError(err error) error {
	refused, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case !ok:
		return c.unreachable(err)
	case refused.ErrorCode == "access_denied":
		return errors.New("the sign-in was declined in the browser")
	case refused.ErrorCode == "expired_token":
		return errors.New("nobody entered the code in time")
	case refused.ErrorCode == "invalid_grant":
		return fmt.Errorf("%w: the sign-in has ended (%s)", ErrSignedOut, refused.ErrorDescription)
	case refused.ErrorCode != "":
		return fmt.Errorf("%s: %s", refused.ErrorCode, refused.ErrorDescription)
	}
	return fmt.Errorf("%s answered %s", c.settings.URL, refused.Response.Status)
}

// Logout revokes the tokens at the broker and forgets them here, whether or not
// the broker can be reached.
func (c *Client) Logout(ctx context.Context) error {
	revoked := c.revoke(ctx)
	if err := c.vault.forget(); err != nil {
		return err
	}
	if revoked != nil && !errors.Is(revoked, ErrSignedOut) {
		return fmt.Errorf("forgotten here, but the broker could not be told: %w", revoked)
	}
	return nil
}

func (c *Client) revoke(ctx context.Context) error {
	kept, err := c.vault.loadKey()
	if err != nil {
		return err
	}
	s, err := c.discover(ctx)
	if err != nil {
		return err
	}
	form := url.Values{"client_id": {clientID}, "token": {kept.RefreshToken.Reveal()}, "token_type_hint": {"refresh_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("revocation: %s", resp.Status)
	}
	return nil
}
