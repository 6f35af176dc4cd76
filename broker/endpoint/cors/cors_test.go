package cors_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/rolecall/rolecall/broker/endpoint/cors"
)

const page = "https://notes.example.com"

func TestOnlyPagesOfAppsMayRead(t *testing.T) {
	t.Parallel()
	for origin, allowed := range map[string]bool{
		page: true, "": false, "null": false, "*": false, "https://evil.example.com": false, "http://notes.example.com": false,
		page + ":8443": false, page + "/": false, "https://NOTES.example.com": false, page + ".evil.example.com": false,
	} {
		for _, preflight := range []bool{false, true} {
			r := httptest.NewRequest(http.MethodOptions, "https://sso.example.com/tvm/v1/devices", nil)
			if origin != "" {
				r.Header.Set("Origin", origin)
			}
			w := httptest.NewRecorder()
			if preflight {
				if err := cors.Of(page).Preflight("POST")(w, r); err != nil || w.Code != http.StatusNoContent {
					t.Fatal(w.Code, err)
				}
			} else {
				cors.Of(page).Allow(w, r)
			}
			h := w.Header()
			if got := h.Get("Access-Control-Allow-Origin"); allowed && got != origin || !allowed && got != "" {
				t.Errorf("%q: %q", origin, got)
			}
			if preflight && (h.Get("Access-Control-Allow-Methods") != "") != allowed {
				t.Errorf("%q: methods %q", origin, h.Get("Access-Control-Allow-Methods"))
			}
			if h.Get("Access-Control-Allow-Credentials") != "" || h.Get("Vary") != "Origin" {
				t.Errorf("%q: %v", origin, h)
			}
		}
	}
}

func TestWithoutAppsNobodyMay(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "https://sso.example.com/oauth2/token", nil)
	r.Header.Set("Origin", page)
	w := httptest.NewRecorder()
	cors.Origins(nil).Allow(w, r)
	if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
		t.Errorf("allowed %q", got)
	}
}
