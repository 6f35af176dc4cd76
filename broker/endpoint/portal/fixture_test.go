package portal

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	aliceSession = "session-of-alice"
	secretKey    = "wJalrSecretOfTheTest"
	consoleURL   = "https://signin.aws.example/federation?SigninToken=SecretTokenOfTheTest"
)

// fakeBroker answers from fields and remembers what it was asked.
type fakeBroker struct {
	roles   []broker.Role
	groups  []string
	err     error // of Vend and Console
	orders  []broker.Order
	console []broker.ConsoleOrder
	stale   bool
	why     broker.Why
	kept    account.Marks
	used    []string
	asked   []string // of Why
	chosen  []broker.Choice
}

const ssoURL = "https://idp.example.com/sso?SAMLRequest=x"

func (f *fakeBroker) Choose(_ context.Context, _ broker.Origin, _ broker.Caller, _ string, choice broker.Choice) (broker.Begun, error) {
	f.chosen = append(f.chosen, choice)
	return broker.Begun{To: idp.Redirect{URL: ssoURL}, Browser: "state-of-alice"}, f.err
}

func (f *fakeBroker) Marks(context.Context, broker.Caller) (account.Marks, error) { return f.kept, nil }

func (f *fakeBroker) Use(_ context.Context, _ broker.Caller, role string) error {
	f.used = append(f.used, role)
	return errSTS // a list that cannot be kept stops nobody
}

func (f *fakeBroker) Why(_ context.Context, _ broker.Origin, _ broker.Caller, role string) (broker.Why, error) {
	f.asked = append(f.asked, role)
	return f.why, f.err
}

func (f *fakeBroker) Session(_ context.Context, _ broker.Origin, token string) (broker.Caller, error) {
	if token != aliceSession {
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "no_session", "Your session has ended. Sign in again.")
	}
	return broker.Caller{
		Identity: idp.Identity{Provider: "corp", Subject: "1", Username: "alice", Groups: f.groups, Methods: []string{"mfa"}, Attributes: map[string][]string{"name": {"Alice Meyer"}}},
		Session:  "s-1", NotAfter: noon.Add(10 * time.Hour),
	}, nil
}

func (f *fakeBroker) Roles(context.Context, broker.Origin, broker.Caller) ([]broker.Role, error) {
	return f.roles, nil
}

func (f *fakeBroker) Vend(_ context.Context, _ broker.Origin, _ broker.Caller, order broker.Order) (broker.Vended, error) {
	f.orders = append(f.orders, order)
	if f.err != nil {
		return broker.Vended{}, f.err
	}
	return broker.Vended{Stale: f.stale, Credentials: iam.Credentials{
		AccessKeyID: "ASIATEST", SecretAccessKey: secret.New(secretKey), SessionToken: secret.New("token"), Expires: noon.Add(30 * time.Minute),
	}}, nil
}

func (f *fakeBroker) Console(_ context.Context, _ broker.Origin, _ broker.Caller, order broker.ConsoleOrder) (broker.ConsoleURL, error) {
	f.console = append(f.console, order)
	if f.err != nil {
		return broker.ConsoleURL{}, f.err
	}
	return broker.ConsoleURL{URL: secret.New(consoleURL)}, nil
}

func (f *fakeBroker) SignInProviders() []broker.ProviderInfo {
	return []broker.ProviderInfo{{Name: "corp", Type: "saml", Label: "Corporate sign-in", Host: "idp.example.com"}}
}

func role(account, name, path, roleName string) broker.Role {
	return broker.Role{
		ARN:       iam.RoleARN{Partition: "aws", Account: account, Path: path, Name: roleName},
		AccountID: account, AccountName: name, Grant: "of-" + roleName, Console: true, Duration: time.Hour, MaxDuration: 8 * time.Hour,
	}
}

// demo is what a fake broker gives where a test needs nothing special.
func demo() *fakeBroker {
	withheld := role("111122223333", "production", "/", "Billing")
	withheld.Withheld = "when: the condition does not hold"
	stale := role("111122223333", "production", "/", "Breakglass")
	stale.Withheld, stale.StepUp = "mfa: no second factor", true
	programs := role("444455556666", "development", "/ci/", "Deploy")
	programs.Console = false
	return &fakeBroker{groups: []string{"platform"}, roles: []broker.Role{
		role("111122223333", "production", "/", "Admin"), role("111122223333", "production", "/", "ReadOnly"),
		role("444455556666", "development", "/", "Developer"), programs, withheld, stale,
	}}
}

func rolePages(t *testing.T, pages *page.Pages) *RolePages {
	t.Helper()
	made, err := NewRolePages(pages)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// site is the portal behind the real edge and with the real pages.
func site(t *testing.T, fake *fakeBroker) http.Handler {
	t.Helper()
	pages, err := page.New(page.Config{Organisation: "Example Corp", Support: "cloud-access@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	return endpoint.New(endpoint.Config{
		URL: &url.URL{Scheme: "http", Host: "sso.example.com"}, Problems: pages,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon },
	}, pages, Endpoint{
		Service: fake, Explain: fake, Chooser: fake, Own: fake, Pages: pages, Role: rolePages(t, pages), URL: "http://sso.example.com", Region: "eu-west-1",
		ConsoleOrigins: []string{"https://signin.aws.example", "https://*.console.aws.example"}, Now: func() time.Time { return noon },
	})
}

// visit asks for a page as alice.
func visit(h http.Handler, target string) *httptest.ResponseRecorder {
	return send(h, httptest.NewRequest(http.MethodGet, "http://sso.example.com"+target, nil), aliceSession)
}

func send(h http.Handler, r *http.Request, session string) *httptest.ResponseRecorder {
	if session != "" {
		r.AddCookie(&http.Cookie{Name: "rolecall_session", Value: session})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// post sends a form as alice, with the token of the page at from.
func post(h http.Handler, from, target string, form url.Values) *httptest.ResponseRecorder {
	form.Set("csrf", tokenOf(visit(h, from).Body.String()))
	return send(h, formRequest(target, form), aliceSession)
}

func formRequest(target string, form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "http://sso.example.com"+target, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	return r
}

func tokenOf(html string) string {
	if m := regexp.MustCompile(`name="csrf" value="([\w-]+)"`).FindStringSubmatch(html); m != nil {
		return m[1]
	}
	return ""
}

var errSTS = errors.New("secret principal of the broker")
