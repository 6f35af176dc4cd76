package oauth2

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest/social"
)

func TestGitHubSignsSomebodyInByTheirNumber(t *testing.T) {
	t.Parallel()
	p, g := startGitHub(t, octocat(), "Example")
	login, err := signIn(t, p, g.Visit)
	if err != nil {
		t.Fatal(err)
	}
	want := idp.Identity{
		Provider: "social", Subject: "583231", Username: "octocat",
		Groups: []string{"Example", "Example/platform", "Example/oncall"}, Methods: []string{},
		Attributes: map[string][]string{
			"id": {"583231"}, "login": {"octocat"}, "name": {"The Octocat"}, "email": {"octocat@example.com"},
			"groups": {"Example", "Example/platform", "Example/oncall"},
		},
	}
	if diff := cmp.Diff(want, login.Identity, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if login.Once.Key == "" || time.Until(login.Once.Until) <= 0 {
		t.Errorf("the evidence does not count once: %+v", login.Once)
	}
	if !login.Upstream.IDToken.IsZero() || login.Upstream.NameID != "" {
		t.Errorf("something of the provider's is kept: %+v", login.Upstream)
	}
	if g.Alive() != 0 {
		t.Error("the access token still works after the sign-in")
	}
}

func TestNoProgramCanBringAnAccessToken(t *testing.T) {
	t.Parallel()
	p, _ := startGitHub(t, octocat())
	if _, verifies := any(p).(idp.TokenVerifier); verifies {
		t.Error("a provider of access tokens is a verifier of evidence")
	}
}

func TestWhatGitHubIsAskedFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		organizations []string
		want          idp.Want
		scope, prompt string
	}{
		"without organizations no word about them": {nil, idp.Want{}, "user:email", ""},
		"organizations need their scope":           {[]string{"example"}, idp.Want{}, "user:email read:org", ""},
		"a fresh sign-in asks the person again":    {nil, idp.Want{Fresh: true}, "user:email", "select_account"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := startGitHub(t, octocat(), test.organizations...)
			address, pending := begin(t, p, test.want)
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			q := u.Query()
			if u.Host != "github.com" || q.Get("scope") != test.scope || q.Get("prompt") != test.prompt || q.Get("state") != handle ||
				q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("response_type") != "code" ||
				q.Get("redirect_uri") != "https://sso.example.com/oauth/social/callback" {
				t.Errorf("the request is %s", address)
			}
			if strings.Contains(string(pending), handle) || strings.Contains(address, "canary") {
				t.Error("the handle is kept readable, or a secret is in the address")
			}
		})
	}
}

func TestGitHubUnderOtherAddresses(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"ghe.example.com", "octo.ghe.com"} {
		g := social.StartGitHub(t, host, octocat())
		p := start(t, g.Web, g.ClientID, g.ClientSecret, config.Provider{
			Preset: text("github"), EnterpriseURL: text("https://" + host), Organizations: texts("example"),
		})
		login, err := signIn(t, p, g.Visit)
		if err != nil || login.Identity.Subject != "583231" || len(login.Identity.Groups) != 3 {
			t.Errorf("%s: %+v, %v", host, login.Identity, err)
		}
	}
}

func TestTheUserNameIsOneThatGitHubVouchesFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claim    string
		emails   [][3]string
		username string
		reason   string
	}{
		"the login":                       {"login", nil, "octocat", ""},
		"the number":                      {"id", nil, "583231", ""},
		"the primary address, verified":   {"email", octocat().Emails, "octocat@example.com", ""},
		"the primary address, unverified": {"email", [][3]string{{"boss@example.com", "primary", ""}, {"old@example.com", "", "verified"}}, "", "email-unverified"},
		"no address":                      {"email", nil, "", "email-unverified"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			who := octocat()
			who.Emails = test.emails
			g := social.StartGitHub(t, "", who)
			p := start(t, g.Web, g.ClientID, g.ClientSecret, config.Provider{Preset: text("github"), Username: config.From{Claim: text(test.claim)}})
			login, err := signIn(t, p, g.Visit)
			if login.Identity.Username != test.username || reason(err) != test.reason {
				t.Errorf("username %q, reason %q", login.Identity.Username, reason(err))
			}
			if g.Alive() != 0 {
				t.Error("the access token still works")
			}
		})
	}
}

// The address that everybody sees on a profile is not a verified one.
func TestAnUnverifiedAddressIsNoAttribute(t *testing.T) {
	t.Parallel()
	who := octocat()
	who.Emails = [][3]string{{"boss@example.com", "primary", ""}}
	p, g := startGitHub(t, who)
	login, err := signIn(t, p, g.Visit)
	if got, there := login.Identity.Attributes["email"]; err != nil || there {
		t.Errorf("email %v, %v", got, err)
	}
}

func TestOrganizationsAndTeamsBecomeGroups(t *testing.T) {
	t.Parallel()
	many := func(n int) []string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("example/team-%03d", i))
		}
		return list
	}
	for name, test := range map[string]struct {
		organizations []string
		change        func(*social.GitHubPerson)
		groups        int
		has           string
		reason        string
	}{
		"only those that are configured":           {[]string{"hobby"}, nil, 2, "hobby/admins", ""},
		"several":                                  {[]string{"example", "hobby"}, nil, 5, "hobby/admins", ""},
		"one of which the person is no member":     {[]string{"example", "stranger"}, nil, 3, "example", ""},
		"a member of none":                         {[]string{"stranger"}, nil, 0, "", "organization"},
		"an invitation is no membership":           {[]string{"example"}, func(w *social.GitHubPerson) { w.Orgs["example"] = "pending" }, 0, "", "organization"},
		"an invitation beside a membership":        {[]string{"example", "hobby"}, func(w *social.GitHubPerson) { w.Orgs["example"] = "pending" }, 2, "hobby", ""},
		"an organization that keeps us out":        {[]string{"example", "hobby"}, func(w *social.GitHubPerson) { w.Orgs["hobby"] = "blocked" }, 0, "", "organization"},
		"by its number":                            {[]string{fmt.Sprintf("example=%d", social.GitHubOrgID("example"))}, nil, 3, "example/platform", ""},
		"renamed, and its name taken by others":    {[]string{"example=1"}, nil, 0, "", "organization"},
		"no team":                                  {[]string{"example"}, func(w *social.GitHubPerson) { w.Teams = nil }, 1, "example", ""},
		"teams on three pages":                     {[]string{"example"}, func(w *social.GitHubPerson) { w.Teams = many(250) }, 251, "example/team-249", ""},
		"teams on exactly two pages":               {[]string{"example"}, func(w *social.GitHubPerson) { w.Teams = many(200) }, 201, "example/team-199", ""},
		"more teams than an identity may have":     {[]string{"example"}, func(w *social.GitHubPerson) { w.Teams = many(950) }, 0, "", "too-many-values"},
		"more teams than are read":                 {[]string{"example"}, func(w *social.GitHubPerson) { w.Teams = many(1001) }, 0, "", "too-many-values"},
		"the teams above, which they are in too":   {[]string{"example"}, nested, 5, "example/company", ""},
		"a team whose parent is listed itself":     {[]string{"example"}, listedParent, 4, "example/company", ""},
		"teams that are each above the other":      {[]string{"example"}, circle, 4, "example/b", ""},
		"a chain that has no end":                  {[]string{"example"}, endless, 0, "", "too-many-values"},
		"a team named so that it reads as another": {[]string{"example"}, func(w *social.GitHubPerson) { w.Teams = []string{"example/a/b"} }, 0, "", "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			who := octocat()
			if test.change != nil {
				test.change(&who)
			}
			p, g := startGitHub(t, who, test.organizations...)
			login, err := signIn(t, p, g.Visit)
			groups := login.Identity.Groups
			if reason(err) != test.reason || len(groups) != test.groups || test.has != "" && !slices.Contains(groups, test.has) {
				t.Errorf("%d groups %.200v, reason %q (%v)", len(groups), groups, reason(err), err)
			}
		})
	}
}

func nested(w *social.GitHubPerson) {
	w.Parents = map[string]string{"example/oncall": "example/engineering", "example/engineering": "example/company"}
}

func listedParent(w *social.GitHubPerson) {
	w.Teams = append(w.Teams, "example/company")
	w.Parents = map[string]string{"example/oncall": "example/company", "example/platform": "example/company"}
}

func circle(w *social.GitHubPerson) {
	w.Teams = []string{"example/a"}
	w.Parents = map[string]string{"example/a": "example/b", "example/b": "example/c", "example/c": "example/b"}
}

func endless(w *social.GitHubPerson) {
	w.Teams, w.Parents = []string{"example/t0"}, map[string]string{}
	for i := range 60 {
		w.Parents[fmt.Sprintf("example/t%d", i)] = fmt.Sprintf("example/t%d", i+1)
	}
}

// What GitHub says must be whole, of our own token, and about one and the same person.
func TestAnAnswerOfGitHubThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	const check = "/applications/1047/token"
	big := `{"id":583231,"login":"` + strings.Repeat("a", 2<<20) + `"}`
	for name, test := range map[string]struct {
		path    string
		handler http.HandlerFunc
		reason  string
	}{
		"a token of another client":                 {check, answer(200, `{"app":{"client_id":"evil"},"user":{"id":583231},"scopes":["user:email","read:org"]}`), "token"},
		"a token of nobody":                         {check, answer(200, `{"app":{"client_id":"1047"},"user":null,"scopes":["user:email","read:org"]}`), "token"},
		"a token that GitHub does not know":         {check, answer(404, `{}`), "token"},
		"our own secret is refused":                 {check, answer(401, `{}`), "unavailable"},
		"a token without the scopes":                {check, answer(200, `{"app":{"client_id":"1047"},"user":{"id":583231},"scopes":["user:email"]}`), "scope"},
		"a token of another person":                 {check, answer(200, `{"app":{"client_id":"1047"},"user":{"id":1},"scopes":["user","admin:org"]}`), "profile"},
		"the profile of another person":             {"/user", answer(200, `{"id":1,"login":"root","type":"User"}`), "profile"},
		"the profile of an organization":            {"/user", answer(200, `{"id":583231,"login":"octocat","type":"Organization"}`), "profile"},
		"a profile without a number":                {"/user", answer(200, `{"login":"octocat","type":"User"}`), "profile"},
		"a number as text":                          {"/user", answer(200, `{"id":"583231","login":"octocat","type":"User"}`), "unavailable"},
		"no JSON":                                   {"/user", answer(200, `<html>canary</html>`), "unavailable"},
		"an error":                                  {"/user", answer(500, `canary`), "unavailable"},
		"more than anybody reads":                   {"/user", answer(200, big), "unavailable"},
		"the API sends elsewhere":                   {"/user", elsewhere("https://github.com/steal"), "unavailable"},
		"the API sends elsewhere and keeps method":  {check, elsewhere("https://github.com/steal"), "unavailable"},
		"an answer that never ends":                 {"/user", never, "unavailable"},
		"the addresses are missing":                 {"/user/emails", answer(403, `{}`), "unavailable"},
		"the first page of teams is missing":        {"/user/teams", answer(502, `{}`), "unavailable"},
		"the second page of teams is missing":       {"/user/teams", halfOfTheTeams, "unavailable"},
		"the rate limit ends the list of teams":     {"/user/teams", answer(429, `{}`), "unavailable"},
		"the membership of another person":          {"/user/memberships/orgs/example", answer(200, `{"state":"active","organization":{"id":5},"user":{"id":1}}`), "profile"},
		"a membership in no organization":           {"/user/memberships/orgs/example", answer(200, `{"state":"active","user":{"id":583231}}`), "organization"},
		"a membership that is neither":              {"/user/memberships/orgs/example", answer(200, `{"state":"suspended","organization":{"id":5},"user":{"id":583231}}`), "organization"},
		"an organization that moved":                {"/user/memberships/orgs/example", elsewhere("https://api.github.com/user/memberships/orgs/taken"), "unavailable"},
		"an organization that cannot be asked":      {"/user/memberships/orgs/example", answer(503, ``), "unavailable"},
		"a name with a line break":                  {"/user", answer(200, `{"id":583231,"login":"octo\ncat","type":"User"}`), "characters"},
		"a login that is longer than any attribute": {"/user", answer(200, `{"id":583231,"login":"`+strings.Repeat("a", 2000)+`","type":"User"}`), "value-too-long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, g := startGitHub(t, octocat(), "example")
			g.Serve(g.REST(test.path), test.handler)
			login, err := signIn(t, p, g.Visit)
			if reason(err) != test.reason || login.Identity.Subject != "" {
				t.Errorf("reason %q, want %q (%v)", reason(err), test.reason, err)
			}
			if g.Hits("github.com/steal") != 0 {
				t.Error("a redirect was followed, with the token")
			}
			if test.path != check && g.Alive() != 0 {
				t.Error("the access token still works after the refusal")
			}
		})
	}
}

func elsewhere(address string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, address, http.StatusTemporaryRedirect)
	}
}

// never answers until who asked has given up.
func never(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then does a server see that the client has gone
	<-r.Context().Done()
}

// halfOfTheTeams has a whole first page, without the Link of GitHub, and no second one.
func halfOfTheTeams(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("page") != "1" {
		http.Error(w, "canary", http.StatusInternalServerError)
		return
	}
	var list []string
	for i := range perPage {
		list = append(list, fmt.Sprintf(`{"id":%d,"slug":"t%d","organization":{"id":5}}`, i+1, i))
	}
	answer(200, "["+strings.Join(list, ",")+"]")(w, r)
}
