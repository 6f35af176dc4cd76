package api

import (
	"net/http"
	"strings"
	"testing"
)

// Two readers of one body must not see two orders: encoding/json takes members in
// any case and lets the last of several count, other readers the first.
func TestABodyThatTwoReadersWouldReadDifferentlyIsRefused(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"a member twice":            `{"role":"production/ReadOnly","role":"production/Admin"}`,
		"a member in another case":  `{"Role":"production/Admin"}`,
		"both spellings":            `{"role":"production/ReadOnly","ROLE":"production/Admin"}`,
		"a letter that folds to s":  `{"role":"production/Admin","ſervice":"x"}`,
		"a member escaped, twice":   `{"role":"a/b","ro\u006ce":"production/Admin"}`,
		"after a member with depth": `{"policy":{"Statement":[{"a":[1,2]}]},"role":"a/b","role":"c/d"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, path := range []string{"/api/v1/credentials", "/api/v1/console-url"} {
				s := &service{}
				w := serve(t, s)(http.MethodPost, path, body, "Authorization", "Bearer good", "Content-Type", "application/json")
				if w.Code != 400 || s.order.Role != "" || s.console.Role != "" {
					t.Errorf("%s: %d %s; ordered %+v %+v", path, w.Code, w.Body, s.order, s.console)
				}
			}
		})
	}
}

func TestAPolicyMayUseMembersInTheirOwnCase(t *testing.T) {
	t.Parallel()
	s := &service{}
	w := serve(t, s)(http.MethodPost, "/api/v1/credentials", `{"role":"a/b","policy":{"Version":"2012-10-17","Statement":[]}}`,
		"Authorization", "Bearer good", "Content-Type", "application/json")
	if w.Code != 200 || !strings.Contains(s.order.Policy, "Statement") {
		t.Errorf("%d %s %+v", w.Code, w.Body, s.order)
	}
}

func TestAFaultInTheBodyIsSaidInWordsOfTheAPI(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		`[]`:                        "it must be an object",
		`"x"`:                       "it must be an object",
		`7`:                         "it must be an object",
		`{"role":["a"]}`:            "the member role must not be an array",
		`{"role":{}}`:               "the member role must not be an object",
		`{"role":"a","duration":1}`: "the member duration must not be a number",
	} {
		w := serve(t, &service{})(http.MethodPost, "/api/v1/credentials", body, "Authorization", "Bearer good", "Content-Type", "application/json")
		if w.Code != 400 || !strings.Contains(w.Body.String(), says) || strings.Contains(w.Body.String(), "Go ") {
			t.Errorf("%s: %d %s, want %q", body, w.Code, w.Body, says)
		}
	}
}
