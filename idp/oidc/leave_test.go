package oidc

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func leavingBy(how string) func(*config.Provider) {
	return func(s *config.Provider) { s.ProviderLogout = text(how) }
}

func TestSigningOutGoesOnToTheProvider(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		how, hint string
		form      bool
		sent      bool // the hint
	}{
		"by an address":                                       {"", "canary-id-token", false, true},
		"by an address, said so":                              {"redirect", "canary-id-token", false, true},
		"by an address where there is no token":               {"redirect", "", false, false},
		"by an address that a long token would make too long": {"redirect", "canary" + strings.Repeat("A", 3000), false, false},
		"by a form":                         {"form", "canary-id-token", true, true},
		"by a form with a long token":       {"form", "canary" + strings.Repeat("A", 16000), true, true},
		"by a form where there is no token": {"form", "", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, leavingBy(c.how))
			to, pending, err := p.BeginLogout(t.Context(), idp.Upstream{IDToken: secret.New(c.hint)}, "the-handle")
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"client_id": p.op.ClientID, "post_logout_redirect_uri": "https://broker.example/oidc/corp/logout", "state": "the-handle"}
			if c.sent {
				want["id_token_hint"] = c.hint
			}
			got := map[string]string{}
			if c.form {
				if to.URL != "" || to.Form == nil || to.Form.Action != p.op.Issuer+"/logout" {
					t.Fatalf("to %+v", to)
				}
				got = to.Form.Fields
			} else {
				u, err := url.Parse(to.URL)
				if err != nil || !strings.HasPrefix(to.URL, p.op.Issuer+"/logout?") || len(to.URL) > maxLogoutAddress {
					t.Fatalf("to %q, %v", to.URL, err)
				}
				for name := range u.Query() {
					got[name] = u.Query().Get(name)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(string(pending), "the-handle") || strings.Contains(string(pending), "canary") {
				t.Errorf("the pending bytes hold a secret: %s", pending)
			}
		})
	}
}

func TestNoLogoutWhereThereIsNone(t *testing.T) {
	t.Parallel()
	off := start(t, leavingBy("off"))
	without := start(t, nil)
	without.op.Behave(idptest.Behaviour{Discovery: func(d map[string]any) { delete(d, "end_session_endpoint") }})
	for name, p := range map[string]party{"switched off": off, "not offered": without} {
		if _, _, err := p.BeginLogout(t.Context(), idp.Upstream{}, "h"); !errors.Is(err, idp.ErrNoLogout) {
			t.Errorf("%s: %v", name, err)
		}
		login, err := p.signIn(idp.Want{})
		if err != nil || !login.Upstream.IDToken.IsZero() {
			t.Errorf("%s: the ID token is kept though no logout needs it (%v)", name, err)
		}
	}
	script := start(t, nil)
	script.op.Behave(idptest.Behaviour{Discovery: func(d map[string]any) { d["end_session_endpoint"] = "javascript:alert(1)" }})
	_, _, err := script.BeginLogout(t.Context(), idp.Upstream{}, "h")
	unavailable(t, err)
}

func TestWhatComesBackFromALogout(t *testing.T) {
	t.Parallel()
	p := start(t, nil)
	_, pending, err := p.BeginLogout(t.Context(), idp.Upstream{}, "the-handle")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		answer idp.Answer
		good   bool
	}{
		"our state":       {answer(url.Values{"state": {"the-handle"}}), true},
		"another state":   {answer(url.Values{"state": {"other"}}), false},
		"no state":        {answer(url.Values{}), false},
		"two states":      {answer(url.Values{"state": {"the-handle", "the-handle"}}), false},
		"by a form":       {idp.Answer{Method: http.MethodPost, Form: url.Values{"state": {"the-handle"}}}, false},
		"with what else?": {answer(url.Values{"state": {"the-handle"}, "x": {"y"}}), true},
	} {
		err := p.FinishLogout(t.Context(), pending, c.answer)
		if c.good && err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !c.good {
			refused(t, err, "state")
		}
	}
	if err := p.FinishLogout(t.Context(), []byte("{"), answer(url.Values{"state": {"the-handle"}})); err == nil {
		t.Error("pending bytes that are none were accepted")
	}
}
