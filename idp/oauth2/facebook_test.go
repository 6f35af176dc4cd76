package oauth2

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rolecall/rolecall/idp"
)

func TestFacebookSignsSomebodyInByTheirNumber(t *testing.T) {
	t.Parallel()
	p, f := startFacebook(t)
	login, err := signIn(t, p, f.Visit)
	if err != nil {
		t.Fatal(err)
	}
	want := idp.Identity{
		Provider: "social", Subject: "10158000000000001", Username: "10158000000000001", Groups: []string{}, Methods: []string{},
		Attributes: map[string][]string{"id": {"10158000000000001"}, "name": {"Alice Ames"}, "email": {"alice@example.com"}},
	}
	if diff := cmp.Diff(want, login.Identity, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
}

func TestSomebodyAtFacebookWithoutAnAddress(t *testing.T) {
	t.Parallel()
	p, f := startFacebook(t)
	f.Become(map[string]string{"id": "7", "name": "Bob"})
	login, err := signIn(t, p, f.Visit)
	if _, there := login.Identity.Attributes["email"]; err != nil || there || login.Identity.Subject != "7" {
		t.Errorf("%+v, %v", login.Identity, err)
	}
}

func TestWhatFacebookIsAskedFor(t *testing.T) {
	t.Parallel()
	p, _ := startFacebook(t)
	for fresh, authType := range map[bool]string{false: "", true: "reauthenticate"} {
		address, _ := begin(t, p, idp.Want{Fresh: fresh})
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if u.Host != "www.facebook.com" || q.Get("scope") != "public_profile email" || q.Get("auth_type") != authType ||
			q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != "https://sso.example.com/oauth/social/callback" {
			t.Errorf("the request is %s", address)
		}
	}
}

func TestAnAnswerOfFacebookThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	const debug, me, token = "/debug_token", "/me", "/oauth/access_token"
	for name, test := range map[string]struct {
		path    string
		handler http.HandlerFunc
		reason  string
	}{
		"a token of another app":           {debug, answer(200, `{"data":{"app_id":"666","type":"USER","is_valid":true,"user_id":"10158000000000001"}}`), "token"},
		"a token of no app":                {debug, answer(200, `{"data":{"type":"USER","is_valid":true,"user_id":"10158000000000001"}}`), "token"},
		"a token that is not valid":        {debug, answer(200, `{"data":{"app_id":"1047","type":"USER","is_valid":false,"user_id":"10158000000000001"}}`), "token"},
		"a token of a page":                {debug, answer(200, `{"data":{"app_id":"1047","type":"PAGE","is_valid":true,"user_id":"10158000000000001"}}`), "token"},
		"a token of nobody":                {debug, answer(200, `{"data":{"app_id":"1047","type":"USER","is_valid":true}}`), "token"},
		"a token of another person":        {debug, answer(200, `{"data":{"app_id":"1047","type":"USER","is_valid":true,"user_id":"4"}}`), "profile"},
		"the profile of another person":    {me, answer(200, `{"id":"4","name":"Mark"}`), "profile"},
		"a profile without a number":       {me, answer(200, `{"name":"Mark"}`), "profile"},
		"a number that is none":            {me, answer(200, `{"id":"me"}`), "profile"},
		"a number as a number":             {me, answer(200, `{"id":10158000000000001}`), "unavailable"},
		"our proof is refused":             {me, answer(400, `{"error":{"code":100,"message":"canary"}}`), "unavailable"},
		"an address with a line break":     {me, answer(200, `{"id":"10158000000000001","email":"a\u0000b"}`), "characters"},
		"Graph sends elsewhere":            {me, elsewhere("https://www.facebook.com/steal"), "unavailable"},
		"the check sends elsewhere":        {debug, elsewhere("https://www.facebook.com/steal"), "unavailable"},
		"Graph never answers":              {debug, never, "unavailable"},
		"the secret is wrong":              {token, answer(400, `{"error":{"code":101,"message":"canary"}}`), "unavailable"},
		"the code is wrong":                {token, answer(400, `{"error":{"code":100,"message":"canary"}}`), "code"},
		"an error that is none of theirs":  {token, answer(400, `canary`), "unavailable"},
		"a token answer without any token": {token, answer(200, `{"token_type":"bearer"}`), "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, f := startFacebook(t)
			f.Serve("graph.facebook.com/"+graphVersion+test.path, test.handler)
			login, err := signIn(t, p, f.Visit)
			if reason(err) != test.reason || login.Identity.Subject != "" {
				t.Errorf("reason %q, want %q (%v)", reason(err), test.reason, err)
			}
			if f.Hits("www.facebook.com/steal") != 0 {
				t.Error("a redirect was followed, with the token")
			}
		})
	}
}

// Whoever substitutes the code gets nowhere: the verifier is not theirs.
func TestACodeOfAnotherSessionAtFacebook(t *testing.T) {
	t.Parallel()
	p, f := startFacebook(t)
	theirs, _ := begin(t, p, idp.Want{Handle: "theirs"})
	_, pending := begin(t, p, idp.Want{})
	query := f.Visit(theirs)
	query.Set("state", handle)
	if _, err := finish(t, p, pending, query); reason(err) != "code" {
		t.Errorf("%v", err)
	}
}
