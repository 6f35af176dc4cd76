package directory

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rolecall/rolecall/broker"
	"github.com/rolecall/rolecall/broker/account"
	"github.com/rolecall/rolecall/broker/endpoint/page/pagetest"
	"github.com/rolecall/rolecall/idp"
)

// The sessions of the fake: ann's is of the directory people, bob's of corp.
func (f *fake) Session(_ context.Context, _ broker.Origin, token string) (broker.Caller, error) {
	provider, ok := map[string]string{"ann": "people", "bob": "corp"}[token]
	if !ok {
		return broker.Caller{}, broker.Fail(broker.Unauthenticated, "no_session", "Your session has ended.")
	}
	return broker.Caller{Identity: idp.Identity{Provider: provider, Subject: "1", Username: token + "@example.com"}, Session: "s", Via: broker.ViaBrowser,
		NotAfter: time.Date(2026, 11, 24, 20, 0, 0, 0, time.UTC)}, nil
}

func (f *fake) Me(context.Context, broker.Origin, broker.Caller) (account.Person, error) {
	return account.Person{TOTP: f.on, Recovery: 9}, nil
}

func (f *fake) fresh() error {
	if f.old {
		return broker.Fail(broker.StepUp, "login_too_old", "Log in again.")
	}
	return nil
}

func (f *fake) BeginTOTP(context.Context, broker.Origin, broker.Caller) (account.Enrolment, error) {
	return account.Enrolment{Secret: "JBSWY3DPEHPK3PXP", URI: "otpauth://totp/Example:ann@example.com?secret=JBSWY3DPEHPK3PXP"}, f.fresh()
}

func (f *fake) ConfirmTOTP(_ context.Context, _ broker.Origin, _ broker.Caller, code string) ([]string, error) {
	if code != "123456" {
		return nil, broker.Fail(broker.InvalidRequest, "wrong_code", "The code is wrong.")
	}
	f.on = true
	return []string{"ABCDEF-GHIJKL", "MNOPQR-STUVWX"}, f.fresh()
}

func (f *fake) RemoveTOTP(context.Context, broker.Origin, broker.Caller) error {
	err := f.fresh()
	f.on = f.on && err != nil
	return err
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// change posts the form of the page as ann does.
func change(t *testing.T, h http.Handler, form string) *httptest.ResponseRecorder {
	t.Helper()
	shown := visitAs(h, "ann", "/directory/people/codes")
	token := csrfField.FindStringSubmatch(shown.Body.String())
	if token == nil {
		t.Fatalf("no token on the page: %d\n%s", shown.Code, shown.Body)
	}
	return post(h, "/directory/people/codes", form+"&csrf="+url.QueryEscape(token[1]), cookie("rolecall_session", "ann"))
}

func visitAs(h http.Handler, who, target string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Host = "sso.example.com"
	r.AddCookie(&http.Cookie{Name: "rolecall_session", Value: who})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestOneTimeCodesAreTurnedOnAndOff(t *testing.T) {
	t.Parallel()
	f := &fake{}
	h := site(t, f)
	pages := map[string]*httptest.ResponseRecorder{"codes-off": visitAs(h, "ann", "/directory/people/codes")}
	pages["codes-begun"] = change(t, h, "do=begin")
	if body := pages["codes-begun"].Body.String(); !strings.Contains(body, "JBSWY3DPEHPK3PXP") || !strings.Contains(body, `href="otpauth://totp/Example:ann@example.com?secret=JBSWY3DPEHPK3PXP"`) {
		t.Errorf("begun:\n%s", body)
	}
	pages["codes-wrong"] = change(t, h, "do=confirm&code=000000")
	if w := pages["codes-wrong"]; w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `value="confirm"`) || f.on {
		t.Errorf("a wrong code: %d\n%s", w.Code, w.Body)
	}
	pages["codes-recovery"] = change(t, h, "do=confirm&code=123456")
	if body := pages["codes-recovery"].Body.String(); !strings.Contains(body, "MNOPQR-STUVWX") || !f.on {
		t.Errorf("confirmed:\n%s", body)
	}
	pages["codes-on"] = visitAs(h, "ann", "/directory/people/codes")
	for name, w := range pages {
		pagetest.Golden(t, name, w.Body.String(), *update)
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept", name)
		}
	}
	f.old = true
	if w := change(t, h, "do=remove"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/directory/people/login?return_to=%2Fdirectory%2Fpeople%2Fcodes" || !f.on {
		t.Errorf("an old sign-in: %d to %s", w.Code, w.Header().Get("Location"))
	}
	f.old = false
	if w := change(t, h, "do=remove"); w.Code != http.StatusOK || f.on {
		t.Errorf("turned off: %d", w.Code)
	}
	if w := change(t, h, "do=nothing"); w.Code != http.StatusBadRequest {
		t.Errorf("a form that is none: %d", w.Code)
	}
}

func TestTheCodesAreOfWhoeverIsSignedInThere(t *testing.T) {
	t.Parallel()
	f := &fake{on: true}
	h := site(t, f)
	for who, want := range map[string]int{"ann": http.StatusOK, "bob": http.StatusNotFound, "": http.StatusSeeOther} {
		if w := visitAs(h, who, "/directory/people/codes"); w.Code != want {
			t.Errorf("%q: %d, want %d", who, w.Code, want)
		}
	}
	if w := visitAs(h, "ann", "/directory/plain/codes"); w.Code != http.StatusNotFound {
		t.Errorf("another directory: %d", w.Code)
	}
	for name, w := range map[string]*httptest.ResponseRecorder{
		"without a token":   post(h, "/directory/people/codes", "do=remove", cookie("rolecall_session", "ann")),
		"without a session": post(h, "/directory/people/codes", "do=remove"),
	} {
		if w.Code/100 != 4 || !f.on {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}
