package idptest

import (
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/go-jose/go-jose/v4"
)

// requested is the authorization request that a browser carries, or the one that
// was pushed under the name that it carries: once, and then nothing else counts.
func (op *OP) requested(query url.Values) url.Values {
	op.t.Helper()
	name := query.Get("request_uri")
	if name == "" {
		return query
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	request, known := op.pushed[name]
	delete(op.pushed, name)
	if !known || query.Get("client_id") != op.ClientID || len(query) != 2 {
		op.t.Errorf("a request by an unknown name, or with more than that: %v", query)
	}
	return request
}

// push keeps an authorization request (RFC 9126).
func (op *OP) push(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil || r.Method != http.MethodPost {
		http.Error(w, "form", http.StatusBadRequest)
		return
	}
	if !op.knows(r) {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "error_description": "canary-description"})
		return
	}
	name := "urn:ietf:params:oauth:request_uri:" + rand.Text()
	op.mu.Lock()
	op.pushed[name] = r.PostForm
	op.mu.Unlock()
	writeJSON(w, http.StatusCreated, map[string]any{"request_uri": name, "expires_in": 60})
}

// knows judges how the client proves itself, by exactly one way.
func (op *OP) knows(r *http.Request) bool {
	id, given, basic := r.BasicAuth()
	if text, err := url.QueryUnescape(given); err == nil && basic {
		given = text
	}
	if basic && (r.PostForm.Has("client_secret") || r.PostForm.Has("client_assertion")) {
		return false
	}
	if !basic {
		id, given = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	if op.ClientKey != nil {
		return id == op.ClientID && !basic && given == "" && op.asserted(r.PostForm)
	}
	return id == op.ClientID && given == op.ClientSecret && !r.PostForm.Has("client_assertion")
}

// asserted judges a client assertion (RFC 7523 section 3); its jti counts once.
func (op *OP) asserted(form url.Values) bool {
	token, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256, jose.ES384, jose.RS256, jose.PS256, jose.EdDSA})
	if err != nil || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return false
	}
	payload, err := token.Verify(op.ClientKey)
	if err != nil {
		return false
	}
	var claims struct {
		Issuer  string `json:"iss"`
		Subject string `json:"sub"`
		For     string `json:"aud"`
		ID      string `json:"jti"`
		Expires int64  `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return false
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	now := op.now().Unix()
	good := claims.Issuer == op.ClientID && claims.Subject == op.ClientID && (claims.For == op.Issuer || claims.For == op.Issuer+"/token") &&
		claims.ID != "" && !op.proofs[claims.ID] && claims.Expires > now && claims.Expires <= now+300
	op.proofs[claims.ID] = true
	return good
}
