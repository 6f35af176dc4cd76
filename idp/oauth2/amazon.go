package oauth2

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	oauth "golang.org/x/oauth2"

	"github.com/rolecall/rolecall/idp"
)

// amazon is Login with Amazon. Its ids are of this security profile alone; it has no
// groups, and does not say whether an address is verified.
type amazon struct {
	api
	web, rest string
}

func newAmazon(ask api) *amazon {
	return &amazon{api: ask, web: "https://www.amazon.com", rest: "https://api.amazon.com"}
}

func (a *amazon) endpoint() oauth.Endpoint {
	return oauth.Endpoint{AuthURL: a.web + "/ap/oa", TokenURL: a.rest + "/auth/o2/token", AuthStyle: oauth.AuthStyleInParams}
}

func (a *amazon) scopes() []string { return []string{"profile"} }

// fresh has nothing to ask with.
func (a *amazon) fresh() map[string]string { return nil }

// person asks whose token it is, and then for that person's profile.
func (a *amazon) person(ctx context.Context, token string) (person, error) {
	owner, err := a.ownerOf(ctx, token)
	if err != nil {
		return person{}, err
	}
	var profile struct {
		ID    string `json:"user_id"`
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	q := question{method: http.MethodGet, address: a.rest + "/user/profile", bearer: token, accept: "application/json"}
	if _, err := a.ask(ctx, q, &profile); err != nil {
		return person{}, mustAnswer(err)
	}
	switch {
	case !strings.HasPrefix(profile.ID, amazonID):
		return person{}, idp.Reject("profile", "the profile is that of no person")
	case profile.ID != owner:
		return person{}, idp.Reject("profile", "the profile is about another person than the token")
	}
	return personOf(profile.ID, profile.Name, profile.Email), nil
}

// amazonID begins every id of a person.
const amazonID = "amzn1.account."

// ownerOf refuses a token of another client: whoever runs one has tokens of many people.
func (a *amazon) ownerOf(ctx context.Context, token string) (string, error) {
	var info struct {
		Audience string `json:"aud"`
		UserID   string `json:"user_id"`
	}
	query := url.Values{"access_token": {token}}
	_, err := a.ask(ctx, question{method: http.MethodGet, address: a.rest + "/auth/o2/tokeninfo?" + query.Encode(), accept: "application/json"}, &info)
	var no *refused
	switch {
	case errors.As(err, &no) && no.status == http.StatusBadRequest:
		return "", idp.Reject("token", "the provider does not know the token")
	case err != nil:
		return "", mustAnswer(err)
	case info.Audience != a.client || info.UserID == "":
		return "", idp.Reject("token", "the token is of another client, or of no person")
	}
	return info.UserID, nil
}

// forget does nothing: Amazon's tokens live for an hour, and it takes none back.
func (a *amazon) forget(context.Context, string) error { return nil }
