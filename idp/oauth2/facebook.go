package oauth2

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"

	oauth "golang.org/x/oauth2"

	"github.com/rolecall/rolecall/idp"
)

// graphVersion is the version of the Graph API whose answers are read here.
const graphVersion = "v23.0"

// facebook is Facebook Login. Its ids are of this app alone; it has no groups, and
// does not say whether an address is verified.
type facebook struct {
	api
	web, graph string
}

func newFacebook(ask api) *facebook {
	return &facebook{api: ask, web: "https://www.facebook.com/" + graphVersion, graph: "https://graph.facebook.com/" + graphVersion}
}

func (f *facebook) endpoint() oauth.Endpoint {
	return oauth.Endpoint{AuthURL: f.web + "/dialog/oauth", TokenURL: f.graph + "/oauth/access_token", AuthStyle: oauth.AuthStyleInParams}
}

func (f *facebook) scopes() []string { return []string{"public_profile", "email"} }

func (f *facebook) fresh() map[string]string { return map[string]string{"auth_type": "reauthenticate"} }

// person asks, as ourselves, whose token it is, and then that person's profile.
func (f *facebook) person(ctx context.Context, token string) (person, error) {
	owner, err := f.ownerOf(ctx, token)
	if err != nil {
		return person{}, err
	}
	var profile struct {
		ID    string `json:"id"`
		Name  string `json:"name"`
		Email string `json:"email"`
	}
	// The proof shows that who asks has the app's secret, not only a token of somebody.
	query := url.Values{"fields": {"id,name,email"}, "appsecret_proof": {f.proof(token)}}
	if err := f.get(ctx, token, "/me", query, &profile); err != nil {
		return person{}, err
	}
	switch {
	case !isNumber(profile.ID):
		return person{}, idp.Reject("profile", "the profile is that of no person")
	case profile.ID != owner:
		return person{}, idp.Reject("profile", "the profile is about another person than the token")
	}
	return personOf(profile.ID, profile.Name, profile.Email), nil
}

// ownerOf refuses a token of another app: whoever runs one has tokens of many people.
func (f *facebook) ownerOf(ctx context.Context, token string) (string, error) {
	var answer struct {
		Data struct {
			AppID  string `json:"app_id"`
			UserID string `json:"user_id"`
			Type   string `json:"type"`
			Valid  bool   `json:"is_valid"`
		} `json:"data"`
	}
	if err := f.get(ctx, f.client+"|"+f.secret.Reveal(), "/debug_token", url.Values{"input_token": {token}}, &answer); err != nil {
		return "", err
	}
	switch data := answer.Data; {
	case data.AppID != f.client:
		return "", idp.Reject("token", "the token is of another app")
	case !data.Valid || data.Type != "USER" || !isNumber(data.UserID):
		return "", idp.Reject("token", "the token is not valid, or not of a person")
	}
	return answer.Data.UserID, nil
}

func (f *facebook) get(ctx context.Context, bearer, path string, query url.Values, into any) error {
	_, err := f.ask(ctx, question{method: http.MethodGet, address: f.graph + path + "?" + query.Encode(), bearer: bearer, accept: "application/json"}, into)
	return mustAnswer(err)
}

// proof is appsecret_proof: the HMAC of the token under the app's secret.
func (f *facebook) proof(token string) string {
	mac := hmac.New(sha256.New, []byte(f.secret.Reveal()))
	mac.Write([]byte(token))
	return hex.EncodeToString(mac.Sum(nil))
}

// forget does nothing: Facebook's tokens end by themselves, and taking one back
// would ask the person for consent again at each sign-in.
func (f *facebook) forget(context.Context, string) error { return nil }

// isNumber reports whether an id is one: digits, and not too many.
func isNumber(id string) bool {
	for _, r := range id {
		if r < '0' || r > '9' {
			return false
		}
	}
	return id != "" && len(id) <= 32
}
