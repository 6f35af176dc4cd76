package directory

import (
	"context"
	"encoding/json"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/broker/endpoint/page/pagetest"
	"github.com/rolecall/rolecall/broker/endpoint/visitor"
	"github.com/rolecall/rolecall/config/secret"
)

var update = flag.Bool("update", false, "write the golden files")

// fake is a broker with one directory: the password is "right", the code "right".
type fake struct {
	password broker.PasswordRequest
	answer   broker.AnswerRequest
	passkey  broker.PasskeyRequest
	redeemed []string
	totp     bool
	on       bool // ann's second factor
	old      bool // ann's sign-in is too old
	err      error
}

func (f *fake) SignInProviders() []broker.ProviderInfo {
	return []broker.ProviderInfo{{Name: "corp", Type: "saml"}, {Name: "people", Type: "directory", Label: "Example", Passkeys: true}, {Name: "plain", Type: "directory", Label: "Plain"}}
}

func wrong() error {
	return broker.Fail(broker.AccessDenied, "wrong_credentials", "The address, the password or the code is not right.")
}

func in(returnTo string) broker.SignedIn {
	return broker.SignedIn{Token: secret.New("session"), Expires: time.Now().Add(time.Hour), ReturnTo: returnTo, Holder: "known-value"}
}

func (f *fake) SignInByPassword(_ context.Context, req broker.PasswordRequest) (broker.SignedIn, error) {
	f.password = req
	switch {
	case f.err != nil:
		return broker.SignedIn{}, f.err
	case req.Password.Reveal() != "right":
		return broker.SignedIn{}, wrong()
	case f.totp:
		return broker.SignedIn{Question: &broker.Question{Handle: "handle-1", Browser: "browser", Kind: "totp"}}, nil
	}
	return in(req.ReturnTo), nil
}

func (f *fake) AnswerQuestion(_ context.Context, req broker.AnswerRequest) (broker.SignedIn, error) {
	f.answer = req
	if req.Answer.Reveal() != "right" {
		return broker.SignedIn{Question: &broker.Question{Handle: "handle-2", Browser: "browser", Kind: "totp"}}, wrong()
	}
	return in("/keys?role=production/Admin"), f.err
}

func (f *fake) BeginPasskey(_ context.Context, req broker.PasskeyRequest) (json.RawMessage, string, error) {
	f.passkey = req
	return json.RawMessage(`{"publicKey":{"challenge":"AAAA","rpId":"sso.example.com","note":"\"><script>"}}`), "browser", f.err
}

func (f *fake) SignInByPasskey(_ context.Context, req broker.PasskeyRequest) (broker.SignedIn, error) {
	f.passkey = req
	if string(req.Credential) != `{"right":true}` {
		return broker.SignedIn{}, wrong()
	}
	return in(req.ReturnTo), nil
}

func (f *fake) Redeem(_ context.Context, _ broker.Origin, provider, email, code string, password secret.String) error {
	f.redeemed = append(f.redeemed, provider+" "+email+" "+code+" "+password.Reveal())
	return f.err
}

func site(t *testing.T, f *fake) http.Handler {
	t.Helper()
	cookies := endpoint.Cookies{}
	pages, err := page.New(page.Config{Cookies: cookies})
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(Config{Service: f, Passwords: f, Factors: f, Door: visitor.Door{Sessions: f, Cookies: cookies}, Cookies: cookies, Pages: pages})
	if err != nil {
		t.Fatal(err)
	}
	return endpoint.New(endpoint.Config{
		URL: &url.URL{Scheme: "http", Host: "sso.example.com"}, Problems: pages, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}, pages, e)
}

func visit(h http.Handler, target string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "sso.example.com"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func post(h http.Handler, target, form string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(form))
	r.Host = "sso.example.com"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func cookie(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: value}) }
}

func given(w *httptest.ResponseRecorder) map[string]string {
	all := map[string]string{}
	for _, c := range w.Result().Cookies() {
		all[c.Name] = c.Value
	}
	return all
}

func TestAPasswordSignsIn(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := site(t, f)
	w := post(h, "/directory/people/login", "email=ann%40example.com&password=right&return_to=%2Fkeys%3Frole%3Dproduction%2FAdmin", cookie("rolecall_known", "k"), cookie("rolecall_state", "s"))
	got := given(w)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/keys?role=production/Admin" || got["rolecall_session"] != "session" || got["rolecall_known"] != "known-value" || got["rolecall_provider"] != "people" {
		t.Errorf("%d to %s with %v", w.Code, w.Header().Get("Location"), got)
	}
	if p := f.password; p.Provider != "people" || p.Username != "ann@example.com" || p.Holder != "k" || p.Browser != "s" || p.RequestID == "" {
		t.Errorf("asked %+v", p)
	}
	for _, elsewhere := range []string{"https://evil.example/", "//evil.example", "/\\evil.example"} {
		w := post(h, "/directory/people/login", url.Values{"email": {"a@b.c"}, "password": {"right"}, "return_to": {elsewhere}}.Encode())
		if w.Header().Get("Location") != "/" {
			t.Errorf("%s: sent to %s", elsewhere, w.Header().Get("Location"))
		}
	}
}

func TestARefusalIsA4xxOnTheSamePageWithoutASession(t *testing.T) {
	t.Parallel()
	slow := broker.Fail(broker.RateLimited, "rate_limited", "Too many requests.")
	slow.RetryAfter = 90 * time.Second
	for name, c := range map[string]struct {
		err    error
		status int
		says   string
	}{
		"wrong":   {nil, http.StatusForbidden, "is not right"},
		"slowed":  {slow, http.StatusTooManyRequests, "Too many requests."},
		"busy":    {broker.Fail(broker.Unavailable, "busy", "Too many sign-ins."), http.StatusServiceUnavailable, "Too many sign-ins."},
		"stopped": {broker.Fail(broker.AccessDenied, "revoked", "An operator has stopped your sign-ins."), http.StatusForbidden, "An operator has stopped"},
	} {
		w := post(site(t, &fake{err: c.err}), "/directory/people/login", "email=ann%40example.com&password=hunter2hunter2")
		body := w.Body.String()
		if w.Code != c.status || !strings.Contains(body, c.says) || given(w)["rolecall_session"] != "" || !strings.Contains(body, "request ") || strings.Contains(body, "hunter2") {
			t.Errorf("%s: %d\n%s", name, w.Code, body)
		}
		if name == "slowed" && w.Header().Get("Retry-After") != "90" {
			t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
		}
		if name == "wrong" && !strings.Contains(body, `value="ann@example.com"`) {
			t.Error("the address is lost")
		}
	}
}

func TestACodeIsAskedForUntilItIsRight(t *testing.T) {
	t.Parallel()
	f := &fake{totp: true}
	h := site(t, f)
	w := post(h, "/directory/people/login", "email=ann%40example.com&password=right")
	if w.Code != http.StatusOK || given(w)["rolecall_session"] != "" || given(w)["rolecall_state"] != "browser" || !strings.Contains(w.Body.String(), `name="handle" value="handle-1"`) {
		t.Fatalf("%d, %v\n%s", w.Code, given(w), w.Body)
	}
	w = post(h, "/directory/people/code", "handle=handle-1&code=000000", cookie("rolecall_state", "browser"))
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), `name="handle" value="handle-2"`) || !strings.Contains(w.Body.String(), "is not right") {
		t.Fatalf("%d\n%s", w.Code, w.Body)
	}
	w = post(h, "/directory/people/code", "handle=handle-2&code=right", cookie("rolecall_state", "browser"))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/keys?role=production/Admin" || given(w)["rolecall_session"] != "session" {
		t.Errorf("%d to %s", w.Code, w.Header().Get("Location"))
	}
	if f.answer.Handle != "handle-2" || f.answer.Browser != "browser" {
		t.Errorf("asked %+v", f.answer)
	}
}

func TestAPasskeyIsAskedForOnAPageOfItsOwn(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := site(t, f)
	if body := visit(h, "/directory/plain/login").Body.String(); strings.Contains(body, "passkey") {
		t.Error("a directory without passkeys offers them")
	}
	if body := visit(h, "/directory/people/login").Body.String(); !strings.Contains(body, `class="needs-script" method="post" action="/directory/people/passkey"`) {
		t.Errorf("no passkey:\n%s", body)
	}
	w := post(h, "/directory/people/passkey", "return_to=%2Fwhy")
	if body := w.Body.String(); w.Code != http.StatusOK || !strings.Contains(body, "data-passkey=") || strings.Contains(body, `"><script>`) || given(w)["rolecall_state"] != "browser" {
		t.Errorf("%d\n%s", w.Code, body)
	}
	w = post(h, "/directory/people/passkey", "credential=%7B%7D&return_to=%2Fwhy")
	if w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "data-passkey=") || given(w)["rolecall_session"] != "" {
		t.Errorf("a wrong one: %d", w.Code)
	}
	w = post(h, "/directory/people/passkey", url.Values{"credential": {`{"right":true}`}, "return_to": {"/why"}}.Encode(), cookie("rolecall_state", "browser"))
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/why" || f.passkey.Browser != "browser" {
		t.Errorf("%d to %s, %+v", w.Code, w.Header().Get("Location"), f.passkey)
	}
}

func TestAnOperatorsCodeSetsAPassword(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := site(t, f)
	w := post(h, "/directory/people/password", "email=ann%40example.com&code=CODE&password=seven+purple+otters")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Your password is set") || f.redeemed[0] != "people ann@example.com CODE seven purple otters" {
		t.Errorf("%d %v\n%s", w.Code, f.redeemed, w.Body)
	}
	f.err = broker.Fail(broker.InvalidRequest, "weak_password", "The password cannot be taken: it has 5 characters.")
	w = post(h, "/directory/people/password", "email=ann%40example.com&code=CODE&password=short")
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "it has 5 characters") || strings.Contains(w.Body.String(), "CODE") {
		t.Errorf("%d\n%s", w.Code, w.Body)
	}
}

func TestWhatIsNotAFormOfOurs(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := site(t, f)
	cross := func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	for _, target := range []string{"login", "code", "passkey", "password"} {
		if w := post(h, "/directory/people/"+target, "email=a&password=right&code=right", cross); w.Code != http.StatusForbidden || given(w)["rolecall_session"] != "" {
			t.Errorf("%s from another site: %d", target, w.Code)
		}
		if w := post(h, "/directory/corp/"+target, "email=a&password=right&code=right"); w.Code != http.StatusNotFound {
			t.Errorf("%s of a provider of another type: %d", target, w.Code)
		}
		if w := post(h, "/directory/people/"+target, `{}`, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }); w.Code != http.StatusBadRequest {
			t.Errorf("%s as JSON: %d", target, w.Code)
		}
	}
	if f.password.Provider != "" || len(f.redeemed) > 0 {
		t.Error("one of them reached the broker")
	}
	if w := visit(h, "/directory/nobody/login"); w.Code != http.StatusNotFound {
		t.Errorf("a provider that is none: %d", w.Code)
	}
}

// The pages by name; those that a form leads to are posted here once.
func TestThePagesAreAsTheirGoldenFilesSay(t *testing.T) {
	t.Parallel()
	f := &fake{totp: true}
	h := site(t, f)
	for name, w := range map[string]*httptest.ResponseRecorder{
		"password":       visit(h, "/directory/people/login?return_to=%2Fkeys%3Frole%3Dproduction%2FAdmin"),
		"password-fault": post(h, "/directory/people/login", "email=ann%40example.com&password=wrong"),
		"code":           post(h, "/directory/people/login", "email=ann%40example.com&password=right"),
		"passkey":        post(h, "/directory/people/passkey", ""),
		"new":            visit(h, "/directory/people/password"),
		"done":           post(h, "/directory/people/password", "email=a&code=b&password=c"),
	} {
		pagetest.Golden(t, name, w.Body.String(), *update)
	}
}

func TestThePagesInABrowser(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(nil)
	t.Cleanup(server.Close)
	f := &fake{totp: true}
	h := site(t, f)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = "sso.example.com"
		if name, ok := strings.CutPrefix(r.URL.Path, "/post/"); ok { // pages behind a form
			again := httptest.NewRequest(http.MethodPost, "/directory/people/"+name, strings.NewReader("email=ann%40example.com&password=right&code=x"))
			again.Host = "sso.example.com"
			again.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r = again
		}
		h.ServeHTTP(w, r)
	})
	pagetest.Browse(t, server.URL, "/directory/people/login", map[string]string{
		"password": "/directory/people/login", "code": "/post/login", "wrong-code": "/post/code", "passkey": "/post/passkey", "new": "/directory/people/password", "done": "/post/password",
	})
}
