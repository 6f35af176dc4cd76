package oauth2

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// api asks a provider's API. Size, time, addresses and redirects are bounded by
// package fetch; a redirect is not followed.
type api struct {
	http   *http.Client
	client string
	secret secret.String
}

// question is one request; its address is made of fixed parts only.
type question struct {
	method, address string
	bearer          string // an access token
	basic           bool   // or our own client id and secret
	body            any
	accept          string
}

// refused is an answer that is no 2xx.
type refused struct {
	path   string
	status int
}

func (r *refused) Error() string {
	return fmt.Sprintf("%s: the answer is HTTP status %d", r.path, r.status)
}

// mustAnswer makes an outage of a refusal that nothing a person does could cause.
func mustAnswer(err error) error {
	var no *refused
	if errors.As(err, &no) {
		return fmt.Errorf("%w: %w", idp.ErrUnavailable, no)
	}
	return err
}

// ask decodes the answer to a question and gives its header. Every error but
// *refused is idp.ErrUnavailable; none holds the query, a token or anything of the
// answer.
func (a api) ask(ctx context.Context, q question, into any) (http.Header, error) {
	body, header, err := a.do(ctx, q)
	var no *refused
	switch {
	case errors.As(err, &no):
		return header, err
	case err != nil:
		return nil, unavailable(q, err)
	case into == nil:
		return header, nil
	}
	if err := json.Unmarshal(body, into); err != nil {
		return nil, unavailable(q, errors.New("the answer is not the JSON that was expected"))
	}
	return header, nil
}

func (a api) do(ctx context.Context, q question) ([]byte, http.Header, error) {
	var body io.Reader
	if q.body != nil {
		text, err := json.Marshal(q.body)
		if err != nil {
			return nil, nil, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, q.address, body)
	if err != nil {
		return nil, nil, errors.New("the address is not a URL")
	}
	req.Header.Set("Accept", q.accept)
	req.Header.Set("User-Agent", "rolecall")
	switch {
	case q.bearer != "":
		req.Header.Set("Authorization", "Bearer "+q.bearer)
	case q.basic:
		req.SetBasicAuth(a.client, a.secret.Reveal())
	}
	resp, err := a.http.Do(req)
	if err != nil {
		return nil, nil, bare(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		return nil, resp.Header, &refused{q.path(), resp.StatusCode}
	case err != nil:
		return nil, nil, bare(err)
	}
	return text, resp.Header, nil
}

// unavailable says that a question had no answer, and which one it was.
func unavailable(q question, err error) error {
	return fmt.Errorf("%s: %w: %w", q.path(), idp.ErrUnavailable, err)
}

// path is the address without its query, which may hold a token.
func (q question) path() string {
	path, _, _ := strings.Cut(q.address, "?")
	return path
}

// bare takes the URL, query included, off an error of net/http; what is left of
// x/oauth2's own errors says nothing that would be missed.
func bare(err error) error {
	var wrapped *url.Error
	switch {
	case !errors.As(err, &wrapped):
		return errors.New("the answer could not be read")
	case wrapped.Timeout():
		return fmt.Errorf("no answer in time: %w", wrapped.Err)
	}
	return wrapped.Err
}
