package oauth2

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/idptest/social"
)

func startAmazon(t *testing.T) (*Provider, *social.Amazon) {
	t.Helper()
	a := social.StartAmazon(t, map[string]string{"user_id": "amzn1.account.K2LI23", "name": "Alice Ames", "email": "alice@example.com"})
	return start(t, a.Web, a.ClientID, a.ClientSecret, config.Provider{Preset: text("amazon")}), a
}

func TestAmazonSignsSomebodyInByTheirID(t *testing.T) {
	t.Parallel()
	p, a := startAmazon(t)
	login, err := signIn(t, p, a.Visit)
	if err != nil {
		t.Fatal(err)
	}
	want := idp.Identity{
		Provider: "social", Subject: "amzn1.account.K2LI23", Username: "amzn1.account.K2LI23", Groups: []string{}, Methods: []string{},
		Attributes: map[string][]string{"id": {"amzn1.account.K2LI23"}, "name": {"Alice Ames"}, "email": {"alice@example.com"}},
	}
	if diff := cmp.Diff(want, login.Identity, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}

func TestWhatAmazonIsAskedFor(t *testing.T) {
	t.Parallel()
	p, _ := startAmazon(t)
	address, _ := begin(t, p, idp.Want{Fresh: true})
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); u.Host != "www.amazon.com" || q.Get("scope") != "profile" || q.Get("code_challenge_method") != "S256" {
		t.Errorf("the request is %s", address)
	}
}

func TestAnAnswerOfAmazonThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	const info, profile, token = "/auth/o2/tokeninfo", "/user/profile", "/auth/o2/token"
	for name, test := range map[string]struct {
		path    string
		handler http.HandlerFunc
		reason  string
	}{
		"a token of another client":     {info, answer(200, `{"aud":"evil","user_id":"amzn1.account.K2LI23"}`), "token"},
		"a token of no client":          {info, answer(200, `{"user_id":"amzn1.account.K2LI23"}`), "token"},
		"a token of nobody":             {info, answer(200, `{"aud":"1047"}`), "token"},
		"a token that is not known":     {info, answer(400, `{"error":"invalid_token"}`), "token"},
		"a token of another person":     {info, answer(200, `{"aud":"1047","user_id":"amzn1.account.OTHER"}`), "profile"},
		"the check fails":               {info, answer(500, `canary`), "unavailable"},
		"the check sends elsewhere":     {info, elsewhere("https://www.amazon.com/steal"), "unavailable"},
		"the profile of another person": {profile, answer(200, `{"user_id":"amzn1.account.OTHER"}`), "profile"},
		"a profile without an id":       {profile, answer(200, `{"name":"Alice"}`), "profile"},
		"an id that is none of theirs":  {profile, answer(200, `{"user_id":"root"}`), "profile"},
		"the token has ended":           {profile, answer(401, `{}`), "unavailable"},
		"our secret is wrong":           {token, answer(401, `{"error":"invalid_client","error_description":"canary"}`), "unavailable"},
		"the code is wrong":             {token, answer(400, `{"error":"invalid_grant","error_description":"canary"}`), "code"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, a := startAmazon(t)
			a.Serve("api.amazon.com"+test.path, test.handler)
			login, err := signIn(t, p, a.Visit)
			if reason(err) != test.reason || login.Identity.Subject != "" {
				t.Errorf("reason %q, want %q (%v)", reason(err), test.reason, err)
			}
			if a.Hits("www.amazon.com/steal") != 0 {
				t.Error("a redirect was followed, with the token")
			}
		})
	}
}
