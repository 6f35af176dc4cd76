package social

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// GitHub answers as GitHub's documentation says that it does, for one OAuth app and
// one person who is signed in there and agrees to everything.
type GitHub struct {
	*Web
	ClientID, ClientSecret string

	oauth *oauthServer
	web   string // host of the pages
	rest  string // host and path of the API
	mu    sync.Mutex
	who   GitHubPerson
	scope string // granted instead of what was asked for; "" is that
}

// GitHubPerson is somebody at GitHub.
type GitHubPerson struct {
	ID          int64
	Login, Name string
	// Emails are [address, "primary" or "", "verified" or ""].
	Emails [][3]string
	// Orgs are the person's memberships by lower-case name: "active", "pending", or
	// "blocked" for an organization that has not approved the app.
	Orgs map[string]string
	// Teams are those that the person is in directly, as ORG/SLUG; Parents has what is above a team.
	Teams   []string
	Parents map[string]string
}

// StartGitHub starts github.com, or a GitHub Enterprise Server where host is not "".
func StartGitHub(t testing.TB, host string, who GitHubPerson) *GitHub {
	t.Helper()
	g := &GitHub{oauth: newOAuthServer(), web: "github.com", rest: "api.github.com", who: who}
	g.ClientID, g.ClientSecret = g.oauth.clientID, g.oauth.clientSecret
	hosts := []string{"github.com", "api.github.com"}
	switch {
	case strings.HasSuffix(host, ".ghe.com"):
		g.web, g.rest, hosts = host, "api."+host, []string{host, "api." + host}
	case host != "":
		g.web, g.rest, hosts = host, host+"/api/v3", []string{host}
	}
	g.Web = startWeb(t, http.HandlerFunc(g.serveHTTP), hosts...)
	return g
}

// Become changes who is signed in there.
func (g *GitHub) Become(who GitHubPerson) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.who = who
}

// Grant limits the scopes of tokens from now on, whatever is asked for.
func (g *GitHub) Grant(scope string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.scope = scope
}

// Visit is the browser: it follows an authorization URL and gives the parameters
// that the browser takes to the client.
func (g *GitHub) Visit(address string) url.Values { return g.visit(address) }

// Alive counts the access tokens that still work.
func (g *GitHub) Alive() int { return g.oauth.alive() }

// REST is the path of a question to the API, for Serve and Hits.
func (g *GitHub) REST(path string) string { return g.rest + path }

func (g *GitHub) person() GitHubPerson {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.who
}

// GitHubOrgID is the number of an organization by its name.
func GitHubOrgID(org string) int64 {
	id := int64(1000)
	for _, r := range org {
		id = id*31%1_000_003 + int64(r)
	}
	return id
}

func (g *GitHub) serveHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.Host + r.URL.Path
	rest, isREST := strings.CutPrefix(path, g.rest)
	switch {
	case path == g.web+"/login/oauth/authorize":
		g.oauth.authorize(w, r, strconv.FormatInt(g.person().ID, 10))
	case path == g.web+"/login/oauth/access_token":
		g.token(w, r)
	case !isREST:
		http.NotFound(w, r)
	case rest == "/applications/"+g.ClientID+"/token":
		g.checkToken(w, r)
	default:
		g.question(w, r, rest)
	}
}

// token answers 200 in every case, as a form, as GitHub does for who wants no JSON.
func (g *GitHub) token(w http.ResponseWriter, r *http.Request) {
	token, scope, wrong := g.oauth.redeem(r)
	answer := url.Values{"access_token": {token}, "token_type": {"bearer"}, "scope": {strings.ReplaceAll(scope, " ", ",")}}
	switch wrong {
	case "client":
		answer = url.Values{"error": {"incorrect_client_credentials"}, "error_description": {"canary-description"}}
	case "code":
		answer = url.Values{"error": {"bad_verification_code"}, "error_description": {"canary-description"}}
	}
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	_, _ = fmt.Fprint(w, answer.Encode())
}

// checkToken serves POST (whose token is it) and DELETE (take it back).
func (g *GitHub) checkToken(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	var body struct {
		Token string `json:"access_token"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	token, known := g.oauth.lookup(body.Token)
	switch {
	case !basic || id != g.ClientID || secret != g.ClientSecret:
		writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "canary: Bad credentials"})
	case err != nil || !known:
		writeJSON(w, http.StatusNotFound, map[string]string{"message": "canary: Not Found"})
	case r.Method == http.MethodDelete:
		g.oauth.revoke(body.Token)
		w.WriteHeader(http.StatusNoContent)
	default:
		id, _ := strconv.ParseInt(token.person, 10, 64)
		g.mu.Lock()
		scope := g.scope
		g.mu.Unlock()
		if scope == "" {
			scope = token.scope
		}
		writeJSON(w, http.StatusOK, map[string]any{
			"app": map[string]any{"client_id": token.client}, "user": map[string]any{"id": id}, "scopes": strings.Fields(scope), "token": body.Token,
		})
	}
}

// question answers what a token may ask.
func (g *GitHub) question(w http.ResponseWriter, r *http.Request, path string) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if _, known := g.oauth.lookup(bearer); !known || r.Header.Get("User-Agent") == "" {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"message": "canary: Bad credentials"})
		return
	}
	who := g.person()
	switch {
	case path == "/user":
		writeJSON(w, http.StatusOK, map[string]any{"id": who.ID, "login": who.Login, "name": who.Name, "type": "User", "email": "unverified@example.com"})
	case path == "/user/emails":
		list := []any{}
		for _, e := range who.Emails {
			list = append(list, map[string]any{"email": e[0], "primary": e[1] != "", "verified": e[2] != "", "visibility": nil})
		}
		g.page(w, r, list)
	case path == "/user/teams":
		list := []any{}
		for _, t := range who.Teams {
			list = append(list, team(who, t))
		}
		g.page(w, r, list)
	case strings.HasPrefix(path, "/user/memberships/orgs/"):
		g.membership(w, who, strings.TrimPrefix(path, "/user/memberships/orgs/"))
	case strings.HasPrefix(path, "/orgs/"):
		org, slug, _ := strings.Cut(strings.TrimPrefix(path, "/orgs/"), "/teams/")
		writeJSON(w, http.StatusOK, team(who, strings.ToLower(org)+"/"+slug))
	default:
		writeJSON(w, http.StatusNotFound, map[string]string{"message": "canary: Not Found"})
	}
}

func (g *GitHub) membership(w http.ResponseWriter, who GitHubPerson, org string) {
	org = strings.ToLower(org)
	switch state := who.Orgs[org]; state {
	case "":
		writeJSON(w, http.StatusNotFound, map[string]string{"message": "canary: Not Found"})
	case "blocked":
		writeJSON(w, http.StatusForbidden, map[string]string{"message": "canary: the organization has enabled OAuth App access restrictions"})
	default:
		writeJSON(w, http.StatusOK, map[string]any{
			"state": state, "role": "member", "organization": map[string]any{"id": GitHubOrgID(org), "login": org},
			"user": map[string]any{"id": who.ID, "login": who.Login},
		})
	}
}

// team is a team with the one above it, and nothing of what is above that.
func team(who GitHubPerson, name string) map[string]any {
	org, slug, _ := strings.Cut(name, "/")
	t := map[string]any{"id": GitHubOrgID(name), "slug": slug, "name": slug, "parent": nil, "organization": map[string]any{"id": GitHubOrgID(org), "login": org}}
	if above := who.Parents[name]; above != "" {
		_, slug, _ := strings.Cut(above, "/")
		t["parent"] = map[string]any{"id": GitHubOrgID(above), "slug": slug, "name": slug}
	}
	return t
}

// page cuts a list as GitHub does, with a Link header while there is more.
func (g *GitHub) page(w http.ResponseWriter, r *http.Request, list []any) {
	size, _ := strconv.Atoi(r.URL.Query().Get("per_page"))
	number, _ := strconv.Atoi(r.URL.Query().Get("page"))
	size, number = min(max(size, 30), 100), max(number, 1)
	from := min((number-1)*size, len(list))
	to := min(from+size, len(list))
	if to < len(list) {
		w.Header().Set("Link", fmt.Sprintf(`<https://%s%s?per_page=%d&page=%d>; rel="next"`, r.Host, r.URL.Path, size, number+1))
	}
	writeJSON(w, http.StatusOK, slices.Clone(list[from:to]))
}
