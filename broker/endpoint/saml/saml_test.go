package saml

import (
	"context"
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
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// fake answers as a test says, and remembers what it was asked.
type fake struct {
	signedIn broker.SignedIn
	left     broker.Left
	err      error

	confirmed broker.ConfirmRequest
	leaving   broker.LeaveRequest
}

func (f *fake) Begin(context.Context, broker.BeginRequest) (broker.Begun, error) {
	return broker.Begun{}, f.err
}

func (f *fake) SignIn(context.Context, broker.SignInRequest) (broker.SignedIn, error) {
	return f.signedIn, f.err
}

func (f *fake) ConfirmSignIn(_ context.Context, req broker.ConfirmRequest) (broker.SignedIn, error) {
	f.confirmed = req
	return f.signedIn, f.err
}

func (f *fake) Leave(_ context.Context, req broker.LeaveRequest) (broker.Left, error) {
	f.leaving = req
	return f.left, f.err
}

func (f *fake) SAMLMetadata(context.Context, string) ([]byte, error) { return []byte("<md/>"), f.err }

var handle = strings.Repeat("h", 43)

func ask(t *testing.T, f *fake, method, target string, form url.Values, site string) *httptest.ResponseRecorder {
	t.Helper()
	cookies := endpoint.Cookies{HTTPS: true}
	pages, err := page.New(page.Config{Cookies: cookies})
	if err != nil {
		t.Fatal(err)
	}
	h := endpoint.New(endpoint.Config{
		URL: &url.URL{Scheme: "https", Host: "sso.example.com"}, Problems: pages, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}, pages, Endpoint{SignIn: endpoint.SignIn{Service: f, Cookies: cookies, Pages: pages}, Metadata: f, Logout: f})
	r := httptest.NewRequest(method, "https://sso.example.com"+target, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Sec-Fetch-Site", site)
	r.AddCookie(&http.Cookie{Name: "__Host-rolecall_state", Value: "browser"})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func cookieOf(w *httptest.ResponseRecorder, name string) string {
	for _, c := range w.Result().Cookies() {
		if c.Name == "__Host-"+name {
			return c.Value
		}
	}
	return ""
}

func TestAnUnaskedAnswerShowsAQuestionAndGivesNoSession(t *testing.T) {
	t.Parallel()
	f := &fake{signedIn: broker.SignedIn{Confirm: &broker.Confirmation{Handle: handle, Browser: "fresh", Provider: "corp", Label: "Corp", Username: "alice", Subject: "a"}}}
	w := ask(t, f, http.MethodPost, "/saml/corp/acs", url.Values{"SAMLResponse": {"x"}}, "cross-site")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `action="/saml/corp/confirm"`) || !strings.Contains(w.Body.String(), handle) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if cookieOf(w, "rolecall_session") != "" || cookieOf(w, "rolecall_state") != "fresh" {
		t.Errorf("cookies %v", w.Result().Cookies())
	}
}

func TestOnlyOurOwnPageConfirms(t *testing.T) {
	t.Parallel()
	in := broker.SignedIn{Token: secret.New("token"), Expires: time.Now().Add(time.Hour), ReturnTo: "/"}
	yes := url.Values{"csrf": {handle}, "decision": {"approve"}}
	for name, test := range map[string]struct {
		site    string
		form    url.Values
		status  int
		refused bool
	}{
		"the button":              {"same-origin", yes, http.StatusSeeOther, false},
		"the other button":        {"same-origin", url.Values{"csrf": {handle}, "decision": {"deny"}}, http.StatusSeeOther, true},
		"no button":               {"same-origin", url.Values{"csrf": {handle}}, http.StatusSeeOther, true},
		"a form of another site":  {"cross-site", yes, http.StatusForbidden, false},
		"one of the same company": {"same-site", yes, http.StatusForbidden, false},
	} {
		f := &fake{signedIn: in}
		w := ask(t, f, http.MethodPost, "/saml/corp/confirm", test.form, test.site)
		if w.Code != test.status || f.confirmed.Refused != test.refused {
			t.Errorf("%s: %d, refused %t", name, w.Code, f.confirmed.Refused)
		}
		if asked := f.confirmed.Handle != ""; asked != (test.status == http.StatusSeeOther) {
			t.Errorf("%s: the broker was asked: %t", name, asked)
		}
		if asked := f.confirmed; asked.Handle != "" && (asked.Handle != handle || asked.Browser != "browser" || asked.Provider != "corp" || asked.Type != "saml") {
			t.Errorf("%s: asked %+v", name, asked)
		}
		if (cookieOf(w, "rolecall_session") == "token") != (test.status == http.StatusSeeOther) {
			t.Errorf("%s: cookies %v", name, w.Result().Cookies())
		}
	}
	if w := ask(t, &fake{}, http.MethodGet, "/saml/corp/confirm?csrf="+handle+"&decision=approve", nil, "none"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a link confirms: %d", w.Code)
	}
}

func TestLogoutMessagesComeByBothBindings(t *testing.T) {
	t.Parallel()
	back := &idp.Redirect{URL: "https://idp.example.com/done?SAMLResponse=x"}
	const raw = "SAMLRequest=a%2fb&SigAlg=x&Signature=y"
	f := &fake{left: broker.Left{To: back}}
	w := ask(t, f, http.MethodGet, "/saml/corp/slo?"+raw, nil, "cross-site")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != back.URL || f.leaving.Answer.RawQuery != raw || f.leaving.Returned || f.leaving.Browser != "browser" {
		t.Errorf("%d to %s, asked %+v", w.Code, w.Header().Get("Location"), f.leaving)
	}
	f.left.To = &idp.Redirect{Form: &idp.Form{Action: "https://idp.example.com/slo", Fields: map[string]string{"SAMLResponse": "z"}}}
	w = ask(t, f, http.MethodPost, "/saml/corp/slo", url.Values{"SAMLRequest": {"x"}}, "cross-site")
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `action="https://idp.example.com/slo"`) || !strings.Contains(w.Header().Get("Content-Security-Policy"), "https://idp.example.com") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	f.left = broker.Left{}
	for _, w := range []*httptest.ResponseRecorder{
		ask(t, f, http.MethodGet, "/saml/corp/slo?SAMLResponse=x", nil, "cross-site"),
		ask(t, f, http.MethodPost, "/saml/corp/slo", url.Values{"SAMLResponse": {"x"}}, "cross-site"),
	} {
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/logout" || !f.leaving.Returned {
			t.Errorf("%d to %s, returned %t", w.Code, w.Header().Get("Location"), f.leaving.Returned)
		}
	}
	f.err = broker.Fail(broker.AccessDenied, "signature", "No.")
	if w := ask(t, f, http.MethodGet, "/saml/corp/slo?"+raw, nil, "cross-site"); w.Code != http.StatusForbidden || !strings.Contains(w.Body.String(), "<code>signature</code>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
