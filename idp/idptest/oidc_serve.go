package idptest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

func (op *OP) serve(w http.ResponseWriter, r *http.Request) {
	op.mu.Lock()
	op.hits[r.URL.Path]++
	b := op.b
	op.mu.Unlock()
	if handler := b.Serve[r.URL.Path]; handler != nil {
		handler(w, r)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		op.discovery(w, b)
	case "/jwks":
		writeJSON(w, http.StatusOK, op.jwks())
	case "/token":
		op.token(w, r, b)
	case "/par":
		op.push(w, r)
	case "/userinfo":
		if b.Userinfo == nil || r.Header.Get("Authorization") != "Bearer "+accessToken {
			http.Error(w, "canary-userinfo", http.StatusUnauthorized)
			return
		}
		writeJSON(w, http.StatusOK, b.Userinfo)
	default:
		http.NotFound(w, r)
	}
}

const accessToken = "canary-access-token"

func (op *OP) discovery(w http.ResponseWriter, b Behaviour) {
	document := map[string]any{
		"issuer": op.Issuer, "authorization_endpoint": op.Issuer + "/authorize", "token_endpoint": op.Issuer + "/token",
		"jwks_uri": op.Issuer + "/jwks", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"RS256", "none", "HS256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic"},
		"end_session_endpoint":                           op.Issuer + "/logout",
		"authorization_response_iss_parameter_supported": true,
	}
	if b.Pushes {
		document["pushed_authorization_request_endpoint"] = op.Issuer + "/par"
	}
	if b.Userinfo != nil {
		document["userinfo_endpoint"] = op.Issuer + "/userinfo"
	}
	if b.Discovery != nil {
		b.Discovery(document)
	}
	writeJSON(w, http.StatusOK, document)
}

func (op *OP) jwks() jose.JSONWebKeySet {
	op.mu.Lock()
	defer op.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, key := range op.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Private.Public(), KeyID: key.ID, Algorithm: string(key.Alg), Use: "sig"})
	}
	return set
}

// token redeems a code once, with client authentication and PKCE checked.
func (op *OP) token(w http.ResponseWriter, r *http.Request, b Behaviour) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "form", http.StatusBadRequest)
		return
	}
	op.mu.Lock()
	request, known := op.codes[r.PostForm.Get("code")]
	delete(op.codes, r.PostForm.Get("code"))
	op.mu.Unlock()
	fault := op.judge(r, request, known)
	if fault != "" {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": fault, "error_description": "canary-description"})
		return
	}
	claims := op.Claims()
	claims["nonce"] = request.Get("nonce")
	half := sha256.Sum256([]byte(accessToken))
	claims["at_hash"] = base64.RawURLEncoding.EncodeToString(half[:16])
	if b.Claims != nil {
		b.Claims(claims)
	}
	var raw string
	if b.Mint != nil {
		raw = b.Mint(claims)
	} else {
		raw = op.Sign(op.Key(), claims, nil)
	}
	writeJSON(w, http.StatusOK, map[string]any{"access_token": accessToken, "token_type": "Bearer", "expires_in": 300, "id_token": raw})
}

func (op *OP) judge(r *http.Request, request url.Values, known bool) string {
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	switch {
	case !op.knows(r):
		return "invalid_client"
	case !known || request.Get("redirect_uri") != r.PostForm.Get("redirect_uri"):
		return "invalid_grant"
	case strings.TrimRight(base64.URLEncoding.EncodeToString(sum[:]), "=") != request.Get("code_challenge"):
		return "invalid_grant"
	}
	return ""
}

func writeJSON(w http.ResponseWriter, status int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(document)
}
