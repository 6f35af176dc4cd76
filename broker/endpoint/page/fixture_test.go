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
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
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
	maps.Copy(all, roleSamples(p))
	maps.Copy(all, problemSamples(p))
	maps.Copy(all, whySamples(p))
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

func roleSamples(p *Pages) map[string]endpoint.Handler {
	admin := Role{AccountID: "111122223333", AccountName: "production", Label: "prod", Colour: "red", Name: "Admin", Ref: "production/Admin", Grant: "platform-admin", Duration: time.Hour, MaxDuration: 8 * time.Hour, Console: true}
	held, stale, programs := admin, admin, admin
	held.Withheld = "when: the condition does not hold"
	stale.Withheld, stale.StepUp = "max_auth_age: signed in 2h ago, at most 15m", true
	programs.Console = false
	issued := &Issued{Left: 58 * time.Minute, Of: time.Hour, Region: "eu-west-1", Credentials: iam.Credentials{
		AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: secret.New("wJalr/EXAMPLEKEY"), SessionToken: secret.New("IQoJb3Jp//token=="), Expires: noon.Add(58 * time.Minute),
	}}
	return map[string]endpoint.Handler{
		"console": showing(p.Console, Console{
			Person: alice, Role: admin, Services: []Option{{"", "Console home", false}, {"s3", "S3", true}}, Regions: []Option{{"eu-west-1", "eu-west-1 (Ireland)", true}},
			Link: "https://sso.example.com/console?role=production/Admin&service=s3",
		}),
		"opening": showing(p.Opening, Opening{
			Person: alice, Role: admin, Service: Option{Value: "s3", Text: "S3"}, Region: Option{Value: "eu-west-1", Text: "eu-west-1 (Ireland)"},
			CancelURL: "/console?role=production/Admin&service=s3&choose=1",
		}),
		"console-withheld": showing(p.Console, Console{Person: alice, Role: held}),
		"console-programs": showing(p.Console, Console{Person: alice, Role: programs}),
		"keys":             showing(p.Keys, Keys{Person: alice, Role: admin, Durations: []Option{{"1h", "1 hour", true}, {"8h", "8 hours, the most", false}}}),
		"keys-issued":      showing(p.Keys, Keys{Person: alice, Role: admin, Issued: issued}),
		"keys-stepup":      showing(p.Keys, Keys{Person: alice, Role: stale, SignInURL: "/login?fresh=1"}),
	}
}

func whySamples(p *Pages) map[string]endpoint.Handler {
	dev := Role{AccountID: "444455556666", AccountName: "development", Name: "Developer", Ref: "development/Developer", Grant: "developers", Duration: time.Hour, MaxDuration: 8 * time.Hour, Console: true}
	admin := Role{AccountID: "111122223333", AccountName: "production", Name: "Admin", Ref: "production/Admin", Grant: "platform-admin", Withheld: "its condition does not hold: false"}
	stale, refused := admin, admin
	stale.StepUp = true
	member := broker.RuleTest{Test: "groups", Fate: broker.Held, Detail: `in "platform"`}
	skipped := broker.Rule{Grant: "of-others", Fate: broker.Skipped}
	person := alice
	person.Sessions, person.Admin = true, true
	return map[string]endpoint.Handler{
		"why-granted": showing(p.Why, Why{Person: person, Role: dev, Why: broker.Why{
			Granted: true, Grant: "developers", Session: "arn:aws:sts::444455556666:assumed-role/Developer/alice@example.com", SourceIdentity: "corp=00u1a2b3", Tags: []iam.Tag{{Key: "team", Value: "payments"}},
			Rules: []broker.Rule{{Grant: "developers", Fate: broker.Held, Tests: []broker.RuleTest{{Test: "groups", Fate: broker.Held, Detail: `in "developers"`}, {Test: "role", Fate: broker.Held, Detail: "gives arn:aws:iam::444455556666:role/Developer"}}}, skipped},
		}}),
		"why-condition": showing(p.Why, Why{Person: alice, Role: admin, Address: "198.51.100.24", Others: []ListedRole{{"ReadOnly", "production/ReadOnly", true, false}}, Why: broker.Why{
			Grant: "platform-admin", Reason: "its condition does not hold: false",
			Rules: []broker.Rule{{Grant: "platform-admin", Fate: broker.Failed, Tests: []broker.RuleTest{member, {Test: "when", Fate: broker.Failed, When: `cidr("10.0.0.0/8").containsIP(request.ip)`}}}, skipped, skipped},
		}}),
		"why-stepup": showing(p.Why, Why{Person: alice, Role: stale, SignInURL: "/login?fresh=1", Why: broker.Why{
			Grant: "platform-admin", Reason: "needs a second factor", StepUp: true,
			Rules: []broker.Rule{{Grant: "platform-admin", Fate: broker.Failed, Tests: []broker.RuleTest{member, {Test: "require.mfa", Fate: broker.Failed, Detail: "methods are pwd"}}}},
		}}),
		"why-refused": showing(p.Why, Why{Person: alice, Role: refused, Why: broker.Why{
			Grant: "deny-leavers", Reason: "refused by the grant deny-leavers",
			Rules: []broker.Rule{{Grant: "deny-leavers", Deny: true, Fate: broker.Failed, Tests: []broker.RuleTest{{Test: "groups", Fate: broker.Held, Detail: `in "leavers"`}}}},
		}}),
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
