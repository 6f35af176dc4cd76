package portal

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/endpoint/page"
	"github.com/rolecall/rolecall/config/secret"
)

// byAssertion is a broker whose Admin role needs the person's own assertion.
func byAssertion() *fakeBroker {
	fake := demo()
	fake.roles[0].OwnAssertion = true
	return fake
}

func TestARoleByAssertionGoesToTheProviderFirst(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:iam::111122223333:role/Admin"
	for name, c := range map[string]struct {
		path string
		form url.Values
		want broker.Choice
	}{
		"the console": {"/console", url.Values{"service": {"s3"}, "region": {"eu-west-1"}}, broker.Choice{Role: arn, Console: true, Service: "s3", Region: "eu-west-1"}},
		"keys":        {"/keys", url.Values{"duration": {"3600"}}, broker.Choice{Role: arn, Duration: "3600"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake := byAssertion()
			h := site(t, fake)
			c.form.Set("role", "production/Admin")
			w := post(h, c.path+"?role=production/Admin", c.path, c.form)
			if diff := cmp.Diff([]broker.Choice{c.want}, fake.chosen); diff != "" {
				t.Error(diff)
			}
			if len(fake.orders)+len(fake.console) != 0 {
				t.Error("it was ordered without an assertion")
			}
			// By a page, not by a redirect: form-action holds for those too.
			if w.Code != http.StatusOK || w.Header().Get("Refresh") != "0; url="+ssoURL || w.Header().Get("Cache-Control") != "no-store" ||
				!strings.Contains(w.Header().Get("Set-Cookie"), "rolecall_state=state-of-alice") || !strings.Contains(w.Body.String(), "idp.example.com") {
				t.Errorf("%d %v\n%s", w.Code, w.Header(), w.Body)
			}
			// Others' forms begin nothing.
			if w := send(h, formRequest(c.path, url.Values{"role": {"production/Admin"}}), aliceSession); w.Code != http.StatusForbidden || len(fake.chosen) != 1 {
				t.Errorf("without the token: %d", w.Code)
			}
		})
	}
}

func TestWhatASignInOpenedIsDelivered(t *testing.T) {
	t.Parallel()
	fake := byAssertion()
	pages, err := page.New(page.Config{})
	if err != nil {
		t.Fatal(err)
	}
	e := Endpoint{Service: fake, Own: fake, Pages: pages, Role: rolePages(t, pages), Region: "eu-west-1", Now: func() time.Time { return noon }}
	opened := broker.Opened{Choice: broker.Choice{Role: "arn:aws:iam::111122223333:role/Admin", Console: true}, Console: broker.ConsoleURL{URL: secret.New(consoleURL)}}
	deliver := func(o broker.Opened) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "http://sso.example.com/saml/corp/acs", nil)
		if err := e.Deliver(w, r, o); err != nil {
			t.Fatal(err)
		}
		return w
	}
	if w := deliver(opened); w.Code != http.StatusOK || w.Header().Get("Refresh") != "0; url="+consoleURL || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	vended, err := fake.Vend(t.Context(), broker.Origin{}, broker.Caller{}, broker.Order{})
	if err != nil {
		t.Fatal(err)
	}
	opened.Choice.Console, opened.Vended = false, vended
	if w := deliver(opened); !strings.Contains(w.Body.String(), secretKey) || !strings.Contains(w.Body.String(), "ASIATEST") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%v\n%s", w.Header(), w.Body)
	}
	if diff := cmp.Diff([]string{opened.Role, opened.Role}, fake.used); diff != "" {
		t.Error(diff)
	}
	opened.Role = "arn:aws:iam::111122223333:role/Gone"
	if err := e.Deliver(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/", nil), opened); broker.CodeOf(err) != broker.Unavailable {
		t.Errorf("%v", err)
	}
}
