package oidc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
)

// errNotPushed says that a provider did not take a pushed request; the browser may
// carry it, where nobody demands otherwise.
var errNotPushed = errors.New("the provider did not take the pushed request")

// pushed hands the request to the provider itself (RFC 9126) where that is offered,
// and gives what the browser carries then. Where the provider or the configuration
// demands it there is no other way; elsewhere the log says that it was not pushed.
func (p *Provider) pushed(ctx context.Context, m *metadata, request url.Values) (url.Values, error) {
	mode := p.config.PushedRequests.Value
	demanded := m.pushRequired || mode == "require"
	switch {
	case m.pushRequired && mode == "off":
		return nil, fmt.Errorf("pushed request: %w: the provider demands one (RFC 9126), and pushed_requests is off", idp.ErrUnavailable)
	case m.push == "" && demanded:
		return nil, fmt.Errorf("pushed request: %w: one is demanded, and discovery names no pushed_authorization_request_endpoint", idp.ErrUnavailable)
	case m.push == "" || mode == "off":
		return request, nil
	}
	name, err := p.push(ctx, m, request)
	switch {
	case errors.Is(err, errNotPushed) && !demanded:
		p.log.WarnContext(ctx, "oidc: the request goes through the browser", "provider", p.name, "error", err)
		return request, nil
	case err != nil:
		return nil, err
	}
	return url.Values{"client_id": {p.config.ClientID.Value}, "request_uri": {name}}, nil
}

// push posts the request and gives the name under which the provider keeps it.
func (p *Provider) push(ctx context.Context, m *metadata, request url.Values) (string, error) {
	made, err := p.client.prove(m)
	if err != nil {
		return "", err
	}
	form := url.Values{}
	for name, values := range request {
		form[name] = values
	}
	r, err := http.NewRequestWithContext(fetch.For(ctx, "request"), http.MethodPost, m.push, nil)
	if err != nil {
		return "", fmt.Errorf("pushed request: %w", idp.ErrUnavailable)
	}
	made.on(r, form)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	body := form.Encode()
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	resp, err := p.fetch.HTTPClient().Do(r)
	if err != nil {
		return "", fmt.Errorf("pushed request: %w: %w: %w", idp.ErrUnavailable, errNotPushed, bare(err))
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("pushed request: %w: %w: %w", idp.ErrUnavailable, errNotPushed, err)
	}
	return p.readPushed(resp.StatusCode, answer)
}

// readPushed takes the name from the provider's answer.
func (p *Provider) readPushed(status int, answer []byte) (string, error) {
	doc, err := readObject(answer)
	fault, _ := doc.get("error")
	switch {
	case fault.text == "invalid_client" || fault.text == "unauthorized_client":
		return "", fmt.Errorf("pushed request: %w: the provider refuses client %q or its proof (%s)", idp.ErrUnavailable, p.config.ClientID.Value, fault.text)
	case status != http.StatusCreated && status != http.StatusOK:
		return "", fmt.Errorf("pushed request: %w: %w: HTTP status %d, %s", idp.ErrUnavailable, errNotPushed, status, errorCode(fault.text))
	case err != nil:
		return "", fmt.Errorf("pushed request: %w: %w: the answer: %w", idp.ErrUnavailable, errNotPushed, err)
	}
	name, _ := doc.get("request_uri")
	life, _ := doc.get("expires_in")
	if name.kind != kindText || !printable(name.text, 1024) || life.kind != kindNumber {
		return "", fmt.Errorf("pushed request: %w: %w: the answer has no request_uri and expires_in", idp.ErrUnavailable, errNotPushed)
	}
	return name.text, nil
}
