package oauth2

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/fetch"
	"github.com/rolecall/rolecall/idp/idptest/social"
)

func text(s string) config.Text {
	return config.Text{Value: s, Pos: config.Pos{File: "rolecall.yaml", Line: 7}}
}

func texts(list ...string) []config.Text {
	var all []config.Text
	for _, s := range list {
		all = append(all, text(s))
	}
	return all
}

// octocat is a person with an address, two organizations and teams in both.
func octocat() social.GitHubPerson {
	return social.GitHubPerson{
		ID: 583231, Login: "octocat", Name: "The Octocat",
		Emails: [][3]string{{"old@example.com", "", "verified"}, {"octocat@example.com", "primary", "verified"}},
		Orgs:   map[string]string{"example": "active", "hobby": "active"},
		Teams:  []string{"example/platform", "hobby/admins", "example/oncall"},
	}
}

// start makes a provider that reaches the stand-in by its real names.
func start(t *testing.T, web *social.Web, client, clientSecret string, section config.Provider) *Provider {
	t.Helper()
	client2, err := fetch.New(fetch.Config{Proxy: web.Proxy, CAFiles: []string{web.CAFile}, Timeout: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	section.Name, section.ClientID, section.ClientSecret = text("social"), text(client), secret.New(clientSecret)
	p, err := New(Config{Provider: section, URL: "https://sso.example.com", Fetch: client2})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func startGitHub(t *testing.T, who social.GitHubPerson, organizations ...string) (*Provider, *social.GitHub) {
	t.Helper()
	g := social.StartGitHub(t, "", who)
	return start(t, g.Web, g.ClientID, g.ClientSecret, config.Provider{Preset: text("github"), Organizations: texts(organizations...)}), g
}

func startFacebook(t *testing.T) (*Provider, *social.Facebook) {
	t.Helper()
	f := social.StartFacebook(t, map[string]string{"id": "10158000000000001", "name": "Alice Ames", "email": "alice@example.com"})
	return start(t, f.Web, f.ClientID, f.ClientSecret, config.Provider{Preset: text("facebook")}), f
}

const handle = "handle-of-this-browser"

// begin starts a sign-in under the test's handle.
func begin(t *testing.T, p *Provider, want idp.Want) (address string, pending []byte) {
	t.Helper()
	if want.Handle == "" {
		want.Handle = handle
	}
	to, pending, err := p.Begin(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	return to.URL, pending
}

// signIn goes out and comes back in one browser.
func signIn(t *testing.T, p *Provider, visit func(string) url.Values) (idp.Login, error) {
	t.Helper()
	address, pending := begin(t, p, idp.Want{})
	return finish(t, p, pending, visit(address))
}

func finish(t *testing.T, p *Provider, pending []byte, query url.Values) (idp.Login, error) {
	t.Helper()
	login, err := p.Finish(context.WithoutCancel(t.Context()), pending, idp.Answer{Method: http.MethodGet, Query: query})
	if err != nil && strings.Contains(err.Error(), "canary") {
		t.Errorf("the error holds a secret or what the provider said: %v", err)
	}
	return login, err
}

// reason is the code of a rejection; "unavailable" where nothing was judged.
func reason(err error) string {
	var rejected *idp.Rejection
	switch {
	case err == nil:
		return ""
	case errors.As(err, &rejected):
		return rejected.Reason
	case errors.Is(err, idp.ErrUnavailable):
		return "unavailable"
	}
	return err.Error()
}

// answer makes a handler of a status and a body.
func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}
