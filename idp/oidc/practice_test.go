package oidc

import (
	"crypto/elliptic"
	"net/http"
	"strings"
	"testing"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/config/secret"
	"github.com/rolecall/rolecall/idp/idptest"
)

func TestAnOperatorIsToldHowSignInGoes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change    func(*config.Provider)
		says, not string
	}{
		"a secret":        {nil, "proves itself by client_secret_basic|in the address; the redirect URI is https://broker.example/oidc/corp/callback|are pushed|/logout; the post-logout redirect URI is https://broker.example/oidc/corp/logout", "form"},
		"nothing pushed":  {func(s *config.Provider) { s.PushedRequests = text("off") }, "", "pushed"},
		"no logout there": {func(s *config.Provider) { s.ProviderLogout = text("off") }, "", "signing out"},
		"a form":          {func(s *config.Provider) { s.ResponseMode = text(formPost) }, "by a form", ""},
		"a key": {func(s *config.Provider) {
			s.ClientSecret, s.ClientKey = secret.String{}, config.ClientKey{Key: pkcs8(t, curveKey(t, elliptic.P256()))}
		}, "by private_key_jwt", ""},
		"Apple": {func(s *config.Provider) {
			s.ClientSecret, s.Apple = secret.String{}, config.Apple{TeamID: text("T"), KeyID: text("K"), Key: pkcs8(t, curveKey(t, elliptic.P256()))}
		}, "client_secret_post with a secret made of Apple's key", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.change)
			p.op.Behave(idptest.Behaviour{Pushes: true})
			lines, err := p.Practice(t.Context())
			said := strings.Join(lines, "\n")
			for want := range strings.SplitSeq(c.says, "|") {
				if !strings.Contains(said, want) {
					t.Errorf("it does not say %q:\n%s", want, said)
				}
			}
			if err != nil || c.not != "" && strings.Contains(said, c.not) || strings.Contains(said, "canary") {
				t.Errorf("%v:\n%s", err, said)
			}
		})
	}
	p := start(t, nil)
	p.serveDiscovery(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "canary", http.StatusBadGateway) })
	_, err := p.Practice(t.Context())
	unavailable(t, err)
	p = start(t, nil)
	p.op.Behave(idptest.Behaviour{Discovery: takes([]string{"tls_client_auth"})})
	_, err = p.Practice(t.Context())
	unavailable(t, err)
}
