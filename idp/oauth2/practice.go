package oauth2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/rolecall/rolecall/idp"
)

// madeUp is no token: what a provider says of it says whether it knows our client.
const madeUp = "rolecall-check"

// practised is a service that can be asked without anybody signing in.
type practised interface {
	practice(ctx context.Context) (string, error)
}

// Practice asks the provider whether it knows our client, as far as it says so, and
// tells what to register there. Nobody signs in.
func (p *Provider) Practice(ctx context.Context) ([]string, error) {
	says, err := p.service.(practised).practice(ctx)
	if err != nil {
		return nil, err
	}
	return []string{says, "the address to register there is " + p.client.RedirectURL}, nil
}

// unknownClient says that a provider refuses our id or our secret.
func unknownClient(a api) error {
	return fmt.Errorf("%w: the provider refuses client %q or its secret", idp.ErrUnavailable, a.client)
}

func (g *github) practice(ctx context.Context) (string, error) {
	_, err := g.ask(ctx, g.tokenQuestion(http.MethodPost, madeUp), nil)
	var no *refused
	switch {
	case errors.As(err, &no) && no.status == http.StatusUnauthorized:
		return "", unknownClient(g.api)
	case errors.As(err, &no) && (no.status == http.StatusNotFound || no.status == http.StatusUnprocessableEntity):
		return "answers, and knows our client and its secret", nil
	}
	return "answers", mustAnswer(err)
}

func (f *facebook) practice(ctx context.Context) (string, error) {
	q := question{method: http.MethodGet, address: f.graph + "/debug_token?" + url.Values{"input_token": {madeUp}}.Encode(), bearer: f.client + "|" + f.secret.Reveal(), accept: "application/json"}
	_, err := f.ask(ctx, q, nil)
	var no *refused
	if errors.As(err, &no) && no.status < http.StatusInternalServerError {
		return "", unknownClient(f.api)
	}
	return "answers, and knows our app and its secret", mustAnswer(err)
}

func (a *amazon) practice(ctx context.Context) (string, error) {
	_, err := a.ask(ctx, question{method: http.MethodGet, address: a.rest + "/auth/o2/tokeninfo?" + url.Values{"access_token": {madeUp}}.Encode(), accept: "application/json"}, nil)
	var no *refused
	if errors.As(err, &no) && no.status == http.StatusBadRequest {
		err = nil
	}
	return "answers; it does not say whether it knows our client", mustAnswer(err)
}
