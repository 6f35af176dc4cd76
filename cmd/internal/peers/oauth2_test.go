package peers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/cmd/internal/scripted"
	"github.com/rolecall/rolecall/idp/idptest/social"
)

// GitHub, Facebook and Amazon cannot be run here: what stands for them answers at
// their real names, behind egress.proxy, to the daemon that operators run.
const socialConfiguration = `
server: {url: %[1]s, listen: %[2]q}
aws: {endpoint: %[3]s}
egress: {proxy: %[4]s, ca_file: %[5]s}
providers:
  - %[6]s
accounts:
  - {id: "111122223333", name: production}
grants:
  - {name: platform, providers: [social], groups: [example/platform], role: production/Admin}
  - {name: one, providers: [social], users: ["social=10158000000000001", "social=amzn1.account.K2LI23"], role: production/Developer}
  - {name: unnamed, groups: [example/platform], role: production/Quoted}
`

// serveSocial runs the daemon with one provider, named social.
func serveSocial(t *testing.T, web *social.Web, provider, clientSecret string) daemon {
	t.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	d := daemon{url: "http://" + address, data: t.TempDir(), aws: startAWS(t)}
	d.file = filepath.Join(d.data, "rolecall.yaml")
	text := fmt.Sprintf(socialConfiguration, d.url, address, d.aws, web.Proxy, web.CAFile, provider)
	for name, content := range map[string]string{"rolecall.yaml": text, "secret": clientSecret} {
		if err := os.WriteFile(filepath.Join(d.data, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := d.command("check", "--config", d.file).CombinedOutput(); err != nil {
		t.Fatalf("rolecalld check: %v\n%s", err, out)
	}
	if out, err := d.command("check", "--online", "--config", d.file).CombinedOutput(); err != nil || !strings.Contains(string(out), d.url+"/oauth/social/callback") {
		t.Fatalf("rolecalld check --online: %v\n%s", err, out)
	}
	d.run(t)
	return d
}

// socialBrowser reaches the broker directly and everything else by the stand-in's proxy.
func socialBrowser(t *testing.T, d daemon, web *social.Web) *scripted.Browser {
	t.Helper()
	b := browser(t)
	transport := web.Client().Transport.(*http.Transport).Clone()
	through := transport.Proxy
	transport.Proxy = func(r *http.Request) (*url.URL, error) {
		if strings.HasPrefix(r.URL.String(), d.url) {
			return nil, nil
		}
		return through(r)
	}
	t.Cleanup(transport.CloseIdleConnections)
	b.Client.Transport = transport
	return b
}

// roles are the roles of a browser's session.
func (d daemon) roles(t *testing.T, b *scripted.Browser) (names []string) {
	t.Helper()
	resp, err := b.Client.Get(d.url + "/api/v1/roles")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Roles []struct {
			ARN string `json:"role_arn"`
		} `json:"roles"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	for _, r := range answer.Roles {
		names = append(names, r.ARN[strings.LastIndexByte(r.ARN, '/')+1:])
	}
	return names
}

const githubProvider = "{name: social, type: oauth2, preset: github, label: GitHub, client_id: %q, client_secret: '${file:secret}', organizations: [example]}"

func octocat() social.GitHubPerson {
	return social.GitHubPerson{
		ID: 583231, Login: "octocat", Name: "The Octocat", Emails: [][3]string{{"octocat@example.com", "primary", "verified"}},
		Orgs: map[string]string{"example": "active", "evil": "active"}, Teams: []string{"example/platform", "evil/platform"},
	}
}

func TestSomebodySignsInWithGitHub(t *testing.T) {
	t.Parallel()
	g := social.StartGitHub(t, "", octocat())
	d := serveSocial(t, g.Web, fmt.Sprintf(githubProvider, g.ClientID), g.ClientSecret)
	b := socialBrowser(t, d, g.Web)
	if err := b.Get(d.url + "/login"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.Page.Text, `href="/oauth/social/login"`) || !strings.Contains(b.Page.Text, "github.com") {
		t.Fatalf("the sign-in page does not lead to GitHub:\n%.2000s", b.Page.Text)
	}
	if err := b.Get(d.url + "/oauth/social/login"); err != nil {
		t.Fatal(err)
	}
	d.atHome(t, b)
	code, who := d.identity(t, b)
	if code != http.StatusOK || who.Subject != "583231" || who.Username != "octocat" {
		t.Errorf("%d %+v", code, who)
	}
	if diff := cmp.Diff([]string{"example", "example/platform"}, who.Groups); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Admin"}, d.roles(t, b)); diff != "" {
		t.Errorf("a grant that does not name the provider gives nothing (-want +got):\n%s", diff)
	}
	if g.Alive() != 0 {
		t.Error("the access token still works")
	}
	for _, secret := range []string{g.ClientSecret, "canary"} {
		if strings.Contains(d.record(t), secret) {
			t.Errorf("the record holds %q", secret)
		}
	}
}

// An answer belongs to the browser that asked, once; a refusal at GitHub's side is
// told by its reason.
func TestAnAnswerOfGitHubInTheWrongHands(t *testing.T) {
	t.Parallel()
	g := social.StartGitHub(t, "", octocat())
	d := serveSocial(t, g.Web, fmt.Sprintf(githubProvider, g.ClientID), g.ClientSecret)
	victim, attacker := socialBrowser(t, d, g.Web), socialBrowser(t, d, g.Web)
	callback := func(b *scripted.Browser) string {
		client := *b.Client
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		resp, err := client.Get(d.url + "/oauth/social/login")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return d.url + "/oauth/social/callback?" + g.Visit(resp.Header.Get("Location")).Encode()
	}
	open := func(b *scripted.Browser, address string) {
		t.Helper()
		if err := b.Get(address); err != nil {
			t.Fatal(err)
		}
	}
	theirs := callback(attacker)
	open(victim, theirs) // login CSRF: the victim would work under the attacker's name
	d.refused(t, victim, http.StatusBadRequest, "no_pending_signin")
	own := callback(victim)
	mixed, _ := url.Parse(own)
	query, foreign := mixed.Query(), must(url.Parse(theirs)).Query()
	query.Set("code", foreign.Get("code"))
	open(victim, d.url+"/oauth/social/callback?"+query.Encode())
	d.refused(t, victim, http.StatusForbidden, "code")
	open(attacker, theirs) // GitHub has seen that code already
	d.refused(t, attacker, http.StatusForbidden, "code")
	own = callback(victim)
	open(victim, strings.Replace(own, "/oauth/", "/oidc/", 1))
	d.refused(t, victim, http.StatusBadRequest, "unknown_provider")
	open(victim, own)
	d.atHome(t, victim)
	stranger := socialBrowser(t, d, g.Web)
	g.Become(social.GitHubPerson{ID: 7, Login: "stranger", Orgs: map[string]string{"example": "pending"}})
	open(stranger, d.url+"/oauth/social/login")
	d.refused(t, stranger, http.StatusForbidden, "organization")
}

// An access token of GitHub is no evidence, whoever brings it.
func TestAProgramBringsAnAccessTokenOfGitHub(t *testing.T) {
	t.Parallel()
	g := social.StartGitHub(t, "", octocat())
	d := serveSocial(t, g.Web, fmt.Sprintf(githubProvider, g.ClientID), g.ClientSecret)
	asked := func() int { return g.Hits(g.REST("/user")) + g.Hits(g.REST("/applications/"+g.ClientID+"/token")) }
	before := asked() // by check --online
	for kind, fault := range map[string]string{"id_token": "invalid_request", "jwt": "invalid_request", "access_token": "invalid_request"} {
		resp, err := http.PostForm(d.url+"/oauth2/token", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {"gho_16C7e42F292c6912E7710c838347Ae178B4a"},
			"subject_token_type": {"urn:ietf:params:oauth:token-type:" + kind}, "resource": {"production/Admin"},
			"requested_token_type": {"urn:rolecall:params:oauth:token-type:aws-credentials"},
		})
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Error string }
		err = json.NewDecoder(resp.Body).Decode(&answer)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusBadRequest || answer.Error != fault {
			t.Errorf("%s: %s %q, %v", kind, resp.Status, answer.Error, err)
		}
	}
	if n := asked() - before; n != 0 {
		t.Errorf("GitHub was asked %d times about a token that somebody brought", n)
	}
}

func TestSomebodySignsInWithFacebookOrAmazon(t *testing.T) {
	t.Parallel()
	f := social.StartFacebook(t, map[string]string{"id": "10158000000000001", "name": "Alice Ames", "email": "alice@example.com"})
	a := social.StartAmazon(t, map[string]string{"user_id": "amzn1.account.K2LI23", "name": "Alice Ames"})
	const provider = "{name: social, type: oauth2, preset: %s, client_id: %q, client_secret: '${file:secret}'}"
	for name, test := range map[string]struct {
		web             *social.Web
		client, secret  string
		subject, leadTo string
	}{
		"facebook": {f.Web, f.ClientID, f.ClientSecret, "10158000000000001", "www.facebook.com"},
		"amazon":   {a.Web, a.ClientID, a.ClientSecret, "amzn1.account.K2LI23", "www.amazon.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := serveSocial(t, test.web, fmt.Sprintf(provider, name, test.client), test.secret)
			b := socialBrowser(t, d, test.web)
			if err := b.Get(d.url + "/login"); err != nil || !strings.Contains(b.Page.Text, test.leadTo) {
				t.Fatalf("the sign-in page does not say where it leads: %v", err)
			}
			if err := b.Get(d.url + "/oauth/social/login"); err != nil {
				t.Fatal(err)
			}
			d.atHome(t, b)
			code, who := d.identity(t, b)
			if code != http.StatusOK || who.Subject != test.subject || who.Username != test.subject || len(who.Groups) != 0 {
				t.Errorf("%d %+v", code, who)
			}
			if diff := cmp.Diff([]string{"Developer"}, d.roles(t, b)); diff != "" {
				t.Errorf("roles (-want +got):\n%s", diff)
			}
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
