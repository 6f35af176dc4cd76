package scripted

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// site asks for a password, then posts an answer that SignIn must send on.
func site(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `<a href="/saml/corp/login">Corp</a>`)
	})
	mux.HandleFunc("GET /saml/corp/login", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `<form method="post" action="/password"><input name="username"><input type="password" name="password"><input type="hidden" name="kept" value="a &amp; b"><button name="go" value="1">Go</button></form>`)
	})
	mux.HandleFunc("POST /password", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("username") != "alice" || r.PostFormValue("password") != "alice-pw" || r.PostFormValue("kept") != "a & b" || r.PostFormValue("go") != "1" || r.Header.Get("Sec-Fetch-Site") != "same-origin" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprint(w, `<form method="post" action="/acs"><input type="hidden" name="SAMLResponse" value="x"></form>`)
	})
	mux.HandleFunc("POST /acs", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: r.PostFormValue("SAMLResponse")})
		http.Redirect(w, r, "/", http.StatusSeeOther)
	})
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("session")
		if err != nil {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		_, _ = fmt.Fprintf(w, `<p>%s</p>`, c.Value)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestThePersonSignsInAndArrives(t *testing.T) {
	t.Parallel()
	server := site(t)
	b, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.SignIn(server.URL, "corp", Person{"alice", "alice-pw"}); err != nil {
		t.Fatal(err)
	}
	if b.Page.Status != http.StatusOK || b.Page.URL.Path != "/" || b.Page.Text != "<p>x</p>" {
		t.Errorf("the browser is at %s: %d %s", b.Page.URL, b.Page.Status, b.Page.Text)
	}
}

func TestAHeldFormIsNotSent(t *testing.T) {
	t.Parallel()
	server := site(t)
	b, err := New()
	if err != nil {
		t.Fatal(err)
	}
	b.Hold = "SAMLResponse"
	if err := b.SignIn(server.URL, "corp", Person{"alice", "alice-pw"}); err != nil {
		t.Fatal(err)
	}
	forms := b.Page.Forms()
	if len(forms) != 1 || forms[0].Action != "/acs" || forms[0].Values.Get("SAMLResponse") != "x" {
		t.Fatalf("the page has the forms %+v", forms)
	}
	if err := b.Submit(forms[0], map[string]string{"SAMLResponse": "y"}); err != nil || b.Page.Text != "<p>y</p>" {
		t.Errorf("sent later: %v %s", err, b.Page.Text)
	}
}

func TestAWrongPasswordAndAMissingProviderAreErrors(t *testing.T) {
	t.Parallel()
	server := site(t)
	for _, c := range []struct{ provider, password string }{{"corp", "wrong"}, {"other", "alice-pw"}} {
		b, err := New()
		if err != nil {
			t.Fatal(err)
		}
		if err := b.SignIn(server.URL, c.provider, Person{"alice", c.password}); err == nil {
			t.Errorf("%v: no error", c)
		}
	}
}
