package endpoint

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
)

// signInService says what a test told it to, and remembers what it was asked.
type signInService struct {
	begun     broker.Begun
	in        broker.SignedIn
	err       error
	begin     []broker.BeginRequest
	signIn    []broker.SignInRequest
	confirmed []broker.ConfirmRequest
}

func (s *signInService) Begin(_ context.Context, req broker.BeginRequest) (broker.Begun, error) {
	s.begin = append(s.begin, req)
	return s.begun, s.err
}

func (s *signInService) SignIn(_ context.Context, req broker.SignInRequest) (broker.SignedIn, error) {
	s.signIn = append(s.signIn, req)
	return s.in, s.err
}

func (s *signInService) ConfirmSignIn(_ context.Context, req broker.ConfirmRequest) (broker.SignedIn, error) {
	s.confirmed = append(s.confirmed, req)
	return s.in, s.err
}

type signInPages struct{}

func (signInPages) AutoPost(w http.ResponseWriter, _ *http.Request, form idp.Form) error {
	_, err := io.WriteString(w, "post to "+form.Action)
	return err
}

func (signInPages) ConfirmSignIn(w http.ResponseWriter, _ *http.Request, asked broker.Confirmation) error {
	_, err := io.WriteString(w, "are you "+asked.Username)
	return err
}

// signInSite mounts what the SAML endpoint mounts, on https.
func signInSite(t *testing.T, s *signInService) *Edge {
	t.Helper()
	in := SignIn{Service: s, Cookies: Cookies{HTTPS: true}, Pages: signInPages{}}
	e, _ := edge(t, nil, func(m *Mux) {
		m.Page("GET /saml/{provider}/login", func(w http.ResponseWriter, r *http.Request) error { return in.Out(w, r, "saml") })
		m.Page("POST /saml/{provider}/acs", func(w http.ResponseWriter, r *http.Request) error { return in.Back(w, r, "saml") })
		m.Page("GET /saml/{provider}/callback", func(w http.ResponseWriter, r *http.Request) error { return in.Back(w, r, "saml") })
		m.Page("POST /saml/{provider}/confirm", func(w http.ResponseWriter, r *http.Request) error { return in.Confirmed(w, r, "saml") })
	})
	return e
}

func post(e http.Handler, path, kind, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "https://sso.example.com"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", kind)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

const formKind = "application/x-www-form-urlencoded"

func cookiesOf(w *httptest.ResponseRecorder) map[string]string {
	found := map[string]string{}
	for _, c := range w.Result().Cookies() {
		found[c.Name] = c.Value
	}
	return found
}

func TestTheWayOutCarriesOnlyPathsOfOurs(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"": "/", "/keys?role=a/b": "/keys?role=a/b", "//evil.example": "/", "https://evil.example/": "/", `/\evil.example`: "/",
		"javascript:alert(1)": "/", "/ok\r\nSet-Cookie: a=b": "/", "keys": "/", "/\tevil": "/", "/" + strings.Repeat("x", 3000): "/",
	} {
		s := &signInService{begun: broker.Begun{To: idp.Redirect{URL: "https://idp.example.com/sso?x=1"}, Browser: "fresh"}}
		w := ask(signInSite(t, s), "GET", "/saml/corp/login?return_to="+url.QueryEscape(asked))
		if w.Code != 303 || w.Header().Get("Location") != "https://idp.example.com/sso?x=1" || w.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%q: %d %v", asked, w.Code, w.Header())
		}
		if got := s.begin[0]; got.ReturnTo != want || got.Provider != "corp" || got.Type != "saml" || got.Fresh || got.RequestID != w.Header().Get("X-Request-Id") {
			t.Errorf("%q: %+v, want %q", asked, got, want)
		}
		if got := cookiesOf(w); got["__Host-rolecall_state"] != "fresh" || got["__Host-rolecall_session"] != "" {
			t.Errorf("%q: cookies %v", asked, got)
		}
	}
}

func TestTheWayOutBelongsToTheBrowserThatItsCookieNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cookies []string
		want    string
	}{
		"none": {nil, ""}, "ours": {[]string{"__Host-rolecall_state=mine"}, "mine"},
		"one that another host could plant": {[]string{"rolecall_state=planted"}, ""},
		"two":                               {[]string{"__Host-rolecall_state=mine", "__Host-rolecall_state=planted"}, ""},
		"two in one header":                 {[]string{"__Host-rolecall_state=mine; __Host-rolecall_state=planted"}, ""},
		"an endless one":                    {[]string{"__Host-rolecall_state=" + strings.Repeat("x", 300)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &signInService{begun: broker.Begun{To: idp.Redirect{URL: "https://idp.example.com/"}, Browser: "b"}}
			r := httptest.NewRequest(http.MethodGet, "https://sso.example.com/saml/corp/login?fresh=1", nil)
			for _, cookie := range c.cookies {
				r.Header.Add("Cookie", cookie)
			}
			signInSite(t, s).ServeHTTP(httptest.NewRecorder(), r)
			if len(s.begin) != 1 || s.begin[0].Browser != c.want || !s.begin[0].Fresh {
				t.Errorf("%+v, want browser %q", s.begin, c.want)
			}
		})
	}
}

func TestAFormToTheProviderMayLeadThereAndNowhereElse(t *testing.T) {
	t.Parallel()
	s := &signInService{begun: broker.Begun{To: idp.Redirect{Form: &idp.Form{Action: "https://idp.example.com/sso"}}, Browser: "b"}}
	w := ask(signInSite(t, s), "GET", "/saml/corp/login")
	if w.Code != 200 || w.Body.String() != "post to https://idp.example.com/sso" ||
		!strings.Contains(w.Header().Get("Content-Security-Policy"), "form-action 'self' https://idp.example.com;") {
		t.Errorf("%d %s %s", w.Code, w.Body, w.Header().Get("Content-Security-Policy"))
	}
}

func TestOnlyWhoIsAcceptedGetsASession(t *testing.T) {
	t.Parallel()
	in := broker.SignedIn{Token: secret.New("new-session"), Expires: time.Now().Add(time.Hour), ReturnTo: "/keys"}
	s := &signInService{in: in}
	w := post(signInSite(t, s), "/saml/corp/acs?q=1", formKind, "SAMLResponse=x&RelayState=h", "Cookie", "__Host-rolecall_state=mine; __Host-rolecall_session=planted")
	if w.Code != 303 || w.Header().Get("Location") != "/keys" || cookiesOf(w)["__Host-rolecall_session"] != "new-session" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	want := []broker.SignInRequest{{Provider: "corp", Type: "saml", Browser: "mine", Answer: idp.Answer{
		Method: "POST", Query: url.Values{"q": {"1"}}, Form: url.Values{"SAMLResponse": {"x"}, "RelayState": {"h"}}}}}
	if diff := cmp.Diff(want, s.signIn, cmpopts.IgnoreFields(broker.SignInRequest{}, "Origin")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, err := range []error{broker.Fail(broker.AccessDenied, "expired", "No."), broker.Fail(broker.Unavailable, "x", "No."), errors.New("bug")} {
		w := post(signInSite(t, &signInService{in: in, err: err}), "/saml/corp/acs", formKind, "SAMLResponse=x")
		if w.Code < 400 || len(cookiesOf(w)) > 0 || w.Header().Get("Location") != "" || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%v: %d %v", err, w.Code, w.Header())
		}
	}
}

// The store's text is judged again on the way back: a later version may keep another.
func TestTheWayBackLeadsNowhereElseEither(t *testing.T) {
	t.Parallel()
	for _, kept := range []string{"//evil.example", "https://evil.example", `/\evil.example`, ""} {
		s := &signInService{in: broker.SignedIn{Token: secret.New("t"), ReturnTo: kept}}
		if w := ask(signInSite(t, s), "GET", "/saml/corp/callback?code=c&state=s"); w.Header().Get("Location") != "/" {
			t.Errorf("%q leads to %s", kept, w.Header().Get("Location"))
		}
	}
}

func TestAnAnswerThatIsNoFormIsNotJudged(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, body string
		want       int
	}{
		"multipart":          {"multipart/form-data; boundary=x", "--x--", 400},
		"JSON":               {"application/json", "{}", 400},
		"no type":            {"", "SAMLResponse=x", 400},
		"two types":          {formKind + ", text/plain", "SAMLResponse=x", 400},
		"a broken escape":    {formKind, "SAMLResponse=%zz", 400},
		"a body of 600 KB":   {formKind, "SAMLResponse=" + strings.Repeat("x", 600<<10), 413},
		"a semicolon within": {formKind, "a=1;SAMLResponse=x", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/saml/corp/acs", "/saml/corp/confirm"} {
				s := &signInService{in: broker.SignedIn{Token: secret.New("t")}}
				if w := post(signInSite(t, s), path, c.kind, c.body); w.Code != c.want || len(s.signIn)+len(s.confirmed) > 0 || len(cookiesOf(w)) > 0 {
					t.Errorf("%s: %d, want %d; asked %v %v", path, w.Code, c.want, s.signIn, s.confirmed)
				}
			}
		})
	}
}

// Anybody can send a browser here with an answer about somebody else.
func TestAnAnswerThatNobodyAskedForIsAQuestionAndNoSession(t *testing.T) {
	t.Parallel()
	asked := broker.SignedIn{Confirm: &broker.Confirmation{Handle: "h", Browser: "b", Username: "mallory"}}
	w := post(signInSite(t, &signInService{in: asked}), "/saml/corp/acs", formKind, "SAMLResponse=x")
	if got := cookiesOf(w); w.Code != 200 || w.Body.String() != "are you mallory" || got["__Host-rolecall_state"] != "b" || got["__Host-rolecall_session"] != "" {
		t.Errorf("%d %s %v", w.Code, w.Body, got)
	}
	in := broker.SignedIn{Token: secret.New("t"), ReturnTo: "/"}
	for name, c := range map[string]struct {
		body, site string
		asked      bool
		refused    bool
	}{
		"yes, from our page":        {"csrf=h&decision=approve", "same-origin", true, false},
		"yes, of an old browser":    {"csrf=h&decision=approve", "", true, false},
		"no":                        {"csrf=h&decision=deny", "same-origin", true, true},
		"neither yes nor no":        {"csrf=h", "same-origin", true, true},
		"yes, from another site":    {"csrf=h&decision=approve", "cross-site", false, false},
		"yes, from a sibling":       {"csrf=h&decision=approve", "same-site", false, false},
		"yes, from who knows where": {"csrf=h&decision=approve", "somewhere", false, false},
	} {
		s := &signInService{in: in}
		header := []string{"Cookie", "__Host-rolecall_state=b"}
		if c.site != "" {
			header = append(header, "Sec-Fetch-Site", c.site)
		}
		w := post(signInSite(t, s), "/saml/corp/confirm", formKind, c.body, header...)
		if (len(s.confirmed) == 1) != c.asked || (w.Code == 403) == c.asked {
			t.Errorf("%s: %d, asked %v", name, w.Code, s.confirmed)
			continue
		}
		if c.asked && (s.confirmed[0].Refused != c.refused || s.confirmed[0].Handle != "h" || s.confirmed[0].Browser != "b") {
			t.Errorf("%s: %+v", name, s.confirmed[0])
		}
	}
}
