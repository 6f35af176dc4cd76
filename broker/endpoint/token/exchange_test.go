package token_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"testing"

	"golang.org/x/oauth2"
)

const (
	exchangeGrant   = "urn:ietf:params:oauth:grant-type:token-exchange"
	credentialsType = "urn:rolecall:params:oauth:token-type:aws-credentials"
	idTokenType     = "urn:ietf:params:oauth:token-type:id_token"
)

// exchangeAnswer is what the wire says.
type exchangeAnswer struct {
	AccessToken string `json:"access_token"`
	IssuedType  string `json:"issued_token_type"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Credentials map[string]any
	Error       string
	Description string `json:"error_description"`
}

func (s *site) exchange(t *testing.T, form url.Values) (*http.Response, exchangeAnswer) {
	t.Helper()
	whole := url.Values{"grant_type": {exchangeGrant}, "subject_token": {"good"}, "subject_token_type": {idTokenType}, "requested_token_type": {credentialsType}}
	maps.Copy(whole, form)
	resp, err := http.PostForm(s.url+"/oauth2/token", whole)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var got exchangeAnswer
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be kept")
	}
	return resp, got
}

func TestExchangeAnswersWithTheCredentialDocument(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	resp, got := s.exchange(t, url.Values{"resource": {"production/Admin"}, "duration": {"1h"}, "policy": {`{"Statement":[]}`}})
	if resp.StatusCode != http.StatusOK || got.IssuedType != credentialsType || got.TokenType != "N_A" || got.ExpiresIn < 3500 || got.ExpiresIn > 3600 {
		t.Errorf("%s %+v", resp.Status, got)
	}
	var document map[string]any
	if err := json.Unmarshal([]byte(got.AccessToken), &document); err != nil || len(document) != 6 || document["AccessKeyId"] != "ASIAEXAMPLE" || document["Version"] != 1.0 {
		t.Errorf("access_token %q: %v", got.AccessToken, err)
	}
	if !maps.Equal(document, got.Credentials) {
		t.Errorf("access_token holds %v and credentials %v", document, got.Credentials)
	}
	order := s.ordered[0].Order
	if order.Role != "production/Admin" || order.Duration != "1h" || order.Policy != `{"Statement":[]}` {
		t.Errorf("ordered %+v", order)
	}
	if resp, _ := s.exchange(t, url.Values{"resource": {"production/Stale"}}); resp.Header.Get("X-Rolecall-Stale") != "1" {
		t.Error("stale credentials are not marked")
	}
	if _, got := s.exchange(t, url.Values{"audience": {s.url}}); got.Error != "" {
		t.Errorf("the broker as audience: %+v", got)
	}
}

func TestWhatTheExchangeEndpointRefuses(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	none := []string{}
	for name, test := range map[string]struct {
		form   url.Values
		status int
		code   string
	}{
		"no subject token":                  {url.Values{"subject_token": none}, 400, "invalid_request"},
		"no type of it":                     {url.Values{"subject_token_type": none}, 400, "invalid_request"},
		"an access token as subject":        {url.Values{"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"}}, 400, "invalid_request"},
		"a refresh token as subject":        {url.Values{"subject_token_type": {"urn:ietf:params:oauth:token-type:refresh_token"}}, 400, "invalid_request"},
		"SAML 1.1":                          {url.Values{"subject_token_type": {"urn:ietf:params:oauth:token-type:saml1"}}, 400, "invalid_request"},
		"an actor":                          {url.Values{"actor_token": {"good"}, "actor_token_type": {idTokenType}}, 400, "invalid_request"},
		"a type of actor alone":             {url.Values{"actor_token_type": {idTokenType}}, 400, "invalid_request"},
		"two subject tokens":                {url.Values{"subject_token": {"good", "good"}}, 400, "invalid_request"},
		"two resources":                     {url.Values{"resource": {"a/B", "c/D"}}, 400, "invalid_request"},
		"another audience":                  {url.Values{"audience": {"https://other.example.com"}}, 400, "invalid_target"},
		"a refresh token wanted":            {url.Values{"requested_token_type": {"urn:ietf:params:oauth:token-type:refresh_token"}}, 400, "invalid_request"},
		"an ID token wanted":                {url.Values{"requested_token_type": {idTokenType}}, 400, "invalid_request"},
		"an access token for a role":        {url.Values{"requested_token_type": none, "resource": {"production/Admin"}}, 400, "invalid_request"},
		"an access token with a policy":     {url.Values{"requested_token_type": none, "policy": {"{}"}}, 400, "invalid_request"},
		"a token that is not accepted":      {url.Values{"subject_token": {"bad"}}, 400, "invalid_grant"},
		"a bad token for an access token":   {url.Values{"subject_token": {"bad"}, "requested_token_type": none}, 400, "invalid_grant"},
		"a token that is too large":         {url.Values{"subject_token": {"large"}}, 413, "too_large"},
		"a role that is not granted":        {url.Values{"resource": {"production/Forbidden"}}, 400, "invalid_target"},
		"a role that needs a fresh sign-in": {url.Values{"resource": {"production/Vault"}}, 401, "insufficient_user_authentication"},
	} {
		t.Run(name, func(t *testing.T) {
			resp, got := s.exchange(t, test.form)
			if resp.StatusCode != test.status || got.Error != test.code || got.Description == "" || got.AccessToken != "" || got.Credentials != nil {
				t.Errorf("%s %+v, want %d %s", resp.Status, got, test.status, test.code)
			}
		})
	}
	resp, _ := s.exchange(t, url.Values{"resource": {"production/Vault"}})
	if want := `Bearer realm="rolecall", error="insufficient_user_authentication", max_age="300"`; resp.Header.Get("WWW-Authenticate") != want {
		t.Errorf("challenge %q", resp.Header.Get("WWW-Authenticate"))
	}
}

func TestExchangeForAnAccessToken(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	_, got := s.exchange(t, url.Values{"requested_token_type": {}})
	if got.TokenType != "Bearer" || got.IssuedType != "urn:ietf:params:oauth:token-type:access_token" || got.ExpiresIn < 598 || got.ExpiresIn > 600 {
		t.Fatalf("%+v", got)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+got.AccessToken)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var who struct{ Username string }
	if err := json.NewDecoder(resp.Body).Decode(&who); err != nil || who.Username != "carol" {
		t.Errorf("%s %+v %v", resp.Status, who, err)
	}
}

// A stock client knows the grant as a parameter, and reads the answer.
func TestAStockClientExchanges(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	client := oauth2.Config{ClientID: "anything", Endpoint: oauth2.Endpoint{TokenURL: s.url + "/oauth2/token", AuthStyle: oauth2.AuthStyleInParams}}
	token, err := client.Exchange(t.Context(), "",
		oauth2.SetAuthURLParam("grant_type", exchangeGrant), oauth2.SetAuthURLParam("subject_token", "good"),
		oauth2.SetAuthURLParam("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"))
	if err != nil || token.AccessToken == "" || token.Type() != "Bearer" {
		t.Errorf("%+v %v", token, err)
	}
	_, err = client.Exchange(t.Context(), "", oauth2.SetAuthURLParam("grant_type", exchangeGrant), oauth2.SetAuthURLParam("subject_token", "bad"),
		oauth2.SetAuthURLParam("subject_token_type", idTokenType))
	if refused, ok := err.(*oauth2.RetrieveError); !ok || refused.ErrorCode != "invalid_grant" {
		t.Errorf("%v", err)
	}
}
