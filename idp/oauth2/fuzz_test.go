package oauth2

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	oauth "golang.org/x/oauth2"

	"github.com/rolecall/rolecall/idp"
)

// FuzzAnswer: what is accepted carries exactly one code and this sign-in's state, no
// error and no other server's name, and came by redirect.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"code=c&state=the-handle", "code=c&state=other", "code=c&code=d&state=the-handle", "code=c&state=the-handle&iss=https%3A%2F%2Fevil.example",
		"code=c&state=the-handle&iss=https%3A%2F%2Fgithub.com%2Flogin%2Foauth", "error=access_denied&state=the-handle", "State=the-handle&code=c", "code=&state=the-handle", "code=c&state=the-handle&error=",
	} {
		f.Add(false, seed)
		f.Add(true, seed)
	}
	p := &Provider{client: oauth.Config{Endpoint: oauth.Endpoint{AuthURL: "https://github.com/login/oauth/authorize"}}}
	f.Fuzz(func(t *testing.T, post bool, raw string) {
		query, _ := url.ParseQuery(raw)
		answer := idp.Answer{Method: http.MethodGet, Query: query}
		if post {
			answer = idp.Answer{Method: http.MethodPost, Form: query, Query: query}
		}
		code, err := p.judgeAnswer(pending{State: hashText("the-handle")}, answer)
		if err != nil {
			if reason(err) == err.Error() || code != "" || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("refused with %q and %v", code, err)
			}
			return
		}
		switch {
		case post, query.Has("error"), !slices.Equal(query["state"], []string{"the-handle"}), !slices.Equal(query["code"], []string{code}), code == "", len(code) > 4096:
			t.Errorf("%q of %q", code, raw)
		case query.Has("iss") && hostOf(query.Get("iss")) != "github.com":
			t.Errorf("an answer of %q", query.Get("iss"))
		}
	})
}
