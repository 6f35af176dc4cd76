// Package oauth2 signs people in at providers that are plain OAuth 2.0: there is
// no token that says who somebody is, only an API to ask. GitHub, Facebook and Login
// with Amazon are known; what differs between them is a service.
//
//	signin.go        Begin and Finish: state, PKCE, the code becomes an access token
//	api.go           one bounded way to ask, without a secret in an error
//	github.go        whose token it is, profile, verified address
//	githubgroups.go  organizations and teams become groups, all of them or none
//	facebook.go      whose token it is, profile; amazon.go is alike
//	practice.go      what `check --online` asks
//
// A sign-in: Begin (state, PKCE) -> the browser -> Finish: answer judged -> code
// redeemed -> the provider says that the token is of our client, and whose -> the
// profile of that person -> Login. Then the token is given back where the provider
// takes it, and forgotten.
//
// An access token is no evidence: it says what its bearer may do, not who brings it
// here. So a Provider is no idp.TokenVerifier, and only a token that came for our
// own code, at the provider's own address, is ever asked about.
//
// The reasons of a *idp.Rejection are a stable interface; docs/oidc-security.md
// lists them.
package oauth2

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	oauth "golang.org/x/oauth2"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/claims"
	"github.com/rolecall/rolecall/idp/fetch"
)

// Config is what a Provider is made of.
type Config struct {
	Provider config.Provider
	// URL is the broker's own address (server.url), without a slash at the end.
	URL string
	// Fetch is the client for tokens and profiles.
	Fetch *fetch.Client
	// Now defaults to time.Now, Log to silence.
	Now func() time.Time
	Log *slog.Logger
}

// Provider is one configured OAuth provider.
type Provider struct {
	config  config.Provider
	name    string
	client  oauth.Config
	service service
	mapping claims.Mapping
	fetch   *fetch.Client
	now     func() time.Time
	log     *slog.Logger
}

// service is what differs between providers.
type service interface {
	// endpoint is where the browser goes and where codes are redeemed.
	endpoint() oauth.Endpoint
	scopes() []string
	// fresh are the parameters that come nearest to seeing the person again.
	fresh() map[string]string
	// person asks whose token it is, and for the profile.
	person(ctx context.Context, token string) (person, error)
	// forget gives the token back.
	forget(ctx context.Context, token string) error
}

// person is what an API says of somebody.
type person struct {
	subject    string
	attributes map[string][]string
}

// personOf makes a person of what a profile has.
func personOf(id, name, email string) person {
	who := person{subject: id, attributes: map[string][]string{"id": {id}}}
	for attribute, value := range map[string]string{"name": name, "email": email} {
		if value != "" {
			who.attributes[attribute] = []string{value}
		}
	}
	return who
}

// groupsAttribute is the attribute that groups are kept in.
const groupsAttribute = "groups"

// New judges the configuration and makes a Provider. It fetches nothing; its
// errors are config.Faults.
func New(c Config) (*Provider, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	section := c.Provider
	var faults config.Faults
	if section.ClientID.Value == "" || section.ClientSecret.IsZero() {
		faults.Add(section.Pos, "client_id and client_secret are needed: the provider knows rolecall by them")
	}
	p := &Provider{
		config: section, name: section.Name.Value, fetch: c.Fetch, now: c.Now, log: c.Log,
		mapping: claims.Mapping{Groups: groupsAttribute, Username: section.Username.Claim.Value},
	}
	if p.mapping.Username == "id" {
		p.mapping.Username = "" // it is the subject
	}
	ask := api{http: c.Fetch.HTTPClient(), client: section.ClientID.Value, secret: section.ClientSecret}
	switch section.Preset.Value {
	case "github":
		if section.Username.Claim.Value == "" {
			p.mapping.Username = "login"
		}
		p.service = newGitHub(section, ask, &faults)
	case "facebook":
		p.service = newFacebook(ask)
	case "amazon":
		p.service = newAmazon(ask)
	default:
		faults.Add(section.Pos, "preset %q is none of github, facebook, amazon: a provider of type oauth2 must say whose API it is", section.Preset.Value)
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	p.client = oauth.Config{
		ClientID: section.ClientID.Value, ClientSecret: section.ClientSecret.Reveal(), Scopes: p.service.scopes(), Endpoint: p.service.endpoint(),
		RedirectURL: strings.TrimSuffix(c.URL, "/") + "/oauth/" + section.Name.Value + "/callback",
	}
	return p, nil
}

// AuthURL is where browsers are sent.
func (p *Provider) AuthURL() string { return p.client.Endpoint.AuthURL }

// String names the provider for logs.
func (p *Provider) String() string { return fmt.Sprintf("oauth2 provider %s", p.name) }
