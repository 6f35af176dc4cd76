package oidc_test

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
	"github.com/rolecall/rolecall/broker/endpoint/oidc"
)

// service takes the logout token "good" of staff.
type service struct{ asked int }

func (s *service) Departed(_ context.Context, req broker.DepartedRequest) error {
	s.asked++
	if req.Provider == "staff" && req.Token.Reveal() == "good" {
		return nil
	}
	return broker.Fail(broker.InvalidRequest, "signature", "The logout token was not accepted (signature).")
}

func (s *service) Leave(context.Context, broker.LeaveRequest) (broker.Left, error) {
	return broker.Left{}, nil
}

type noPages struct{}

func (noPages) Problem(w http.ResponseWriter, _ *http.Request, p endpoint.Problem) error {
	w.WriteHeader(p.Status)
	return nil
}

func TestBackChannelLogoutOnTheWire(t *testing.T) {
	t.Parallel()
	s := &service{}
	edge := endpoint.New(endpoint.Config{
		URL: &url.URL{Scheme: "https", Host: "sso.example.com"}, Problems: noPages{}, Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}, oidc.Endpoint{Logout: s})
	for name, test := range map[string]struct {
		method, target, form string
		status, asked        int
	}{
		"a good token":         {"POST", "/oidc/staff/backchannel-logout", "logout_token=good", 200, 1},
		"a bad token":          {"POST", "/oidc/staff/backchannel-logout", "logout_token=bad", 400, 1},
		"of another provider":  {"POST", "/oidc/other/backchannel-logout", "logout_token=good", 400, 1},
		"no token":             {"POST", "/oidc/staff/backchannel-logout", "x=y", 400, 0},
		"two tokens":           {"POST", "/oidc/staff/backchannel-logout", "logout_token=good&logout_token=good", 400, 0},
		"in the address":       {"POST", "/oidc/staff/backchannel-logout?logout_token=good", "", 400, 0},
		"by GET":               {"GET", "/oidc/staff/backchannel-logout?logout_token=good", "", 400, 0},
		"more than is allowed": {"POST", "/oidc/staff/backchannel-logout", "logout_token=" + strings.Repeat("A", 600<<10), 413, 0},
	} {
		s.asked = 0
		r := httptest.NewRequest(test.method, "https://sso.example.com"+test.target, strings.NewReader(test.form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		edge.ServeHTTP(w, r)
		if w.Code != test.status || s.asked != test.asked {
			t.Errorf("%s: %d after %d calls, want %d after %d", name, w.Code, s.asked, test.status, test.asked)
		}
		if test.status != 413 && w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: the answer may be kept", name)
		}
		if test.status == 400 && !strings.Contains(w.Body.String(), `"error":"invalid_request"`) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}
