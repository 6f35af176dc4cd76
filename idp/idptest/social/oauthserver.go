package social

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"sync"
)

// oauthServer is the part of an OAuth provider that all have: codes that count once
// and belong to a client, a redirect URI and a verifier, and the tokens they give.
type oauthServer struct {
	clientID, clientSecret string

	mu     sync.Mutex
	codes  map[string]grantedCode
	tokens map[string]grantedToken
}

type grantedCode struct {
	person  string
	request url.Values
}

type grantedToken struct{ client, person, scope string }

func newOAuthServer() *oauthServer {
	return &oauthServer{clientID: "1047", clientSecret: "canary-client-secret", codes: map[string]grantedCode{}, tokens: map[string]grantedToken{}}
}

// authorize signs the person in without asking, and sends the browser back.
func (s *oauthServer) authorize(w http.ResponseWriter, r *http.Request, person string) {
	request := r.URL.Query()
	back, err := url.Parse(request.Get("redirect_uri"))
	if err != nil || request.Get("client_id") != s.clientID || request.Get("state") == "" || request.Get("code_challenge_method") != "S256" || len(request.Get("code_challenge")) != 43 {
		http.Error(w, "canary: the request lacks a known client, a redirect URI, state or PKCE", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	s.mu.Lock()
	s.codes[code] = grantedCode{person, request}
	s.mu.Unlock()
	query := back.Query()
	query.Set("code", code)
	query.Set("state", request.Get("state"))
	back.RawQuery = query.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// redeem gives the token of a code, or "" and what is wrong: "client" or "code".
func (s *oauthServer) redeem(r *http.Request) (token, scope, wrong string) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost || len(r.URL.Query()) > 0 {
		return "", "", "client"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	form := r.PostForm
	given, known := s.codes[form.Get("code")]
	delete(s.codes, form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	switch {
	case form.Get("client_id") != s.clientID || form.Get("client_secret") != s.clientSecret:
		return "", "", "client"
	case !known, form.Get("redirect_uri") != given.request.Get("redirect_uri"),
		base64.RawURLEncoding.EncodeToString(sum[:]) != given.request.Get("code_challenge"):
		return "", "", "code"
	}
	token = "canary-token-" + rand.Text()
	s.tokens[token] = grantedToken{s.clientID, given.person, given.request.Get("scope")}
	return token, given.request.Get("scope"), ""
}

func (s *oauthServer) lookup(token string) (grantedToken, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, known := s.tokens[token]
	return t, known
}

// revoke takes a token back and says whether there was one.
func (s *oauthServer) revoke(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.tokens[token]
	delete(s.tokens, token)
	return known
}

// alive counts the tokens that still work.
func (s *oauthServer) alive() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tokens)
}
