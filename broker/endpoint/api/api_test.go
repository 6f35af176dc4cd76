package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/iam"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

var alice = broker.Caller{Identity: idp.Identity{Provider: "corp", Subject: "42", Username: "alice", Groups: []string{"platform"}}, Session: "S"}

// service plays the broker: what it was asked, and what it answers.
type service struct {
	order   broker.Order
	console broker.ConsoleOrder
	err     error
	stale   bool
	used    []string
}

// Used implements what Endpoint.Used is; it fails, which must not matter.
func (s *service) Used(_ context.Context, caller broker.Caller, role string) error {
	s.used = append(s.used, caller.Identity.Username+" "+role)
	return errors.New("the list cannot be kept")
}

func (s *service) Session(_ context.Context, _ broker.Origin, token string) (broker.Caller, error) {
	if token != "cookie" {
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "no_session", "Your session has ended.")
	}
	return alice, nil
}

func (s *service) Roles(context.Context, broker.Origin, broker.Caller) ([]broker.Role, error) {
	role := func(name string) iam.RoleARN {
		return iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: name}
	}
	return []broker.Role{
		{ARN: role("Admin"), AccountID: "111122223333", AccountName: "production", Grant: "g", Console: true},
		{ARN: role("Vault"), AccountID: "111122223333", AccountName: "production", Grant: "v", Withheld: "needs mfa", StepUp: true},
		{ARN: role("Never"), AccountID: "111122223333", AccountName: "production", Grant: "n", Withheld: "denied"},
	}, s.err
}

func (s *service) Vend(_ context.Context, _ broker.Origin, _ broker.Caller, order broker.Order) (broker.Vended, error) {
	s.order = order
	return broker.Vended{Role: iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "Admin"}, Stale: s.stale, Credentials: iam.Credentials{
		AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: secret.New("sk"), SessionToken: secret.New("st"),
		Expires: time.Date(2026, 11, 23, 12, 50, 58, 999, time.FixedZone("x", 3600)), AccountID: "111122223333"}}, s.err
}

func (s *service) Console(_ context.Context, _ broker.Origin, _ broker.Caller, order broker.ConsoleOrder) (broker.ConsoleURL, error) {
	s.console = order
	return broker.ConsoleURL{Role: iam.RoleARN{Partition: "aws", Account: "111122223333", Path: "/", Name: "ReadOnly"}, URL: secret.New("https://signin.aws.amazon.com/federation?x")}, s.err
}

// tokens plays the authorization server.
type tokens struct{}

func (tokens) AuthenticateRequest(_ context.Context, _ broker.Origin, r *http.Request) (broker.Caller, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer good":
		return alice, nil
	case "Bearer program":
		return broker.Caller{Identity: alice.Identity, Via: broker.ViaExchange}, nil
	case "":
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "no_token", "Bring an access token.")
	}
	return broker.Caller{}, broker.Fail(broker.Unauthenticated, "invalid_token", "The token does not work.")
}

type problems struct{}

func (problems) Problem(w http.ResponseWriter, _ *http.Request, p endpoint.Problem) error {
	w.WriteHeader(p.Status)
	return nil
}

func serve(t *testing.T, s *service) func(method, path, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	public, err := url.Parse("https://sso.example.com")
	if err != nil {
		t.Fatal(err)
	}
	edge := endpoint.New(endpoint.Config{URL: public, Problems: problems{}, Log: slog.New(slog.DiscardHandler), Now: time.Now},
		Endpoint{Service: s, Tokens: tokens{}, Cookies: endpoint.Cookies{HTTPS: true}, Used: s.Used})
	return func(method, path, body string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "https://sso.example.com"+path, strings.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		edge.ServeHTTP(w, r)
		return w
	}
}

func TestCredentialsAreTheDocumentOfCredentialProcess(t *testing.T) {
	t.Parallel()
	s := &service{}
	w := serve(t, s)("POST", "/api/v1/credentials", `{"role":"production/Admin","duration":"1h","policy":{"Version":"2012-10-17"}}`,
		"Authorization", "Bearer good", "Content-Type", "application/json; charset=utf-8")
	want := `{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"sk","SessionToken":"st","Expiration":"2026-11-23T11:50:58Z","AccountId":"111122223333"}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s, want %s", w.Code, w.Body, want)
	}
	if s.order != (broker.Order{Role: "production/Admin", Duration: "1h", Policy: `{"Version":"2012-10-17"}`}) {
		t.Errorf("ordered %+v", s.order)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("X-Rolecall-Stale") != "" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestWhatAPersonGotIsAmongTheirRecentRoles(t *testing.T) {
	t.Parallel()
	s := &service{}
	ask := serve(t, s)
	for _, c := range []struct {
		path, token string
		err         error
	}{
		{"/api/v1/credentials", "good", nil}, {"/api/v1/console-url", "good", nil}, {"/api/v1/credentials", "program", nil}, {"/api/v1/console-url", "program", nil},
		{"/api/v1/credentials", "good", errors.New("refused")}, {"/api/v1/console-url", "good", errors.New("refused")},
	} {
		s.err = c.err
		if w := ask("POST", c.path, `{"role":"production/Admin"}`, "Authorization", "Bearer "+c.token, "Content-Type", "application/json"); (w.Code == 200) != (c.err == nil) {
			t.Errorf("%+v: %d", c, w.Code)
		}
	}
	if got := strings.Join(s.used, ", "); got != "alice arn:aws:iam::111122223333:role/Admin, alice arn:aws:iam::111122223333:role/ReadOnly" {
		t.Errorf("remembered %s", got)
	}
}

func TestAPolicyMayAlsoBeText(t *testing.T) {
	t.Parallel()
	s := &service{stale: true}
	w := serve(t, s)("POST", "/api/v1/credentials", `{"role":"r","policy":"{\"a\":1}"}`, "Authorization", "Bearer good", "Content-Type", "application/json")
	if s.order.Policy != `{"a":1}` || w.Header().Get("X-Rolecall-Stale") != "1" {
		t.Errorf("policy %q, headers %v", s.order.Policy, w.Header())
	}
}

func TestRolesAreTheDocumentedList(t *testing.T) {
	t.Parallel()
	w := serve(t, &service{})("GET", "/api/v1/roles", "", "Authorization", "Bearer good")
	want := `{"roles":[{"role_arn":"arn:aws:iam::111122223333:role/Admin","account":{"id":"111122223333","name":"production"},"grant":"g","console":true},` +
		`{"role_arn":"arn:aws:iam::111122223333:role/Vault","account":{"id":"111122223333","name":"production"},"grant":"v","console":false,"step_up":true}]}` + "\n"
	if w.Code != 200 || w.Body.String() != want {
		t.Errorf("%d %s\nwant %s", w.Code, w.Body, want)
	}
}

func TestTheSessionCookieServesReadingFromOurOwnPagesOnly(t *testing.T) {
	t.Parallel()
	call := serve(t, &service{})
	const cookie = "__Host-rolecall_session=cookie"
	for _, c := range []struct {
		method, path, site, cookie string
		want                       int
	}{
		{"GET", "/api/v1/identity", "same-origin", cookie, 200},
		{"GET", "/api/v1/roles", "none", cookie, 200},
		{"GET", "/api/v1/roles", "", cookie, 200},
		{"GET", "/api/v1/roles", "cross-site", cookie, 401},
		{"GET", "/api/v1/roles", "same-site", cookie, 401},
		{"GET", "/api/v1/roles", "same-origin", "__Host-rolecall_session=old", 401},
		{"GET", "/api/v1/roles", "same-origin", "rolecall_session=cookie", 401},
		{"POST", "/api/v1/credentials", "same-origin", cookie, 401},
		{"POST", "/api/v1/console-url", "same-origin", cookie, 401},
	} {
		header := []string{"Cookie", c.cookie, "Content-Type", "application/json"}
		if c.site != "" {
			header = append(header, "Sec-Fetch-Site", c.site)
		}
		if w := call(c.method, c.path, `{"role":"r"}`, header...); w.Code != c.want {
			t.Errorf("%s %s from %q: %d, want %d", c.method, c.path, c.site, w.Code, c.want)
		}
	}
}

func TestATokenThatDoesNotWorkNeverFallsBackToTheCookie(t *testing.T) {
	t.Parallel()
	w := serve(t, &service{})("GET", "/api/v1/roles", "", "Authorization", "Bearer bad", "Cookie", "__Host-rolecall_session=cookie", "Sec-Fetch-Site", "same-origin")
	challenge := strings.Join(w.Header().Values("WWW-Authenticate"), "; ")
	if w.Code != 401 || !strings.Contains(challenge, `Bearer realm="rolecall", error="invalid_token"`) || !strings.Contains(challenge, "DPoP ") {
		t.Errorf("%d, %s", w.Code, challenge)
	}
}

func TestBodiesThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, body string
		want       int
		says       string
	}{
		"another type":          {"text/plain", `{"role":"r"}`, 400, "application/json"},
		"a form":                {"application/x-www-form-urlencoded", `role=r`, 400, "application/json"},
		"no JSON":               {"application/json", `{`, 400, "could not be parsed"},
		"an empty body":         {"application/json", ``, 400, "could not be parsed"},
		"an unknown member":     {"application/json", `{"role":"r","rolle":"x"}`, 400, `no member \"rolle\"`},
		"a number for the role": {"application/json", `{"role":1}`, 400, "role must not be a number"},
		"two documents":         {"application/json", `{"role":"r"}{"role":"s"}`, 400, "more than one"},
		"too much":              {"application/json", `{"role":"` + strings.Repeat("x", maxBody) + `"}`, 413, "larger"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{}
			w := serve(t, s)("POST", "/api/v1/credentials", c.body, "Authorization", "Bearer good", "Content-Type", c.kind)
			if w.Code != c.want || !strings.Contains(w.Body.String(), c.says) || s.order.Role != "" {
				t.Errorf("%d %s, want %d and %q; ordered %+v", w.Code, w.Body, c.want, c.says, s.order)
			}
		})
	}
}

func TestEachCodeHasItsStatus(t *testing.T) {
	t.Parallel()
	stepUp := broker.Fail(broker.StepUp, "step_up", "Sign in again.")
	stepUp.MaxAge, stepUp.ACR = 10*time.Minute, "mfa"
	limited := broker.Fail(broker.RateLimited, "rate_limited", "Wait.")
	limited.RetryAfter = 1500 * time.Millisecond
	for _, c := range []struct {
		err    error
		status int
		code   string
		header [2]string
	}{
		{broker.Fail(broker.AccessDenied, "x", "No."), 403, "access_denied", [2]string{}},
		{broker.Fail(broker.AWSRefused, "x", "No."), 502, "aws_refused", [2]string{}},
		{broker.Fail(broker.Unavailable, "x", "No."), 503, "unavailable", [2]string{"Retry-After", "1"}},
		{limited, 429, "rate_limited", [2]string{"Retry-After", "2"}},
		{stepUp, 401, "insufficient_user_authentication", [2]string{"WWW-Authenticate", `Bearer realm="rolecall", error="insufficient_user_authentication", max_age="600", acr_values="mfa"`}},
		{errors.New("whatever"), 500, "internal", [2]string{}},
	} {
		w := serve(t, &service{err: c.err})("POST", "/api/v1/console-url", `{"role":"r"}`, "Authorization", "Bearer good", "Content-Type", "application/json")
		var body struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
			RequestID   string `json:"request_id"`
		}
		if err := json.NewDecoder(io.LimitReader(w.Body, 1<<16)).Decode(&body); err != nil {
			t.Fatal(err)
		}
		if w.Code != c.status || body.Error != c.code || body.Description == "" || body.RequestID != w.Header().Get("X-Request-Id") {
			t.Errorf("%v: %d %+v, want %d %s", c.err, w.Code, body, c.status, c.code)
		}
		if c.header[0] != "" && w.Header().Get(c.header[0]) != c.header[1] {
			t.Errorf("%v: %s: %q, want %q", c.err, c.header[0], w.Header().Get(c.header[0]), c.header[1])
		}
	}
}

func TestTheConsoleAddressIsGivenToATokenOnly(t *testing.T) {
	t.Parallel()
	s := &service{}
	w := serve(t, s)("POST", "/api/v1/console-url", `{"role":"r","service":"s3","region":"eu-west-1"}`, "Authorization", "Bearer good", "Content-Type", "application/json")
	if w.Code != 200 || w.Body.String() != `{"url":"https://signin.aws.amazon.com/federation?x"}`+"\n" || s.console.Service != "s3" {
		t.Errorf("%d %s %+v", w.Code, w.Body, s.console)
	}
}

func TestACallThatDoesNotExistIsJSON(t *testing.T) {
	t.Parallel()
	w := serve(t, &service{})("GET", "/api/v1/nothing", "")
	if w.Code != 404 || !strings.Contains(w.Body.String(), `"error":"invalid_request"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
