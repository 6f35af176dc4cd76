package oauth2

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	oauth "golang.org/x/oauth2"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
)

// github is github.com, a tenant of ghe.com, or a GitHub Enterprise Server.
type github struct {
	api
	web, rest     string
	organizations []organization
}

// organization is one whose members may sign in.
type organization struct {
	name string // as the configuration spells it, and so as groups do
	id   int64  // 0 is any
}

func newGitHub(section config.Provider, ask api, faults *config.Faults) *github {
	g := &github{api: ask, web: "https://github.com", rest: "https://api.github.com"}
	if own := section.EnterpriseURL; own.Value != "" && own.Value != g.web {
		u, err := url.Parse(own.Value)
		if err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil || u.Fragment != "" {
			faults.Add(own.Pos, "enterprise_url %q is not https://HOST", own.Value)
			return g
		}
		g.web, g.rest = own.Value, own.Value+"/api/v3"
		if strings.HasSuffix(u.Host, ".ghe.com") {
			g.rest = u.Scheme + "://api." + u.Host
		}
	}
	for _, text := range section.Organizations {
		name, number, numbered := strings.Cut(text.Value, "=")
		org := organization{name: name}
		var err error
		if numbered {
			org.id, err = strconv.ParseInt(number, 10, 64)
		}
		if err != nil || name == "" || numbered && org.id <= 0 {
			faults.Add(text.Pos, "organization %q is neither NAME nor NAME=ID", text.Value)
		}
		g.organizations = append(g.organizations, org)
	}
	return g
}

func (g *github) endpoint() oauth.Endpoint {
	return oauth.Endpoint{
		AuthURL: g.web + "/login/oauth/authorize", TokenURL: g.web + "/login/oauth/access_token", AuthStyle: oauth.AuthStyleInParams,
	}
}

func (g *github) scopes() []string {
	scopes := []string{"user:email"}
	if len(g.organizations) > 0 {
		scopes = append(scopes, "read:org")
	}
	return scopes
}

func (g *github) fresh() map[string]string { return map[string]string{"prompt": "select_account"} }

// covering are the scopes that include another one.
func covering(scope string) []string {
	switch scope {
	case "user:email":
		return []string{"user:email", "user"}
	case "read:org":
		return []string{"read:org", "write:org", "admin:org"}
	}
	return []string{scope}
}

// person is the owner of the token, by their number; names there can be given away.
func (g *github) person(ctx context.Context, token string) (person, error) {
	owner, err := g.ownerOf(ctx, token)
	if err != nil {
		return person{}, err
	}
	var profile struct {
		ID    int64  `json:"id"`
		Login string `json:"login"`
		Name  string `json:"name"`
		Type  string `json:"type"`
	}
	if _, err := g.get(ctx, token, "/user", &profile); err != nil {
		return person{}, mustAnswer(err)
	}
	switch {
	case profile.ID <= 0 || profile.Login == "" || profile.Type != "User":
		return person{}, idp.Reject("profile", "the profile is that of no person")
	case profile.ID != owner:
		return person{}, idp.Reject("profile", "the profile is about another person than the token")
	}
	id := strconv.FormatInt(profile.ID, 10)
	email, err := g.email(ctx, token)
	if err != nil {
		return person{}, err
	}
	who := personOf(id, profile.Name, email)
	who.attributes["login"] = []string{profile.Login}
	if len(g.organizations) == 0 {
		return who, nil
	}
	who.attributes[groupsAttribute], err = g.groups(ctx, token, profile.ID)
	return who, err
}

// ownerOf asks, as ourselves, whose token it is: it must be of our own client, and
// may do what we asked for.
func (g *github) ownerOf(ctx context.Context, token string) (int64, error) {
	var grant struct {
		App struct {
			ClientID string `json:"client_id"`
		} `json:"app"`
		User struct {
			ID int64 `json:"id"`
		} `json:"user"`
		Scopes []string `json:"scopes"`
	}
	_, err := g.ask(ctx, g.tokenQuestion(http.MethodPost, token), &grant)
	var no *refused
	switch {
	case errors.As(err, &no) && (no.status == http.StatusNotFound || no.status == http.StatusUnprocessableEntity):
		return 0, idp.Reject("token", "the provider does not know the token as one of ours")
	case err != nil:
		return 0, mustAnswer(err)
	case grant.App.ClientID != g.client || grant.User.ID <= 0:
		return 0, idp.Reject("token", "the token is of another client, or of no person")
	}
	for _, scope := range g.scopes() {
		if !slices.ContainsFunc(covering(scope), func(s string) bool { return slices.Contains(grant.Scopes, s) }) {
			return 0, idp.Reject("scope", "the token lacks the scope %s; rolecall must be registered as an OAuth app, not as a GitHub App, and the person must grant what it asks for", scope)
		}
	}
	return grant.User.ID, nil
}

// forget takes the token back: it would live for ever otherwise.
func (g *github) forget(ctx context.Context, token string) error {
	_, err := g.ask(ctx, g.tokenQuestion(http.MethodDelete, token), nil)
	return err
}

func (g *github) tokenQuestion(method, token string) question {
	return question{
		method: method, address: g.rest + "/applications/" + url.PathEscape(g.client) + "/token", basic: true,
		body: map[string]string{"access_token": token}, accept: githubJSON,
	}
}

// email is the primary address, if GitHub has verified it.
func (g *github) email(ctx context.Context, token string) (string, error) {
	type address struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	all, err := pages[address](ctx, g, token, "/user/emails")
	if err != nil {
		return "", err
	}
	for _, a := range all {
		if a.Primary && a.Verified {
			return a.Email, nil
		}
	}
	return "", nil
}

const githubJSON = "application/vnd.github+json"

func (g *github) get(ctx context.Context, token, path string, into any) (http.Header, error) {
	return g.ask(ctx, question{method: http.MethodGet, address: g.rest + path, bearer: token, accept: githubJSON}, into)
}
