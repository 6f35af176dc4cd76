package social

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Facebook answers as Facebook's documentation says that it does, for one app and
// one person who is signed in there and agrees to everything.
type Facebook struct {
	*Web
	ClientID, ClientSecret string

	oauth *oauthServer
	mu    sync.Mutex
	who   map[string]string
}

// StartFacebook starts www.facebook.com and graph.facebook.com; who has id, name and
// perhaps email.
func StartFacebook(t testing.TB, who map[string]string) *Facebook {
	t.Helper()
	f := &Facebook{oauth: newOAuthServer(), who: who}
	f.ClientID, f.ClientSecret = f.oauth.clientID, f.oauth.clientSecret
	f.Web = startWeb(t, http.HandlerFunc(f.serveHTTP), "www.facebook.com", "graph.facebook.com")
	return f
}

// Visit is the browser: it follows an authorization URL and gives the parameters
// that the browser takes to the client.
func (f *Facebook) Visit(address string) url.Values { return f.visit(address) }

// Become changes who is signed in there.
func (f *Facebook) Become(who map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.who = who
}

func (f *Facebook) serveHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	who := f.who
	f.mu.Unlock()
	version, path, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	at := r.Host + "/" + path
	switch {
	case !strings.HasPrefix(version, "v"):
		http.NotFound(w, r)
	case at == "www.facebook.com/dialog/oauth":
		f.oauth.authorize(w, r, who["id"])
	case at == "graph.facebook.com/oauth/access_token":
		token, _, wrong := f.oauth.redeem(r)
		switch wrong {
		case "client":
			graphError(w, 101)
		case "code":
			graphError(w, 100)
		default:
			writeJSON(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "bearer", "expires_in": 5184000})
		}
	case at == "graph.facebook.com/debug_token":
		f.debugToken(w, r)
	case at == "graph.facebook.com/me":
		f.me(w, r, who)
	default:
		graphError(w, 2500)
	}
}

func (f *Facebook) debugToken(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+f.ClientID+"|"+f.ClientSecret {
		graphError(w, 190)
		return
	}
	token, known := f.oauth.lookup(r.URL.Query().Get("input_token"))
	if !known {
		writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{"app_id": f.ClientID, "is_valid": false, "error": map[string]any{"code": 190}}})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"data": map[string]any{
		"app_id": token.client, "type": "USER", "is_valid": true, "user_id": token.person, "scopes": strings.Fields(token.scope),
	}})
}

// me answers with the fields that were asked for, to who has the app's secret.
func (f *Facebook) me(w http.ResponseWriter, r *http.Request, who map[string]string) {
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	mac := hmac.New(sha256.New, []byte(f.ClientSecret))
	mac.Write([]byte(bearer))
	if _, known := f.oauth.lookup(bearer); !known || r.URL.Query().Get("appsecret_proof") != hex.EncodeToString(mac.Sum(nil)) {
		graphError(w, 190)
		return
	}
	answer := map[string]any{}
	for _, field := range strings.Split(r.URL.Query().Get("fields"), ",") {
		if value := who[field]; value != "" {
			answer[field] = value
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

// graphError is Facebook's own form of an error.
func graphError(w http.ResponseWriter, code int) {
	writeJSON(w, http.StatusBadRequest, map[string]any{"error": map[string]any{"message": "canary-message", "type": "OAuthException", "code": code, "fbtrace_id": "x"}})
}
