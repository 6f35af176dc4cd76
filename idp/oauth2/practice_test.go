package oauth2

import (
	"strings"
	"testing"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp/idptest/social"
)

// What `rolecalld check --online` asks: nobody signs in, and a wrong secret is known
// before somebody tries.
func TestPracticeFindsAClientThatTheProviderDoesNotKnow(t *testing.T) {
	t.Parallel()
	g := social.StartGitHub(t, "", octocat())
	f := social.StartFacebook(t, map[string]string{"id": "1"})
	a := social.StartAmazon(t, map[string]string{"user_id": "amzn1.account.A"})
	for name, test := range map[string]struct {
		provider *Provider
		says     string // "" is a refusal
	}{
		"GitHub":                    {start(t, g.Web, g.ClientID, g.ClientSecret, config.Provider{Preset: text("github")}), "knows our client"},
		"GitHub, another secret":    {start(t, g.Web, g.ClientID, "wrong-canary", config.Provider{Preset: text("github")}), ""},
		"Facebook":                  {start(t, f.Web, f.ClientID, f.ClientSecret, config.Provider{Preset: text("facebook")}), "knows our app"},
		"Facebook, another secret":  {start(t, f.Web, f.ClientID, "wrong-canary", config.Provider{Preset: text("facebook")}), ""},
		"Amazon":                    {start(t, a.Web, a.ClientID, a.ClientSecret, config.Provider{Preset: text("amazon")}), "does not say"},
		"GitHub that is not there":  {start(t, f.Web, g.ClientID, g.ClientSecret, config.Provider{Preset: text("github")}), ""},
		"Amazon that is not there":  {start(t, f.Web, a.ClientID, a.ClientSecret, config.Provider{Preset: text("amazon")}), ""},
		"Facebook that is not here": {start(t, g.Web, f.ClientID, f.ClientSecret, config.Provider{Preset: text("facebook")}), ""},
	} {
		said, err := test.provider.Practice(t.Context())
		switch {
		case test.says == "":
			if reason(err) != "unavailable" || len(said) > 0 || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: %q, %v", name, said, err)
			}
		case err != nil || !strings.Contains(said[0], test.says) || !strings.Contains(said[1], "https://sso.example.com/oauth/social/callback"):
			t.Errorf("%s: %q, %v", name, said, err)
		}
	}
}
