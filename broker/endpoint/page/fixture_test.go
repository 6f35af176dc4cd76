package page

import (
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/idp"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func newPages(t *testing.T, config Config) *Pages {
	t.Helper()
	pages, err := New(config)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return pages
}

// routes mounts one handler behind the real edge, with its headers.
type routes map[string]endpoint.Handler

func (r routes) Mount(mux *endpoint.Mux) {
	for pattern, h := range r {
		mux.Page(pattern, h)
	}
}

// get asks the edge for the page that render writes, as a browser with a session.
func get(t *testing.T, pages *Pages, target string, render endpoint.Handler) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.AddCookie(&http.Cookie{Name: "rolecall_session", Value: "a-session-of-a-test"})
	return ask(t, pages, r, render)
}

func ask(t *testing.T, pages *Pages, r *http.Request, render endpoint.Handler) *httptest.ResponseRecorder {
	t.Helper()
	r.Host = "sso.example.com"
	mounted := routes{}
	if render != nil {
		mounted[r.Method+" "+r.URL.Path] = render
	}
	edge := endpoint.New(endpoint.Config{
		URL: &url.URL{Scheme: "http", Host: "sso.example.com"}, Problems: pages,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
	}, pages, mounted)
	w := httptest.NewRecorder()
	edge.ServeHTTP(w, r)
	return w
}

// samples are all pages in the states that matter, by the name of their golden file.
func samples(p *Pages) map[string]endpoint.Handler {
	all := signInSamples(p)
	maps.Copy(all, listSamples(p))
	maps.Copy(all, problemSamples(p))
	all["help"] = func(w http.ResponseWriter, r *http.Request) error {
		return p.render(w, r, look{name: "help", title: "Keyboard"}, nil)
	}
	maps.Copy(all, deviceSamples(p))
	return all
}

var (
	alice  = Person{Username: "alice@example.com", Name: "Alice Meyer", Provider: "Corporate sign-in", MFA: true, Until: noon.Add(10 * time.Hour)}
	corp   = Provider{Name: "corp", Label: "Corporate sign-in", Host: "idp.example.com", URL: "/saml/corp/login?return_to=%2F"}
	google = Provider{Name: "google", Label: "Google", Host: "accounts.google.com", URL: "/oidc/google/login?return_to=%2F"}
)

// showing makes a handler of a page's method and its view.
func showing[V any](render func(http.ResponseWriter, *http.Request, V) error, view V) endpoint.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return render(w, r, view) }
}

func signInSamples(p *Pages) map[string]endpoint.Handler {
	return map[string]endpoint.Handler{
		"signin-first":  showing(p.SignIn, SignIn{Others: []Provider{corp, google}, Email: true, ReturnTo: "/"}),
		"signin-last":   showing(p.SignIn, SignIn{Main: &corp, Last: true, Others: []Provider{google}, Role: "production/Admin"}),
		"signin-fault":  showing(p.SignIn, SignIn{Main: &corp, Program: true, Fault: "There is no provider of that name here. Choose one below."}),
		"signin-email":  showing(p.SignIn, SignIn{Main: &corp, Others: []Provider{google}, Email: true, ReturnTo: "/keys?role=a/B", Fresh: true, EmailFault: "No provider here has addresses of that domain. Choose one above."}),
		"signin-none":   showing(p.SignIn, SignIn{}),
		"signedout":     showing(p.SignedOut, SignedOut{}),
		"signedout-ask": showing(p.SignedOut, SignedOut{Asks: true}),
		"leave":         showing(p.Leave, idp.Redirect{URL: "https://idp.example.com/slo?SAMLRequest=x&RelayState=h"}),
		"goon": func(w http.ResponseWriter, r *http.Request) error {
			return p.GoOn(w, r, "https://signin.aws.amazon.com/federation?Action=login&SigninToken=t", "Opening the AWS console", "As production/Admin.")
		},
		"confirm":  showing(p.ConfirmSignIn, broker.Confirmation{Handle: strings.Repeat("h", 43), Provider: "corp", Label: "Corporate sign-in", Username: "alice@example.com", Subject: "e-1042"}),
		"autopost": showing(p.AutoPost, idp.Form{Action: "https://idp.example.com/sso", Fields: map[string]string{"SAMLRequest": "PHNhbWw+", "RelayState": "h"}}),
		"consent": showing(p.Consent, Consent{
			Username: "alice@example.com", Client: "rolecall CLI", RedirectURI: "http://127.0.0.1:49152/callback", Action: "/oauth2/authorize",
			May: []string{"list your accounts and roles", "fetch temporary keys for your roles"}, Hidden: []Field{{"request", "r-1"}},
		}),
	}
}

func listSamples(p *Pages) map[string]endpoint.Handler {
	return map[string]endpoint.Handler{
		"home": showing(p.Home, Home{Person: alice, Accounts: []Account{
			{ID: "111122223333", Name: "production", Roles: []ListedRole{{"ReadOnly", "production/ReadOnly", true, false}, {"Deploy", "production/Deploy", false, false}, {"Admin", "production/Admin", true, true}}},
			{ID: "444455556666", Name: "development", Roles: []ListedRole{{"Developer", "development/Developer", true, false}}},
		}}),
		"home-marked": showing(p.Home, Home{
			Person: alice, Labels: []Option{{"", "All", false}, {"prod", "prod", true}, {"dev & test", "dev & test", false}},
			Recent: []RecentRole{{ListedRole{"Developer", "development/Developer", true, false}, "development", "green"}},
			Accounts: []Account{
				{ID: "111122223333", Name: "production", Label: "prod", Colour: "red", Favourite: true, Roles: []ListedRole{{"ReadOnly", "production/ReadOnly", true, false}}},
				{ID: "444455556666", Name: "development", Colour: "green", Roles: []ListedRole{{"Developer", "development/Developer", true, false}}},
			}}),
		"home-recent": showing(p.Home, Home{
			Person: alice, Recent: []RecentRole{{ListedRole{"Developer", "development/Developer", true, false}, "development", "green"}, {ListedRole{"Deploy", "production/Deploy", false, false}, "production", ""}},
			Accounts: []Account{{ID: "444455556666", Name: "development", Colour: "green", Roles: []ListedRole{{"Developer", "development/Developer", true, false}}}},
		}),
		"home-empty": showing(p.Home, Home{Person: alice, Query: "prdouction"}),
		"norole": showing(p.NoRole, NoRole{
			Person: Person{Username: "carol", Provider: "Corporate sign-in", Until: noon}, ProviderName: "corp", Groups: []string{"contractors", "everyone"}, Checked: noon,
		}),
	}
}

func problemSamples(p *Pages) map[string]endpoint.Handler {
	fault := func(path string, f endpoint.Problem) endpoint.Handler {
		f.Time = noon
		return func(w http.ResponseWriter, r *http.Request) error {
			r.URL.Path = path
			return p.Problem(w, r, f)
		}
	}
	return map[string]endpoint.Handler{
		"problem-signin":   fault("/saml/corp/acs", endpoint.Problem{Status: 403, Code: broker.AccessDenied, Reason: "expired", Message: "The identity provider's answer was not accepted."}),
		"problem-limit":    fault("/console", endpoint.Problem{Status: 429, Code: broker.RateLimited, Reason: "rate_limited", Message: "Too many requests. Wait a moment, then try again.", Retry: 42 * time.Second}),
		"problem-aws":      fault("/keys", endpoint.Problem{Status: 502, Code: broker.AWSRefused, Reason: "aws_refused", Message: "AWS did not let us take the role."}),
		"problem-400":      fault("/console", endpoint.Problem{Status: 400, Code: broker.InvalidRequest, Reason: "malformed_role", Message: "The role must be an ARN or ACCOUNT/ROLE."}),
		"problem-403":      fault("/admin/", endpoint.Problem{Status: 403, Code: broker.AccessDenied, Reason: "not_admin", Message: "Administration is not yours to see."}),
		"problem-405":      fault("/saml/corp/acs", endpoint.Problem{Status: 405, Code: broker.InvalidRequest, Reason: "method", Message: "This address takes POST only."}),
		"problem-413":      fault("/login", endpoint.Problem{Status: 413, Code: broker.TooLarge, Reason: "too_large", Message: "The request is larger than the 512 KB allowed here."}),
		"problem-500":      fault("/keys", endpoint.Problem{Status: 500, Code: broker.Internal, Message: "Something failed on our side."}),
		"problem-503":      fault("/keys", endpoint.Problem{Status: 503, Code: broker.Unavailable, Reason: "store", Message: "The broker cannot reach its memory right now. Try again in a moment."}),
		"problem-expired":  fault("/saml/corp/acs", endpoint.Problem{Status: 400, Code: broker.InvalidRequest, Reason: "no_pending_signin", Message: "This sign-in was not begun in this browser, took longer than ten minutes, or was finished already."}),
		"problem-provider": fault("/oidc/staff/callback", endpoint.Problem{Status: 403, Code: broker.AccessDenied, Reason: "access-denied", Message: "The identity provider's answer was not accepted."}),
		"problem-down":     fault("/oidc/staff/login", endpoint.Problem{Status: 503, Code: broker.Unavailable, Reason: "provider_unavailable", Message: "The identity provider cannot be reached right now. Try again in a moment, or sign in with another one."}),
		"problem-404":      fault("/nothing", endpoint.Problem{Status: 404, Reason: "not_found", Message: "There is no such page here."}),
	}
}

var digests = regexp.MustCompile(`-[0-9a-f]{12}\.(css|js|svg)|request [A-Z2-7]{26}|>[A-Z2-7]{26}<|(name="csrf" value)="[^"]{20,}"`)

// stable replaces what differs from run to run or with every change of an asset.
func stable(html string) string {
	return digests.ReplaceAllStringFunc(html, func(s string) string {
		switch s[0] {
		case '-':
			return "-DIGEST" + s[13:]
		case '>':
			return ">REQUEST<"
		case 'n':
			return `name="csrf" value="TOKEN"`
		}
		return "request REQUEST"
	})
}

func manyAccounts(n, roles int) []Account {
	names := []string{"ReadOnly", "Developer", "Billing", "DatabaseOperator", "SecurityAudit", "IncidentResponse", "PowerUser", "Admin"}
	teams := []string{"payments", "platform", "identity", "ledger", "telemetry", "search", "risk", "mobile", "data", "fraud"}
	var accounts []Account
	seed := uint64(88172645463325252)
	for i := range n {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		name := fmt.Sprintf("%s-%s-%d", teams[i%len(teams)], []string{"prod", "staging", "dev"}[i%3], i/30)
		a := Account{ID: fmt.Sprintf("%012d", seed%1e12), Name: name}
		for j := range roles {
			a.Roles = append(a.Roles, ListedRole{Name: names[j%len(names)], Ref: name + "/" + names[j%len(names)], Console: true})
		}
		accounts = append(accounts, a)
	}
	return accounts
}
