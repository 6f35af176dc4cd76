// Package client speaks to a broker for the CLI: sign-in (authorization code with
// PKCE and a loopback redirect, RFC 8252), refresh, and the JSON API with tokens
// bound to a DPoP key (RFC 9449).
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"time"

	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/cmd/rolecall/internal/settings"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/dpop"
)

// maxAnswer bounds what is read of an answer.
const maxAnswer = 8 << 20

var errNotExist = fs.ErrNotExist

func limited(r io.Reader) io.Reader { return io.LimitReader(r, maxAnswer) }

// Config is what a Client is made of.
type Config struct {
	Settings settings.Settings
	Getenv   func(string) string
	Stderr   io.Writer
	Now      func() time.Time
}

// Client is one profile's connection to its broker.
type Client struct {
	settings settings.Settings
	vault    vault
	http     *http.Client
	now      func() time.Time
}

// New makes a Client; nothing is sent yet.
func New(config Config) *Client {
	return &Client{
		settings: config.Settings,
		vault:    vault{config.Settings, config.Getenv, config.Stderr},
		http: &http.Client{
			Timeout:       40 * time.Second, // an SDK ends the helper after 60
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 10 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		now: config.Now,
	}
}

// APIError is the broker's refusal.
type APIError struct {
	Status      int
	Code        string `json:"error"`
	Description string `json:"error_description"`
	RequestID   string `json:"request_id"`
}

// Error is one line with the request id.
func (e *APIError) Error() string {
	text := e.Description
	if text == "" {
		text = fmt.Sprintf("the broker answered %d", e.Status)
	}
	if e.RequestID != "" {
		text += " (request " + e.RequestID + ")"
	}
	return text
}

// call sends one API request with the access token and decodes its answer.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	token, err := c.token(ctx)
	if err != nil {
		return err
	}
	var sent []byte
	if body != nil {
		if sent, err = json.Marshal(body); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.settings.URL+path, bytes.NewReader(sent))
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := c.authorize(req, token); err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		refused := &APIError{Status: resp.StatusCode}
		_ = json.NewDecoder(limited(resp.Body)).Decode(refused) // a proxy's page has no code
		if refused.Code == "unauthenticated" || refused.Code == "invalid_token" {
			return fmt.Errorf("%w: %w", ErrSignedOut, refused)
		}
		return refused
	}
	if err := json.NewDecoder(limited(resp.Body)).Decode(into); err != nil {
		return fmt.Errorf("read the answer of %s: %w", c.settings.URL+path, err)
	}
	return nil
}

func (c *Client) authorize(req *http.Request, token access) error {
	if token.Type != "DPoP" {
		req.Header.Set("Authorization", "Bearer "+token.Token.Reveal())
		return nil
	}
	kept, err := c.vault.loadKey()
	if err != nil {
		return err
	}
	p, err := dpop.NewProver(kept.Key, c.now)
	if err != nil {
		return err
	}
	proof, err := p.Prove(req.Method, req.URL.String(), token.Token.Reveal())
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "DPoP "+token.Token.Reveal())
	req.Header.Set("DPoP", proof)
	return nil
}

// Identity is who the broker says the person is.
func (c *Client) Identity(ctx context.Context) (idp.Identity, error) {
	var who idp.Identity
	err := c.call(ctx, http.MethodGet, "/api/v1/identity", nil, &who)
	return who, err
}

// Role is one role of the caller.
type Role struct {
	RoleARN string `json:"role_arn"`
	Account struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"account"`
	Grant   string `json:"grant"`
	Console bool   `json:"console"`
	StepUp  bool   `json:"step_up,omitempty"`
}

// Roles lists what the person may have.
func (c *Client) Roles(ctx context.Context) ([]Role, error) {
	var answer struct {
		Roles []Role `json:"roles"`
	}
	err := c.call(ctx, http.MethodGet, "/api/v1/roles", nil, &answer)
	return answer.Roles, err
}

// Credentials orders credentials of a role; duration may be "".
func (c *Client) Credentials(ctx context.Context, role, duration string) (iam.ProcessDocument, error) {
	var document iam.ProcessDocument
	ask := struct {
		Role     string `json:"role"`
		Duration string `json:"duration,omitempty"`
	}{role, duration}
	err := c.call(ctx, http.MethodPost, "/api/v1/credentials", ask, &document)
	return document, err
}

// ConsoleURL orders an address that signs in to the AWS console.
func (c *Client) ConsoleURL(ctx context.Context, role, service, region string) (string, error) {
	var answer struct {
		URL string `json:"url"`
	}
	ask := struct {
		Role    string `json:"role"`
		Service string `json:"service,omitempty"`
		Region  string `json:"region,omitempty"`
	}{role, service, region}
	err := c.call(ctx, http.MethodPost, "/api/v1/console-url", ask, &answer)
	return answer.URL, err
}
