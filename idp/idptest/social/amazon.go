package social

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Amazon answers as the documentation of Login with Amazon says that it does, for one
// security profile and one person who is signed in there and agrees to everything.
type Amazon struct {
	*Web
	ClientID, ClientSecret string

	oauth *oauthServer
	who   map[string]string
}

// StartAmazon starts www.amazon.com and api.amazon.com; who has user_id, name and
// perhaps email.
func StartAmazon(t testing.TB, who map[string]string) *Amazon {
	t.Helper()
	a := &Amazon{oauth: newOAuthServer(), who: who}
	a.ClientID, a.ClientSecret = a.oauth.clientID, a.oauth.clientSecret
	a.Web = startWeb(t, http.HandlerFunc(a.serveHTTP), "www.amazon.com", "api.amazon.com")
	return a
}

// Visit is the browser: it follows an authorization URL and gives the parameters
// that the browser takes to the client.
func (a *Amazon) Visit(address string) url.Values { return a.visit(address) }

func (a *Amazon) serveHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Host + r.URL.Path {
	case "www.amazon.com/ap/oa":
		a.oauth.authorize(w, r, a.who["user_id"])
	case "api.amazon.com/auth/o2/token":
		token, _, wrong := a.oauth.redeem(r)
		switch wrong {
		case "client":
			writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client", "error_description": "canary"})
		case "code":
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "canary"})
		default:
			writeJSON(w, http.StatusOK, map[string]any{"access_token": token, "refresh_token": "canary-refresh", "token_type": "bearer", "expires_in": 3600})
		}
	case "api.amazon.com/auth/o2/tokeninfo":
		token, known := a.oauth.lookup(r.URL.Query().Get("access_token"))
		if !known {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_token"})
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"iss": "https://www.amazon.com", "aud": token.client, "user_id": token.person, "exp": 3600})
	case "api.amazon.com/user/profile":
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, known := a.oauth.lookup(bearer); !known {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": "invalid_token"})
			return
		}
		writeJSON(w, http.StatusOK, a.who)
	default:
		http.NotFound(w, r)
	}
}
