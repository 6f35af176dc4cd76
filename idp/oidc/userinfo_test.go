package oidc

import (
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest"
)

func TestWhenUserinfoIsAsked(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, c := range map[string]struct {
		userinfo        *bool
		lacking, served bool
		asked           int
		unavailable     bool
	}{
		"nothing said, nothing lacking":           {nil, false, true, 0, false},
		"nothing said, the groups lacking":        {nil, true, true, 1, false},
		"nothing said, and there is no endpoint":  {nil, true, false, 0, false},
		"always":                                  {&yes, false, true, 1, false},
		"always, and there is no endpoint":        {&yes, false, false, 0, true},
		"never, though the groups are lacking":    {&no, true, true, 0, false},
		"never, and there is no endpoint, either": {&no, true, false, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, func(s *config.Provider) { s.Userinfo = c.userinfo })
			b := idptest.Behaviour{Claims: func(m map[string]any) {
				if c.lacking {
					delete(m, "groups")
				}
			}}
			if c.served {
				b.Userinfo = map[string]any{"sub": "subject-1", "groups": []string{"more"}, "email": "evil@example.com"}
			}
			p.op.Behave(b)
			login, err := p.signIn(idp.Want{})
			if c.unavailable {
				unavailable(t, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := p.op.Hits("/userinfo"); got != c.asked {
				t.Errorf("asked %d times", got)
			}
			if login.Identity.Attributes["email"][0] != "alice@example.com" || !c.lacking && login.Identity.Groups[0] != "platform" {
				t.Errorf("userinfo won over the ID token: %+v", login.Identity)
			}
		})
	}
}

func TestUserinfoThatIsSigned(t *testing.T) {
	t.Parallel()
	stranger := idptest.NewOPKey(t, jose.ES256)
	for name, c := range map[string]struct {
		make   func(p party, claims map[string]any) string
		reason string
	}{
		"by the provider, for us": {func(p party, claims map[string]any) string { return p.op.Sign(p.op.Key(), claims, nil) }, ""},
		"for us among others": {func(p party, claims map[string]any) string {
			claims["aud"] = []string{"x", p.op.ClientID}
			return p.op.Sign(p.op.Key(), claims, nil)
		}, ""},
		"by somebody else": {func(p party, claims map[string]any) string { return p.op.Sign(stranger, claims, nil) }, "userinfo"},
		"by somebody else under the provider's key id": {func(p party, claims map[string]any) string {
			return p.op.Sign(stranger, claims, map[string]any{"kid": p.op.Key().ID})
		}, "userinfo"},
		"not at all": {func(_ party, _ map[string]any) string {
			return "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzdWJqZWN0LTEifQ."
		}, "userinfo"},
		"for another client": {func(p party, claims map[string]any) string {
			claims["aud"] = "other"
			return p.op.Sign(p.op.Key(), claims, nil)
		}, "userinfo"},
		"for nobody": {func(p party, claims map[string]any) string {
			delete(claims, "aud")
			return p.op.Sign(p.op.Key(), claims, nil)
		}, "userinfo"},
		"of another issuer": {func(p party, claims map[string]any) string {
			claims["iss"] = "https://evil.example"
			return p.op.Sign(p.op.Key(), claims, nil)
		}, "userinfo"},
		"about somebody else": {func(p party, claims map[string]any) string {
			claims["sub"] = "admin"
			return p.op.Sign(p.op.Key(), claims, nil)
		}, "userinfo"},
		"with a claim twice": {func(p party, _ map[string]any) string {
			return p.op.SignBytes(p.op.Key(), []byte(`{"iss":"`+p.op.Issuer+`","aud":"rolecall","sub":"subject-1","sub":"admin"}`), nil)
		}, "userinfo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, nil)
			p.op.Behave(idptest.Behaviour{
				Userinfo: map[string]any{}, Claims: drop("groups"),
				Serve: map[string]http.HandlerFunc{"/userinfo": func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Content-Type", "application/jwt")
					claims := map[string]any{"iss": p.op.Issuer, "aud": p.op.ClientID, "sub": "subject-1", "groups": []string{"signed"}}
					_, _ = w.Write([]byte(c.make(p, claims)))
				}},
			})
			login, err := p.signIn(idp.Want{})
			switch {
			case c.reason != "":
				refused(t, err, c.reason)
			case err != nil:
				t.Error(err)
			case login.Identity.Groups[0] != "signed":
				t.Errorf("%+v", login.Identity)
			}
		})
	}
}
