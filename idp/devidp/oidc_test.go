package devidp

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const testVerifier = "verifier-verifier-verifier-verifier-verifier"

// authorizeURL is a good request with some parameters changed; an empty value takes one out.
func (h house) authorizeURL(change map[string]string) string {
	query := url.Values{
		"client_id": {"broker"}, "redirect_uri": {testCallback}, "response_type": {"code"}, "scope": {"openid profile email"},
		"state": {"st"}, "nonce": {"n"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(testVerifier)}, "code_challenge_method": {"S256"},
	}
	for name, value := range change {
		query.Set(name, value)
		if value == "" {
			query.Del(name)
		}
	}
	return h.url + "/oidc/authorize?" + query.Encode()
}

// location reads the answer in a redirect to the client.
func (p page) location(t *testing.T) url.Values {
	t.Helper()
	u, err := p.Response.Location()
	if err != nil || p.StatusCode != http.StatusSeeOther || !strings.HasPrefix(u.String(), testCallback+"?") {
		t.Fatalf("no redirect to the client: %d %v", p.StatusCode, u)
	}
	return u.Query()
}

// code signs alice in and gives the code.
func (h house) code(t *testing.T, change map[string]string) string {
	t.Helper()
	b := newBrowser(t)
	return b.signIn(h, b.get(h.authorizeURL(change)), "alice", "alice-pw").location(t).Get("code")
}

// TestStockClientSignsIn is go-oidc and x/oauth2 as they come.
func TestStockClientSignsIn(t *testing.T) {
	t.Parallel()
	for _, client := range []oauth2.Config{
		{ClientID: "broker", ClientSecret: "s3cret/+&", Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInHeader}},
		{ClientID: "broker", ClientSecret: "s3cret/+&", Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInParams}},
		{ClientID: "public", Endpoint: oauth2.Endpoint{AuthStyle: oauth2.AuthStyleInParams}},
	} {
		h := start(t)
		b := newBrowser(t)
		ctx := context.WithValue(t.Context(), oauth2.HTTPClient, http.DefaultClient)
		provider, err := oidc.NewProvider(ctx, h.url+"/oidc")
		if err != nil {
			t.Fatal(err)
		}
		style := client.Endpoint.AuthStyle
		client.Endpoint = provider.Endpoint()
		client.Endpoint.AuthStyle = style
		client.RedirectURL, client.Scopes = testCallback, []string{"openid", "profile", "email"}
		address := client.AuthCodeURL("st", oauth2.S256ChallengeOption(testVerifier), oidc.Nonce("n-1"))
		answer := b.signIn(h, b.get(address), "alice", "alice-pw").location(t)
		if answer.Get("state") != "st" || answer.Get("iss") != h.url+"/oidc" {
			t.Errorf("answer %v", answer)
		}
		token, err := client.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(testVerifier))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := token.Extra("id_token").(string)
		id, err := provider.Verifier(&oidc.Config{ClientID: client.ClientID}).Verify(ctx, raw)
		if err != nil {
			t.Fatal(err)
		}
		checkIDToken(t, id, token.AccessToken)
		info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
		if err != nil || info.Subject != "alice" || info.Email != "alice@example.com" || !info.EmailVerified {
			t.Errorf("userinfo %+v, %v", info, err)
		}
	}
}

func checkIDToken(t *testing.T, id *oidc.IDToken, access string) {
	t.Helper()
	var claims struct {
		Groups            []string `json:"groups"`
		AMR               []string `json:"amr"`
		Email             string   `json:"email"`
		EmailVerified     bool     `json:"email_verified"`
		Name              string   `json:"name"`
		PreferredUsername string   `json:"preferred_username"`
		Team              string   `json:"team"`
		Sid               string   `json:"sid"`
		AuthTime          int64    `json:"auth_time"`
	}
	if err := id.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	if id.Subject != "alice" || id.Nonce != "n-1" || id.VerifyAccessToken(access) != nil {
		t.Errorf("token %+v", id)
	}
	if !slices.Equal(claims.Groups, []string{"platform", "developers"}) || !slices.Equal(claims.AMR, []string{"pwd"}) || claims.Email != "alice@example.com" ||
		!claims.EmailVerified || claims.Name != "Alice Ames" || claims.PreferredUsername != "alice" || claims.Team != "platform" || claims.Sid == "" || claims.AuthTime == 0 {
		t.Errorf("claims %+v", claims)
	}
}

func TestSingleSignOnPromptAndMaxAge(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	if got := b.get(h.authorizeURL(map[string]string{"prompt": "none"})).location(t); got.Get("error") != "login_required" || got.Get("state") != "st" || got.Get("iss") == "" {
		t.Errorf("prompt=none of a stranger: %v", got)
	}
	b.signIn(h, b.get(h.authorizeURL(nil)), "alice", "alice-pw")
	h.clock.add(time.Minute)
	for query, again := range map[[2]string]bool{
		{"x", "y"}: false, {"prompt", "none"}: false, {"prompt", "login"}: true, {"max_age", "0"}: true, {"max_age", "59"}: true, {"max_age", "60"}: false,
	} {
		p := b.get(h.authorizeURL(map[string]string{query[0]: query[1]}))
		if got := p.field("asked") != ""; got != again {
			t.Errorf("%v: asked again %v", query, got)
		}
		if !again && p.location(t).Get("code") == "" {
			t.Errorf("%v: no code", query)
		}
	}
}

func TestAuthorizationFaultsThatMustNotRedirect(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	for _, change := range []map[string]string{
		{"client_id": "other"}, {"client_id": ""}, {"redirect_uri": ""}, {"redirect_uri": "https://evil.example/"},
		{"redirect_uri": testCallback + "/"}, {"redirect_uri": testCallback + "?x"}, {"redirect_uri": strings.ToUpper(testCallback)},
	} {
		if p := b.get(h.authorizeURL(change)); p.StatusCode != http.StatusBadRequest || p.Header.Get("Location") != "" {
			t.Errorf("%v: %d %s", change, p.StatusCode, p.Header.Get("Location"))
		}
	}
	if p := b.get(h.authorizeURL(nil) + "&redirect_uri=https://evil.example/"); p.StatusCode != http.StatusBadRequest {
		t.Errorf("a second redirect_uri: %d", p.StatusCode)
	}
}

func TestAuthorizationFaultsThatGoBackToTheClient(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	for _, c := range []struct {
		change map[string]string
		want   string
	}{
		{map[string]string{"response_type": "token"}, "unsupported_response_type"},
		{map[string]string{"response_type": ""}, "unsupported_response_type"},
		{map[string]string{"scope": "profile"}, "invalid_scope"},
		{map[string]string{"code_challenge": ""}, "invalid_request"},
		{map[string]string{"code_challenge_method": "plain"}, "invalid_request"},
		{map[string]string{"code_challenge_method": ""}, "invalid_request"},
		{map[string]string{"request": "x"}, "request_not_supported"},
		{map[string]string{"request_uri": "x"}, "request_uri_not_supported"},
		{map[string]string{"response_mode": "fragment"}, "invalid_request"},
		{map[string]string{"prompt": "none login"}, "invalid_request"},
		{map[string]string{"max_age": "-1"}, "invalid_request"},
		{map[string]string{"nonce": strings.Repeat("n", 513)}, "invalid_request"},
	} {
		if got := b.get(h.authorizeURL(c.change)).location(t); got.Get("error") != c.want || got.Get("code") != "" {
			t.Errorf("%v: %v", c.change, got)
		}
	}
}

func TestCodesAreJudged(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	good := url.Values{
		"grant_type": {"authorization_code"}, "redirect_uri": {testCallback}, "code_verifier": {testVerifier},
		"client_id": {"broker"}, "client_secret": {"s3cret/+&"},
	}
	for name, c := range map[string]struct{ field, value, want string }{
		"another grant type":   {"grant_type", "password", "unsupported_grant_type"},
		"a wrong verifier":     {"code_verifier", "x", "invalid_grant"},
		"no verifier":          {"code_verifier", "", "invalid_grant"},
		"another redirect URI": {"redirect_uri", "https://evil.example", "invalid_grant"},
		"a wrong secret":       {"client_secret", "x", "invalid_client"},
		"no secret":            {"client_secret", "", "invalid_client"},
		"an unknown client":    {"client_id", "x", "invalid_client"},
		"an unknown code":      {"code", "x", "invalid_grant"},
	} {
		form := maps.Clone(good)
		form.Set("code", h.code(t, nil))
		form.Set(c.field, c.value)
		if p := b.post(h.url+"/oidc/token", form); p.StatusCode < 400 || !strings.Contains(p.text, `"`+c.want+`"`) {
			t.Errorf("%s: %d %s", name, p.StatusCode, p.text)
		}
	}
	form := maps.Clone(good)
	form.Set("code", h.code(t, map[string]string{"client_id": "public"}))
	if p := b.post(h.url+"/oidc/token", form); !strings.Contains(p.text, "another client") {
		t.Errorf("the code of another client: %s", p.text)
	}
	form.Set("code", h.code(t, nil))
	h.clock.add(codeLife)
	if p := b.post(h.url+"/oidc/token", form); !strings.Contains(p.text, "invalid_grant") {
		t.Errorf("an old code: %s", p.text)
	}
}

func TestReusedCodeTakesItsTokensAlong(t *testing.T) {
	t.Parallel()
	h := start(t)
	ctx := t.Context()
	client := oauth2.Config{ClientID: "broker", ClientSecret: "s3cret/+&", RedirectURL: testCallback, Endpoint: oauth2.Endpoint{TokenURL: h.url + "/oidc/token"}}
	code := h.code(t, nil)
	token, err := client.Exchange(ctx, code, oauth2.VerifierOption(testVerifier))
	if err != nil {
		t.Fatal(err)
	}
	userinfo := func() int {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.url+"/oidc/userinfo", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token.AccessToken)
		return newBrowser(t).do(req).StatusCode
	}
	if got := userinfo(); got != 200 {
		t.Errorf("userinfo: %d", got)
	}
	if _, err := client.Exchange(ctx, code, oauth2.VerifierOption(testVerifier)); err == nil || !strings.Contains(err.Error(), "used before") {
		t.Errorf("the code again: %v", err)
	}
	if got := userinfo(); got != http.StatusUnauthorized {
		t.Errorf("userinfo after reuse: %d", got)
	}
}

func TestLogoutGoesBackToRegisteredOriginsOnly(t *testing.T) {
	t.Parallel()
	h := start(t)
	b := newBrowser(t)
	b.signIn(h, b.get(h.authorizeURL(nil)), "alice", "alice-pw")
	for back, want := range map[string]string{"https://evil.example/": "/", "": "/", "https://broker.example/bye": "https://broker.example/bye"} {
		p := b.get(h.url + "/oidc/logout?post_logout_redirect_uri=" + url.QueryEscape(back))
		if got := p.Header.Get("Location"); got != want {
			t.Errorf("%q leads to %q", back, got)
		}
	}
	p := b.post(h.url+"/oidc/logout", url.Values{"post_logout_redirect_uri": {"https://broker.example/bye?x=y"}, "state": {"s t"}, "id_token_hint": {"token"}})
	if got := p.Header.Get("Location"); got != "https://broker.example/bye?state=s+t&x=y" {
		t.Errorf("a form leads to %q", got)
	}
	if p := b.get(h.authorizeURL(nil)); p.field("asked") == "" {
		t.Error("still signed in after logout")
	}
}
